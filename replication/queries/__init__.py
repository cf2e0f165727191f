"""Queries on a database: Mango's rules (`replication.protocol.mango`) put to work on a store.

Everything here reads through the `Database` it is given and through nothing else, so whoever
hands in a database that shows only some documents gets queries that find only those.
"""

"""The read store: the documents as tables of a PostgreSQL, for reports and for tools that speak SQL.

It is a sink of the change feed: everything in it follows from documents and can be made anew from them. Who
logs in to it sees the rows that he may read as documents, by the same channels. docs/readstore.md says more.
"""

"""The driver for CouchDB: documents at a server, their order in a ledger here."""

from replication.store.couchdb.database import CouchDatabase
from replication.store.couchdb.store import CouchStore

__all__ = ["CouchDatabase", "CouchStore"]

"""The page under `/app/`: static files that work against any server with the CouchDB protocol."""

from kompass.app.page import Page, find_pouchdb

__all__ = ["Page", "find_pouchdb"]

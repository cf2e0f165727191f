"""The embedded driver: SQLite files in one directory."""

from replication.store.sqlite.lock import DirectoryInUseError
from replication.store.sqlite.store import SqliteStore

__all__ = ["DirectoryInUseError", "SqliteStore"]

"""The embedded driver: SQLite files in one directory."""

from replication.store.sqlite.database import SqliteDatabase
from replication.store.sqlite.extension import (
    Ancestor,
    ChangedDocument,
    Emptied,
    Extension,
    Reading,
    Revisions,
    Several,
    Writing,
    WrittenRevision,
)
from replication.store.sqlite.journal import (
    CopyDivergedError,
    Entry,
    Journal,
    JournalForkedError,
    JournalGapError,
    TablesAheadError,
    Turn,
    check_same,
)
from replication.store.sqlite.lock import DirectoryInUseError
from replication.store.sqlite.reading import id_list
from replication.store.sqlite.shared import Catalogue, Entered, SharedStore
from replication.store.sqlite.store import SqliteStore
from replication.store.sqlite.witness import Witness
from replication.store.sqlite.writer import LOST

__all__ = [
    "LOST",
    "Ancestor",
    "Catalogue",
    "ChangedDocument",
    "CopyDivergedError",
    "DirectoryInUseError",
    "Emptied",
    "Entered",
    "Entry",
    "Extension",
    "Journal",
    "JournalForkedError",
    "JournalGapError",
    "Reading",
    "Revisions",
    "Several",
    "SharedStore",
    "SqliteDatabase",
    "SqliteStore",
    "TablesAheadError",
    "Turn",
    "Witness",
    "Writing",
    "WrittenRevision",
    "check_same",
    "id_list",
]

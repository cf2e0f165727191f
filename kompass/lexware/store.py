"""The file that says what went to Lexware and what came from it: `office/lexware.sqlite`.

It is the truth about that: which contract was last exported with which values, which payments were taken,
what people have to look at. Documents say what follows from it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apsw
import orjson

from kompass import leases
from kompass.kept import LEXWARE
from kompass.shared_files import SharedFiles
from kompass.sqlfile import SqlFile, fetch

_TABLES = f"""
CREATE TABLE runs (
    num INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    mode TEXT NOT NULL,
    of INTEGER,
    state TEXT NOT NULL,
    file TEXT NOT NULL UNIQUE,
    draft TEXT NOT NULL DEFAULT '',
    person TEXT NOT NULL,
    at REAL NOT NULL,
    position TEXT NOT NULL,
    rows INTEGER NOT NULL DEFAULT 0,
    left_out INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    sums TEXT NOT NULL DEFAULT '{{}}',
    changed INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    delivered REAL,
    target TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX runs_by_state ON runs (state);
CREATE TABLE run_rows (
    doc TEXT NOT NULL,
    run INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (doc, run)
) WITHOUT ROWID;
CREATE INDEX run_rows_by_run ON run_rows (run);
CREATE TABLE pieces (
    run INTEGER NOT NULL,
    num INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (run, num)
) WITHOUT ROWID;
CREATE TABLE arrivals (
    sha256 TEXT PRIMARY KEY,
    num INTEGER NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    kept TEXT NOT NULL DEFAULT '',
    person TEXT NOT NULL,
    at REAL NOT NULL,
    state TEXT NOT NULL,
    rows INTEGER NOT NULL DEFAULT 0,
    wrong INTEGER NOT NULL DEFAULT 0,
    report TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE payments (
    fingerprint TEXT PRIMARY KEY,
    arrival TEXT NOT NULL,
    line INTEGER NOT NULL,
    invoice TEXT,
    number TEXT NOT NULL,
    customer TEXT NOT NULL,
    paid_on TEXT NOT NULL,
    amount TEXT NOT NULL,
    applied TEXT NOT NULL,
    outcome TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX payments_by_invoice ON payments (invoice);
CREATE TABLE mirror (
    invoice TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    open INTEGER NOT NULL,
    body TEXT NOT NULL,
    amounts TEXT NOT NULL,
    why TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX mirror_open ON mirror (open) WHERE open;
CREATE TABLE said (
    number TEXT PRIMARY KEY,
    arrival TEXT NOT NULL,
    issued TEXT NOT NULL,
    net TEXT NOT NULL,
    tax TEXT NOT NULL,
    gross TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX said_by_day ON said (issued);
CREATE TABLE errors (
    num INTEGER PRIMARY KEY,
    direction TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    error_type TEXT NOT NULL,
    rule TEXT NOT NULL,
    reason TEXT NOT NULL,
    grund TEXT NOT NULL,
    source TEXT NOT NULL,
    line INTEGER,
    heading TEXT NOT NULL,
    value TEXT NOT NULL,
    detail TEXT NOT NULL,
    retries INTEGER NOT NULL DEFAULT 0,
    at REAL NOT NULL,
    resolved_by TEXT,
    resolved_at REAL,
    resolution TEXT
);
CREATE INDEX errors_open ON errors (num) WHERE resolved_at IS NULL;
CREATE INDEX errors_of ON errors (entity_id);
CREATE TABLE notes (name TEXT PRIMARY KEY, at REAL NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;
{leases.TABLE}
"""


class LexwareStoreError(Exception):
    """The file can't be used. The text is for people."""


class LexwareStore(SqlFile):
    """The file, made where it isn't there. Blocking, short."""

    def __init__(self, directory: Path, *, busy: float = 10.0, shared: SharedFiles | None = None) -> None:
        """Of a data directory; see `SqlFile`. Raises `LexwareStoreError`."""
        super().__init__(
            directory / LEXWARE,
            _TABLES,
            failure=LexwareStoreError,
            busy=busy,
            shared=shared,
            # What was exported must not be forgotten by a loss of power: it would go out twice.
            pragmas=("synchronous = FULL", "secure_delete = ON"),
        )

    def note(self, name: str, text: Mapping[str, Any]) -> None:
        """Keeps something under a name, with the time."""
        with self.writing() as connection:
            note(connection, name, text)

    def noted(self, name: str) -> tuple[float, dict[str, Any]] | None:
        """When, and what."""
        found = self.rows("SELECT at, text FROM notes WHERE name = ?", (name,))
        return (float(found[0][0]), orjson.loads(found[0][1])) if found else None

    def forget(self) -> None:
        """Takes what was removed off the file. Raises `apsw.BusyError` if somebody reads it."""
        with self._lock:
            # Deleted content is overwritten as it goes; earlier versions of pages are in the log.
            ((busy, *_),) = fetch(self._connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise apsw.BusyError("the log of the file about Lexware is being read")
        if self._shared is not None:
            self._save(0)  # the journal needn't go back to what was there before


def note(connection: apsw.Connection, name: str, text: Mapping[str, Any]) -> None:
    """Within a transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO notes VALUES (?, ?, ?)",
        (name, time.time(), orjson.dumps(dict(text)).decode()),
    )

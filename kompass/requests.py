"""The file of idempotency keys: which requests were begun, and what they have written. For all processes.

It has no text of anybody: digests, ids and revisions. A key counts for a day.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple

import orjson

from kompass.kept import REQUESTS
from kompass.shared_files import SharedFiles
from kompass.sqlfile import Late, SqlFile, fetch

KEPT_SECONDS = 24 * 3600
LEASE_SECONDS = 60
"""After that whoever began is thought to be dead."""
_APART = 300
"""Seconds by which the clock of whoever began may be ahead; one further ahead was wrong."""
_SWEPT = 100
"""Keys that are dropped at a time because their day is over."""

_TABLES = """
CREATE TABLE requests (
    mark BLOB PRIMARY KEY,
    digest BLOB NOT NULL,
    begun REAL NOT NULL,
    leased REAL NOT NULL,
    outcomes TEXT
) WITHOUT ROWID;
CREATE INDEX requests_by_age ON requests (begun);
"""


class RequestsError(Exception):
    """The file can't be used. The text is for people."""


class Standing(StrEnum):
    """Of a key."""

    NEW = "new"
    AGAIN = "again"
    """It was begun before with the same request; what was done of it is known, or nobody knows any more."""
    RUNNING = "running"
    OTHER = "other"
    """It was begun with another request."""


class Kept(NamedTuple):
    """What one operation has done."""

    status: int
    resource: str
    id: str
    rev: str


class Requests:
    """Opens the file with the first key. Blocking, short; calls may come from any thread. Everything raises
    `RequestsError`.
    """

    def __init__(
        self, directory: Path, *, shared: SharedFiles | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        path = directory / REQUESTS
        # What a power cut takes from it is found again: ids follow from keys.
        pragmas = ("synchronous = NORMAL",)
        self._late = Late(
            path, partial(SqlFile, path, _TABLES, failure=RequestsError, pragmas=pragmas, shared=shared)
        )
        self._clock = clock

    def close(self) -> None:
        self._late.close()

    def begin(self, mark: bytes, digest: bytes) -> tuple[Standing, Sequence[Kept | None]]:
        """Takes the key for a while, unless somebody has it or everything was done. With what was done."""
        with self._late.opened().writing() as connection:
            now = self._clock()  # only now: whoever had the turn before has a lease from then on
            connection.execute(
                "DELETE FROM requests WHERE mark IN (SELECT mark FROM requests WHERE begun < ? LIMIT ?)",
                (now - KEPT_SECONDS, _SWEPT),
            )
            found = fetch(
                connection,
                "SELECT digest, leased, outcomes FROM requests WHERE mark = ? AND begun >= ?",
                (mark, now - KEPT_SECONDS),
            )
            if not found:
                connection.execute(
                    "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, NULL)",
                    (mark, digest, now, now + LEASE_SECONDS),
                )
                return Standing.NEW, ()
            ((stored, leased, text),) = found
            if stored != digest:
                return Standing.OTHER, ()
            outcomes = [] if text is None else [one and Kept(*one) for one in orjson.loads(text)]
            if outcomes and all(outcomes):
                return Standing.AGAIN, outcomes
            if now < leased <= now + LEASE_SECONDS + _APART:
                return Standing.RUNNING, ()
            connection.execute("UPDATE requests SET leased = ? WHERE mark = ?", (now + LEASE_SECONDS, mark))
            return Standing.AGAIN, outcomes

    def finish(self, mark: bytes, outcomes: Sequence[Kept | None]) -> None:
        """Of each operation what it did; None for one that was refused."""
        with self._late.opened().writing() as connection:
            connection.execute(
                "UPDATE requests SET leased = 0, outcomes = ? WHERE mark = ?",
                (orjson.dumps([one and [*one] for one in outcomes]).decode(), mark),
            )

    def release(self, mark: bytes) -> None:
        """Nobody works on it any more, and what was done isn't known."""
        with self._late.opened().writing() as connection:
            connection.execute("UPDATE requests SET leased = 0 WHERE mark = ?", (mark,))

    def forget(self, mark: bytes) -> None:
        """Nothing was done by whoever began. If he was thought to be dead, another one may have done it."""
        with self._late.opened().writing() as connection:
            query = "DELETE FROM requests WHERE mark = ? AND leased = begun + ?"
            connection.execute(query, (mark, LEASE_SECONDS))

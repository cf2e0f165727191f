"""What the consumer keeps beside its sinks: documents that a sink could not store, how far each sink is, and
what somebody asked for. A SQLite file, which the server and commands read and write as well.

No text of a document is in it: a document that is tried again is read again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import apsw
import orjson

from kompass.settings import Settings
from kompass.shared_files import SharedFiles
from kompass.sqlfile import SqlFile, fetch, one_line, shared_files

T = TypeVar("T")

FILE = "feed/feed.sqlite"
"""Below the data directory: files beside the databases would be taken for one."""

LONGEST_POSTPONED = 300.0
"""Seconds that nothing is put off by more than."""

_TABLES = """
CREATE TABLE dead (
    num INTEGER PRIMARY KEY,
    sink TEXT NOT NULL,
    id TEXT NOT NULL,
    rev TEXT NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    due REAL,
    UNIQUE (sink, id)
);
CREATE INDEX dead_by_due ON dead (sink, due);
CREATE TABLE status (sink TEXT PRIMARY KEY, at REAL NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rebuilds (sink TEXT PRIMARY KEY, asked REAL NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;
"""


class LedgerError(Exception):
    """The file can't be used. The text is for people."""


class State(StrEnum):
    STARTING = "starting"
    WAITING = "waiting for another consumer"
    """Another process leads."""
    CATCHING_UP = "catching up"
    FOLLOWING = "following"
    REBUILDING = "rebuilding"
    UNAVAILABLE = "unavailable"
    """The sink, or the server, can't be reached; it is tried again."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Status:
    """How far a sink is."""

    sink: str
    state: State
    position: int = 0
    target: int = 0
    """Where the database was when it was last asked."""
    behind_since: float | None = None
    """Since when it has not been at the end of the feed; None if it is."""
    rate: float = 0.0
    """Documents in a second, of late."""
    applied: int = 0
    errors: int = 0
    """Since the consumer was started."""
    last_error: str = ""
    busy: str = ""
    """What takes it so long; empty if nothing does."""
    rebuild_position: int = 0
    rebuild_target: int = 0
    """Of a generation in the making; 0 without one."""
    pid: int = 0
    at: float = 0.0
    """When this was so."""

    @property
    def lag(self) -> int:
        """Changes that it has not seen."""
        return max(0, self.target - self.position)

    def lag_seconds(self, now: float) -> float:
        return 0.0 if self.behind_since is None else max(0.0, now - self.behind_since)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A document that a sink could not store."""

    num: int
    sink: str
    id: str
    rev: str
    position: int
    reason: str
    attempts: int
    first: float
    last: float
    due: float | None
    """When it is tried again; None: it isn't, unless somebody asks."""


_COLUMNS = "num, sink, id, rev, position, reason, attempts, first, last, due"


class Ledger(SqlFile):
    """The file, made where it isn't there."""

    @classmethod
    def of(cls, settings: Settings) -> Ledger:
        """That of a data directory, or of a cluster. Raises `LedgerError`."""
        return cls(settings.directory, shared_files(settings))

    def __init__(self, directory: Path, shared: SharedFiles | None = None) -> None:
        """Of a data directory; see `SqlFile`. Raises `LedgerError`."""
        super().__init__(
            directory / FILE,
            _TABLES,
            failure=LedgerError,
            pragmas=("synchronous = FULL",),
            shared=shared,
        )

    # -- dead letters --------------------------------------------------------------------------

    def bury(self, sink: str, docid: str, rev: str, position: int, reason: str, due: float | None) -> int:
        """A document could not be stored, once more. Gives how often that was; for another revision it begins
        anew.
        """
        now = time.time()
        return int(
            self._wrote(
                "INSERT INTO dead VALUES (NULL, ?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?7)"
                " ON CONFLICT (sink, id) DO UPDATE SET"
                " attempts = iif(rev = excluded.rev, attempts + 1, 1),"
                " first = iif(rev = excluded.rev, first, excluded.first),"
                " rev = excluded.rev, position = excluded.position, reason = excluded.reason,"
                " last = excluded.last, due = excluded.due RETURNING attempts",
                (sink, docid, rev, position, one_line(reason) or "no reason was given", now, due),
            )
        )

    def postpone(self, sink: str, docid: str, due: float) -> None:
        """It is tried again then, at the latest in `LONGEST_POSTPONED`."""
        self._wrote("UPDATE dead SET due = ? WHERE sink = ? AND id = ?", (due, sink, docid))

    def promote(self, sink: str, made: str) -> None:
        """What is known of the generation `made` is what is known of the sink from now on."""
        with self.writing() as connection:
            connection.execute("DELETE FROM dead WHERE sink = ?", (sink,))
            connection.execute("UPDATE dead SET sink = ? WHERE sink = ?", (sink, made))

    def forget(self, sink: str) -> None:
        """Nothing is known of this sink, or generation of one."""
        self._wrote("DELETE FROM dead WHERE sink = ?", (sink,))

    def resolve(self, sink: str, docids: Iterable[str]) -> None:
        """They are stored."""
        self._wrote(
            "DELETE FROM dead WHERE sink = ? AND id IN (SELECT value FROM json_each(?))",
            (sink, orjson.dumps(list(docids)).decode()),
        )

    def due(self, sink: str, most: int) -> list[DeadLetter]:
        """Those that are to be tried now. That are also those that were put off to a time that is further
        away than any: the clock was wrong then, or is now.
        """
        now = time.time()
        return self._letters(
            "sink = ? AND NOT (due > ? AND due <= ?) ORDER BY due LIMIT ?",
            (sink, now, now + LONGEST_POSTPONED, most),
        )

    def known(self, sink: str) -> set[str]:
        """Ids of all that this sink could not store."""
        rows = self.rows("SELECT id FROM dead WHERE sink = ?", (sink,))
        return {row[0] for row in rows}

    def letters(self, sink: str | None = None, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """From a number on, the first one first."""
        return self._letters(
            "(?1 IS NULL OR sink = ?1) AND num > ?2 ORDER BY num LIMIT ?3", (sink, after, limit)
        )

    def letter(self, num: int) -> DeadLetter | None:
        return next(iter(self._letters("num = ?", (num,))), None)

    def replay(self, num: int) -> bool:
        """It is tried again at once. False if there is no such letter."""
        return self._changed("UPDATE dead SET due = 0, attempts = 0 WHERE num = ?", (num,)) > 0

    def replay_all(self, sink: str | None = None) -> int:
        """How many."""
        return self._changed("UPDATE dead SET due = 0, attempts = 0 WHERE ?1 IS NULL OR sink = ?1", (sink,))

    def drop(self, num: int) -> bool:
        """Nobody needs it. The document comes again when it changes. False if there is no such letter."""
        return self._changed("DELETE FROM dead WHERE num = ?", (num,)) > 0

    def counts(self) -> dict[str, int]:
        """Letters of each sink that are not tried any more by themselves, and those that are."""
        return dict(self.rows("SELECT sink, count(*) FROM dead GROUP BY sink", ()))

    # -- status --------------------------------------------------------------------------------

    def report(self, status: Status) -> None:
        values = {key: value for key, value in asdict(status).items() if key not in ("sink", "at")}
        self._wrote(
            "INSERT OR REPLACE INTO status VALUES (?, ?, ?)",
            (status.sink, time.time(), orjson.dumps(values).decode()),
        )

    def keep_only(self, sinks: Sequence[str]) -> None:
        """Takes away what was reported of sinks that there are no more."""
        self._wrote(
            "DELETE FROM status WHERE sink NOT IN (SELECT value FROM json_each(?))",
            (orjson.dumps(list(sinks)).decode(),),
        )

    def statuses(self) -> dict[str, Status]:
        """By sink, as they were last reported."""
        rows = self.rows("SELECT sink, at, text FROM status ORDER BY sink", ())
        return {
            sink: Status(
                sink=sink, at=at, **{**(given := orjson.loads(text)), "state": State(given["state"])}
            )
            for sink, at, text in rows
        }

    # -- rebuilds ------------------------------------------------------------------------------

    def ask_rebuild(self, sink: str, why: str) -> None:
        """A new generation of the sink is to be made. It goes on after a restart until it is there."""
        self._wrote("INSERT OR IGNORE INTO rebuilds VALUES (?, ?, ?)", (sink, time.time(), why))

    def rebuild_asked(self, sink: str) -> str | None:
        """Why, or None."""
        found: str | None = self._value("SELECT why FROM rebuilds WHERE sink = ?", (sink,))
        return found

    def rebuilt(self, sink: str) -> None:
        self._wrote("DELETE FROM rebuilds WHERE sink = ?", (sink,))

    # -- the file ------------------------------------------------------------------------------

    def _letters(self, condition: str, values: Sequence[Any]) -> list[DeadLetter]:
        rows = self.rows(f"SELECT {_COLUMNS} FROM dead WHERE {condition}", values)  # noqa: S608 - constants
        return [DeadLetter(*row) for row in rows]

    def _value(self, query: str, values: Sequence[Any]) -> Any:
        rows = self.rows(query, values)
        return rows[0][0] if rows else None

    def _wrote(self, query: str, values: Sequence[Any]) -> Any:
        """The same of a statement that writes."""
        with self.writing() as connection:
            rows = fetch(connection, query, values)
        return rows[0][0] if rows else None

    def _changed(self, query: str, values: Sequence[Any]) -> int:
        with self.writing() as connection:
            connection.execute(query, tuple(values))
            return connection.changes()

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """One of these calls in a thread: committing waits for the disk."""
        try:
            return await asyncio.to_thread(work, *arguments)
        except apsw.Error as error:
            raise LedgerError(f"{self.path} can't be used: {error}") from error

"""The simplest sink there can be: a table in a SQLite file. For tests of the suite and of the consumer."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

from kompass.feed.sink import Batch, Change, Checkpoint, PersonAccess, Sink, SinkUnavailableError
from tests.feed.harness import SinkHarness, Stored

T = TypeVar("T")

_TABLES = """
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, position INTEGER NOT NULL, rev TEXT NOT NULL, channels TEXT NOT NULL,
    doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS people (name TEXT PRIMARY KEY, active INTEGER NOT NULL, channels TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY, epoch TEXT, since TEXT, position INTEGER);
"""


class ReferenceSink:
    """The file `NAME.db` of a directory; a generation in the making is `NAME.next.db` beside it."""

    def __init__(self, directory: Path, name: str = "reference", *, next_generation: bool = False) -> None:
        self.name = name
        self._directory = directory
        self._next = next_generation
        self._connection: sqlite3.Connection | None = None

    @property
    def _file(self) -> Path:
        return self._directory / f"{self.name}{'.next' if self._next else ''}.db"

    async def open(self) -> None:
        def opening() -> None:
            connection = sqlite3.connect(self._file, timeout=0.05, check_same_thread=False)
            self._connection = connection
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_TABLES)

        await self._in_thread(opening)

    async def checkpoint(self) -> Checkpoint | None:
        def reading() -> Checkpoint | None:
            row = self._open.execute("SELECT epoch, since, position FROM checkpoint").fetchone()
            return row and Checkpoint(*row)

        return await self._in_thread(reading)

    async def apply(self, batch: Batch) -> None:
        def applying() -> None:
            try:
                with self._open:
                    self._open.execute("BEGIN IMMEDIATE")
                    for change in batch.changes:
                        self._apply(change)
                    for person in batch.people:
                        row = (person.name, person.active, _packed(person.channels))
                        self._open.execute("INSERT OR REPLACE INTO people VALUES (?, ?, ?)", row)
                    at = batch.checkpoint
                    self._open.execute(
                        "INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)",
                        (at.epoch, at.since, at.position),
                    )
            finally:
                assert not self._open.in_transaction

        await self._in_thread(applying)

    def _apply(self, change: Change) -> None:
        newer = "SELECT 1 FROM documents WHERE id = ? AND position > ?"
        if self._open.execute(newer, (change.id, change.position)).fetchone():
            return
        self._open.execute("DELETE FROM documents WHERE id = ?", (change.id,))
        if change.doc is not None:
            text = json.dumps({key: change.doc[key] for key in change.doc})
            row = (change.id, change.position, change.rev, _packed(change.channels), text)
            self._open.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", row)

    async def rebuilding(self) -> Sink:
        other = ReferenceSink(self._directory, self.name, next_generation=True)
        await other.open()
        return other

    async def switch(self) -> None:
        assert self._next
        await self.close()
        file = self._file
        self._next = False
        file.replace(self._file)
        await self.open()

    async def discard(self) -> None:
        assert self._next
        await self.close()
        self._file.unlink(missing_ok=True)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise SinkUnavailableError(f"{self._file} is not open")
        return self._connection

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except sqlite3.OperationalError as error:
            raise SinkUnavailableError(f"{self._file}: {error}") from error


def _packed(channels: frozenset[str]) -> str:
    return json.dumps(sorted(channels))


def at(directory: str) -> Sink:
    return ReferenceSink(Path(directory))


class ReferenceHarness(SinkHarness):
    keeps_people = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: sqlite3.Connection | None = None

    @property
    def again(self) -> tuple[str, str]:
        return "tests.feed.reference:at", str(self._directory)

    def make(self) -> Sink:
        return ReferenceSink(self._directory)

    async def read(self, docid: str) -> Stored | None:
        for row in self._rows("SELECT rev, channels, doc FROM documents WHERE id = ?", docid):
            return Stored(row[0], frozenset(json.loads(row[1])), row[2])
        return None

    async def readable(self, person: PersonAccess) -> set[str]:
        query = """
            SELECT d.id FROM documents d, people p WHERE p.name = ? AND p.active AND EXISTS (
                SELECT 1 FROM json_each(d.channels) c JOIN json_each(p.channels) h ON c.value = h.value)
        """
        return {row[0] for row in self._rows(query, person.name)}

    def documents(self) -> dict[str, tuple[str, frozenset[str]]]:
        """Revision and channels of all that is in it."""
        rows = self._rows("SELECT id, rev, channels FROM documents")
        return {row[0]: (row[1], frozenset(json.loads(row[2]))) for row in rows}

    def people(self) -> dict[str, frozenset[str]]:
        """Who holds which channels."""
        rows = self._rows("SELECT name, channels FROM people")
        return {row[0]: frozenset(json.loads(row[1])) for row in rows}

    def execute(self, statement: str) -> None:
        """Does something to it by hand."""
        with closing(sqlite3.connect(self._directory / "reference.db", timeout=10)) as connection, connection:
            connection.execute(statement)

    async def break_it(self) -> None:
        self._lock = sqlite3.connect(self._directory / "reference.db", isolation_level=None)
        self._lock.execute("BEGIN EXCLUSIVE")

    async def mend_it(self) -> None:
        assert self._lock is not None
        self._lock.execute("ROLLBACK")
        self._lock.close()

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self._directory / "reference.db", timeout=10)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'people'").fetchone():
                return []
            return connection.execute(query, values).fetchall()


@asynccontextmanager
async def harness(directory: Path) -> AsyncIterator[SinkHarness]:
    yield ReferenceHarness(directory)

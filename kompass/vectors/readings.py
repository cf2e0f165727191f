"""What came of reading attachments, until their documents are in the index: a SQLite file beside it.

Reading may take hours, so nothing is read again because a batch didn't come to its end. As in the index no
text is kept, only what is near to what; and of a document no longer than until it is stored, or gone.

A file that took too long is tried again later, a few times. How often and when stays here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import apsw

from kompass.feed.sink import SinkUnavailableError
from kompass.search.entries import sound
from kompass.sqlfile import SqlFile
from kompass.vectors.attachments import PASSING
from kompass.vectors.entries import Attached, Known

FILE = "readings.sqlite"
"""In the directory of the vectors."""

PAUSES = (3600.0, 86_400.0)
"""Seconds after which a file that took too long is tried again; then no more, until the sink is rebuilt."""

MOST_DUE = 20

T = TypeVar("T")

_TABLES = """
CREATE TABLE embedder (name TEXT NOT NULL);
CREATE TABLE readings (document TEXT, source TEXT, problem TEXT NOT NULL, PRIMARY KEY (document, source));
CREATE INDEX readings_source ON readings (source);
CREATE TABLE pieces (
    num INTEGER PRIMARY KEY, document TEXT NOT NULL, source TEXT NOT NULL, hash BLOB NOT NULL,
    vector BLOB NOT NULL);
CREATE INDEX pieces_document ON pieces (document, source);
-- Of contents that took too long: how often, and when they are tried again (null: no more).
CREATE TABLE tries (source TEXT PRIMARY KEY, attempts INTEGER NOT NULL, due REAL) WITHOUT ROWID;
-- Documents in the index that lack such a content.
CREATE TABLE lacking (document TEXT, source TEXT, PRIMARY KEY (document, source)) WITHOUT ROWID;
CREATE INDEX lacking_source ON lacking (source);
"""


class Readings:
    """One for the process that writes. Everything raises `SinkUnavailableError`."""

    def __init__(self, directory: Path, embedder: str, *, now: Callable[[], float] = time.time) -> None:
        """`embedder`: the name of the one whose vectors these are. The file is made when there is something
        to keep."""
        self._path = directory / FILE
        self._embedder = embedder
        self._now = now
        self._file: SqlFile | None = None

    async def known(self, sources: Collection[str]) -> dict[str, Known]:
        """What was read of these contents."""

        def looking(file: SqlFile) -> dict[str, Known]:
            found: dict[str, Known] = {}
            for one in sources:
                query = "SELECT document, problem FROM readings WHERE source = ? LIMIT 1"
                for document, problem in file.rows(query, (one,)):
                    pieces = file.rows(
                        "SELECT hash, vector FROM pieces WHERE document = ? AND source = ? ORDER BY num",
                        (document, one),
                    )
                    found[one] = Known(problem, tuple(pieces))
            return found

        return await self._reading(looking, {})

    async def resting(self, sources: Collection[str]) -> set[str]:
        """Those that took too long and aren't to be tried now."""

        def looking(file: SqlFile) -> set[str]:
            query = f"SELECT 1 FROM tries WHERE source = ?1 AND NOT {_DUE}"  # noqa: S608 - constants
            return {one for one in sources if file.rows(query, (one, *self._times()))}

        return await self._reading(looking, set())

    async def keep(self, read: Mapping[tuple[str, str], Known]) -> None:
        """What was read now, by id of the document and source."""

        def keeping(file: SqlFile) -> None:
            with file.writing() as connection:
                for (docid, source), known in read.items():
                    name = sound(docid)
                    connection.execute("DELETE FROM pieces WHERE document = ? AND source = ?", (name, source))
                    connection.execute(
                        "INSERT OR REPLACE INTO readings VALUES (?, ?, ?)", (name, source, known.problem)
                    )
                    connection.executemany(
                        "INSERT INTO pieces (document, source, hash, vector) VALUES (?, ?, ?, ?)",
                        [(name, source, each, vector) for each, vector in known.pieces],
                    )
                    if known.problem in PASSING:
                        self._count(connection, source)

        await self._in_thread(lambda: keeping(self._opened()))

    async def documents(self) -> set[str]:
        """Ids of those of which something is kept."""

        def looking(file: SqlFile) -> set[str]:
            return {document for (document,) in file.rows("SELECT DISTINCT document FROM readings")}

        return await self._reading(looking, set())

    async def stored(self, documents: Mapping[str, Sequence[Attached]]) -> None:
        """These are in the index with these attachments, or without any: gone, or not allowed."""

        def settling(file: SqlFile) -> None:
            with file.writing() as connection:
                for docid, attached in documents.items():
                    for statement in _LEAVE:
                        connection.execute(statement, (sound(docid),))
                    connection.executemany(
                        "INSERT OR IGNORE INTO lacking VALUES (?, ?)",
                        [(sound(docid), one.source) for one in attached if one.problem in PASSING],
                    )
                connection.execute(
                    "DELETE FROM tries WHERE source NOT IN (SELECT source FROM lacking)"
                    " AND source NOT IN (SELECT source FROM readings)"
                )

        await self._reading(settling, None)

    async def due(self) -> list[str]:
        """Ids of documents that lack a content which is to be tried now.

        Those whose reading was kept count too: they may be in the index, if there was a kill behind that.
        """

        def looking(file: SqlFile) -> list[str]:
            query = "SELECT document, source FROM lacking UNION"
            query += " SELECT document, source FROM readings WHERE problem <> ''"
            query = f"SELECT DISTINCT document FROM ({query}) JOIN tries USING (source)"  # noqa: S608 - constants
            query += f" WHERE {_DUE} LIMIT ?1"
            return [document for (document,) in file.rows(query, (MOST_DUE, *self._times()))]

        return await self._reading(looking, [])

    async def begin_again(self) -> None:
        """Every file may be tried as often as at first."""

        def beginning(file: SqlFile) -> None:
            with file.writing() as connection:
                connection.execute("UPDATE tries SET attempts = 0, due = 0")

        await self._reading(beginning, None)

    async def forget(self) -> None:
        """Takes everything that was read off the disk. What isn't in the index yet is read again."""

        def forgetting(file: SqlFile) -> None:
            with file.writing() as connection:
                connection.execute("DELETE FROM readings")
                connection.execute("DELETE FROM pieces")
            file.rows("VACUUM")
            if file.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]:
                raise apsw.BusyError("somebody is reading")

        await self._reading(forgetting, None)

    async def close(self) -> None:
        def closing() -> None:
            file, self._file = self._file, None
            if file is not None:
                file.close()

        await asyncio.to_thread(closing)

    def _count(self, connection: apsw.Connection, source: str) -> None:
        """One more attempt, unless it wasn't due: then another document has the same content."""
        counting = f"""
            INSERT INTO tries VALUES (?1, 1, NULL) ON CONFLICT (source) DO UPDATE
            SET attempts = attempts + 1 WHERE {_DUE} RETURNING attempts
        """  # noqa: S608 - constants
        for (value,) in connection.execute(counting, (source, *self._times())).fetchall():
            attempts = int(value or 0)
            due = self._now() + PAUSES[attempts - 1] if attempts <= len(PAUSES) else None
            connection.execute("UPDATE tries SET due = ? WHERE source = ?", (due, source))

    def _times(self) -> tuple[float, float]:
        """For `_DUE`. What is due later than anything can be was put off by a clock that was wrong."""
        now = self._now()
        return now, now + max(PAUSES)

    def _remove(self) -> None:
        """What was in it is read again. Its log goes first: it has the same vectors, and nobody would look
        for it without the file."""
        for end in ("-wal", "-shm", ""):
            self._path.with_name(f"{FILE}{end}").unlink(missing_ok=True)

    def _opened(self) -> SqlFile:
        if self._file is None:
            file = SqlFile(
                self._path,
                _TABLES,
                failure=SinkUnavailableError,
                pragmas=("synchronous = NORMAL", "secure_delete = ON"),
            )
            self._file = file
            if file.rows("SELECT name FROM embedder") != [(self._embedder,)]:
                with file.writing() as connection:  # vectors of another model
                    connection.execute("DELETE FROM readings; DELETE FROM pieces; DELETE FROM embedder")
                    connection.execute("INSERT INTO embedder VALUES (?)", (self._embedder,))
        return self._file

    async def _reading(self, work: Callable[[SqlFile], T], nothing: T) -> T:
        """`nothing` as long as there is no file."""

        def doing() -> T:
            return work(self._opened()) if self._file is not None or self._path.exists() else nothing

        return await self._in_thread(doing)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except (OSError, apsw.Error, SinkUnavailableError) as error:
            await self.close()
            if isinstance(error.__cause__ or error, (apsw.NotADBError, apsw.CorruptError)):
                await asyncio.to_thread(self._remove)
            raise SinkUnavailableError(f"{self._path}: {error}") from error


_DUE = "ifnull(due <= ?2 OR due > ?3, false)"
_LEAVE = (
    "DELETE FROM readings WHERE document = ?",
    "DELETE FROM pieces WHERE document = ?",
    "DELETE FROM lacking WHERE document = ?",
)

"""Writing the embedded index: a write is one transaction of SQLite, with its checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import apsw

from kompass.feed.sink import Checkpoint, SinkUnavailableError
from kompass.search.entries import key, sound
from kompass.search.generation_writer import GenerationWriter
from kompass.search.generations import Generations
from kompass.vectors.embedded import schema
from kompass.vectors.entries import Entry, Kept, Known
from kompass.vectors.index import Write
from kompass.vectors.passages import place_of

K = TypeVar("K")
T = TypeVar("T")

_DOCUMENT_FAULTS = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError)

_COLUMNS = (
    "key", "position", "id", "base", "rev", "about", "allowed", "shown",
    *schema.FACET_COLUMNS.values(),
)  # fmt: skip
_INSERT = f"""
    INSERT INTO documents ({", ".join(_COLUMNS)}) VALUES ({", ".join("?" for _ in _COLUMNS)})
    ON CONFLICT (key) DO UPDATE SET {", ".join(f"{one} = excluded.{one}" for one in _COLUMNS[1:])}
    RETURNING num
"""


class EmbeddedStore(GenerationWriter):
    """See `kompass.vectors.index.VectorStore`."""

    def __init__(self, directory: Path, embedder: str, *, next_generation: bool = False) -> None:
        """`embedder`: the name of the one whose vectors these are."""
        super().__init__(Generations(directory, schema.version(embedder)), next_generation=next_generation)
        self._embedder = embedder
        self._connection: apsw.Connection | None = None

    async def checkpoint(self) -> Checkpoint | None:
        return await self._in_thread(lambda: schema.checkpoint_of(self._opened()))

    async def positions(self, docids: Collection[str]) -> Mapping[str, int]:
        def reading() -> dict[str, int]:
            names = {key(docid): docid for docid in docids}
            query = "SELECT key, position FROM documents WHERE key IN (SELECT value FROM json_each(?))"
            rows = self._opened().execute(query, (schema.listed(list(names)),))
            return {names[name]: position for name, position in rows}

        return await self._in_thread(reading)

    async def about(self, customers: Collection[str], *, allowed: bool) -> list[Kept]:
        def reading() -> list[Kept]:
            query = """
                SELECT id, position, rev,
                    (SELECT json_group_array(channel) FROM channels WHERE document = num)
                FROM documents WHERE allowed = ? AND about IN (SELECT value FROM json_each(?))
            """
            values = (allowed, schema.listed([sound(one) for one in customers]))
            rows = self._opened().execute(query, values)
            return [
                Kept(docid, position, rev, frozenset(schema.unlisted(channels)))
                for docid, position, rev, channels in rows
            ]

        return await self._in_thread(reading)

    async def vectors(self, hashes: Collection[bytes], doctypes: Collection[str]) -> Mapping[bytes, bytes]:
        return await self._in_thread(lambda: self._known(_vectors, hashes))

    async def attachments(self, sources: Collection[str]) -> Mapping[str, Known]:
        return await self._in_thread(lambda: self._known(_attachments, sources))

    def _known(
        self, look: Callable[[apsw.Connection, Collection[K]], dict[K, T]], wanted: Collection[K]
    ) -> dict[K, T]:
        """Here, or in the generation that is still read: its model is the same, or it had another version."""
        found = look(self._opened(), wanted)
        if self._next and len(found) < len(wanted):
            with suppress(apsw.Error):
                before = self._generations.current()
                if before is not None and (before / schema.FILE).exists():
                    connection = schema.opened(before)
                    try:
                        found |= look(connection, [one for one in wanted if one not in found])
                    finally:
                        connection.close()
        return found

    async def write(self, write: Write) -> None:
        await self._in_thread(lambda: self._write(write))

    def _write(self, write: Write) -> None:
        connection = self._opened()
        with connection:
            for docid, position in write.gone:
                self._put(connection, (key(docid), position, *(None for _ in _COLUMNS[2:])))
            for docid in write.stripped:
                _empty(connection, docid)
            for entry in write.entries:
                document = self._put(connection, _row(entry))
                connection.executemany(
                    "INSERT INTO channels VALUES (?, ?)", [(sound(one), document) for one in entry.channels]
                )
                connection.executemany(
                    "INSERT INTO chunks (document, vector, hash, place, source) VALUES (?, ?, ?, ?, ?)",
                    [(document, one.vector, one.hash, sound(one.place), one.source) for one in entry.chunks],
                )
                connection.executemany(
                    "INSERT INTO attachments VALUES (?, ?, ?, ?)",
                    [(document, sound(one.name), one.source, one.problem) for one in entry.attached],
                )
            at = write.checkpoint
            connection.execute(
                "INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)", (at.epoch, at.since, at.position)
            )

    def _put(self, connection: apsw.Connection, row: tuple[object, ...]) -> int:
        """The row of a document, without channels and chunks."""
        document: int = connection.execute(_INSERT, row).get
        for table in ("channels", "chunks", "attachments"):
            connection.execute(f"DELETE FROM {table} WHERE document = ?", (document,))
        return document

    async def forget(self) -> None:
        """Takes the bytes of what was deleted or replaced off the disk. They are overwritten where they
        lay as it happens, but the log and the ends of pages may have copies."""

        def forgetting() -> None:
            connection = self._opened()
            connection.execute("VACUUM")
            log, written = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            if log != written:
                raise apsw.BusyError("somebody is reading")

        await self._in_thread(forgetting)

    async def rebuilding(self) -> EmbeddedStore:
        other = EmbeddedStore(self._generations.directory, self._embedder, next_generation=True)
        await other.open()
        return other

    def _opened(self) -> apsw.Connection:
        if self._connection is None:
            generation = self._begun()
            self._connection = schema.opened(generation, writing=True)
            self._generation = generation
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection, self._generation = self._connection, None, None
        if connection is not None:
            connection.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Blocking work. What SQLite and the disk complain of isn't any document's fault, unless it is said
        of a value."""
        try:
            return await asyncio.to_thread(work)
        except _DOCUMENT_FAULTS:
            raise
        except (OSError, apsw.Error) as error:
            with suppress(apsw.Error):
                self._let_go()
            raise SinkUnavailableError(f"{self._generations.directory}: {error}") from error


def _vectors(connection: apsw.Connection, hashes: Collection[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for one in hashes:
        for (vector,) in connection.execute("SELECT vector FROM chunks WHERE hash = ? LIMIT 1", (one,)):
            found[one] = vector
    return found


def _attachments(connection: apsw.Connection, sources: Collection[str]) -> dict[str, Known]:
    found: dict[str, Known] = {}
    for one in sources:
        query = "SELECT document, name, problem FROM attachments WHERE source = ? ORDER BY problem LIMIT 1"
        for document, name, problem in connection.execute(query, (one,)):
            pieces = connection.execute(
                "SELECT hash, vector FROM chunks WHERE document = ? AND source = ? AND place = ?"
                " ORDER BY num",
                (document, one, place_of(name)),
            )
            found[one] = Known(problem, tuple(pieces))
    return found


def _empty(connection: apsw.Connection, docid: str) -> None:
    """Leaves what is needed to know the document again when the consent comes back."""
    name = (key(docid),)
    document = "(SELECT num FROM documents WHERE key = ?)"
    for table in ("chunks", "attachments"):
        connection.execute(f"DELETE FROM {table} WHERE document = {document}", name)
    connection.execute("UPDATE documents SET allowed = 0, shown = '' WHERE key = ?", name)


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        key(entry.id),
        entry.position,
        sound(entry.id),
        sound(entry.base),
        sound(entry.rev),
        None if entry.about is None else sound(entry.about),
        entry.allowed,
        entry.shown,
        *(entry.facets.get(facet) for facet in schema.FACET_COLUMNS),
    )

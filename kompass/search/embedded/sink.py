"""The sink of the embedded index: one process writes, readers look at the same files.

Documents and checkpoint are one commit of tantivy. Of a deleted document its hashed id and its position are
left, so that an older change that comes again is known for what it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import tantivy

from kompass.feed.sink import Batch, Change, Checkpoint, Sink, SinkUnavailableError
from kompass.search.embedded import schema
from kompass.search.entries import entry, key
from kompass.search.generation_writer import GenerationWriter
from kompass.search.generations import Generations
from kompass.search.index import NAME

HEAP = 30_000_000
"""Bytes that tantivy collects before it writes a part of a commit to disk."""

FORGOTTEN_AFTER = 86_400.0
"""Seconds after which nothing is left in the files of what documents said before."""

T = TypeVar("T")


class EmbeddedSink(GenerationWriter):
    """See `kompass.feed.sink.Sink`."""

    def __init__(self, directory: Path, *, next_generation: bool = False) -> None:
        super().__init__(Generations(directory, schema.VERSION), next_generation=next_generation)
        self._index: tantivy.Index | None = None
        self._writer: tantivy.IndexWriter | None = None

    @property
    def name(self) -> str:
        return NAME

    async def checkpoint(self) -> Checkpoint | None:
        def reading() -> Checkpoint | None:
            index, _ = self._opened()
            return schema.checkpoint_of(index.searcher())

        return await self._in_thread(reading)

    async def apply(self, batch: Batch) -> None:
        # What a document says is read before anything is written: a fault in it concerns nobody else.
        documents = await asyncio.to_thread(_documents, batch.changes)
        await self._in_thread(lambda: self._apply(documents, batch))

    def _apply(self, documents: Sequence[tantivy.Document | None], batch: Batch) -> None:
        index, writer = self._opened()
        try:
            known = _positions(index.searcher(), batch.changes)
            for change, document in zip(batch.changes, documents, strict=True):
                before = known.get(change.id)
                if before is not None and before > change.position:
                    continue
                if before is not None:
                    writer.delete_documents_by_term("key", key(change.id))
                if document is not None:
                    writer.add_document(document)
                elif before is not None or change.doc is None:
                    writer.add_document(schema.gone(change.id, change.position))
            writer.delete_documents_by_term("key", schema.CHECKPOINT)
            writer.add_document(schema.checkpoint_document(batch.checkpoint))
            if any(position is not None for position in known.values()):
                self._mark_replaced()
            writer.commit()
            index.reload()
            if self._replaced_long_ago():
                self._write_again()
        except BaseException:
            self._let_go()  # with everything that isn't committed
            raise

    async def forget(self) -> None:
        """Takes the words of what was deleted or changed off the disk; otherwise that happens once a day.

        They are found no more as soon as the change is applied, but tantivy leaves them in its files until it
        merges those. So all that is there is written again.
        """
        await self._in_thread(self._write_again)

    def _write_again(self) -> None:
        index, _ = self._opened()
        old = self._generation
        assert old is not None
        if self._next:
            return  # a new generation has nothing to forget
        generation = self._generations.aside()
        _copy(index.searcher(), generation)
        self._let_go()
        self._generations.replace(old, generation)

    def _mark_replaced(self) -> None:
        """Remembers since when there is something to forget."""
        assert self._generation is not None
        mark = self._generation / "replaced"
        if not mark.exists():
            mark.touch()

    def _replaced_long_ago(self) -> bool:
        assert self._generation is not None
        try:
            since = (self._generation / "replaced").stat().st_mtime
        except FileNotFoundError:
            return False
        # A moment that is still to come was taken from a wrong clock, and says nothing.
        return not 0 <= time.time() - since <= FORGOTTEN_AFTER

    async def rebuilding(self) -> Sink:
        other = EmbeddedSink(self._generations.directory, next_generation=True)
        await other.open()
        return other

    def _opened(self) -> tuple[tantivy.Index, tantivy.IndexWriter]:
        if self._index is None or self._writer is None:
            self._let_go()
            generation = self._begun()
            index = schema.opened(generation)
            self._writer = index.writer(HEAP, 1)
            # A commit that was cut short leaves files, and the next one would give its own the same names.
            self._writer.garbage_collect_files()
            index.reload()
            self._index, self._generation = index, generation
        return self._index, self._writer

    def _let_go(self) -> None:
        # The lock on the directory goes with the last reference.
        self._writer = None
        self._index = None
        self._generation = None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Blocking work. What tantivy and the disk complain of isn't any document's fault."""
        try:
            return await asyncio.to_thread(work)
        except (OSError, ValueError) as error:
            raise SinkUnavailableError(f"{self._generations.directory}: {error}") from error
        except BaseException as error:
            if not schema.is_panic(error):
                raise
            raise SinkUnavailableError(f"{self._generations.directory}: {error}") from error


def _copy(searcher: tantivy.Searcher, generation: Path) -> None:
    """Makes an index of what another one finds. Nothing holds on to it afterwards."""
    writer = schema.opened(generation).writer(HEAP, 1)
    everything = searcher.search(tantivy.Query.all_query(), max(searcher.num_docs, 1), count=False)
    for _, address in everything.hits:
        writer.add_document(schema.again(searcher, address))
    writer.commit()
    writer.wait_merging_threads()


def _documents(changes: Sequence[Change]) -> list[tantivy.Document | None]:
    """Of each what is indexed; None for what is deleted or isn't searched."""
    entries = map(entry, changes)
    return [None if one is None else schema.document(one) for one in entries]


def _positions(searcher: tantivy.Searcher, changes: Sequence[Change]) -> dict[str, int]:
    """How new what the index has of these documents is."""
    found: dict[str, int] = {}
    if not changes:
        return found
    for change in changes:
        query = tantivy.Query.term_query(schema.SCHEMA, "key", key(change.id))
        hits = searcher.search(query, 1, count=False).hits
        if hits:
            (position,) = searcher.fast_field_values("position", [hits[0][1]])
            found[change.id] = int(position or 0)
    return found

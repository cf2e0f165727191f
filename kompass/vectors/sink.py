"""The sink of the vectors, whichever index they go to.

A customer decides with his consent about his vectors and those of every document that names him. He is asked
for as he is now with each batch that needs him; and where his own change comes by, the documents about him
follow in the same write: their vectors go, or they are fetched and come in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module

from kompass.domain.changes import Body
from kompass.domain.consent import Purpose, may_process
from kompass.feed.sink import Batch, Change, Checkpoint, Sink, SinkUnavailableError
from kompass.feed.source import SourceUnavailableError
from kompass.vectors.attaching import SECONDS, Attaching
from kompass.vectors.attachments import Attachments
from kompass.vectors.drafts import CUSTOMER, Customers, Draft, again, allowed, drafted, named
from kompass.vectors.embedders.interface import Embedder, EmbedderUnavailableError
from kompass.vectors.embedding import Embedding
from kompass.vectors.index import NAME, VectorStore, Write
from kompass.vectors.originals import Originals
from kompass.vectors.preparing import Preparing
from kompass.vectors.readings import Readings


class VectorSink:
    """See `kompass.feed.sink.Sink`."""

    def __init__(
        self,
        store: VectorStore,
        embedder: Embedder,
        originals: Originals,
        readings: Readings,
        *,
        seconds: float = SECONDS,
        attachments: Attachments | None = None,
    ) -> None:
        """`seconds`: for which attachments are read before `apply` raises `TooMuchError`. `attachments`: of
        another generation, so that one process reads for both."""
        self._store = store
        self._embedder = embedder
        self._originals = originals
        self._readings = readings
        self._seconds = seconds
        self._attachments = attachments or Attachments(originals)
        embedding = Embedding(store, embedder)
        attaching = Attaching(store, self._attachments, readings, embedding, seconds=seconds)
        self._preparing = Preparing(embedding, attaching)

    @property
    def name(self) -> str:
        return NAME

    async def open(self) -> None:
        # What vectors are computed with, in a thread: it takes a while, and the other sinks go on.
        await asyncio.to_thread(import_module, "kompass.vectors.packing")
        await self._store.open()

    async def checkpoint(self) -> Checkpoint | None:
        return await self._store.checkpoint()

    async def apply(self, batch: Batch) -> None:
        # What a document says is read before anything is asked or written: a fault in it concerns only it.
        drafts = await asyncio.to_thread(drafted, batch.changes)
        try:
            write = await self._written(batch, drafts)
            await self._store.write(write)
            settled = (
                {change.id: () for change, one in zip(batch.changes, drafts, strict=True) if one is None}
                | dict.fromkeys(write.stripped, ())
                | {one.id: one.attached for one in write.entries}
            )
            await self._readings.stored(settled)
            self._attachments.settle(settled)
        except (SourceUnavailableError, EmbedderUnavailableError, OSError) as error:
            raise SinkUnavailableError(str(error)) from error

    async def _written(self, batch: Batch, drafts: Sequence[Draft | None]) -> Write:
        known = await self._store.positions([one.id for one in batch.changes])
        new: list[Draft] = []
        gone: list[tuple[str, int]] = []
        decided: dict[str, Body | None] = {}
        for change, one in zip(batch.changes, drafts, strict=True):
            before = known.get(change.id)
            if before is not None and before > change.position:
                continue
            if one is not None:
                new.append(one)
            elif before is not None or change.doc is None:
                gone.append((change.id, change.position))
            if (one is not None and one.place.doctype == CUSTOMER) or (one is None and _was_customer(change)):
                decided[change.id] = None if one is None else one.doc
        customers = await self._customers(new, decided)
        more, stripped = await self._followed(batch, decided, customers)
        entries = await self._preparing.entries([*new, *more], customers)
        return Write(entries, gone, stripped, batch.checkpoint)

    async def _customers(self, new: Sequence[Draft], decided: Mapping[str, Body | None]) -> Customers:
        """All that the batch is about."""
        found: dict[str, Body] = {docid: doc for docid, doc in decided.items() if doc is not None}
        unknown = named(new) - decided.keys()
        if unknown:
            found |= await self._originals.documents(unknown)
        return Customers(found)

    async def _followed(
        self, batch: Batch, decided: Mapping[str, Body | None], customers: Customers
    ) -> tuple[list[Draft], list[str]]:
        """What else changes with the consents in this batch: documents that come in, and those that go."""
        if not decided:
            return [], []
        here = {one.id for one in batch.changes}
        granting = [docid for docid, doc in decided.items() if may_process(Purpose.AI, doc)]
        withheld = [docid for docid in decided if docid not in granting]
        going = await self._store.about(withheld, allowed=True) if withheld else []
        reading = await self._readings.documents() if withheld else set()
        if reading:  # they were coming, for a consent that is withdrawn already
            out = await self._store.about(withheld, allowed=False)
            going = [*going, *(one for one in out if one.id in reading)]
        coming = await self._store.about(granting, allowed=False) if granting else []
        coming = [one for one in coming if one.id not in here]
        found = again(coming, await self._originals.documents({one.id for one in coming})) if coming else []
        return (
            [one for one in found if allowed(one, customers)],
            [one.id for one in going if one.id not in here],
        )

    async def due(self) -> Collection[str]:
        return await self._readings.due()

    async def forget(self) -> None:
        await self._readings.forget()
        await self._store.forget()

    async def rebuilding(self) -> Sink:
        store = await self._store.rebuilding()
        if await store.checkpoint() is None:
            await self._readings.begin_again()
        return VectorSink(
            store,
            self._embedder,
            self._originals,
            self._readings,
            seconds=self._seconds,
            attachments=self._attachments,
        )

    async def switch(self) -> None:
        await self._store.switch()

    async def discard(self) -> None:
        await self._store.discard()

    async def close(self) -> None:
        await self._store.close()
        await self._attachments.close()
        await self._readings.close()
        await self._originals.close()
        await self._embedder.close()


def _was_customer(change: Change) -> bool:
    return change.id.startswith(f"{CUSTOMER}-")

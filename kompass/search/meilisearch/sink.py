"""The sink of a MeiliSearch index.

Documents, what is left of deleted ones, and the checkpoint are sent as one addition of documents: one task,
which happens or doesn't. A new generation is an index beside, which is swapped with the one that is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from kompass.feed.sink import Batch, Change, Checkpoint, Sink, SinkUnavailableError
from kompass.search.entries import entry, key
from kompass.search.index import NAME
from kompass.search.meilisearch import form
from kompass.search.meilisearch.client import MeiliClient, MeiliError, index_path

_FAULTS_OF_DOCUMENTS = (
    "invalid_document_id",
    "missing_document_id",
    "invalid_document_fields",
)
_TOO_LARGE = 413
"""MeiliSearch says it, or something in between that takes less: one of the documents is too large, or all."""


class MeiliSink:
    """See `kompass.feed.sink.Sink`."""

    def __init__(self, url: str, key: str, index: str, *, next_generation: bool = False) -> None:
        self._address = (url, key, index)
        self._index = index
        self._next = next_generation
        self._client: MeiliClient | None = None
        self._ready = False

    @property
    def name(self) -> str:
        return NAME

    @property
    def _uid(self) -> str:
        return beside(self._index) if self._next else self._index

    async def open(self) -> None:
        async with self._working():
            pass

    async def checkpoint(self) -> Checkpoint | None:
        async with self._working() as client:
            path = index_path(self._uid, "documents", form.CHECKPOINT)
            return form.checkpoint_of(await client.found("GET", path))

    async def apply(self, batch: Batch) -> None:
        # What a document says is read before anything is sent: a fault in it concerns nobody else.
        entries = await asyncio.to_thread(lambda: [entry(change) for change in batch.changes])
        async with self._working() as client:
            known = await self._positions(client, batch.changes)
            sent: list[dict[str, Any]] = []
            for change, one in zip(batch.changes, entries, strict=True):
                before = known.get(key(change.id))
                if before is not None and before > change.position:
                    continue
                if one is not None:
                    sent.append(form.document(one))
                elif before is not None or change.doc is None:
                    sent.append(form.gone(change.id, change.position))
            sent.append(form.checkpoint_document(batch.checkpoint))
            await client.do("POST", index_path(self._uid, "documents"), sent, primaryKey="key")

    async def rebuilding(self) -> Sink:
        other = MeiliSink(*self._address, next_generation=True)
        await other.open()
        return other

    async def switch(self) -> None:
        async with self._working() as client:
            building = index_path(self._uid, "documents", form.BUILDING)
            await client.do("DELETE", building)
            await client.do("POST", "/swap-indexes", [{"indexes": [self._index, self._uid]}])
            await client.do("DELETE", index_path(self._uid))
            self._next = False

    async def discard(self) -> None:
        async with self._working() as client:
            await client.do("DELETE", index_path(self._uid))
            self._ready = False

    async def close(self) -> None:
        client, self._client, self._ready = self._client, None, False
        if client is not None:
            await client.close()

    async def _prepare(self, client: MeiliClient) -> None:
        """Makes the index unless it is there, and takes away what a switch has left over."""
        await client.settled(self._index, beside(self._index))
        if await client.found("GET", index_path(self._index)) is None:
            await self._make(client, self._index)
        left = await client.found("GET", index_path(beside(self._index))) is not None
        path = index_path(beside(self._index), "documents", form.BUILDING)
        if left and await client.found("GET", path) is None:
            await client.do("DELETE", index_path(beside(self._index)))
            left = False
        if self._next and not left:
            await self._make(client, beside(self._index))
            mark = [{"key": form.BUILDING}]
            await client.do("POST", index_path(beside(self._index), "documents"), mark, primaryKey="key")
        await client.do("PATCH", index_path(self._uid, "settings"), dict(form.SETTINGS))

    async def _make(self, client: MeiliClient, uid: str) -> None:
        await client.do("POST", "/indexes", {"uid": uid, "primaryKey": "key"})

    async def _positions(self, client: MeiliClient, changes: Sequence[Change]) -> dict[str, int]:
        """How new what the index has of these documents is, by key."""
        keys = [key(change.id) for change in changes]
        if not keys:
            return {}
        wanted = {"ids": keys, "fields": ["key", "position"], "limit": len(keys)}
        page = await client.ask("POST", index_path(self._uid, "documents", "fetch"), wanted)
        return {one["key"]: int(one["position"]) for one in page["results"]}

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[MeiliClient]:
        """The server with its index; what it complains of isn't a document's fault, unless it says so."""
        if self._client is None:
            self._client = MeiliClient(*self._address[:2])
        try:
            if not self._ready:
                await self._prepare(self._client)
                self._ready = True
            yield self._client
        except MeiliError as error:
            self._ready = False
            if error.code in _FAULTS_OF_DOCUMENTS or error.status == _TOO_LARGE:
                raise
            raise SinkUnavailableError(str(error)) from error


def beside(index: str) -> str:
    """The index in which a new generation is built."""
    return f"{index}-next"

"""What all views of one database have in common, and what they need from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from kompass.access.principals import Principal
from kompass.sync.index import FeedIndex
from kompass.sync.personal.local import LocalNotes
from kompass.sync.positions import PersonalEpochs
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev
from replication.store.interface import DocumentMapper, RowMapper
from replication.store.sqlite import Reading, SqliteDatabase
from replication.store.values import Missing


class Gate(Protocol):
    """Judges what people write."""

    async def write(
        self, principal: Principal, docs: Sequence[DocumentWrite], *, replicated: bool
    ) -> list[str | ProtocolError]: ...

    async def rehearse(
        self, principal: Principal, docs: Sequence[DocumentWrite]
    ) -> list[str | ProtocolError]: ...

    async def missing_revisions(
        self, principal: Principal, asked: Mapping[str, Sequence[Rev]]
    ) -> dict[str, Missing]: ...


AuthorOf = Callable[[Reading, str, Rev], str | None]
"""Who wrote a revision of a document; None if nobody remembers."""


class Shared:
    """What all views of one database have in common."""

    def __init__(self, database: SqliteDatabase, index: FeedIndex, gate: Gate, author_of: AuthorOf) -> None:
        """Raises `ValueError` for a database with partitions: nobody has thought about those."""
        if database.partitioned:
            raise ValueError(f"{database.name} has partitions, which people can't have a view of")
        self.database = database
        self.index = index
        self.gate = gate
        self.author_of = author_of
        self.notes = LocalNotes(database)
        self.epochs = PersonalEpochs.of(database.epochs)
        self.mappers: dict[str, DocumentMapper] = {}
        """What the indexes list that were asked for, by signature."""
        self.row_mappers: dict[str, RowMapper] = {}
        self._refreshing: dict[str, asyncio.Future[None]] = {}

    async def refresh(self, signature: str, start: Callable[[], Awaitable[None]]) -> None:
        """Refreshes an index, once for all who ask meanwhile. It goes on when they leave.

        What was going on already may have read the documents before the latest change: whoever asks now waits
        for the next one, which all of them share.
        """
        task = self._running(signature)
        if task is not None:
            await asyncio.wait([task])
            task = self._running(signature)
        if task is None:
            task = asyncio.ensure_future(start())
            self._refreshing[signature] = task
            task.add_done_callback(lambda done: self._refreshed(signature, done))
        await asyncio.shield(task)

    def _running(self, signature: str) -> asyncio.Future[None] | None:
        task = self._refreshing.get(signature)
        return None if task is None or task.done() else task

    def _refreshed(self, signature: str, task: asyncio.Future[None]) -> None:
        if self._refreshing.get(signature) is task:
            del self._refreshing[signature]
        if not task.cancelled():
            task.exception()  # whoever waited for it may have left: then nobody else looks

"""Keeping a copy up to date with what others commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from replication.protocol.errors import ProtocolError
from replication.store.sqlite.journal import Journal
from replication.store.sqlite.writer import Writer

T = TypeVar("T")


class Follower:
    """Plays what comes to a journal, until it is closed. Made in an event loop."""

    def __init__(self, journal: Journal, writer: Writer) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._playing: asyncio.Task[None] | None = None
        self._again = False
        self._head = Question(journal.head)
        self._end = journal.listen(self._heard)
        self._play()

    def close(self) -> None:
        self._end()

    def _heard(self) -> None:
        with suppress(RuntimeError):  # the loop is gone, and this with it
            self._loop.call_soon_threadsafe(self._play)

    def _play(self) -> None:
        if self._playing is not None and not self._playing.done():
            self._again = True
            return
        self._playing = self._loop.create_task(self._play_all())

    async def _play_all(self) -> None:
        self._again = True
        while self._again:
            self._again = False
            # Unreachable, closed, out of step: whoever writes or asks hears of it, and so does the journal's
            # owner, who calls again.
            with suppress(ProtocolError):
                await self._writer.follow()

    async def caught_up(self, head: int | None = None) -> None:
        """Returns when the copy has what the journal had before the call. `head`: of then, if it is known."""
        if head is None:
            head = await self._head.answer()
        if self._writer.position < head:
            await asyncio.shield(self._writer.follow())


class Question(Generic[T]):
    """Asked in a thread, after whoever wants the answer has come: those who come at one time share it."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._asking: asyncio.Future[T] | None = None
        self._asked_next: asyncio.Future[T] | None = None

    async def answer(self) -> T:
        if self._asked_next is None:
            self._asked_next = asyncio.ensure_future(self._ask_next(self._asking))
            self._asked_next.add_done_callback(_take_note)
        return await asyncio.shield(self._asked_next)

    async def _ask_next(self, before: asyncio.Future[T] | None) -> T:
        if before is not None:
            with suppress(ProtocolError):
                await asyncio.shield(before)
        self._asking, self._asked_next = self._asked_next, None
        return await asyncio.to_thread(self._ask)


def _take_note(answered: asyncio.Future[T]) -> None:
    """That it went wrong is no surprise to anybody, though nobody waits any more."""
    if not answered.cancelled():
        answered.exception()

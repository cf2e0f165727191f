"""Touching in the background: what a device closed on a revocation comes back to it as a new revision.

A grant may show thousands of documents again, so they are touched a few at a time with pauses, between the
writes of people. What is left to do lies in the database; a restart goes on with it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from kompass.audit import SYSTEM, acting_as
from kompass.sync.index import FeedIndex, touching
from replication.store.sqlite import SqliteDatabase

AT_ONCE = 50
"""Documents looked at in one transaction."""
PAUSE = 0.02
AFTER_TROUBLE = 5.0

log = structlog.get_logger(__name__)


class Toucher:
    """One per database. `start` in an event loop, `close` before the store."""

    def __init__(self, database: SqliteDatabase, index: FeedIndex) -> None:
        self._database = database
        self._index = index
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()

        def wanted() -> None:
            with suppress(RuntimeError):  # the loop is closed: there is no toucher any more
                loop.call_soon_threadsafe(self._wanted.set)

        self._index.touches_waiting = wanted
        self._wanted.set()  # what was left before the last end
        self._task = loop.create_task(self._run(), name="toucher")

    def cancel(self) -> None:
        """Ends it without waiting for the end."""
        self._index.touches_waiting = lambda: None
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        self.cancel()
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        acting_as(SYSTEM)
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._touch_all()
            except Exception:
                # Nothing is lost: what there is to touch is still written down.
                log.exception("touching failed and will be tried again")
                await asyncio.sleep(AFTER_TROUBLE)
                self._wanted.set()

    async def _touch_all(self) -> None:
        while True:
            looked = await self._database.transact(
                lambda writing: touching.touch_some(writing, self._index.tombstones, AT_ONCE)
            )
            if not looked:
                return
            await asyncio.sleep(PAUSE)

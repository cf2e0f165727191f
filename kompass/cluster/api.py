"""One of several processes that serve a cluster's databases: `kompass api`."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import ClassVar

from kompass.cluster.process import Process, is_past
from kompass.settings import Settings


class Api:
    """From its making to the end of its lifespan as an ASGI application."""

    NOTICE_SECONDS: ClassVar[float] = 3.0
    """How long it says that it isn't ready before it takes no more requests: those in front ask every two."""
    SHUTDOWN_SECONDS: ClassVar[int] = 20
    """How long requests in flight may take then."""

    def __init__(self, settings: Settings) -> None:
        """Raises as `Process` does."""
        self.process = Process(settings, "kompass api", leads=False)
        self.is_lost = False
        """Whether it ended because a copy of its couldn't follow."""
        self._watch: asyncio.Task[None] | None = None

    async def made(self) -> Process:
        """The application, for `replication.server.run`."""
        await self.process.open()
        try:
            await self.process.until_raised()
            await self.process.start()
        except BaseException:
            await self.process.close()
            raise
        self._watch = asyncio.create_task(self._end_when_lost(), name="copies")
        return self.process

    async def _end_when_lost(self) -> None:
        lost = await self.process.until_lost()
        if is_past(lost):
            # It says so to whoever asks. Those who wait for changes ask again, and a newer one answers.
            self._end_feeds()
            return
        self.is_lost = True
        os.kill(os.getpid(), signal.SIGTERM)

    async def drain(self) -> None:
        """Nothing new comes, and what waits for changes ends: clients ask again, and another one answers."""
        product = self.process.product
        if self._watch is not None:
            self._watch.cancel()
        if product is None:
            return
        product.is_leaving = True
        await asyncio.sleep(self.NOTICE_SECONDS)
        self._end_feeds()

    def _end_feeds(self) -> None:
        assert self.process.product is not None
        self.process.product.documents.server.feeds.end_all()

"""Who works at the gate: people side by side, an erasure alone.

What somebody sent is judged in one transaction and kept in another; an erasure between the two would miss it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Turns:
    """Belongs to one event loop. Blocks must not be nested."""

    def __init__(self) -> None:
        self._working = 0
        self._alone = False
        """Whether somebody is alone here, or waits until he is."""
        self._waiting: set[asyncio.Future[None]] = set()

    @asynccontextmanager
    async def beside_others(self) -> AsyncIterator[None]:
        """Waits while somebody is alone here."""
        await self._until(lambda: not self._alone)
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._wake()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Waits until nobody works here any more; whoever comes meanwhile waits for the end."""
        await self._until(lambda: not self._alone)
        self._alone = True
        try:
            await self._until(lambda: not self._working)
            yield
        finally:
            self._alone = False
            self._wake()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

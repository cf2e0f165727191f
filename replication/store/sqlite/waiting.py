"""Those who wait for the next change of a database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Waiting:
    """They may wait in several event loops; they are woken from any thread."""

    def __init__(self) -> None:
        self._waiters: dict[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = {}
        self._lock = threading.Lock()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Returns when `reached` answers yes. It is asked now, and again after each `wake`."""
        loop = asyncio.get_running_loop()
        while not reached():
            waiter = loop.create_future()
            with self._lock:
                self._waiters.setdefault(loop, set()).add(waiter)
            try:
                # A commit between the question above and here has woken nobody.
                if reached():
                    return
                await waiter
            finally:
                with self._lock:
                    waiting = self._waiters.get(loop)
                    if waiting is not None:
                        waiting.discard(waiter)

    def wake(self) -> None:
        with self._lock:
            waiters, self._waiters = self._waiters, {}
        for loop, waiting in waiters.items():
            # In a closed loop nobody waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_release, waiting)


def _release(waiting: set[asyncio.Future[None]]) -> None:
    for waiter in list(waiting):
        if not waiter.done():
            waiter.set_result(None)

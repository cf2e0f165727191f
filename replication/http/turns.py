"""Turns of a loop that may take long: others are served in between."""

from __future__ import annotations

import asyncio
import time

LENGTH = 0.01
"""Seconds."""


class Turns:
    """Ask `over` each time round, and if it is `await next`: a call costs less than a coroutine."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends = time.perf_counter() + LENGTH

    def over(self) -> bool:
        return time.perf_counter() >= self._ends

    async def next(self) -> None:
        await asyncio.sleep(0)
        self._ends = time.perf_counter() + LENGTH

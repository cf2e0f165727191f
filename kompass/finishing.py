"""Work that is finished once it was begun, whoever stops waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises. Whoever is cancelled meanwhile hears of it when the work is finished;
    who is cancelled twice no longer waits, and the work goes on.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_looked_at)
        if not task.done():
            await asyncio.wait({task})
        raise


def _looked_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # nobody else looks

"""A sink whose calls end before the next one begins, also when whoever made them is cancelled.

A call that waits for a thread leaves it running when it is cancelled: the sink would be closed, or opened
again, under the hands of what still works on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from kompass.feed.sink import Batch, Checkpoint, Forgetting, Sink

T = TypeVar("T")


class SteadySink:
    """Passes everything on to `sink`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    @property
    def name(self) -> str:
        return self._sink.name

    async def open(self) -> None:
        await _whole(self._sink.open())

    async def checkpoint(self) -> Checkpoint | None:
        return await _whole(self._sink.checkpoint())

    async def apply(self, batch: Batch) -> None:
        await _whole(self._sink.apply(batch))

    async def forget(self) -> None:
        """Nothing if the sink has nothing to forget."""
        if isinstance(self._sink, Forgetting):
            await _whole(self._sink.forget())

    async def rebuilding(self) -> SteadySink:
        return SteadySink(await _whole(self._sink.rebuilding()))

    async def switch(self) -> None:
        await _whole(self._sink.switch())

    async def discard(self) -> None:
        await _whole(self._sink.discard())

    async def close(self) -> None:
        await _whole(self._sink.close())


async def _whole(call: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody else looks
        raise

"""A sink whose calls end before the next one begins, also when whoever made them is cancelled.

A call that waits for a thread leaves it running when it is cancelled: the sink would be closed, or opened
again, under the hands of what still works on it.
"""

from __future__ import annotations

from collections.abc import Collection

from kompass.feed.sink import Batch, Checkpoint, Forgetting, Revisiting, Sink
from kompass.finishing import to_the_end


class SteadySink:
    """Passes everything on to `sink`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    @property
    def name(self) -> str:
        return self._sink.name

    async def open(self) -> None:
        await to_the_end(self._sink.open())

    async def checkpoint(self) -> Checkpoint | None:
        return await to_the_end(self._sink.checkpoint())

    async def apply(self, batch: Batch) -> None:
        await to_the_end(self._sink.apply(batch))

    async def forget(self) -> None:
        """Nothing if the sink has nothing to forget."""
        if isinstance(self._sink, Forgetting):
            await to_the_end(self._sink.forget())

    async def due(self) -> Collection[str]:
        """None if the sink wants nothing again."""
        return await to_the_end(self._sink.due()) if isinstance(self._sink, Revisiting) else ()

    async def rebuilding(self) -> SteadySink:
        return SteadySink(await to_the_end(self._sink.rebuilding()))

    async def switch(self) -> None:
        await to_the_end(self._sink.switch())

    async def discard(self) -> None:
        await to_the_end(self._sink.discard())

    async def close(self) -> None:
        await to_the_end(self._sink.close())

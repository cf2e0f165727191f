"""A process that applies batches to a sink until it is killed: python -m tests.feed.applying FACTORY PLACE"""

from __future__ import annotations

import asyncio
import importlib
import sys

from kompass.feed.sink import Sink
from tests.feed.conformance import stream


async def apply(sink: Sink) -> None:
    await sink.open()
    checkpoint = await sink.checkpoint()
    number = 0 if checkpoint is None else checkpoint.position // 8
    sys.stdout.write("applied\n")
    sys.stdout.flush()
    while True:
        await sink.apply(stream(number, seed=2))
        number += 1


if __name__ == "__main__":
    module, _, function = sys.argv[1].partition(":")
    asyncio.run(apply(getattr(importlib.import_module(module), function)(sys.argv[2])))

"""A consumer with one sink: `python -m tests.feed.consuming DATA SERVER SECRET FACTORY PLACE`."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path

from kompass.feed.consumer import consume
from kompass.feed.registry import Registered
from kompass.feed.sink import Sink
from kompass.settings import Settings


def made(settings: Settings) -> Sink:
    module, _, function = sys.argv[4].partition(":")
    sink: Sink = getattr(importlib.import_module(module), function)(sys.argv[5])
    return sink


if __name__ == "__main__":
    sys.modules["tests.feed.consuming"] = sys.modules["__main__"]
    given = Settings(data=Path(sys.argv[1]))
    sinks = {"tested": Registered("tests.feed.consuming:made", (), "")}
    asyncio.run(consume(given, url=sys.argv[2], secret=sys.argv[3], registered=sinks))

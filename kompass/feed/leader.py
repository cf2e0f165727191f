"""Of several consumers one leads, and only that one writes to sinks.

The lock is the operating system's, on a file beside the list of dead letters: it goes with the process that
holds it, however that ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from kompass.feed.ledger import FILE
from replication.store.sqlite import DirectoryInUseError
from replication.store.sqlite.lock import lock_directory

LOOK_SECONDS = 1.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def leading(directory: Path) -> AsyncIterator[None]:
    """Waits until nobody else leads on this data directory, and leads within the block."""
    place = (directory / FILE).parent
    place.mkdir(parents=True, exist_ok=True)
    waiting = False
    while True:
        try:
            lock = lock_directory(place)
            break
        except DirectoryInUseError:
            if not waiting:
                log.info("another consumer of the feed leads; this one waits", directory=str(place))
                waiting = True
            await asyncio.sleep(LOOK_SECONDS)
    try:
        yield
    finally:
        lock.close()


def is_led(directory: Path) -> bool:
    """Whether somebody leads now."""
    place = (directory / FILE).parent
    if not place.is_dir():
        return False
    with suppress(DirectoryInUseError):
        lock_directory(place).close()
        return False
    return True

"""Of several consumers one leads, and only that one writes to sinks.

On one data directory a lock of the operating system decides, on a file beside the list of dead letters: it
goes with the process that holds it, however that ends. Consumers on several machines have a PostgreSQL in
common, the read store's: there a lock of a session decides as well. While it can't be reached nobody can take
it, so whoever leads goes on, and looks when it is back; nobody begins to lead without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from kompass.feed.ledger import FILE
from replication.store.sqlite import DirectoryInUseError
from replication.store.sqlite.lock import lock_directory

if TYPE_CHECKING:
    import psycopg

LOOK_SECONDS = 1.0
KEY = 0x6B6F6D7066656564
"""Of the lock in PostgreSQL."""

NAME = "kompass feed"
"""As which it is among PostgreSQL's sessions."""

log = structlog.get_logger(__name__)


class LostLeadError(Exception):
    """Another consumer leads now: PostgreSQL was away, and that one was the first when it came back."""


class Lead:
    """To lead. `kept` belongs beside what is done with it."""

    async def kept(self) -> None:
        """Returns never; raises `LostLeadError` when another one leads."""
        await asyncio.Event().wait()


class SharedLead(Lead):
    """By a lock in PostgreSQL."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def take(self) -> None:
        """Returns when it leads."""
        told = ""
        while True:
            found = await self._tried()
            if found:
                return
            why = "another consumer of the feed leads" if found is False else "PostgreSQL can't be reached"
            if why != told:
                log.info("this consumer waits", why=why)
                told = why
            await asyncio.sleep(LOOK_SECONDS)

    async def kept(self) -> None:
        import psycopg

        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if self._connection is not None:
                    await self._connection.execute("SELECT 1")
                    continue
            except psycopg.Error:
                await self.leave()
            if await self._tried() is False:
                raise LostLeadError("another consumer of the feed has taken the lead")

    async def leave(self) -> None:
        """Lets the lock go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await connection.close()

    async def _tried(self) -> bool | None:
        """Whether it has the lock now; None if that can't be told."""
        import psycopg

        try:
            connection = await psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, connect_timeout=5, tcp_user_timeout=10_000, application_name=NAME
            )
        except (psycopg.Error, OSError):
            return None
        try:
            row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", (KEY,))).fetchone()
        except psycopg.Error:
            await connection.close()
            return None
        if row is None or not row[0]:
            await connection.close()
            return False
        self._connection = connection
        return True


@asynccontextmanager
async def leading(directory: Path, dsn: str | None = None) -> AsyncIterator[Lead]:
    """Waits until nobody else leads, and leads within the block. `dsn`: of a PostgreSQL in common."""
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
        if dsn is None or find_spec("psycopg") is None:
            yield Lead()
            return
        shared = SharedLead(dsn)
        try:
            await shared.take()
            yield shared
        finally:
            await shared.leave()
    finally:
        lock.close()


def is_led(directory: Path) -> bool:
    """Whether somebody leads on this directory now."""
    place = (directory / FILE).parent
    if not place.is_dir():
        return False
    with suppress(DirectoryInUseError):
        lock_directory(place).close()
        return False
    return True

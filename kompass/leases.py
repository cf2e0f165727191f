"""Leases in a file that several processes have: who holds one does a thing, and nobody else does.

A lease ends by itself if its holder dies, so another process goes on: one that has seen for as long as it
lasts that nobody renews it, by its own clock, since those of processes are apart. Whoever held it may not
know yet that it has ended: what he writes into the file he writes in a transaction that looks first
(`Lease.check`).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import apsw
import structlog

from kompass.sqlfile import SqlFile

TABLE = (
    "CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;"
)
"""For the tables of a file that has leases."""
SECONDS = 30.0
"""How long one lasts unless it is renewed."""
APART = 60.0
"""Seconds by which clocks may be apart. What is over for longer is taken by who comes for the first time."""

_seen: WeakKeyDictionary[SqlFile, dict[str, tuple[tuple[str, float], float]]] = WeakKeyDictionary()
"""By name: the lease of another, as it was seen last, and since when it has been like that."""

log = structlog.get_logger(__name__)


class LeaseLostError(Exception):
    """Another process has it now."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One that was taken."""

    name: str
    holder: str

    def check(self, connection: apsw.Connection) -> None:
        """Within a transaction of the file: raises `LeaseLostError` if it is another's meanwhile."""
        row = connection.execute("SELECT holder FROM leases WHERE name = ?", (self.name,)).fetchone()
        if row is None or row[0] != self.holder:
            raise LeaseLostError(f"{self.name} was taken over by another process")


def take(
    file: SqlFile,
    name: str,
    *,
    seconds: float = SECONDS,
    now: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
) -> Lease | None:
    """The lease, if nobody has it or its time is over."""
    lease = Lease(name, secrets.token_hex(8))
    with file.writing() as connection:
        at = now()
        row = connection.execute("SELECT holder, until FROM leases WHERE name = ?", (name,)).fetchone()
        if row is not None and not _is_over(file, name, row, seconds, at, steady()):
            return None
        connection.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (name, lease.holder, at + seconds)
        )
    return lease


def _is_over(
    file: SqlFile, name: str, row: tuple[str, float], seconds: float, at: float, steady: float
) -> bool:
    """Within a transaction of the file, so that no other thread of this process looks."""
    until = row[1]
    # A holder whose clock was far ahead must not keep it for ever.
    if until <= at - APART or until > at + 10 * seconds + APART:
        return True
    seen = _seen.setdefault(file, {})
    if name not in seen or seen[name][0] != row:
        seen[name] = (row, steady)
    return steady - seen[name][1] >= seconds


def renew(
    file: SqlFile, lease: Lease, *, seconds: float = SECONDS, now: Callable[[], float] = time.time
) -> None:
    """Raises `LeaseLostError`."""
    with file.writing() as connection:
        lease.check(connection)
        connection.execute("UPDATE leases SET until = ? WHERE name = ?", (now() + seconds, lease.name))


def release(file: SqlFile, lease: Lease) -> None:
    """Does nothing if another one has it."""
    with file.writing() as connection:
        connection.execute("DELETE FROM leases WHERE name = ? AND holder = ?", (lease.name, lease.holder))


def is_held(file: SqlFile, name: str, *, now: Callable[[], float] = time.time) -> bool:
    """Whether somebody may have it now."""
    return bool(file.rows("SELECT 1 FROM leases WHERE name = ? AND until > ?", (name, now() - APART)))


def release_all(file: SqlFile) -> None:
    """Nobody holds any: whoever did has died. For a file that only one process has, when it starts."""
    if file.rows("SELECT 1 FROM leases LIMIT 1"):
        with file.writing() as connection:
            connection.execute("DELETE FROM leases")


@asynccontextmanager
async def held(file: SqlFile, name: str, *, seconds: float = SECONDS) -> AsyncIterator[Lease | None]:
    """The lease as long as the block lasts, renewed meanwhile; None if somebody else has it."""
    lease = await asyncio.to_thread(take, file, name, seconds=seconds)
    if lease is None:
        yield None
        return

    async def renewing() -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            try:
                await asyncio.to_thread(renew, file, lease, seconds=seconds)
            except LeaseLostError:
                return  # whoever works finds out by `check`
            except Exception as error:  # of a journal that is away for a while
                log.warning("a lease couldn't be renewed", name=name, why=str(error))

    task = asyncio.create_task(renewing(), name=f"lease {name}")
    try:
        yield lease
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
        try:
            await asyncio.to_thread(release, file, lease)
        except Exception as error:  # what was done is done; the lease ends by itself
            log.warning("a lease couldn't be given back", name=name, why=str(error))

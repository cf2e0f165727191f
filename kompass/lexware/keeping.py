"""What is done by the clock: exports at night, looking for files by day, and what was put off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.util import find_spec

import structlog

from kompass.access.lexware import AUTHOR
from kompass.audit import Actor, Door, acting_as
from kompass.jobs.schedules import Schedule, previous
from kompass.leases import held
from kompass.lexware import runs
from kompass.lexware.exchange import SCHEDULE, BusyError, Exchange
from kompass.lexware.store import LexwareStore, LexwareStoreError
from kompass.settings_values import NEVER

LOOK = 20.0
"""Seconds between looks at the clock."""
AGAIN = 900.0
"""Seconds after which is tried again what couldn't be delivered."""
WATCH = 900.0
"""Seconds between looks whether somebody has to be told something."""
DAY = 86_400.0
MISSED = DAY
"""What was missed for longer isn't made up for: the next time comes soon enough."""
APART = 3_600.0
"""Seconds by which the clock of another process may be ahead."""

log = structlog.get_logger(__name__)


def missing() -> str | None:
    """Why nothing happens by the clock; None if it does."""
    return None if find_spec("croniter") else "croniter is not installed: pip install 'kompass[jobs]'"


class Keeper:
    """Of one process; several may look at the same clock."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._task: asyncio.Task[None] | None = None
        self._tried = 0.0
        self._tidy = 0.0
        self._watch = 0.0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="lexware")

    async def close(self) -> None:
        """Ends what runs: it goes on where it was, here or in another process."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self.exchange.close)

    async def _run(self) -> None:
        acting_as(Actor(AUTHOR, door=Door.IMPORT))
        while True:
            await asyncio.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        """Does what is due now. What fails is logged."""
        for work in (self._erased, self._scheduled, self._undelivered, self._watched, self._tidied):
            try:
                await work()
            except BusyError:
                pass  # another process does it
            except LexwareStoreError as error:
                log.warning("the exchange with Lexware has to wait", why=str(error))
                return
            except Exception:
                log.exception("the exchange with Lexware failed: it is tried again")

    async def _scheduled(self) -> None:
        settings = self.exchange.settings
        if settings.lexware_directory is None and settings.lexware_sftp is None:
            return
        if missing() is not None:
            return
        await self._due("export", settings.lexware_export, self._export)
        if settings.lexware_directory is not None:
            await self._due("import", settings.lexware_import, self._import)

    async def _due(self, name: str, cron: str, work: Callable[[], Awaitable[None]]) -> None:
        """Does it if its time has come since it was done last; the first time is the next one. One of several
        processes does it.
        """
        if cron == NEVER:
            return
        store = await asyncio.to_thread(self.exchange.opened)
        schedule = Schedule(name, cron)
        if await asyncio.to_thread(self._time, store, schedule) is None:
            return  # without a lease, which would be written anew at each look
        async with held(store, f"schedule {name}") as lease:
            time = None if lease is None else await asyncio.to_thread(self._time, store, schedule)
            if time is None:
                return
            at, is_missed = time
            if is_missed:
                await work()
            await asyncio.to_thread(store.note, f"schedule.{name}", {"at": at})

    def _time(self, store: LexwareStore, schedule: Schedule) -> tuple[float, bool] | None:
        """When its time came, and whether it is to be done then; None if that was noted. Blocks."""
        now = self.exchange.now().timestamp()
        at, noted = previous(schedule, now), store.noted(f"schedule.{schedule.name}")
        # What lies further ahead than clocks of processes are apart a clock has noted that was wrong.
        if noted is not None and at <= noted[1]["at"] <= now + APART:
            return None
        return at, noted is not None and now - at < MISSED

    async def _export(self) -> None:
        await self.exchange.export_all(SCHEDULE)

    async def _erased(self) -> None:
        await self.exchange.erase()

    async def _watched(self) -> None:
        now = self.exchange.now().timestamp()
        if abs(now - self._watch) > WATCH:
            self._watch = now
            await self.exchange.watch()

    async def _tidied(self) -> None:
        now = self.exchange.now().timestamp()
        if abs(now - self._tidy) > DAY and await asyncio.to_thread(lambda: self.exchange.store) is not None:
            self._tidy = now
            await self.exchange.tidy()

    async def _import(self) -> None:
        await self.exchange.poll(SCHEDULE)

    async def _undelivered(self) -> None:
        store = await asyncio.to_thread(lambda: self.exchange.store)
        if store is None:
            return
        now = self.exchange.now().timestamp()
        waiting = await asyncio.to_thread(runs.undelivered, store)
        if waiting and (abs(now - self._tried) > AGAIN or not waiting[0].attempts):
            self._tried = now
            await self.exchange.deliver()

"""What one process does for all of a cluster: `kompass index`.

It makes the databases, keeps house at the gate, signs the chain of writes, finishes erasures, touches,
follows Keycloak's users, runs what `_replicator` describes, keeps CouchDB in step, brings erasures there and
saves the files that new copies begin with. Several may run: one leads, the others follow and wait. Who can't
lead any more ends; whoever runs it starts another one, which waits its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog

from kompass.cluster import forks
from kompass.cluster.bases import LOOK_SECONDS, Bases
from kompass.cluster.erasing import CouchdbConsumer
from kompass.cluster.forgetting import forget
from kompass.cluster.leading import Leadership
from kompass.cluster.mirror.erasing import Eraser
from kompass.cluster.process import Process
from kompass.settings import Settings
from replication.protocol.errors import ProtocolError

_TURN_SECONDS = 1.0
"""How often is asked whether nobody leads."""
_LOOK_SECONDS = 2.0
"""How often the leader looks whether it still leads."""
_AGAIN_SECONDS = 10.0
"""After which a part of the work begins again that has failed."""

log = structlog.get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> bool:
    """Waits for its turn, then leads until `stop` is set. False if it can't go on. Raises as `Process`."""
    process = Process(settings, "kompass index", leads=True)
    await process.open()
    leadership = Leadership(process.member.connections)
    try:
        while not await process.is_raised():
            if await _is_set(stop, _TURN_SECONDS):
                return True
        told = False
        while not await asyncio.to_thread(leadership.take):
            if not told:
                log.info("another process leads: waiting")
                told = True
            await process.follow()
            if await _is_set(stop, _TURN_SECONDS):
                return True
            if process.store.lost():
                return False
        return await _lead(process, leadership, stop)
    finally:
        await process.close()
        await asyncio.to_thread(leadership.give_up)


async def _lead(process: Process, leadership: Leadership, stop: asyncio.Event) -> bool:
    await process.follow()
    await process.start()
    log.info("leads")
    lost = asyncio.create_task(process.until_lost())
    erasers: dict[str, Eraser] = {}
    tasks = [
        _kept_up("saved files", partial(_keep_bases, process)),
        _kept_up("couchdb", partial(_keep_couchdb, process, erasers)),
        _kept_up("forks", partial(_mend_forks, process)),
        lost,
    ]
    if process.settings.couchdb_url is not None:
        consumer = CouchdbConsumer(process.sync.gate(), erasers, process.sync.erasures.hindrance)
        tasks.append(asyncio.create_task(consumer.keep(), name="erasures in couchdb"))
    try:
        while not await _is_set(stop, _LOOK_SECONDS):
            if lost.done():
                return False
            if not await asyncio.to_thread(leadership.is_held):
                log.error("PostgreSQL can't be reached: this process leads no longer, and ends")
                return False
        return True
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _kept_up(part: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """A task that does a part of the work until it is cancelled. What it doesn't expect, a full disk or a
    defect, ends neither it nor the rest.
    """

    async def keep() -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("a part of the leader's work has failed: it begins again", part=part)
            await asyncio.sleep(_AGAIN_SECONDS)

    return asyncio.create_task(keep(), name=part)


async def _keep_bases(process: Process) -> None:
    """Saves the files that new copies begin with, and others after an erasure."""
    catalogue = process.member.catalogue
    bases = Bases(process.store, catalogue)
    while True:
        with suppress(ProtocolError, OSError):  # away: next time
            await bases.look()
            await forget(process.store, catalogue, bases)
        await asyncio.sleep(LOOK_SECONDS)


async def _mend_forks(process: Process) -> None:
    """Tells whoever read what PostgreSQL has lost."""
    while True:
        with suppress(ProtocolError, OSError):  # away: next time
            await forks.mend(process.store, process.member.catalogue)
        await asyncio.sleep(forks.LOOK_SECONDS)


async def _keep_couchdb(process: Process, erasers: dict[str, Eraser]) -> None:
    """Keeps CouchDB in step with every database that has a place there, of which `erasers` gets one each."""
    kept: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            names = set(await process.store.names())
            for name in kept.keys() - names:
                kept.pop(name).cancel()
                erasers.pop(name, None)
            for name in names - kept.keys():
                keeper = process.member.keeper(name)
                if keeper is not None:
                    erasers[name] = process.member.eraser(keeper)
                    kept[name] = _kept_up(f"couchdb {name}", keeper.keep)
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        for task in kept.values():
            task.cancel()
        await asyncio.gather(*kept.values(), return_exceptions=True)


async def _is_set(event: asyncio.Event, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            await event.wait()
    except TimeoutError:
        return False
    return True

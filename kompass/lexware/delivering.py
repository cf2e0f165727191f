"""Brings prepared runs to where Lexware fetches them, each once, however often it is broken off."""

from __future__ import annotations

import asyncio
import time

import orjson
import structlog

from kompass.leases import Lease, LeaseLostError
from kompass.lexware import runs
from kompass.lexware.runs import Run, State
from kompass.lexware.store import LexwareStore
from kompass.lexware.targets import Target, TargetError, draft_of

DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts. After the last one it is told, and waits until somebody looks at the clock."""

log = structlog.get_logger(__name__)


pause = asyncio.sleep


async def deliver_all(store: LexwareStore, lease: Lease, target: Target | None) -> list[Run]:
    """What is prepared, the oldest first; returns what can't be delivered now. Raises `LeaseLostError`."""
    for run in await asyncio.to_thread(runs.undelivered, store):
        try:
            await _tried(store, lease, run, target)
        except TargetError as error:
            log.error("a file for Lexware can't be delivered", file=run.file, why=str(error))
            break  # what comes later goes later
    return await asyncio.to_thread(runs.undelivered, store)


async def _tried(store: LexwareStore, lease: Lease, run: Run, target: Target | None) -> None:
    for delay in (*DELAYS, None):
        try:
            await _deliver(store, lease, run, target)
        except TargetError as error:
            await asyncio.to_thread(runs.failed, store, run.num, str(error))
            if delay is None:
                raise
            await pause(delay)
        else:
            return
        run = await asyncio.to_thread(_again, store, run)


def _again(store: LexwareStore, run: Run) -> Run:
    """As it is now: it may be staged."""
    return runs.one(store, run.num) or run


async def _deliver(store: LexwareStore, lease: Lease, run: Run, target: Target | None) -> None:
    if target is None:
        await asyncio.to_thread(runs.delivered, store, lease, run.num, "download", time.time())
        return
    # A draft that lies where files went before the settings were changed is none here.
    if run.state is State.PREPARED or f".{target.mark}." not in run.draft:
        draft = draft_of(run.file, target.mark)
        try:
            await target.stage(draft, runs.pieces(store, run.num))
            # From here on the draft's absence means that the file was there.
            await asyncio.to_thread(runs.staged, store, lease, run.num, draft)
        except (TargetError, LeaseLostError):  # of anything else nobody knows whether it was noted
            await _swept(target, draft)
            raise
        run = _again(store, run)
    await target.publish(run.draft, run.file, orjson.dumps(run.manifest, option=orjson.OPT_INDENT_2) + b"\n")
    await asyncio.to_thread(runs.delivered, store, lease, run.num, target.name, time.time())


async def _swept(target: Target, draft: str) -> None:
    """A draft that nobody will know of."""
    try:
        await target.withdraw(draft, "")
    except Exception:
        log.warning("a draft of a file for Lexware is left over", file=draft)

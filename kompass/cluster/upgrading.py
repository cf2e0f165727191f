"""Leading a cluster from one version of its tables to the next: `kompass upgrade`.

Newer processes wait beside those that serve, with copies that follow. Then the tables of each database
change by an entry of its journal: older processes can't play it, write nothing any more and say so; newer
ones change their copies there. When all have changed, and what the new tables lack is filled, the cluster's
number is raised and the newer processes serve. The first of those entries is the point of no return. Whoever
is interrupted is done by being run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kompass.cluster import schema
from kompass.cluster.bases import Bases
from kompass.cluster.process import Process, named
from kompass.settings import Settings
from replication.store.sqlite import LOST

FAILURES = LOST


class UpgradeError(Exception):
    """Why it wasn't begun; for people."""


async def upgrade(settings: Settings, tell: Callable[[str], None], *, anyway: bool = False) -> None:
    """To the version that this program knows, with copies in a directory that no other process uses.

    Unless `anyway`, an API process that can serve then has to wait. Raises `UpgradeError`, and as `Process`
    and `SharedStore.change_tables` do.
    """
    process = Process(settings, "kompass upgrade", leads=False)
    # Large tables take their time, and whoever wants to write waits for it.
    process.member.connections.held_seconds = 0
    await process.open()
    try:
        if await process.is_raised():
            tell(f"The tables of the cluster have version {schema.VERSION}.")
        else:
            await _change(process, tell, anyway=anyway)
        bases = Bases(process.store, process.member.catalogue)
        for name in await process.store.names():
            await bases.save(name)
        tell("Files that new copies begin with are saved.")
    finally:
        await process.close()


async def _change(process: Process, tell: Callable[[str], None], *, anyway: bool) -> None:
    others = await asyncio.to_thread(process.member.catalogue.others)
    if named("kompass api") not in others and not anyway:
        raise UpgradeError(
            "No `kompass api` of this version waits, so nobody would serve: start some beside those that run,"
            " or say --anyway."
        )
    store = process.store
    await asyncio.to_thread(store.play_closed)
    names = await store.names()
    for name in names:
        if await asyncio.to_thread(store.change_tables, name):
            tell(f"{name}: tables changed")
    for name in names:
        store.get(name)
    await asyncio.to_thread(process.member.raise_version)
    tell(f"The tables of the cluster have version {schema.VERSION} now. Processes of before serve no more.")

"""An index that many ask for is refreshed once for all of them, and never too early for any."""

from __future__ import annotations

import asyncio

import pytest

from kompass.sync.personal.shared import Shared
from tests.sync.personal.world import VisibilityGate, World


def shared_of(world: World) -> Shared:
    gate = VisibilityGate(world.database, world.index)
    return Shared(world.database, world.index, gate, lambda reading, docid, rev: None)


async def test_nobody_gets_a_refresh_that_began_before_he_asked(world: World) -> None:
    shared = shared_of(world)
    changed = 0
    seen: list[int] = []
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def refresh() -> None:
        read = changed  # what there is when it begins
        began.set()
        await goes_on.wait()
        seen.append(read)

    first = asyncio.create_task(shared.refresh("index", refresh))
    await began.wait()
    changed = 1
    later = [asyncio.create_task(shared.refresh("index", refresh)) for _ in range(3)]
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(first, *later)
    assert seen == [0, 1]


async def test_a_refresh_that_failed_is_not_everybodys(world: World) -> None:
    shared = shared_of(world)
    goes_on = asyncio.Event()
    done: list[str] = []

    async def fail() -> None:
        await goes_on.wait()
        raise RuntimeError("broken")

    async def succeed() -> None:
        done.append("yes")

    first = asyncio.create_task(shared.refresh("index", fail))
    await asyncio.sleep(0)
    second = asyncio.create_task(shared.refresh("index", succeed))
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(RuntimeError, match="broken"):
        await first
    await second
    assert done == ["yes"]
    await shared.refresh("index", succeed)
    assert done == ["yes", "yes"]

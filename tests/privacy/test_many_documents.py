"""Copies and erasures of somebody with many documents keep nobody else waiting, and take little memory."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from kompass.privacy.accounts import Accounts
from kompass.privacy.exporting import export
from replication.protocol.documents import DocumentWrite
from tests.business.documents import body, docid
from tests.privacy.world import FIRST, LAST, erase, found_in, populated, privacy, raw
from tests.sync.gate_world import World, contact, customer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

COUNT = int(os.environ.get("KOMPASS_TEST_ERASURE_DOCUMENTS", "20000"))
LONGEST = 1.0
"""Seconds for which nobody else is answered, on a machine that does other things as well."""


@asynccontextmanager
async def others_go_on() -> AsyncIterator[None]:
    worst = [0.0]

    async def ticks() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            worst[0] = max(worst[0], time.perf_counter() - begun - 0.005)

    task = asyncio.create_task(ticks())
    begun = time.perf_counter()
    try:
        yield
        await asyncio.sleep(0.02)
    finally:
        task.cancel()
    took = time.perf_counter() - begun
    sys.stdout.write(f"{took:.1f} s, longest stall {worst[0] * 1000:.0f} ms\n")
    assert worst[0] < LONGEST


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def fill(world: World) -> None:
    """Every second document is about him."""
    for start in range(0, COUNT, 1000):
        docs = []
        for number in range(start, start + 1000):
            call = body(
                "activity",
                "adm1",
                customerId=customer(1 + number % 2),
                activityType="call",
                date="2026-03-01T08:00:00.000Z",
                subject=f"Anruf {number}",
                description="Lorem ipsum dolor sit amet, " * 20 + ("" if number % 2 else f"{FIRST} {LAST}"),
            )
            docs.append(DocumentWrite(docid("activity", 1000 + number), False, orjson.dumps(call)))
        assert all(isinstance(one, str) for one in await world.database.write(docs))


async def test_others_go_on_meanwhile(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    await fill(world)
    async with others_go_on():
        preview = await privacy(world).preview(contact(1))
    assert len(preview.rewritten) >= COUNT // 2
    before, most, size = resident(), 0, 0
    async with others_go_on():
        async for piece in export(world.gate, Accounts(world.store), customer(1)):
            size += len(piece)
            most = max(most, resident())
            assert len(piece) < 2_000_000
    assert size > 0
    sys.stdout.write(f"{size} bytes with {(most - before) / 1e6:.0f} MB more memory\n")
    assert most - before < 100_000_000
    async with others_go_on():
        done = await erase(world, contact(1))
    assert done.is_clean
    assert len(done.rewritten) >= COUNT // 2
    assert found_in(raw(tmp_path)) == []
    await world.close()

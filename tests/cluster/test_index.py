"""The leader's work goes on, whatever happens to a part of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import apsw
import pytest

from kompass.cluster import index


async def test_a_part_that_fails_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_AGAIN_SECONDS", 0.001)
    attempts = 0
    again = asyncio.Event()

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise apsw.FullError("database or disk is full")
        again.set()
        await asyncio.sleep(60)

    task = index._kept_up("part", work)
    await asyncio.wait_for(again.wait(), 5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert attempts == 3

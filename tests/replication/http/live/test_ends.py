"""When a feed that waits ends, and what it leaves behind."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest

from replication.http.changes_feed import FeedResponse
from tests.replication.http.live.feeds import Running, feed, fill, lines, longpoll_rows, put, settle


async def test_feeds_end_when_the_database_is_deleted(client: httpx.AsyncClient) -> None:
    async with (
        feed(client, "feed=longpoll&since=now&heartbeat=30000") as longpoll,
        feed(client, "feed=continuous&since=now&heartbeat=30000") as continuous,
        feed(client, "feed=eventsource&since=now&heartbeat=30000") as eventsource,
    ):
        for stream in (longpoll, continuous, eventsource):
            await stream.until("\n")
        assert (await client.delete("/db")).status_code == 200
        assert longpoll_rows(await longpoll.end()) == []
        assert list(lines(await continuous.end())[-1]) == ["last_seq", "pending"]
        await eventsource.end()


async def test_no_feed_outlives_the_servers_longest_time(running: Running) -> None:
    client = await running(max_feed_seconds=0.3)
    async with (
        feed(client, "feed=longpoll&since=now&heartbeat=50") as longpoll,
        feed(client, "feed=continuous&since=now&heartbeat=true") as continuous,
        feed(client, "feed=eventsource&since=now&heartbeat=50") as eventsource,
    ):
        assert longpoll_rows(await longpoll.end()) == []
        assert list(lines(await continuous.end())[-1]) == ["last_seq", "pending"]
        assert "event: heartbeat" in await eventsource.end()


async def test_a_busy_feed_does_not_outlive_it_either(running: Running) -> None:
    client = await running(max_feed_seconds=0.5)

    async def keep_writing() -> None:
        for n in range(10_000):
            await put(client, f"d{n}")

    writer = asyncio.create_task(keep_writing())
    async with feed(client, "feed=continuous&heartbeat=1000") as stream:
        rows = lines(await stream.end())
    writer.cancel()
    with suppress(asyncio.CancelledError):
        await writer
    assert list(rows[-1]) == ["last_seq", "pending"]


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The feeds that are being answered."""
    answering: set[int] = set()
    answer = FeedResponse.__call__

    async def watched(self: FeedResponse, *args: Any) -> None:
        answering.add(id(self))
        try:
            await answer(self, *args)
        finally:
            answering.discard(id(self))

    monkeypatch.setattr(FeedResponse, "__call__", watched)
    return answering


async def test_a_client_that_leaves_frees_its_feed(client: httpx.AsyncClient, alive: set[int]) -> None:
    before = len(asyncio.all_tasks())
    for name in ("longpoll", "continuous", "eventsource"):
        async with feed(client, f"feed={name}&since=now&heartbeat=30000") as stream:
            await stream.until("\n")
            assert len(alive) == 1
        await settle(lambda: not alive)
    await settle(lambda: len(asyncio.all_tasks()) <= before)
    await put(client, "a")


async def test_a_client_that_leaves_while_rows_are_sent_frees_its_feed(
    client: httpx.AsyncClient, alive: set[int]
) -> None:
    await fill(client)
    for name in ("continuous", "longpoll"):
        async with feed(client, f"feed={name}&include_docs=true&heartbeat=30000") as stream:
            await stream.until('"id":"d000')
            assert len(alive) == 1
        await settle(lambda: not alive)

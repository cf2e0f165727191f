"""Many readers of a feed, and slow ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from replication.store.interface import Store
from tests.replication.http.live.feeds import feed, fill, lines, longpoll_rows, put


@pytest.fixture
def pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Watches how many rows each read of the feed asked for."""

    def watch() -> list[int]:
        asked: list[int] = []
        database = store.get("db")
        read = database.changes

        async def watched(since: int, limit: int, **options: Any) -> Any:
            asked.append(limit)
            return await read(since, limit, **options)

        monkeypatch.setattr(database, "changes", watched)
        return asked

    return watch


@pytest.mark.slow
@pytest.mark.parametrize("name", ["normal", "longpoll", "continuous"])
async def test_a_slow_reader_gets_pages_as_it_takes_them(
    client: httpx.AsyncClient, pages: Callable[[], list[int]], name: str
) -> None:
    count = await fill(client)
    asked = pages()
    async with feed(client, f"feed={name}&include_docs=true&timeout=1") as stream:
        await stream.until('"id":"d000000"')
        await asyncio.sleep(0.3)
        read = len(asked)
        await asyncio.sleep(0.3)
        assert len(asked) == read
        assert sum(asked) < count / 2
        # The reader holds up nobody.
        await put(client, "new")
        assert (await client.get("/db/new")).status_code == 200
        text = await stream.end()
    rows = lines(text) if name == "continuous" else json.loads(text)["results"]
    expected = [f"d{n:06}" for n in range(count)]
    assert [row["id"] for row in rows if "id" in row][:count] == expected


async def test_feeds_that_wake_together_share_what_they_read(
    client: httpx.AsyncClient, pages: Callable[[], list[int]]
) -> None:
    async with AsyncExitStack() as stack:
        query = "feed=longpoll&since=now&heartbeat=30000&style=all_docs&limit=100"
        streams = [await stack.enter_async_context(feed(client, query)) for _ in range(100)]
        for stream in streams:
            await stream.until("\n\n")
        asked = pages()
        await put(client, "a")
        answers = await asyncio.gather(*(stream.end() for stream in streams))
    assert all(longpoll_rows(answer) == ["a"] for answer in answers)
    assert len(asked) == 1


async def test_feeds_that_ask_differently_do_not_share(client: httpx.AsyncClient) -> None:
    queries = {
        "feed=longpoll&since=now&include_docs=true": {"doc_ids": ["a"]},
        "feed=longpoll&since=now": {},
        "feed=longpoll&since=now&filter=_doc_ids": {"doc_ids": ["a"]},
        "feed=longpoll&since=now&filter=_doc_ids&limit=5": {"doc_ids": ["a", "b"]},
        "feed=longpoll&since=now&filter=_selector": {"selector": {"v": 1}},
        "feed=longpoll&since=now&filter=_selector&limit=6": {"selector": {"v": 2}},
    }
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(feed(client, f"{query}&timeout=700", json=body))
            for query, body in queries.items()
        ]
        for stream in streams:
            await stream.until("\n\n")
        docs = [{"_id": "a", "v": 1}, {"_id": "b", "v": 2}]
        await client.post("/db/_bulk_docs", json={"docs": docs})
        answers = await asyncio.gather(*(stream.end() for stream in streams))
    assert [longpoll_rows(answer) for answer in answers] == [
        ["a", "b"],
        ["a", "b"],
        ["a"],
        ["a", "b"],
        ["a"],
        ["b"],
    ]
    assert ["doc" in json.loads(answer)["results"][0] for answer in answers] == [True] + [False] * 5


async def test_a_write_wakes_the_feeds_of_its_database_only(client: httpx.AsyncClient) -> None:
    await client.put("/other")
    async with feed(client, "feed=longpoll&since=now&timeout=300") as stream:
        await stream.until("\n\n")
        await client.put("/other/a", json={})
        await client.put("/db/_local/a", json={})
        assert longpoll_rows(await stream.end()) == []


async def test_live_feeds_are_not_compressed(client: httpx.AsyncClient) -> None:
    await fill(client, 1)
    headers = {"accept-encoding": "gzip"}
    for name in ("longpoll", "continuous", "eventsource"):
        async with feed(client, f"feed={name}&timeout=1", headers=headers) as stream:
            assert "content-encoding" not in stream.response.headers
            assert '"id":"d000000"' in await stream.end()

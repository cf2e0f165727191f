"""Feeds that answer once there is something to tell."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import httpx
import pytest

from tests.replication.http.live.feeds import PATIENCE, feed, longpoll_rows, put


async def test_longpoll_that_finds_rows_answers_at_once(client: httpx.AsyncClient) -> None:
    await put(client, "a")
    await put(client, "b")
    async with feed(client, "feed=longpoll&heartbeat=30000") as stream:
        text = await stream.end()
        assert longpoll_rows(text) == ["a", "b"]
        assert text.startswith('{"results":[\n{"seq":')
    async with feed(client, "feed=longpoll&heartbeat=30000&limit=1") as stream:
        answer = json.loads(await stream.end())
        assert answer["pending"] == 1
        assert answer["last_seq"] == answer["results"][0]["seq"]


async def test_longpoll_sends_headers_and_a_first_byte_before_it_waits(client: httpx.AsyncClient) -> None:
    async with feed(client, "feed=longpoll&since=now&heartbeat=30000") as stream:
        assert await stream.until('{"results":[\n\n') == '{"results":[\n\n'
        assert stream.response.headers["content-type"] == "application/json"
        await put(client, "a")
        assert longpoll_rows(await stream.end()) == ["a"]


async def test_longpoll_without_heartbeat_ends_after_its_timeout(client: httpx.AsyncClient) -> None:
    await put(client, "a")
    async with feed(client, "feed=longpoll&since=now&timeout=50") as stream:
        answer = json.loads(await stream.end())
    assert answer == {
        "results": [],
        "last_seq": (await client.get("/db")).json()["update_seq"],
        "pending": 0,
    }


async def test_longpoll_timeout_of_0(client: httpx.AsyncClient) -> None:
    async with feed(client, "feed=longpoll&since=now&timeout=0") as stream:
        assert longpoll_rows(await stream.end()) == []


async def test_heartbeats_are_line_breaks_and_override_the_timeout(client: httpx.AsyncClient) -> None:
    async with feed(client, "feed=longpoll&since=now&heartbeat=20&timeout=30") as stream:
        await stream.until("\n\n\n\n\n\n\n\n")
        await put(client, "a")
        assert longpoll_rows(await stream.end()) == ["a"]


@pytest.mark.slow
async def test_longpolls_one_after_the_other_miss_nothing(client: httpx.AsyncClient) -> None:
    seen: list[str] = []
    since = "0"

    async def follow() -> None:
        nonlocal since
        while len(seen) < 60:
            async with feed(client, f"feed=longpoll&heartbeat=5000&limit=7&since={since}") as stream:
                answer = json.loads(await stream.end())
            seen.extend(row["id"] for row in answer["results"])
            since = answer["last_seq"]

    async def write(name: str) -> None:
        for n in range(20):
            await put(client, f"{name}{n}")

    async with asyncio.timeout(3 * PATIENCE):
        await asyncio.gather(follow(), *(write(name) for name in "abc"))
    assert sorted(seen) == sorted(f"{name}{n}" for name in "abc" for n in range(20))


async def test_longpoll_of_a_filter_waits_for_a_row_that_passes(client: httpx.AsyncClient) -> None:
    await put(client, "before", t="y")
    query = "feed=longpoll&heartbeat=30000&filter=_selector"
    async with feed(client, query, json={"selector": {"t": "x"}}) as stream:
        await stream.until("\n\n")
        await put(client, "other", t="y")
        await put(client, "wanted", t="x")
        answer = json.loads(await stream.end())
    assert [row["id"] for row in answer["results"]] == ["wanted"]


async def test_longpoll_of_a_filter_says_how_far_it_has_read(client: httpx.AsyncClient) -> None:
    query = "feed=longpoll&timeout=200&filter=_doc_ids&since=now"
    async with feed(client, query, json={"doc_ids": ["x"]}) as stream:
        await stream.until("\n\n")
        await put(client, "y")
        answer = json.loads(await stream.end())
    assert answer["results"] == []
    assert answer["last_seq"] == (await client.get("/db")).json()["update_seq"]


async def test_rows_that_do_not_pass_do_not_put_the_timeout_off(client: httpx.AsyncClient) -> None:
    query = "feed=longpoll&timeout=150&filter=_doc_ids&since=now"

    async def keep_writing() -> None:
        for n in range(1000):
            await put(client, f"other{n}")

    writer = asyncio.create_task(keep_writing())
    async with feed(client, query, json={"doc_ids": ["x"]}) as stream:
        assert longpoll_rows(await stream.end()) == []
    writer.cancel()
    with suppress(asyncio.CancelledError):
        await writer


async def test_longpoll_limit_0_answers_at_once(client: httpx.AsyncClient) -> None:
    await put(client, "a")
    async with feed(client, "feed=longpoll&limit=0&heartbeat=30000") as stream:
        answer = json.loads(await stream.end())
    assert (answer["results"], answer["pending"]) == ([], 1)

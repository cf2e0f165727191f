"""Feeds that go on: line by line, or as events."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from tests.replication.http.live.feeds import PATIENCE, feed, lines, put

# -- continuous --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["continuous", "live"])
async def test_continuous_sends_a_line_for_each_row_and_waits_for_more(
    client: httpx.AsyncClient, name: str
) -> None:
    await put(client, "a")
    async with feed(client, f"feed={name}&heartbeat=30000&include_docs=true") as stream:
        await stream.until('"id":"a"')
        await put(client, "b", v=1)
        await stream.until('"id":"b"')
        await put(client, "c")
        rows = lines(await stream.until('"id":"c"', "\n"))
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert rows[1]["doc"]["v"] == 1


async def test_continuous_ends_idle_with_last_seq_and_pending(client: httpx.AsyncClient) -> None:
    """CouchDB's replicator asks with a timeout and no heartbeat, and goes on by this line."""
    await put(client, "a")
    async with feed(client, "feed=continuous&timeout=50") as stream:
        row, last = lines(await stream.end())
    assert row["id"] == "a"
    assert last == {"last_seq": row["seq"], "pending": 0}
    async with feed(client, f"feed=continuous&timeout=50&since={last['last_seq']}") as stream:
        text = await stream.end()
    assert text.startswith("\n")
    assert lines(text) == [last]


@pytest.mark.slow
async def test_continuous_rows_put_the_timeout_off(client: httpx.AsyncClient) -> None:
    async with feed(client, "feed=continuous&timeout=400&since=now") as stream:
        for docid in "abcd":
            await asyncio.sleep(0.2)
            await put(client, docid)
        rows = lines(await stream.end())
    assert [row.get("id") for row in rows] == ["a", "b", "c", "d", None]


async def test_continuous_ends_at_its_limit(client: httpx.AsyncClient) -> None:
    await put(client, "a")
    async with feed(client, "feed=continuous&heartbeat=30000&limit=2") as stream:
        await stream.until('"id":"a"')
        await put(client, "b")
        rows = lines(await stream.end())
    assert [row.get("id") for row in rows] == ["a", "b", None]
    assert rows[-1]["pending"] == 0
    async with feed(client, "feed=continuous&heartbeat=30000&limit=0") as stream:
        (last,) = lines(await stream.end())
    assert last["pending"] == 2


async def test_continuous_seq_interval(client: httpx.AsyncClient) -> None:
    for docid in "abcde":
        await put(client, docid)
    async with feed(client, "feed=continuous&timeout=1&seq_interval=2") as stream:
        *rows, last = lines(await stream.end())
    assert [row["seq"] is not None for row in rows] == [True, False, True, False, True]
    assert last["last_seq"] == rows[-1]["seq"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["longpoll", "continuous", "eventsource"])
async def test_descending_feeds_end_by_themselves(client: httpx.AsyncClient, name: str) -> None:
    await put(client, "a")
    await put(client, "b")
    async with feed(client, f"feed={name}&descending=true&heartbeat=30000") as stream:
        text = await stream.end()
    assert text.index('"id":"b"') < text.index('"id":"a"')


@pytest.mark.slow
async def test_continuous_readers_beside_writers_miss_nothing(client: httpx.AsyncClient) -> None:
    """Whatever was written last of each document is in the feed, whenever the reader looked."""
    revs: dict[str, str] = {}

    async def write(name: str) -> None:
        for n in range(40):
            docid = f"{name}{n % 10}"
            body = {"_rev": revs[docid], "n": n} if docid in revs else {"n": n}
            revs[docid] = (await client.put(f"/db/{docid}", json=body)).json()["rev"]

    async def follow(query: str) -> dict[str, str]:
        async with feed(client, f"feed=continuous&timeout=1500&{query}") as stream:
            rows = lines(await stream.end())
        return {row["id"]: row["changes"][0]["rev"] for row in rows[:-1]}

    readers = [follow("since=0"), follow("since=0&style=all_docs"), follow("since=0&include_docs=true")]
    async with asyncio.timeout(3 * PATIENCE):
        *_, first, second, third = await asyncio.gather(*(write(name) for name in "abc"), *readers)
    assert first == second == third == revs


# -- eventsource -------------------------------------------------------------------------------


def events(text: str) -> list[dict[str, str]]:
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return [dict(line.split(": ", 1) for line in block.strip("\n").split("\n")) for block in blocks]


async def test_eventsource_sends_events_with_their_sequence_as_id(client: httpx.AsyncClient) -> None:
    await put(client, "a")
    async with feed(client, "feed=eventsource&heartbeat=30000") as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert stream.response.headers["cache-control"] == "no-cache"
        await stream.until('"id":"a"', "\n\n")
        await put(client, "b")
        await stream.until('"id":"b"')
        got = events(await stream.until("\n\ndata:"))
    assert [json.loads(event["data"])["id"] for event in got] == ["a", "b"]
    assert json.loads(got[0]["id"]) == json.loads(got[0]["data"])["seq"]


async def test_eventsource_heartbeats_are_events(client: httpx.AsyncClient) -> None:
    async with feed(client, "feed=eventsource&since=now&heartbeat=20") as stream:
        text = await stream.until("event: heartbeat\ndata: \n\nevent: heartbeat\ndata: \n\n")
    assert text.startswith("\n")


async def test_last_event_id_beats_since_for_event_sources_only(client: httpx.AsyncClient) -> None:
    await put(client, "a")
    headers = {"last-event-id": "now"}
    async with feed(client, "feed=eventsource&timeout=30&since=0", headers=headers) as stream:
        assert '"id":"a"' not in await stream.end()
    async with feed(client, "feed=continuous&timeout=30&since=0", headers=headers) as stream:
        assert '"id":"a"' in await stream.end()
    seq = (await client.get("/db/_changes")).json()["last_seq"]
    quoted = {"last-event-id": f'"{seq}"'}
    async with feed(client, "feed=eventsource&timeout=30", headers=quoted) as stream:
        assert '"id":"a"' not in await stream.end()
    response = await client.get("/db/_changes?feed=eventsource", headers={"last-event-id": "foo"})
    assert response.status_code == 400

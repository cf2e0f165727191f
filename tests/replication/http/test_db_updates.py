"""`_db_updates`: what happens to the databases, in all forms of a feed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from replication.store.interface import Store
from tests.replication.http.conftest import Serve
from tests.replication.http.live.feeds import PATIENCE, serving


@pytest.fixture
async def live(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a real server whose system databases are there already."""
    async with serving(store) as client:
        yield client


async def _updates(client: httpx.AsyncClient, **query: Any) -> Any:
    response = await client.get("/_db_updates", params=query)
    assert response.status_code == 200
    return response.json()


def _told(answer: Any) -> list[tuple[str, str]]:
    return [(row["type"], row["db_name"]) for row in answer["results"]]


async def test_a_normal_feed_lists_the_latest_event_of_each_kind(client: httpx.AsyncClient) -> None:
    assert (await _updates(client))["results"] == []
    await client.put("/one")
    await client.put("/two")
    await client.post("/one", json={})
    await client.post("/one", json={})
    await client.delete("/two")
    answer = await _updates(client)
    assert _told(answer) == [("created", "one"), ("created", "two"), ("updated", "one"), ("deleted", "two")]
    assert set(answer["results"][0]) == {"db_name", "type", "seq"}
    assert answer["last_seq"] == answer["results"][-1]["seq"]


@pytest.mark.alone("a number of another process begins anew: it tells of all databases")
async def test_since_limit_and_descending(client: httpx.AsyncClient) -> None:
    for name in ("a", "b", "c"):
        await client.put(f"/{name}")
    first = await _updates(client, limit=1)
    assert _told(first) == [("created", "a")]
    rest = await _updates(client, since=first["last_seq"])
    assert _told(rest) == [("created", "b"), ("created", "c")]
    assert _told(await _updates(client, since="now")) == []
    assert _told(await _updates(client, limit=0)) == []
    assert _told(await _updates(client, descending="true", limit=2)) == [("created", "c"), ("created", "b")]


async def test_a_sequence_of_another_run_starts_over(client: httpx.AsyncClient) -> None:
    await client.put("/a")
    assert _told(await _updates(client, since="99-0123456789ab")) == [("created", "a")]


@pytest.mark.parametrize(
    "query", ["feed=dance", "since=dance", "limit=x", "heartbeat=-1", "timeout=x&feed=longpoll"]
)
async def test_bad_parameters_are_refused(client: httpx.AsyncClient, query: str) -> None:
    response = await client.get(f"/_db_updates?{query}")
    assert (response.status_code, response.json()["error"]) == (400, "bad_request")


@pytest.mark.alone("a number of another process begins anew: it tells of all databases")
async def test_an_unchanged_normal_feed_is_304(client: httpx.AsyncClient) -> None:
    await client.put("/a")
    etag = (await client.get("/_db_updates")).headers["etag"]
    assert (await client.get("/_db_updates", headers={"if-none-match": etag})).status_code == 304
    await client.put("/b")
    assert (await client.get("/_db_updates", headers={"if-none-match": etag})).status_code == 200


async def test_events_are_for_server_admins(serve: Serve) -> None:
    client = await serve(admins={"root": "secret"})
    refused = await client.get("/_db_updates")
    assert (refused.status_code, refused.json()["reason"]) == (401, "You are not a server admin.")
    assert (await client.get("/_db_updates", auth=("root", "secret"))).status_code == 200
    posted = await client.post("/_db_updates", json={}, auth=("root", "secret"))
    assert posted.status_code == 405


async def test_longpoll_waits_for_the_next_event(live: httpx.AsyncClient) -> None:
    now = (await _updates(live))["last_seq"]
    waiting = asyncio.create_task(_updates(live, feed="longpoll", since=now))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await live.put("/one")
    answer = await asyncio.wait_for(waiting, PATIENCE)
    assert _told(answer) == [("created", "one")]
    assert answer["last_seq"] == answer["results"][0]["seq"]


async def test_longpoll_ends_empty_after_its_timeout(live: httpx.AsyncClient) -> None:
    answer = await _updates(live, feed="longpoll", since="now", timeout=50)
    assert answer["results"] == []
    assert answer["last_seq"]


async def test_continuous_sends_lines_and_a_last_one(live: httpx.AsyncClient) -> None:
    query = {"feed": "continuous", "since": "now", "timeout": "500"}
    async with live.stream("GET", "/_db_updates", params=query) as response:
        await live.put("/one")
        await asyncio.sleep(0.1)
        await live.post("/one", json={})
        lines = [json.loads(line) async for line in response.aiter_lines() if line]
    assert [(row.get("type"), row.get("db_name")) for row in lines[:-1]] == [
        ("created", "one"),
        ("updated", "one"),
    ]
    assert lines[-1] == {"last_seq": lines[-2]["seq"]}


async def test_a_limit_ends_a_continuous_feed(live: httpx.AsyncClient) -> None:
    response = await live.get("/_db_updates", params={"feed": "continuous", "limit": "1"})
    lines = [json.loads(line) for line in response.text.splitlines() if line]
    assert len(lines) == 2
    assert "last_seq" in lines[1]


async def test_event_sources_get_events_with_ids_and_heartbeats(live: httpx.AsyncClient) -> None:
    query = {"feed": "eventsource", "since": "now", "heartbeat": "50"}
    async with live.stream("GET", "/_db_updates", params=query) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        text = ""
        made = False
        async for piece in response.aiter_text():
            text += piece
            if "event: heartbeat\ndata: \n\n" in text and not made:
                made = True
                await live.put("/one")
            if "id: " in text:
                break
    event = text[text.index("data: {") :]
    data, identity = event.split("\n")[:2]
    row = json.loads(data.removeprefix("data: "))
    assert (row["type"], row["db_name"]) == ("created", "one")
    assert json.loads(identity.removeprefix("id: ")) == row["seq"]
    again = await live.get(
        "/_db_updates",
        params={"feed": "eventsource", "timeout": "50"},
        headers={"last-event-id": row["seq"]},
    )
    assert "data: {" not in again.text


async def test_a_client_that_leaves_leaves_no_waiter(live: httpx.AsyncClient, store: Store) -> None:
    async with live.stream("GET", "/_db_updates", params={"feed": "continuous", "since": "now"}) as response:
        await anext(response.aiter_bytes())
        assert store.events.waiting == 1
    async with asyncio.timeout(PATIENCE):
        while store.events.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

"""Feeds that wait: longpoll, continuous, eventsource, over a real server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from typing import Any

import httpx
import pytest
import uvicorn

from replication.http import ServerConfig, create_app
from replication.http.changes_feed import FeedResponse
from replication.store.interface import Store

Running = Callable[..., Awaitable[httpx.AsyncClient]]

PATIENCE = 10.0
"""Seconds after which a test that waits has failed."""


class QuietServer(uvicorn.Server):
    """Leaves the signals to the test run."""

    def capture_signals(self) -> Any:
        return nullcontext()


@asynccontextmanager
async def serving(store: Store, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        app = create_app(store, ServerConfig(access_log=False, **settings))
        await app.server.prepare()
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, lifespan="off")
        server = QuietServer(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            limits = httpx.Limits(max_connections=None)
            url = f"http://127.0.0.1:{port}"
            plain = {"accept-encoding": "identity"}
            async with httpx.AsyncClient(
                base_url=url, headers=plain, limits=limits, timeout=PATIENCE
            ) as client:
                yield client
        finally:
            server.should_exit = True
            await task


@pytest.fixture
async def running(store: Store) -> AsyncIterator[Running]:
    """`await running(name=value, …)`: a client of a server with these settings, and the database `/db`."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> httpx.AsyncClient:
            client = await stack.enter_async_context(serving(store, **settings))
            await client.put("/db")
            return client

        yield start


@pytest.fixture
async def client(running: Running) -> httpx.AsyncClient:
    return await running()


class Stream:
    """A feed as its client reads it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._pieces = response.aiter_raw()
        self.text = ""

    async def until(self, *marks: str) -> str:
        """Reads on until each mark has come."""
        async with asyncio.timeout(PATIENCE):
            while not all(mark in self.text for mark in marks):
                self.text += (await anext(self._pieces)).decode()
        return self.text

    async def end(self) -> str:
        """Reads to the end of the feed."""
        async with asyncio.timeout(PATIENCE):
            async for piece in self._pieces:
                self.text += piece.decode()
        return self.text


@asynccontextmanager
async def feed(client: httpx.AsyncClient, query: str, **options: Any) -> AsyncIterator[Stream]:
    method = "POST" if "json" in options else "GET"
    async with client.stream(method, f"/db/_changes?{query}", **options) as response:
        assert response.status_code == 200
        yield Stream(response)


async def put(client: httpx.AsyncClient, docid: str, **members: Any) -> None:
    response = await client.put(f"/db/{docid}", json=members)
    assert response.status_code == 201


def longpoll_rows(text: str) -> list[str]:
    answer = json.loads(text)
    assert list(answer) == ["results", "last_seq", "pending"]
    return [row["id"] for row in answer["results"]]


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line]


async def settle(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# -- longpoll ----------------------------------------------------------------------------------


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


# -- ends --------------------------------------------------------------------------------------


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


# -- many readers, slow readers ----------------------------------------------------------------


async def fill(client: httpx.AsyncClient, megabytes: int = 14) -> int:
    """Documents that don't fit any buffer on the way. Returns how many."""
    text = "x" * 24_000
    for batch in range(megabytes):
        docs = [{"_id": f"d{batch * 40 + n:06}", "text": text} for n in range(40)]
        assert (await client.post("/db/_bulk_docs", json={"docs": docs})).status_code == 201
    return megabytes * 40


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

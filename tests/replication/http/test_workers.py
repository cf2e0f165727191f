"""One person gets no more of the server's time by asking more at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from replication.http import create_app
from replication.http.server import ServerConfig
from replication.http.workers import MOST, Workers
from replication.queries.find import Find, find
from replication.store.interface import Database, Store

PASSWORD = "geheim"


async def test_so_much_is_done_for_one_person_at_once() -> None:
    workers = Workers(2)
    under_way = {"anna": 0, "bert": 0}
    most = dict(under_way)
    order = []

    async def work(name: str, number: int) -> None:
        async with workers.of(name):
            under_way[name] += 1
            most[name] = max(most[name], under_way[name])
            order.append((name, number))
            await asyncio.sleep(0)
            under_way[name] -= 1

    await asyncio.gather(*[work("anna", n) for n in range(20)], work("bert", 0))
    assert most == {"anna": 2, "bert": 1}
    assert [number for name, number in order if name == "anna"] == list(range(20))
    assert order.index(("bert", 0)) == 2
    assert len(workers) == 0


async def test_whoever_gives_up_waiting_or_fails_leaves_nothing_behind() -> None:
    workers = Workers(1)

    async def fail() -> None:
        async with workers.of("anna"):
            await asyncio.sleep(0)
            raise KeyError

    tasks = [asyncio.create_task(fail()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in found] == [KeyError, asyncio.CancelledError, KeyError]
    assert len(workers) == 0


@pytest.fixture
async def clients(store: Store) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    app = create_app(store, ServerConfig(admins={"admin": PASSWORD}, password_iterations=10))
    await app.server.prepare()
    await store.create("shared", security=b'{"members":{"roles":["works here"]}}')
    async with AsyncExitStack() as stack:
        made = {}
        for name in ("admin", "anna", "bert"):
            transport = httpx.ASGITransport(app)
            client = httpx.AsyncClient(transport=transport, base_url="http://server", auth=(name, PASSWORD))
            made[name] = await stack.enter_async_context(client)
        for name in ("anna", "bert"):
            user = {"name": name, "type": "user", "roles": ["works here"], "password": PASSWORD}
            assert (await made["admin"].put(f"/_users/org.couchdb.user:{name}", json=user)).status_code == 201
        yield made
        assert len(app.server.workers) == 0


async def test_many_questions_of_one_person_are_worked_on_by_and_by(
    clients: dict[str, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = most = answered = 0
    at_berts: list[int] = []

    async def slow(database: Database, request: Any) -> Find:
        nonlocal under_way, most, answered
        under_way += 1
        most = max(most, under_way)
        for _ in range(20):
            await asyncio.sleep(0)
        under_way -= 1
        answered += 1
        return await find(database, request)

    monkeypatch.setattr("replication.http.mango.plan_query", slow)

    async def ask(name: str) -> int:
        answer = await clients[name].post("/shared/_find", json={"selector": {}})
        if name == "bert":
            at_berts.append(answered)
        return answer.status_code

    asked = [ask("anna") for _ in range(10 * MOST)]
    assert set(await asyncio.gather(*asked, ask("bert"))) == {200}
    assert most <= MOST + 1
    assert at_berts[0] < 5 * MOST


async def test_feeds_that_wait_take_nobody_s_place(clients: dict[str, httpx.AsyncClient]) -> None:
    async def listen() -> httpx.Response:
        query = {"feed": "longpoll", "since": "now", "timeout": "20000"}
        return await clients["anna"].get("/shared/_changes", params=query, timeout=30)

    feeds = [asyncio.create_task(listen()) for _ in range(3 * MOST)]
    await asyncio.sleep(0.3)
    assert (await clients["anna"].put("/shared/x", json={})).status_code == 201
    for answer in await asyncio.gather(*feeds):
        assert [row["id"] for row in answer.json()["results"]] == ["x"]


async def test_a_long_answer_that_is_read_slowly_takes_nobody_s_place(
    clients: dict[str, httpx.AsyncClient],
) -> None:
    docs = [{"_id": f"{n}", "text": "x" * 20_000} for n in range(300)]
    assert (await clients["admin"].post("/shared/_bulk_docs", json={"docs": docs})).status_code == 201
    asked = [clients["anna"].get("/shared/_all_docs?include_docs=true") for _ in range(3 * MOST)]
    for answer in await asyncio.gather(*asked):
        assert len(answer.json()["rows"]) == 300

"""Filters of the changes feed that are functions of design documents."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from replication.http.app import Application
from tests.replication.http.designs import design, save

FILTERS = {
    "x": "function(doc, req) { return doc.x == 1 }",
    "truthy": "function(doc) { return 'yes' }",
    "falsy": "function(doc) { return 0 }",
    "nothing": "function(doc) {}",
    "lib": "function(doc) { return require('lib/t').test(doc) }",
    "this": "function(doc) { return doc.x == this.wanted }",
    "query": "function(doc, req) { return doc.x == req.query.x }",
    "user": "function(doc, req) { return req.userCtx.name === null && req.userCtx.db == 'db' }",
    "req": "function(doc, req) { throw {error: 'req', reason: toJSON(req)} }",
    "revisions": "function(doc) { return doc._revisions.ids.length == 2 }",
    "throws": "function(doc) { throw new Error('no') }",
    "forbids": "function(doc) { throw {forbidden: 'no'} }",
    "bad": "function(",
    "object": {"a": "b"},
    "deleted": "function(doc) { return doc._deleted === true }",
}
VIEWS = {
    "y": {"map": "function(doc) { if (doc.y) emit(doc.y) }"},
    "null": {"map": "function(doc) { emit() }"},
    "returns": {"map": "function(doc) { return true }"},
    "throws": {"map": "function(doc) { throw new Error('no') }"},
}


@pytest.fixture
async def feed(client: httpx.AsyncClient, db: str) -> str:
    await save(client, {"_id": "a", "x": 1}, {"_id": "b", "x": 2}, {"_id": "c", "y": 2})
    await design(
        client, "f", filters=FILTERS, views=VIEWS, lib={"t": "exports.test = doc => doc.y == 2"}, wanted=2
    )
    return f"{db}/_changes"


async def passing(client: httpx.AsyncClient, path: str, /, **query: Any) -> list[str]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["results"]]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x", ["a"]),
        ("truthy", ["a", "b", "c", "_design/f"]),
        ("falsy", []),
        ("nothing", []),
        ("lib", ["c"]),
        ("this", ["b"]),
        ("user", []),
    ],
)
async def test_what_a_filter_lets_pass(
    client: httpx.AsyncClient, feed: str, name: str, found: list[str]
) -> None:
    if name == "user":
        found = ["a", "b", "c", "_design/f"]
    assert await passing(client, feed, filter=f"f/{name}") == found


@pytest.mark.parametrize(
    ("name", "found"), [("y", ["c"]), ("null", ["a", "b", "c", "_design/f"]), ("returns", [])]
)
async def test_a_view_lets_pass_what_it_emits_anything_for(
    client: httpx.AsyncClient, feed: str, name: str, found: list[str]
) -> None:
    assert await passing(client, feed, filter="_view", view=f"f/{name}") == found


@pytest.mark.parametrize(
    ("query", "status", "error", "reason"),
    [
        ({"filter": "f/none"}, 404, "not_found", "missing json key: none"),
        ({"filter": "none/x"}, 404, "not_found", "missing"),
        ({"filter": "e/x"}, 404, "not_found", "missing json key: filters"),
        ({"filter": "f"}, 400, "bad_request", "`filter` must be of the form `designname/filtername`"),
        ({"filter": "f/x/y"}, 400, "bad_request", "`filter` must be of the form `designname/filtername`"),
        ({"filter": "_view", "view": "f/none"}, 404, "not_found", "missing json key: none"),
        ({"filter": "_view", "view": "none/x"}, 404, "not_found", "missing"),
        ({"filter": "_view"}, 400, "bad_request", "`view` filter parameter is not provided."),
        ({"filter": "f/throws"}, 500, "Error", "no"),
        ({"filter": "f/forbids"}, 500, "forbidden", "no"),
        ({"filter": "f/object"}, 500, "compilation_error", None),
        ({"filter": "f/bad"}, 500, "compilation_error", None),
        ({"filter": "_view", "view": "f/throws"}, 500, "Error", "no"),
    ],
)
@pytest.mark.parametrize("mode", ["normal", "longpoll", "continuous", "eventsource"])
async def test_filters_that_fail(
    client: httpx.AsyncClient,
    feed: str,
    query: dict[str, str],
    status: int,
    error: str,
    reason: str | None,
    mode: str,
) -> None:
    await design(client, "e")
    answer = await client.get(feed, params={"feed": mode, **query})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    if reason is not None:
        assert answer.json()["reason"] == reason


async def test_the_request_as_the_function_sees_it(client: httpx.AsyncClient, feed: str) -> None:
    headers = {"X-Foo": "1", "Cookie": "AuthSession=; mine=5", "X-Auth-CouchDB-Token": "secret"}
    answer = await client.get(f"{feed}?filter=f/req&foo=bar", headers=headers, auth=("nobody", "secret"))
    assert answer.status_code == 401
    answer = await client.get(f"{feed}?filter=f/req&foo=bar", headers=headers)
    assert answer.json()["error"] == "req"
    req = json.loads(answer.json()["reason"])
    assert req["info"]["db_name"] == "db"
    assert (req["method"], req["id"], req["body"]) == ("GET", None, "undefined")
    assert req["path"] == ["db", "_changes"]
    assert req["raw_path"] == "/db/_changes?filter=f/req&foo=bar"
    assert req["query"] == {"filter": "f/req", "foo": "bar"}
    assert req["headers"]["X-Foo"] == "1"
    assert req["cookie"] == {"mine": "5"}
    assert not {"authorization", "cookie", "x-auth-couchdb-token"} & {name.lower() for name in req["headers"]}
    assert req["userCtx"] == {"db": "db", "name": None, "roles": ["_admin"]}
    assert "members" in req["secObj"]
    answer = await client.post(f"{feed}?filter=f/req", json={"a": 1})
    req = json.loads(answer.json()["reason"])
    assert (req["method"], req["body"]) == ("POST", {"a": 1})


@pytest.mark.parametrize("language", ["erlang", "query"])
async def test_functions_in_another_language_are_not_run(
    client: httpx.AsyncClient, db: str, language: str
) -> None:
    source = "function() { return [null, 'x'] }"
    views = {"v": {"map": {"fields": {"a": "asc"}}}} if language == "query" else {"v": {"map": source}}
    await design(client, "d", language=language, filters={"f": source}, updates={"f": source}, views=views)
    for answer in (
        await client.get("/db/_changes?filter=d/f"),
        await client.get("/db/_changes?filter=_view&view=d/v"),
        await client.post("/db/_design/d/_update/f"),
    ):
        error = {"error": "unknown_query_language", "reason": language}
        assert (answer.status_code, answer.json()) == (500, error)


async def test_parameters_of_the_query_reach_the_filter(client: httpx.AsyncClient, feed: str) -> None:
    assert await passing(client, feed, filter="f/query", x=1) == ["a"]
    assert await passing(client, feed, filter="f/query", x=2) == ["b"]


async def test_filters_see_history_and_deletions(client: httpx.AsyncClient, feed: str) -> None:
    doc = (await client.get("/db/b")).json()
    await client.put("/db/b", json={**doc, "n": 1})
    assert await passing(client, feed, filter="f/revisions") == ["b"]
    rev = (await client.get("/db/a")).json()["_rev"]
    await client.delete(f"/db/a?rev={rev}")
    assert await passing(client, feed, filter="f/deleted") == ["a"]


async def test_each_leaf_is_judged_when_all_are_listed(client: httpx.AsyncClient, feed: str) -> None:
    docs = [{"_id": "z", "_rev": f"1-{n}", "x": n} for n in (1, 2)]
    await client.post("/db/_bulk_docs", json={"docs": docs, "new_edits": False})
    query = {"filter": "f/x", "style": "all_docs", "since": "4"}
    (row,) = (await client.get(feed, params=query)).json()["results"]
    assert row["changes"] == [{"rev": "1-1"}]
    del query["style"]
    assert (await client.get(feed, params=query)).json()["results"] == []


async def test_limit_counts_what_passes(client: httpx.AsyncClient, feed: str) -> None:
    await save(client, *({"_id": f"{n:03}", "x": n % 10} for n in range(1000)))
    answer = (await client.get(feed, params={"filter": "f/x", "limit": 5})).json()
    assert [row["id"] for row in answer["results"]] == ["a", "001", "011", "021", "031"]
    assert answer["last_seq"] == answer["results"][-1]["seq"]
    rest = await passing(client, feed, filter="f/x", since=answer["last_seq"], limit=1000)
    assert len(rest) == 96
    assert await passing(client, feed, filter="f/x", limit=0) == []
    backwards = await passing(client, feed, filter="f/x", descending="true", limit=2)
    assert backwards == ["991", "981"]


async def test_a_waiting_feed_gets_what_passes(client: httpx.AsyncClient, feed: str) -> None:
    query = {"filter": "f/x", "feed": "longpoll", "since": "now"}
    waiting = asyncio.create_task(passing(client, feed, **query))
    for n in (3, 2, 1):
        await asyncio.sleep(0.05)
        await save(client, {"_id": f"new{n}", "x": n})
    assert await asyncio.wait_for(waiting, 5) == ["new1"]


async def test_include_docs_and_filters(client: httpx.AsyncClient, feed: str) -> None:
    answer = await client.get(feed, params={"filter": "f/x", "include_docs": "true"})
    (row,) = answer.json()["results"]
    assert row["doc"]["x"] == 1


async def test_a_hostile_filter_is_stopped(client: httpx.AsyncClient, app: Application, feed: str) -> None:
    app.server.javascript._call_seconds = 0.3
    await design(client, "h", filters={"h": "function(doc) { for (;;); }"})
    answers = await asyncio.gather(
        client.get(feed, params={"filter": "h/h"}), client.get(feed, params={"filter": "f/x"})
    )
    assert [answer.status_code for answer in answers] == [500, 200]
    assert answers[0].json()["error"] == "os_process_error"

"""Mango's endpoints over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from replication.http import mango
from replication.http.app import create_app
from replication.http.server import ServerConfig
from replication.store.sqlite import SqliteStore

ADMIN = ("admin", "secret")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    store = await SqliteStore.open(tmp_path / "data")
    app = create_app(store, ServerConfig(admins={"admin": "secret"}, password_iterations=1))
    await app.server.prepare()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", auth=ADMIN) as client:
        assert (await client.put("/db")).status_code == 201
        yield client
    await app.server.close()


async def save(client: httpx.AsyncClient, *docs: dict[str, Any]) -> None:
    answer = await client.post("/db/_bulk_docs", json={"docs": docs})
    assert answer.status_code == 201
    assert not [row for row in answer.json() if "error" in row]


async def create(client: httpx.AsyncClient, ddoc: str, *fields: str, **more: Any) -> dict[str, Any]:
    body = {"index": {"fields": list(fields)}, "ddoc": ddoc, "name": ddoc, **more}
    answer = await client.post("/db/_index", json=body)
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = answer.json()
    return value


async def names(client: httpx.AsyncClient) -> list[str]:
    return [row["name"] for row in (await client.get("/db/_index")).json()["indexes"]]


async def test_index_is_created_once(client: httpx.AsyncClient) -> None:
    assert await create(client, "foo", "a") == {"result": "created", "id": "_design/foo", "name": "foo"}
    assert await create(client, "foo", "a") == {"result": "exists", "id": "_design/foo", "name": "foo"}
    assert (await create(client, "foo", "b"))["result"] == "created"
    ddoc = (await client.get("/db/_design/foo")).json()
    assert ddoc["_rev"].startswith("2-")
    assert ddoc["language"] == "query"
    assert ddoc["views"]["foo"] == {
        "map": {"fields": {"b": "asc"}, "partial_filter_selector": {}},
        "reduce": "_count",
        "options": {"def": {"fields": ["b"]}},
    }
    listed = (await client.get("/db/_index")).json()
    assert listed == {
        "total_rows": 2,
        "indexes": [
            {"ddoc": None, "name": "_all_docs", "type": "special", "def": {"fields": [{"_id": "asc"}]}},
            {
                "ddoc": "_design/foo",
                "name": "foo",
                "type": "json",
                "partitioned": False,
                "def": {"fields": [{"b": "asc"}]},
            },
        ],
    }


async def test_deleted_design_document_can_be_made_again(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await create(client, "foo", "a"))["result"] == "created"
        assert (await client.delete("/db/_index/foo/json/foo")).json() == {"ok": True}
        assert await names(client) == ["_all_docs"]


async def test_limit_and_skip_of_the_list(client: httpx.AsyncClient) -> None:
    for name in "abcd":
        await create(client, name, name)
    for query, expected in [("limit=2", 2), ("limit=5&skip=4", 1), ("skip=5", 0), ("skip=100", 0)]:
        answer = (await client.get(f"/db/_index?{query}")).json()
        assert len(answer["indexes"]) == expected
        assert answer["total_rows"] == 5
    for query in ("skip=-1", "limit=0", "limit=x"):
        answer = await client.get(f"/db/_index?{query}")
        assert (answer.status_code, answer.json()["error"]) == (500, "invalid_list_index_params")


@pytest.mark.parametrize("path", ["dd/json/dd", "_design/dd/json/dd", "_design%2Fdd/json/dd"])
async def test_delete_index(client: httpx.AsyncClient, path: str) -> None:
    await create(client, "dd", "a")
    assert (await client.delete(f"/db/_index/{path}")).json() == {"ok": True}
    assert await names(client) == ["_all_docs"]
    assert (await client.get("/db/_design/dd")).status_code == 404


@pytest.mark.parametrize(
    "path", ["no/json/dd", "dd/json/no", "dd/text/dd", "a", "a/b", "a/b/c/d", "a/b/c/d/e"]
)
async def test_delete_what_is_not_there(client: httpx.AsyncClient, path: str) -> None:
    await create(client, "dd", "a")
    assert (await client.delete(f"/db/_index/{path}")).status_code == 404
    assert await names(client) == ["_all_docs", "dd"]


async def test_bulk_delete(client: httpx.AsyncClient) -> None:
    for name in "ab":
        await create(client, name, name)
    answer = await client.post("/db/_index/_bulk_delete", json={"docids": ["_design/a", "b", "no"]})
    assert answer.json() == {
        "success": [{"id": "_design/a", "ok": True}, {"id": "_design/b", "ok": True}],
        "fail": [{"id": "_design/no", "error": "not_found"}],
    }
    assert await names(client) == ["_all_docs"]
    assert (await client.delete("/db/_index/_bulk_delete")).status_code == 405
    assert (await client.post("/db/_index/a/json/a", json={})).status_code == 405


async def test_find(client: httpx.AsyncClient) -> None:
    await save(client, {"_id": "a", "n": 1}, {"_id": "b", "n": 2})
    await create(client, "n", "n")
    answer = await client.post("/db/_find", json={"selector": {"n": {"$gt": 1}}, "fields": ["_id"]})
    assert answer.status_code == 200
    assert answer.json()["docs"] == [{"_id": "b"}]
    assert set(answer.json()) == {"docs", "bookmark"}


async def test_long_answer_is_sent_in_pieces(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mango, "_BUFFERED", 1000)
    await save(client, *({"_id": f"{n:04}", "x": 1} for n in range(3000)))
    answer = await client.post(
        "/db/_find", json={"selector": {"x": 1}, "limit": 2500, "skip": 100, "execution_stats": True}
    )
    assert [doc["_id"] for doc in answer.json()["docs"]] == [f"{n:04}" for n in range(100, 2600)]
    assert answer.json()["execution_stats"]["results_returned"] == 2500
    answer = await client.post("/db/_find", json={"selector": {"_id": {"$gt": "1"}}, "limit": 9999})
    assert len(answer.json()["docs"]) == 2000


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"selector": {"x": {"$nope": 1}}}, 400, "invalid_operator"),
        ({"selector": {}, "foo": 1}, 400, "invalid_key"),
        ({"selector": {"x": 1}, "sort": ["x"]}, 400, "no_usable_index"),
        ({"selector": {"x": 1}, "use_index": "no", "allow_fallback": False}, 400, "invalid_index"),
        ({"selector": {}, "bookmark": "bad"}, 400, "invalid_bookmark"),
        ([], 400, "bad_request"),
    ],
)
async def test_find_refused(client: httpx.AsyncClient, body: Any, status: int, error: str) -> None:
    answer = await client.post("/db/_find", json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_media_type_and_missing_database(client: httpx.AsyncClient) -> None:
    for path in ("_find", "_explain", "_index", "_index/_bulk_delete"):
        assert (await client.post(f"/db/{path}", content=b"{}")).status_code == 415
    assert (await client.post("/no/_find", json={"selector": {}})).status_code == 404


async def test_explain(client: httpx.AsyncClient) -> None:
    await create(client, "n", "n")
    answer = await client.post("/db/_explain", json={"selector": {"n": 1}})
    assert answer.json()["dbname"] == "db"
    assert answer.json()["index"]["ddoc"] == "_design/n"
    answer = await client.post("/db/_explain", json={"selector": {"x": 1}, "sort": ["x"]})
    assert answer.json()["index"] is None


async def test_only_administrators_make_indexes(client: httpx.AsyncClient) -> None:
    await create(client, "n", "n")
    await client.put("/db/_security", json={"members": {"names": [], "roles": []}, "admins": {}})
    nobody = httpx.Auth()
    assert (await client.post("/db/_find", json={"selector": {}}, auth=nobody)).status_code == 200
    answer = await client.post("/db/_index", json={"index": {"fields": ["x"]}}, auth=nobody)
    assert answer.status_code == 401
    assert (await client.delete("/db/_index/n/json/n", auth=nobody)).status_code == 401
    assert await names(client) == ["_all_docs", "n"]

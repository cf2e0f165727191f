"""`_replicate`: answered when it is done, or begun and cancelled."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from replication.accounts.tokens import TokenSettings
from replication.store.sqlite import SqliteStore
from tests.replication.replicator.host import ADMIN, Host

# -- _replicate ----------------------------------------------------------------------------------


async def test_replicate_answers_in_couchdbs_shape(host: Host) -> None:
    await host.fill("a", 3)
    body = {"source": "a", "target": "b", "create_target": True}
    answer = (await host.client.post("/_replicate", json=body)).json()
    assert list(answer) == ["ok", "session_id", "source_last_seq", "replication_id_version", "history"]
    assert answer["history"][0]["docs_written"] == 3
    assert await host.count("b") == 3
    again = (await host.client.post("/_replicate", json=body)).json()
    assert again["no_changes"] is True
    assert again["history"] == answer["history"]
    some = (await host.client.post("/_replicate", json={**body, "doc_ids": ["doc1"]})).json()
    assert {"start_time", "end_time", "docs_read", "docs_written", "doc_write_failures"} <= some.keys()


async def test_a_target_is_made_as_asked(host: Host) -> None:
    assert (await host.client.put("/a?partitioned=true")).status_code == 201
    body = {"source": "a", "target": "b", "create_target": True}
    params = {"partitioned": True, "q": 4, "n": "1"}
    assert (await host.client.post("/_replicate", json={**body, "create_target_params": params})).is_success
    assert (await host.client.get("/b")).json()["props"] == {"partitioned": True}
    params = {"partitioned": "true"}
    await host.client.put("/_replicator/make", json={**body, "target": "c", "create_target_params": params})
    await host.scheduled("make", "completed")
    assert (await host.client.get("/c")).json()["props"] == {"partitioned": True}
    plain = {**body, "target": "d", "create_target_params": {}}
    assert (await host.client.post("/_replicate", json=plain)).is_success
    assert (await host.client.get("/d")).json()["props"] == {}


async def test_an_administrators_name_in_a_token_is_not_his_right(tmp_path: Path) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    tokens = TokenSettings({"hmac:_default": b64encode(secret).decode("ascii")}, required_claims="")
    store = await SqliteStore.open(tmp_path / "host")
    host = Host(store, tokens=tokens)
    await host.start()
    everybody = {"admins": {}, "members": {"roles": ["sync"]}}
    await host.client.put("/_replicator/_security", json=everybody)
    bearer = jwt.encode({"sub": ADMIN[0], "_couchdb.roles": ["sync"]}, secret, algorithm="HS256")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(host.app),
        base_url="http://host",
        headers={"authorization": f"Bearer {bearer}"},
    ) as client:
        grab = {"source": "_users", "target": "mine", "create_target": True}
        assert (await client.put("/_replicator/grab", json=grab)).status_code == 403
        rows = (await client.post("/_replicator/_bulk_docs", json={"docs": [{"_id": "grab", **grab}]})).json()
        assert [row.get("error") for row in rows] == ["forbidden"]
    assert (await host.client.get("/_scheduler/docs")).json()["docs"] == []
    await host.stop()
    await store.close()


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ([], "parameter `create_target_params` must be a JSON object"),
        (None, "parameter `create_target_params` must be a JSON object"),
        ({"q": [1]}, "q in `create_target_params` must be a string, a whole number or a boolean"),
        ({"q": 1.5}, "q in `create_target_params` must be a string, a whole number or a boolean"),
        ({"q": 0}, "b: The `q` value should be a positive integer."),
        ({"partitioned": 1}, "b: Invalid `partitioned` parameter"),
    ],
)
async def test_targets_that_cannot_be_made(host: Host, params: Any, reason: str) -> None:
    await host.fill("a", 1)
    body = {"source": "a", "target": "b", "create_target": True, "create_target_params": params}
    response = await host.client.post("/_replicate", json=body)
    assert (response.status_code, response.json()["reason"]) == (400, reason)
    assert await host.count("b") == -1


async def test_a_continuous_replication_is_begun_once_and_cancelled(host: Host) -> None:
    await host.fill("a", 1)
    await host.client.put("/b")
    body = {"source": "a", "target": "b", "continuous": True}
    first = await host.client.post("/_replicate", json=body)
    second = await host.client.post("/_replicate", json=body)
    assert first.status_code == second.status_code == 202
    job_id = first.json()["_local_id"]
    assert first.json() == second.json() == {"ok": True, "_local_id": job_id}
    assert job_id.endswith("+continuous")
    await host.reaches("b", 1)
    await host.client.put("/a/later", json={})
    await host.reaches("b", 2)
    (row,) = (await host.client.get("/_scheduler/jobs")).json()["jobs"]
    assert (row["id"], row["user"], row["doc_id"], row["database"]) == (job_id, "admin", None, None)
    assert [event["type"] for event in row["history"]] == ["started", "added"]
    assert row == (await host.client.get(f"/_scheduler/jobs/{job_id}")).json() | {"info": row["info"]}
    (task,) = (await host.client.get("/_active_tasks")).json()
    assert (task["type"], task["replication_id"], task["continuous"]) == ("replication", job_id, True)
    assert task["docs_written"] in (1, 2)  # counted when the target has answered
    cancelled = await host.client.post("/_replicate", json={**body, "cancel": True})
    assert cancelled.json() == {"ok": True, "_local_id": job_id}
    for gone in ({**body, "cancel": True}, {"cancel": True, "replication_id": job_id}):
        assert (await host.client.post("/_replicate", json=gone)).status_code == 404
    assert (await host.client.get("/_scheduler/jobs")).json() == {"total_rows": 0, "offset": 0, "jobs": []}


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "bad_request"),
        ({"source": "a"}, 400, "bad_request"),
        ({"source": 5, "target": "b"}, 400, "bad_request"),
        ({"source": "A B", "target": "b"}, 400, "bad_request"),
        ({"source": "ftp://host/db", "target": "b"}, 400, "bad_request"),
        ({"source": "http://host", "target": "b"}, 400, "bad_request"),
        ({"source": "http://xn--/db", "target": "b"}, 400, "bad_request"),
        ({"source": "http://0251.0376.0251.0376/db", "target": "b"}, 400, "bad_request"),
        ({"source": "http://host/db?x=1", "target": "b"}, 400, "bad_request"),
        ({"source": "a", "target": "b", "doc_ids": ["x"], "selector": {}}, 400, "bad_request"),
        ({"source": "a", "target": "b", "selector": {"$nonsense": 1}}, 400, "bad_request"),
        ({"source": "a", "target": "b", "continuous": "yes"}, 400, "bad_request"),
        ({"source": "a", "target": "b", "filter": "x/y"}, 400, "bad_request"),
        (
            {"source": {"url": "http://127.0.0.1/db", "headers": {"Host": "x"}}, "target": "a"},
            400,
            "bad_request",
        ),
        (
            {"source": {"url": "http://127.0.0.1/db", "auth": {"magic": {}}}, "target": "a"},
            400,
            "bad_request",
        ),
        ({"source": "nowhere", "target": "a"}, 500, "db_not_found"),
        ({"source": "a", "target": "nowhere"}, 500, "db_not_found"),
        ({"source": "http://192.0.2.1/db", "target": "a"}, 403, "host_forbidden"),
    ],
)
async def test_what_cannot_be_replicated(host: Host, body: Any, status: int, error: str) -> None:
    await host.fill("a", 1)
    response = await host.client.post("/_replicate", json=body)
    assert (response.status_code, response.json()["error"]) == (status, error), response.text


async def test_the_caller_of_a_cancelled_replication_is_told(host: Host) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    body = {"source": f"http://127.0.0.1:{port}/db", "target": "b"}
    waiting = asyncio.create_task(host.client.post("/_replicate", json=body))
    async with asyncio.timeout(10):
        row: dict[str, Any] = {}
        while row.get("total_rows", 0) == 0:
            await asyncio.sleep(0.01)
            row = (await host.client.get("/_scheduler/jobs")).json()
        assert (await host.client.post("/_replicate", json={**body, "cancel": True})).status_code == 200
        answer = await waiting
    assert (answer.status_code, answer.json()["error"]) == (500, "replication_cancelled")
    server.close()


async def test_only_server_administrators_replicate(host: Host) -> None:
    await host.client.put(
        "/_users/org.couchdb.user:jo", json={"name": "jo", "password": "pw", "roles": [], "type": "user"}
    )
    body = {"source": "a", "target": "b"}
    async with host.client_of("jo", "pw") as jo:
        for path in ("/_scheduler/jobs", "/_scheduler/docs", "/_active_tasks"):
            assert (await jo.get(path)).status_code == 401
        assert (await jo.post("/_replicate", json=body)).status_code == 401
        assert (await jo.put("/_replicator/x", json=body)).status_code == 403


# -- the rules of the server's own databases -----------------------------------------------------


async def test_filter_functions_of_a_database_of_this_server(host: Host) -> None:
    await host.fill("a", 6)
    filters = {"odd": "function (doc, req) { return doc.n % 2 == 1 && req.query.x == 'y'; }"}
    await host.client.put("/a/_design/f", json={"filters": filters})
    body = {"source": "a", "target": "b", "create_target": True, "filter": "f/odd"}
    assert (await host.client.post("/_replicate", json=body)).json()["history"][0]["docs_written"] == 0
    body["query_params"] = {"x": "y"}
    answer = (await host.client.post("/_replicate", json=body)).json()
    assert answer["history"][0]["docs_written"] == 3
    assert await host.count("b") == 3


async def test_validation_functions_of_a_database_of_this_server(host: Host) -> None:
    await host.fill("a", 4)
    await host.client.put("/b")
    function = "function (doc, old, user) { if (doc.n > 1) throw({forbidden: 'too much'}); }"
    await host.client.put("/b/_design/v", json={"validate_doc_update": function})
    answer = (await host.client.post("/_replicate", json={"source": "a", "target": "b"})).json()
    assert (answer["history"][0]["docs_written"], answer["history"][0]["doc_write_failures"]) == (2, 2)

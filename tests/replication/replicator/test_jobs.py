"""Replications that a server runs: `_replicate`, `_replicator` documents, `_scheduler`."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from replication.accounts.tokens import TokenSettings
from replication.http import create_app
from replication.http.server import ServerConfig
from replication.replicator import jobs as jobs_module
from replication.store.sqlite import SqliteStore
from tests.servers import ServerProcess, running_server

ADMIN = ("admin", "geheim")


class Host:
    """A server in this process, with its jobs running, and a client that is its administrator."""

    def __init__(self, store: SqliteStore, **settings: Any) -> None:
        self.store = store
        config = ServerConfig(admins=dict([ADMIN]), password_iterations=10, access_log=False, **settings)
        self.app = create_app(store, config)
        self.client = self.client_of(*ADMIN)

    def client_of(self, name: str, password: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://host", auth=(name, password))

    async def start(self) -> None:
        await self.app.server.prepare()

    async def stop(self) -> None:
        await self.app.server.replications.close()
        await self.app.server.jobs.close()
        self.app.server.accounts.close()

    async def fill(self, name: str, count: int) -> None:
        assert (await self.client.put(f"/{name}")).status_code == 201
        docs = [{"_id": f"doc{number}", "n": number} for number in range(count)]
        assert (await self.client.post(f"/{name}/_bulk_docs", json={"docs": docs})).status_code == 201

    async def count(self, name: str) -> int:
        response = await self.client.get(f"/{name}")
        return int(response.json().get("doc_count", -1))

    async def reaches(self, name: str, count: int) -> None:
        """Returns when the database has `count` documents."""
        for _ in range(400):
            found = await self.count(name)
            if found >= count:
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"{name} has {found} documents and should have {count}")

    async def scheduled(self, docid: str, *states: str) -> dict[str, Any]:
        """The document's row once it is in one of these states."""
        row: dict[str, Any] = {}
        try:
            async with asyncio.timeout(20):
                while row.get("state") not in states:
                    await asyncio.sleep(0.05)
                    row = (await self.client.get(f"/_scheduler/docs/_replicator/{docid}")).json()
        except TimeoutError:
            pytest.fail(f"{docid} did not become {states}: {row}")
        return row

    async def told(self, docid: str) -> dict[str, Any]:
        """The document once the server has written into it what became of it, behind the scheduler's row."""
        async with asyncio.timeout(20):
            while True:
                doc: dict[str, Any] = (await self.client.get(f"/_replicator/{docid}")).json()
                if "_replication_state" in doc:
                    return doc
                await asyncio.sleep(0.05)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    store = await SqliteStore.open(tmp_path / "host")
    host = Host(store)
    await host.start()
    yield host
    await host.stop()
    await store.close()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(jobs_module, "_LONGEST_PAUSE", 0.2)


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


# -- documents -----------------------------------------------------------------------------------


async def test_a_document_is_replicated_once_and_says_so(host: Host) -> None:
    await host.fill("a", 4)
    response = await host.client.put(
        "/_replicator/once", json={"source": "a", "target": "b", "create_target": True, "note": "kept"}
    )
    assert response.status_code == 201
    row = await host.scheduled("once", "completed")
    assert (row["error_count"], row["info"]["docs_written"], row["id"]) == (0, 4, None)
    doc = (await host.client.get("/_replicator/once")).json()
    assert (doc["owner"], doc["note"], doc["_replication_state"]) == ("admin", "kept", "completed")
    assert doc["_replication_state_time"].endswith("Z")
    assert doc["_replication_stats"]["docs_written"] == 4
    assert doc["_rev"].startswith("2-")
    # Whoever takes the state out wants it done again.
    await host.client.put("/a/more", json={})
    again = {name: value for name, value in doc.items() if not name.startswith("_replication_")}
    await host.client.put("/_replicator/once", json=again)
    await host.reaches("b", 5)


async def test_a_continuous_document_runs_until_it_is_deleted(host: Host) -> None:
    await host.fill("a", 1)
    await host.client.put("/b")
    response = await host.client.put(
        "/_replicator/live", json={"source": "a", "target": "b", "continuous": True}
    )
    row = await host.scheduled("live", "running")
    assert row["database"] == "_replicator"
    assert row["id"].endswith("+continuous")
    await host.client.put("/a/later", json={})
    await host.reaches("b", 2)
    listed = (await host.client.get("/_scheduler/docs", params={"states": "running"})).json()
    assert [each["doc_id"] for each in listed["docs"]] == ["live"]
    assert (await host.client.get("/_scheduler/docs", params={"states": "nonsense"})).status_code == 400
    await host.client.delete("/_replicator/live", params={"rev": response.json()["rev"]})
    for _ in range(200):
        if (await host.client.get("/_scheduler/docs/_replicator/live")).status_code == 404:
            break
        await asyncio.sleep(0.05)
    assert (await host.client.get("/_scheduler/jobs")).json()["jobs"] == []


async def test_a_job_that_crashes_is_tried_again(host: Host) -> None:
    await host.fill("a", 2)
    await host.client.put("/_replicator/later", json={"source": "a", "target": "b"})
    row = await host.scheduled("later", "crashing")
    assert row["info"]["error"].startswith("db_not_found: could not open b")
    assert row["error_count"] >= 1
    await host.client.put("/b")
    await host.scheduled("later", "completed")
    assert await host.count("b") == 2


async def test_a_filter_that_is_not_there_yet_is_an_error_for_the_time_being(host: Host) -> None:
    await host.fill("a", 2)
    await host.client.put("/b")
    await host.client.put("/_replicator/filtered", json={"source": "a", "target": "b", "filter": "x/y"})
    row = await host.scheduled("filtered", "error")
    assert (row["id"], "x/y" in row["info"]["error"]) == (None, True)


async def test_what_can_never_work_has_failed(host: Host) -> None:
    await host.fill("a", 1)
    response = await host.client.put(
        "/_replicator/out", json={"source": "http://192.0.2.7/db", "target": "a"}
    )
    assert response.status_code == 201
    await host.scheduled("out", "failed")
    doc = await host.told("out")
    assert doc["_replication_state"] == "failed"
    assert "192.0.2.7" in doc["_replication_state_reason"]


async def test_two_documents_that_say_the_same_are_one_too_many(host: Host) -> None:
    await host.fill("a", 1)
    await host.client.put("/b")
    body = {"source": "a", "target": "b", "continuous": True}
    await host.client.put("/_replicator/one", json=body)
    await host.scheduled("one", "running")
    await host.client.put("/_replicator/two", json=body)
    row = await host.scheduled("two", "failed")
    assert "`one`" in row["info"]["error"]


async def test_documents_that_describe_no_replication_are_refused(host: Host) -> None:
    for body in ({}, {"source": "a"}, {"source": "a", "target": "b", "selector": 5}):
        response = await host.client.put("/_replicator/x", json=body)
        assert (response.status_code, response.json()["error"]) == (403, "forbidden")
    assert (await host.client.put("/_replicator/_design/x", json={"views": {}})).status_code == 201


async def test_jobs_go_on_after_a_restart(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "data")
    first = Host(store)
    await first.start()
    await first.fill("a", 1)
    await first.client.put("/b")
    await first.client.put("/_replicator/live", json={"source": "a", "target": "b", "continuous": True})
    await first.scheduled("live", "running")
    await first.stop()
    second = Host(store)
    await second.client.put("/a/meanwhile", json={})
    await second.start()
    await second.reaches("b", 2)
    await second.scheduled("live", "running")
    await second.stop()
    await store.close()


# -- who sees and writes documents ---------------------------------------------------------------


@pytest.fixture
async def people(host: Host) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Two users who may use `_replicator`."""
    for name in ("jo", "ann"):
        user = {"name": name, "password": "pw", "roles": ["mover"], "type": "user"}
        await host.client.put(f"/_users/org.couchdb.user:{name}", json=user)
    security = {"admins": {"roles": ["_admin"]}, "members": {"roles": ["mover"]}}
    assert (await host.client.put("/_replicator/_security", json=security)).status_code == 200
    async with host.client_of("jo", "pw") as jo, host.client_of("ann", "pw") as ann:
        yield jo, ann


SECRET = {
    "source": "http://me:s3cret@127.0.0.1:9/db",
    "target": {
        "url": "http://127.0.0.1:9/other",
        "auth": {"basic": {"username": "me", "password": "s3cret"}},
        "headers": {"Authorization": "Bearer s3cret"},
    },
}


async def test_credentials_are_for_owners_and_administrators(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    jo, ann = people
    assert (await jo.put("/_replicator/mine", json=SECRET)).status_code == 201
    for reader in (jo, host.client):
        seen = (await reader.get("/_replicator/mine")).json()
        assert (seen["owner"], seen["source"], seen["target"]) == ("jo", SECRET["source"], SECRET["target"])
    for params in ({}, {"revs": "true"}, {"attachments": "true"}, {"conflicts": "true"}):
        response = await ann.get("/_replicator/mine", params=params)
        assert "s3cret" not in response.text
        assert response.json()["source"] == "http://127.0.0.1:9/db/"
        assert response.json()["target"] == {"url": "http://127.0.0.1:9/other/"}
    for path in (
        "mine?open_revs=all",
        "mine?latest=true",
        "_all_docs?include_docs=true",
        "_changes?include_docs=true",
    ):
        response = await ann.get(f"/_replicator/{path}")
        assert response.status_code in (401, 403), path
    for path, body in (
        ("_bulk_get", {"docs": [{"id": "mine"}]}),
        ("_find", {"selector": {}}),
        ("_all_docs/queries", {"queries": [{"include_docs": True}]}),
        ("_explain", {"selector": {}}),
    ):
        response = await ann.post(f"/_replicator/{path}", json=body)
        assert response.status_code in (401, 403), path
        assert "s3cret" not in response.text
    for path in ("_design_docs", "_local_docs", "_index", "_design/x/_view/y"):
        assert (await ann.get(f"/_replicator/{path}")).status_code in (401, 403), path
    copied = await ann.request("COPY", "/_replicator/mine", headers={"destination": "yours"})
    assert copied.status_code == 403


async def test_what_belongs_to_a_document_is_for_its_owner_and_administrators(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    jo, ann = people
    attached = {"key": {"content_type": "application/octet-stream", "data": "czNjcmV0"}}
    first = (await jo.put("/_replicator/mine", json={**SECRET, "_attachments": attached})).json()["rev"]
    kept = {"key": {"stub": True}}
    body = {**SECRET, "source": "http://127.0.0.1:9/db", "_rev": first, "_attachments": kept}
    rev = (await jo.put("/_replicator/mine", json=body)).json()["rev"]
    for params in ({}, {"rev": first}, {"rev": rev}):
        for reader in (jo, host.client):
            assert (await reader.get("/_replicator/mine/key", params=params)).content == b"s3cret"
        for method in ("GET", "HEAD"):
            response = await ann.request(method, "/_replicator/mine/key", params=params)
            assert response.status_code == 403
            assert "etag" not in response.headers
        for shown in ({}, {"attachments": "true"}, {"att_encoding_info": "true"}):
            for accept in ("application/json", "multipart/related", "multipart/mixed"):
                response = await ann.get(
                    "/_replicator/mine", params={**params, **shown}, headers={"accept": accept}
                )
                assert "czNjcmV0" not in response.text
                assert "s3cret" not in response.text
                assert "_attachments" not in response.json()
    for method in ("PUT", "DELETE"):
        response = await ann.request(method, "/_replicator/mine/key", params={"rev": rev}, content=b"mine")
        assert response.status_code == 403
    # Whoever writes a deleted document anew does not get what was attached before.
    gone = (await jo.delete("/_replicator/mine", params={"rev": rev})).json()["rev"]
    history = {"start": 4, "ids": ["f" * 32, gone.partition("-")[2], rev.partition("-")[2], first[2:]]}
    taken = {**SECRET, "_id": "mine", "_rev": f"4-{'f' * 32}", "_revisions": history, "_attachments": kept}
    answer = await ann.post("/_replicator/_bulk_docs", json={"new_edits": False, "docs": [taken]})
    assert [row["error"] for row in answer.json()] == ["forbidden"]
    again = await ann.put("/_replicator/mine", json={**SECRET, "_attachments": kept})
    assert again.status_code == 403
    assert (await ann.put("/_replicator/mine", json=SECRET)).status_code == 201
    for old in (first, rev):
        assert (await ann.get("/_replicator/mine/key", params={"rev": old})).status_code == 403
        response = await ann.get("/_replicator/mine", params={"rev": old})
        assert "s3cret" not in response.text


async def test_local_documents_of_the_replicator_are_for_administrators(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    _, ann = people
    path = "/_replicator/_local/note"
    assert (await host.client.put(path, json={"key": "s3cret"})).status_code == 201
    for method, body in (("GET", None), ("HEAD", None), ("PUT", {"a": 1}), ("DELETE", None), ("COPY", None)):
        headers = {"destination": "_local/copy"}
        assert (await ann.request(method, path, json=body, headers=headers)).status_code == 403, method
    assert (await ann.post("/_replicator", json={"_id": "_local/note", "a": 1})).status_code == 403
    answer = await ann.post("/_replicator/_bulk_docs", json={"docs": [{"_id": "_local/note", "a": 1}]})
    assert "forbidden" in answer.text
    assert (await host.client.get(path)).json()["key"] == "s3cret"


async def test_nobody_changes_what_another_wrote(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    jo, ann = people
    rev = (await jo.put("/_replicator/mine", json=SECRET)).json()["rev"]
    for body in ({**SECRET, "_rev": rev}, {**SECRET, "_rev": rev, "owner": "jo"}):
        assert (await ann.put("/_replicator/mine", json=body)).status_code == 403
    assert (await ann.delete("/_replicator/mine", params={"rev": rev})).status_code == 403
    forged = {**SECRET, "_id": "mine", "_rev": f"9-{'f' * 32}", "owner": "ann"}
    answer = await ann.post("/_replicator/_bulk_docs", json={"new_edits": False, "docs": [forged]})
    assert [row["error"] for row in answer.json()] == ["forbidden"]
    assert (await jo.delete("/_replicator/mine", params={"rev": rev})).status_code == 200


async def test_administrators_of_the_database_speak_for_nobody_else(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    """Whoever could write an administrator's name into a document could use his rights."""
    _, ann = people
    security = {"admins": {"names": ["ann"]}, "members": {"roles": ["mover"]}}
    assert (await host.client.put("/_replicator/_security", json=security)).status_code == 200
    theirs = (await host.client.put("/_replicator/theirs", json=SECRET)).json()["rev"]
    assert (await ann.get("/_replicator/theirs")).json()["source"] == SECRET["source"]
    for body in ({**SECRET, "_rev": theirs}, {**SECRET, "_rev": theirs, "owner": "admin"}):
        assert (await ann.put("/_replicator/theirs", json=body)).status_code == 403
    assert (await ann.put("/_replicator/forged", json={**SECRET, "owner": "admin"})).status_code == 403
    assert (await ann.put("/_replicator/own", json=SECRET)).status_code == 201


async def test_databases_of_this_server_are_for_administrators(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    jo, _ = people
    await host.fill("secret", 1)
    await jo.put("/_replicator/grab", json={"source": "secret", "target": "mine", "create_target": True})
    row = await host.scheduled("grab", "failed")
    assert "administrators" in row["info"]["error"]
    assert await host.count("mine") == -1


# -- a real server -------------------------------------------------------------------------------


@pytest.mark.crash
def test_a_server_killed_while_it_replicates_goes_on(tmp_path: Path, server: ServerProcess) -> None:
    source = f"{server.url}/rpl-killed"
    httpx.put(source).raise_for_status()
    docs = [{"_id": f"doc{number:05}", "text": "x" * 500} for number in range(4000)]
    httpx.post(f"{source}/_bulk_docs", json={"docs": docs}, timeout=30).raise_for_status()
    with running_server(tmp_path / "data") as other:
        body = {
            "source": source, "target": f"{other.url}/copy", "create_target": True,
            "worker_batch_size": 20, "checkpoint_interval": 50, "continuous": True,
        }  # fmt: skip
        httpx.put(f"{other.url}/_replicator/pull", json=body).raise_for_status()
        for _ in range(200):
            count = httpx.get(f"{other.url}/copy").json().get("doc_count", 0)
            if count > 200:
                break
        other.crash()
        other.start()
        for _ in range(300):
            count = httpx.get(f"{other.url}/copy").json().get("doc_count", 0)
            if count == 4000:
                break
            httpx.get(f"{other.url}/_up")
            asyncio.run(asyncio.sleep(0.05))
        assert count == 4000


@pytest.mark.crash
async def test_a_job_waits_for_a_peer_that_is_away(host: Host, tmp_path: Path) -> None:
    with running_server(tmp_path / "peer") as peer:
        async with httpx.AsyncClient() as client:
            (await client.put(f"{peer.url}/a")).raise_for_status()
        body = {
            "source": f"{peer.url}/a", "target": "b", "create_target": True, "continuous": True,
            "retries_per_request": 0, "connection_timeout": 1000,
        }  # fmt: skip
        await host.client.put("/_replicator/pull", json=body)
        await host.scheduled("pull", "running")
        await asyncio.sleep(2.5)  # nothing to do for longer than the timeout is no failure
        assert (await host.scheduled("pull", "running"))["error_count"] == 0
        peer.crash()
        row = await host.scheduled("pull", "crashing")
        assert "geheim" not in str(row)
        peer.start()
        async with httpx.AsyncClient() as client:
            (await client.put(f"{peer.url}/a/later", json={})).raise_for_status()
        await host.reaches("b", 1)
        row = await host.scheduled("pull", "running")
        assert "crashed" in [
            event["type"]
            for event in (await host.client.get(f"/_scheduler/jobs/{row['id']}")).json()["history"]
        ]


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

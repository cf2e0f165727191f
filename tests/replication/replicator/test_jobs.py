"""`_replicator` documents: the server does what they say, and goes on after a crash."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from replication.store.sqlite import SqliteStore
from tests.replication.replicator.host import Host
from tests.servers import ServerProcess, running_server

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

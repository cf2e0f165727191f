"""The indexes behind views: how fresh they are, who waits for them, what is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from replication.http.app import Application
from tests.replication.http.designs import BY_X, design, get, ids, pairs, save


async def test_rows_follow_the_documents(client: httpx.AsyncClient, views: str) -> None:
    assert ids(await get(client, f"{views}/x")) == "afbcd"
    doc = (await client.get("/db/a")).json()
    await client.put("/db/a", json={**doc, "x": 9})
    rev = (await client.get("/db/b")).json()["_rev"]
    await client.delete(f"/db/b?rev={rev}")
    await save(client, {"_id": "z", "x": 0.5})
    answer = await get(client, f"{views}/x")
    assert (answer["total_rows"], ids(answer)) == (5, "zfcda")
    rev = (await client.get("/db/z")).json()["_rev"]
    await client.post("/db/_purge", json={"z": [rev]})
    answer = await get(client, f"{views}/x")
    assert (answer["total_rows"], ids(answer)) == (4, "fcda")


async def test_rows_that_may_be_old(client: httpx.AsyncClient, views: str) -> None:
    for stale in ("stale=ok", "update=false"):
        assert (await client.get(f"{views}/x?{stale}")).json()["rows"] == []
    for later in ("stale=update_after", "update=lazy"):
        before = (await client.get(f"{views}/x?{later}")).json()["total_rows"]
        for _ in range(100):
            await asyncio.sleep(0.02)
            now = (await client.get(f"{views}/x?update=false")).json()["total_rows"]
            if now > before:
                break
        assert now > before
        await save(client, {"_id": later, "x": 7})
    assert (await client.get(f"{views}/x?update=true")).json()["total_rows"] == 7


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_update_seq_is_that_of_the_index(client: httpx.AsyncClient, views: str) -> None:
    answer = await client.get(f"{views}/x?update_seq=true&limit=0")
    assert list(answer.json()) == ["total_rows", "offset", "update_seq", "rows"]
    seq = (await client.get("/db")).json()["update_seq"]
    assert answer.json()["update_seq"] == seq
    await save(client, {"_id": "z"})
    assert (await get(client, f"{views}/x", update_seq=True, update=False))["update_seq"] == seq
    answer = await client.get(f"{views}/sum?update_seq=true")
    assert list(answer.json()) == ["update_seq", "rows"]
    assert list(await get(client, f"{views}/x", sorted=False, update_seq=True)) == ["rows"]


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_many_who_ask_wait_for_one_refresh(
    client: httpx.AsyncClient, app: Application, views: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    run = app.server.javascript.run

    async def counted(job: Any) -> Any:
        jobs.append(job.kind)
        return await run(job)

    monkeypatch.setattr(type(app.server.javascript), "run", lambda engine, job: counted(job))
    answers = await asyncio.gather(*(get(client, f"{views}/x") for _ in range(20)))
    assert {ids(answer) for answer in answers} == {"afbcd"}
    assert jobs == ["map"]


async def test_a_refresh_goes_on_when_nobody_waits(client: httpx.AsyncClient, views: str) -> None:
    asking = asyncio.create_task(client.get(f"{views}/x"))
    await asyncio.sleep(0.005)
    asking.cancel()
    for _ in range(100):
        await asyncio.sleep(0.02)
        if (await get(client, f"{views}/x", update=False))["rows"]:
            return
    pytest.fail("the index was not brought up to date")


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_cleaning_up_keeps_what_design_documents_define(client: httpx.AsyncClient, views: str) -> None:
    await get(client, f"{views}/x")
    assert (await client.post("/db/_view_cleanup", json={})).status_code == 202
    assert ids(await get(client, f"{views}/x", update=False)) == "afbcd"
    await design(client, views={"x": {"map": BY_X + " "}})
    assert (await get(client, f"{views}/x", update=False))["rows"] == []
    await design(client, views={"x": {"map": BY_X}})
    assert ids(await get(client, f"{views}/x", update=False)) == "afbcd"
    await design(client, views={})
    assert (await client.post("/db/_view_cleanup", json={})).status_code == 202
    await design(client, views={"x": {"map": BY_X}})
    assert (await get(client, f"{views}/x", update=False))["rows"] == []


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_facts_about_the_views(client: httpx.AsyncClient, views: str) -> None:
    before = await get(client, "/db/_design/d/_info")
    assert before["name"] == "d"
    assert before["view_index"]["updates_pending"] == {"minimum": 7, "preferred": 7, "total": 7}
    for name in ("x", "sum"):
        await get(client, f"{views}/{name}")
    facts = (await get(client, "/db/_design/d/_info"))["view_index"]
    assert facts["signature"] == before["view_index"]["signature"]
    assert (facts["update_seq"], facts["updates_pending"]["total"]) == (7, 0)
    assert (facts["language"], facts["updater_running"], facts["purge_seq"]) == ("javascript", False, 0)
    assert facts["sizes"]["active"] > 50
    await design(client, views={"x": {"map": BY_X + " "}})
    assert (await get(client, "/db/_design/d/_info"))["view_index"]["signature"] != facts["signature"]


async def test_long_answers_are_sent_in_pieces(client: httpx.AsyncClient, db: str) -> None:
    await save(client, *({"_id": f"{n:04}", "n": n} for n in range(2500)))
    path = await design(client, views={"v": {"map": "function(doc) { emit(doc.n % 100) }"}})
    answer = await get(client, f"{path}/v")
    assert len(answer["rows"]) == answer["total_rows"] == 2500
    assert [row["id"] for row in answer["rows"]][:3] == ["0000", "0100", "0200"]
    answer = await get(client, f"{path}/v", descending=True, skip=10, limit=2200, include_docs=True)
    assert len(answer["rows"]) == 2200
    assert all(row["doc"]["_id"] == row["id"] for row in answer["rows"])


async def test_documents_that_make_a_lot_are_indexed(client: httpx.AsyncClient, db: str) -> None:
    await save(client, *({"_id": f"{n:02}"} for n in range(20)))
    source = "function(doc) { emit(doc._id, 'x'.repeat(1e6)) }"
    path = await design(client, views={"v": {"map": source, "reduce": "_count"}})
    assert pairs(await get(client, f"{path}/v")) == [(None, 20)]
    answer = await get(client, f"{path}/v", reduce=False)
    assert [len(row["value"]) for row in answer["rows"]] == [1_000_000] * 20

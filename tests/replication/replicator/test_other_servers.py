"""CouchDB and PouchDB's server at the other end, and replicators that read each other's checkpoints."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from replication.replicator import Options, replicate
from replication.replicator.checkpoints import Session, Statistics, find_start
from replication.replicator.options import parse_options
from tests.needs import COUCHDB_URL, require
from tests.replication.replicator.conftest import Open, Side
from tests.servers import ServerProcess, free_port

# -- CouchDB -------------------------------------------------------------------------------------


async def couchdb_replicates(source: Side, target: Side) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=COUCHDB_URL, timeout=60) as client:
        urls = [f"{str(side.client.base_url).rstrip('/')}/{side.name}" for side in (source, target)]
        response = await client.post("/_replicate", json=dict(zip(("source", "target"), urls, strict=True)))
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


async def checkpoints(side: Side) -> dict[str, dict[str, Any]]:
    """Waits for one: of several nodes the one that lists them need not have it at once."""
    for _ in range(50):
        response = await side.client.get(side.path() + "/_local_docs", params={"include_docs": "true"})
        if rows := response.json()["rows"]:
            return {row["id"]: row["doc"] for row in rows}
        await asyncio.sleep(0.1)
    raise AssertionError("there is no checkpoint")


@pytest.mark.couchdb
async def test_couchdbs_checkpoints_are_understood(side: Open) -> None:
    source, target = await side("server"), await side("couchdb")
    await source.put("doc", n=1)
    answer = await couchdb_replicates(source, target)
    ours, theirs = await checkpoints(source), await checkpoints(target)
    ((name, mine),) = ours.items()
    start = find_start(mine, theirs[name])
    assert start.since == answer["source_last_seq"]
    assert [each["session_id"] for each in start.history] == [answer["session_id"]]
    # One run further at one end only: the sessions are compared.
    mine["session_id"] = "another"
    mine["history"].insert(0, {**mine["history"][0], "session_id": "another", "recorded_seq": "99-x"})
    assert find_start(mine, theirs[name]).since == answer["source_last_seq"]


@pytest.mark.couchdb
async def test_couchdb_goes_on_from_a_checkpoint_of_ours(side: Open) -> None:
    source, target = await side("server"), await side("couchdb")
    await source.put("before", n=1)
    await couchdb_replicates(source, target)
    await source.put("skipped", n=1)
    info = (await source.client.get(source.path())).json()
    (name,) = await checkpoints(source)
    ours = Session("f" * 32, time.time(), find_start(None, None), Statistics(docs_read=7))
    for end in (source, target):
        rev = (await checkpoints(end))[name]["_rev"]
        body = {"_rev": rev, **ours.document(info["update_seq"])}
        assert (await end.client.put(f"{end.path()}/{name}", json=body)).status_code == 201
    await source.put("behind", n=1)
    answer = await couchdb_replicates(source, target)
    assert answer["history"][0]["start_last_seq"] == info["update_seq"]
    assert answer["history"][1]["session_id"] == "f" * 32
    assert await target.get("skipped") is None
    assert await target.get("behind") is not None


@pytest.mark.couchdb
async def test_both_replicators_and_a_database_in_between(side: Open) -> None:
    """couchdb -> ours by CouchDB, back by us, with a filter of CouchDB's own language."""
    source, middle, last = await side("couchdb"), await side("server"), await side("couchdb")
    filters = {"odd": "function (doc, req) { return doc.n % 2 == 1 && req.query.x == 'y'; }"}
    await source.put("_design/f", filters=filters)
    for number in range(10):
        await source.put(f"doc{number}", n=number)
    options = parse_options({"filter": "f/odd", "query_params": {"x": "y"}})
    result = await replicate(source.peer(options), middle.peer(options), options)
    assert sorted(await middle.state()) == [f"doc{number}" for number in (1, 3, 5, 7, 9)]
    await couchdb_replicates(middle, last)
    assert await last.state() == await middle.state()
    # Another function under the same name is another replication.
    design = await source.get("_design/f")
    design["filters"]["odd"] += " "
    await source.put("_design/f", **design)
    again = await replicate(source.peer(options), middle.peer(options), options)
    assert again.id != result.id


# -- PouchDB's server ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pouchdb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = require("pouchdb-server")
    port = free_port()
    process = subprocess.Popen(
        [command, "--in-memory", "--no-stdout-logs", "--port", str(port), "--host", "127.0.0.1"],
        cwd=tmp_path_factory.mktemp("pouchdb-server"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            httpx.get(url)
            break
        except httpx.TransportError:
            time.sleep(0.1)
    yield url
    process.kill()
    process.wait()


async def test_pouchdbs_server_both_ways(
    pouchdb_server: str, side: Open, server: ServerProcess, tmp_path: Path
) -> None:
    source, back = await side("server"), await side("local")
    rev = await source.put("edited", n=1)
    await source.put("edited", n=2, _rev=rev)
    rev = await source.put("gone", n=1)
    await source.client.delete(source.path("gone"), params={"rev": rev})
    for hashed in ("b" * 32, "c" * 32):
        revisions = {"start": 2, "ids": [hashed, "a" * 32]}
        note = {"content_type": "text/plain", "data": b64encode(hashed.encode()).decode()}
        doc = {"_id": "split", "_rev": f"2-{hashed}", "_revisions": revisions, "n": hashed[0]}
        await source.store({**doc, "_attachments": {"note": note}})
    for number in range(120):
        await source.put(f"doc ü/{number}", n=number)
    rev = await source.attach("attached", "large.bin", os.urandom(200_000), "image/png")
    rev = await source.attach("attached", "text.txt", b"text " * 1000, "text/plain", rev)
    there = f"{pouchdb_server}/{source.name}"
    options = Options(create_target=True, batch_size=50)
    first = await replicate(source.peer(options), there, options)
    assert first.progress.refused == []
    again = await replicate(source.peer(options), there, options)
    assert again.no_changes
    await replicate(there, back.peer(options), options)
    assert await back.state() == await source.state()
    some = parse_options({"doc_ids": ["doc ü/1", "doc ü/2"]})
    chosen = await side("local")
    await replicate(there, chosen.peer(some), some)
    assert sorted(await chosen.state()) == ["doc ü/1", "doc ü/2"]

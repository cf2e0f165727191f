"""Replication out of partitioned databases and into them."""

from __future__ import annotations

from tests.replication.http.conftest import Serve
from tests.replication.http.partitions import VIEWS, ids


async def test_replication_out_of_and_into_a_partitioned_database(serve: Serve) -> None:
    client = await serve()
    for path in ("/from?partitioned=true", "/flat", "/to?partitioned=true"):
        assert (await client.put(path)).status_code == 201
    await client.post("/from/_bulk_docs", json={"docs": [{"_id": f"p:{n}"} for n in range(5)]})
    await client.put("/from/_design/d", json={"views": VIEWS})
    for source, target in (("from", "flat"), ("flat", "to")):
        answer = await client.post("/_replicate", json={"source": source, "target": target})
        assert answer.json()["history"][0]["docs_written"] == 6, answer.text
    assert len(ids(await client.get("/to/_partition/p/_all_docs"))) == 5


async def test_a_document_that_fits_in_no_partition_does_not_stop_a_replication(serve: Serve) -> None:
    client = await serve()
    await client.put("/flat")
    await client.put("/to?partitioned=true")
    await client.post(
        "/flat/_bulk_docs", json={"docs": [{"_id": docid} for docid in ("p:1", "x", "p:2", ":y")]}
    )
    answer = await client.post("/_replicate", json={"source": "flat", "target": "to"})
    history = answer.json()["history"][0]
    assert (history["docs_written"], history["doc_write_failures"]) == (2, 2)
    assert ids(await client.get("/to/_all_docs")) == ["p:1", "p:2"]

"""Mango in partitioned databases, as CouchDB 3.5 has it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.replication.http.designs import Json
from tests.replication.http.partitions import BAD_PARTITIONS, ids
from tests.replication.http.refusals import refused


async def index(client: httpx.AsyncClient, part: str, name: str, *fields: str, **options: Any) -> Any:
    body = {"index": {"fields": list(fields)}, "ddoc": name, "name": name, **options}
    answer = await client.post(f"{part}/_index", json=body)
    return answer.json()


async def test_indexes_are_of_partitions_unless_they_say_otherwise(
    client: httpx.AsyncClient, part: str
) -> None:
    for name, options in (
        ("usual", {}),
        ("local", {"partitioned": True}),
        ("global", {"partitioned": False}),
    ):
        assert (await index(client, part, f"i-{name}", "n", **options))["result"] == "created"
    found = {
        row["name"]: row.get("partitioned") for row in (await client.get(f"{part}/_index")).json()["indexes"]
    }
    assert found == {"_all_docs": None, "i-usual": True, "i-local": True, "i-global": False}
    assert "options" not in (await client.get(f"{part}/_design/i-usual")).json()
    options = (await client.get(f"{part}/_design/i-global")).json()["options"]
    assert options == {"partitioned": False}
    below = await client.get(f"{part}/_partition/a/_index")
    assert below.json()["total_rows"] == 4


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"partitioned": False}, {"partitioned": True}),
        ({"partitioned": False}, {}),
        ({"partitioned": True}, {"partitioned": False}),
        ({"partitioned": True}, {}),
        ({}, {"partitioned": True}),
    ],
)
async def test_a_design_document_holds_indexes_of_one_kind(
    client: httpx.AsyncClient, part: str, first: Json, second: Json
) -> None:
    assert (await index(client, part, "i", "n", **first))["result"] == "created"
    body = {"index": {"fields": ["m"]}, "ddoc": "i", "name": "m", **second}
    assert refused(await client.post(f"{part}/_index", json=body)) == (
        400,
        "invalid_partitioned_option",
        "Requested partitioned option does not match existing value on design document _design/i",
    )


async def find(client: httpx.AsyncClient, path: str, selector: Json, **options: Any) -> httpx.Response:
    return await client.post(f"{path}/_find", json={"selector": selector, **options})


@pytest.mark.parametrize("indexed", [False, True])
async def test_finding_in_a_partition(client: httpx.AsyncClient, part: str, indexed: bool) -> None:
    if indexed:
        await index(client, part, "i-local", "n")
    path = f"{part}/_partition/a"
    assert ids(await find(client, path, {}), "docs") == ["a:0", "a:1", "a:2"]
    assert ids(await find(client, path, {"n": {"$gt": 0}}), "docs") == ["a:1", "a:2"]
    assert ids(await find(client, part, {"n": {"$gt": 0}}, partition="b"), "docs") == ["b:1", "b:2"]
    assert ids(await find(client, path, {"_id": {"$gt": "a:0"}}), "docs") == ["a:1", "a:2"]
    assert ids(await find(client, path, {"_id": "b:1"}), "docs") == []
    assert ids(await find(client, f"{part}/_partition/none", {"n": 1}), "docs") == []
    for selector in ({"n": {"$gte": 0}}, {}):
        page = await find(client, path, selector, limit=2)
        assert ids(page, "docs") == ["a:0", "a:1"]
        rest = await find(client, path, selector, bookmark=page.json()["bookmark"])
        assert ids(rest, "docs") == ["a:2"]
        elsewhere = await find(client, f"{part}/_partition/b", selector, bookmark=page.json()["bookmark"])
        assert ids(elsewhere, "docs") == ["b:0", "b:1", "b:2"]
        statistics = await find(client, path, selector, execution_stats=True)
        assert statistics.json()["execution_stats"]["total_docs_examined"] == 3


async def test_which_index_a_query_may_use(client: httpx.AsyncClient, part: str) -> None:
    await index(client, part, "i-local", "n")
    await index(client, part, "i-global", "name", partitioned=False)
    path = f"{part}/_partition/a"
    found = await find(client, path, {"n": {"$gt": 0}}, sort=[{"n": "desc"}])
    assert ids(found, "docs") == ["a:2", "a:1"]
    everywhere = await find(client, part, {"name": {"$gt": "a"}}, sort=["name"])
    assert ids(everywhere, "docs") == ["ab:0", "ab:1", "ab:2", "b:0", "b:1", "b:2"]
    for where, field, kind in ((path, "name", "partitioned"), (part, "n", "global")):
        assert refused(await find(client, where, {field: {"$gt": 0}}, sort=[field])) == (
            400,
            "no_usable_index",
            f"No {kind} index exists for this sort, try indexing by the sort fields.",
        )
    warned = (await find(client, path, {"name": "a"}, use_index="i-global")).json()["warning"]
    assert warned.startswith("_design/i-global was not used")


async def test_an_explanation_names_the_partition(client: httpx.AsyncClient, part: str) -> None:
    await index(client, part, "i-local", "n")
    await index(client, part, "i-global", "n", partitioned=False)
    for path, body, chosen, partition in (
        (f"{part}/_partition/a", {}, "i-local", "a"),
        (part, {"partition": "b"}, "i-local", "b"),
        (part, {}, "i-global", None),
    ):
        answer = await client.post(f"{path}/_explain", json={"selector": {"n": 1}, **body})
        explained = answer.json()
        assert explained["partitioned"] is True
        assert explained["index"]["name"] == chosen
        assert explained["mrargs"]["partition"] == partition
        assert explained["opts"]["partition"] == (partition or "")
        others = {row["index"]["name"]: row["analysis"]["reasons"] for row in explained["index_candidates"]}
        del others["_all_docs"]
        assert list(others.values()) == [[{"name": "scope_mismatch"}]]


async def test_finds_that_are_refused(client: httpx.AsyncClient, part: str) -> None:
    for name, reason in [*BAD_PARTITIONS.items(), (1, "Partition must be a string")]:
        answer = await find(client, part, {}, partition=name)
        assert refused(answer) == (400, "illegal_partition", reason)
    assert len(ids(await find(client, part, {}, partition=""), "docs")) == 9
    answer = await find(client, f"{part}/_partition/a", {}, partition="a")
    assert answer.status_code == 400

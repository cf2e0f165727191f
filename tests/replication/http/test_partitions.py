"""Partitioned databases over HTTP: rules of the wire, as CouchDB 3.5 has them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.replication.http.designs import Json
from tests.replication.http.partitions import BAD_PARTITIONS, UNSUPPORTED, VIEWS, ids
from tests.replication.http.refusals import refused

NO_PARTITION = ("illegal_docid", "Doc id must be of form partition:id")
RESERVED = ("illegal_docid", "Only reserved document ids may start with underscore.")
BAD_IDS = {
    "x": NO_PARTITION,
    ":x": ("illegal_partition", "Partition must not be empty"),
    "x:": ("illegal_docid", "Document id must not be empty"),
    "_x:x": RESERVED,
    "x:_x": RESERVED,
    "x:_design/": ("illegal_docid", "Illegal document id `_design/`"),
}
GOOD_IDS = ["x:x", "x:y:z", "x::", "x_y:1", "x/y:1", "é:1", "x:_design/x", "x:_local/x", "x" * 300 + ":1"]


async def test_the_info_tells_that_a_database_is_partitioned(client: httpx.AsyncClient, part: str) -> None:
    assert (await client.get(part)).json()["props"] == {"partitioned": True}
    await client.put("/flat?partitioned=false")
    assert (await client.get("/flat")).json()["props"] == {}


@pytest.mark.parametrize("value", ["TRUE", "1", ""])
async def test_the_parameter_is_true_or_false(client: httpx.AsyncClient, value: str) -> None:
    answer = await client.put("/x", params={"partitioned": value})
    assert refused(answer) == (400, "bad_request", "Invalid `partitioned` parameter")
    assert (await client.get("/x")).status_code == 404


@pytest.mark.parametrize("docid", BAD_IDS)
async def test_an_id_without_a_partition_is_written_on_no_path(
    client: httpx.AsyncClient, part: str, docid: str
) -> None:
    expected = (400, *BAD_IDS[docid])
    path = f"{part}/{quote(docid, safe='')}"
    before = (await client.get(part)).json()["update_seq"]
    revision = {"_id": docid, "_rev": "1-abc"}
    for answer in [
        await client.post(part, json={"_id": docid}),
        await client.put(path, json={}),
        await client.put(f"{path}?new_edits=false", json=revision),
        await client.post(f"{part}/_bulk_docs", json={"docs": [{"_id": "ok:1"}, {"_id": docid}]}),
        await client.post(f"{part}/_bulk_docs", json={"new_edits": False, "docs": [revision]}),
        await client.request("COPY", f"{part}/a:1", headers={"destination": quote(docid)}),
    ]:
        assert refused(answer) == expected, answer.request
    if not docid.startswith("_"):
        answer = await client.put(f"{path}/att", content=b"x", headers={"content-type": "text/plain"})
        assert refused(answer) == expected
    assert (await client.get(part)).json()["update_seq"] == before


async def test_ids_that_the_server_makes_name_no_partition(client: httpx.AsyncClient, part: str) -> None:
    assert refused(await client.post(part, json={})) == (400, *NO_PARTITION)
    answer = await client.post(f"{part}/_bulk_docs", json={"docs": [{"_id": "ok:1"}, {}]})
    assert refused(answer) == (400, *NO_PARTITION)
    assert (await client.get(f"{part}/ok:1")).status_code == 404


@pytest.mark.parametrize("docid", GOOD_IDS)
async def test_ids_of_partitions(client: httpx.AsyncClient, part: str, docid: str) -> None:
    assert (await client.post(part, json={"_id": docid})).status_code == 201
    found = await client.get(f"{part}/{quote(docid, safe='')}")
    assert found.json()["_id"] == docid
    partition = quote(docid.partition(":")[0], safe="")
    assert docid in ids(await client.get(f"{part}/_partition/{partition}/_all_docs"))


async def test_design_and_local_documents_need_no_partition(client: httpx.AsyncClient, part: str) -> None:
    assert (await client.put(f"{part}/_design/x", json={})).status_code == 201
    assert (await client.put(f"{part}/_local/x", json={})).status_code == 201
    answer = await client.post(
        f"{part}/_bulk_docs", json={"docs": [{"_id": "_design/y"}, {"_id": "_local/y"}]}
    )
    assert [row["ok"] for row in answer.json()] == [True, True]


async def test_nobody_may_ask_for_an_id_that_names_no_partition(client: httpx.AsyncClient, part: str) -> None:
    expected = (400, *NO_PARTITION)
    for query in ("", "?rev=1-abc", "?open_revs=all"):
        assert refused(await client.get(f"{part}/x{query}")) == expected
    assert (await client.head(f"{part}/x")).status_code == 400
    assert refused(await client.get(f"{part}/x/att")) == expected
    assert refused(await client.delete(f"{part}/x?rev=1-abc")) == expected
    assert refused(await client.request("COPY", f"{part}/x", headers={"destination": "a:9"})) == expected
    for name in ("_revs_diff", "_missing_revs", "_purge"):
        answer = await client.post(f"{part}/{name}", json={"a:1": ["1-abc"], "x": ["1-abc"]})
        assert refused(answer) == expected, name
    for keys in (["x"], ["a:1", "x"]):
        assert refused(await client.post(f"{part}/_all_docs", json={"keys": keys})) == expected
    body = {"queries": [{"keys": ["x", "y"]}]}
    assert refused(await client.post(f"{part}/_all_docs/queries", json=body)) == expected
    # What names a partition, and can't be for another reason, is not there.
    assert (await client.get(f"{part}/x:_x")).status_code == 404
    assert (await client.get(f"{part}/:x")).status_code == 404
    answer = await client.post(f"{part}/_revs_diff", json={":x": ["1-abc"], "_design/x": ["1-abc"]})
    assert set(answer.json()) == {":x", "_design/x"}


async def test_bulk_get_answers_bad_ids_in_their_rows(client: httpx.AsyncClient, part: str) -> None:
    asked = [*BAD_IDS, "a:1"]
    answer = await client.post(f"{part}/_bulk_get", json={"docs": [{"id": docid} for docid in asked]})
    rows = [row["docs"][0] for row in answer.json()["results"]]
    for docid, row in zip(BAD_IDS, rows, strict=False):
        error, reason = BAD_IDS[docid]
        assert row == {"error": {"id": docid, "rev": None, "error": error, "reason": reason}}
    assert rows[-1]["ok"]["_id"] == "a:1"


async def test_the_whole_database_is_listed_and_fed_as_any_other(
    client: httpx.AsyncClient, part: str
) -> None:
    listed = ids(await client.get(f"{part}/_all_docs"))
    assert len(listed) == 12
    assert len((await client.get(f"{part}/_changes")).json()["results"]) == 12
    assert ids(await client.get(f"{part}/_all_docs?startkey=%22ab:1%22&limit=3")) == ["ab:1", "ab:2", "b:0"]
    assert ids(await client.get(f"{part}/_all_docs?key=%22nope%22")) == []


# -- /_partition/{p} ---------------------------------------------------------------------------


async def test_facts_of_a_partition(client: httpx.AsyncClient, part: str) -> None:
    rev = (await client.get(f"{part}/a:0")).json()["_rev"]
    await client.delete(f"{part}/a:0?rev={rev}")
    await client.put(f"{part}/a:9/att", content=b"x" * 1000, headers={"content-type": "image/png"})
    facts = (await client.get(f"{part}/_partition/a")).json()
    assert (await client.get(f"{part}/_partition/a/")).json() == facts
    sizes = facts.pop("sizes")
    assert facts == {"db_name": "part", "partition": "a", "doc_count": 3, "doc_del_count": 1}
    assert sizes["active"] > sizes["external"] + 1000 > 1100
    assert (await client.head(f"{part}/_partition/a")).status_code == 200
    assert (await client.get(f"{part}/_partition/none")).json() == {
        "db_name": "part",
        "sizes": {"active": 0, "external": 0},
        "partition": "none",
        "doc_count": 0,
        "doc_del_count": 0,
    }


@pytest.mark.parametrize("name", BAD_PARTITIONS)
@pytest.mark.parametrize("below", ["", "/_all_docs", "/_find", "/_design/d/_view/map"])
async def test_names_that_no_partition_has(
    client: httpx.AsyncClient, part: str, name: str, below: str
) -> None:
    method = "POST" if below == "/_find" else "GET"
    answer = await client.request(method, f"{part}/_partition/{name}{below}", json={"selector": {}})
    assert refused(answer) == (400, "illegal_partition", BAD_PARTITIONS[name])


async def test_what_a_partition_has_not(client: httpx.AsyncClient, part: str) -> None:
    for path in ("", "/"):
        answer = await client.get(f"{part}/_partition{path}")
        assert refused(answer) == (400, "bad_request", "invalid_partition_req")
    for path in ("b", "_foo", "a:1", "_changes", "_design_docs", "_local_docs", "_bulk_get", "_design/d"):
        assert (await client.get(f"{part}/_partition/a/{path}")).status_code == 404, path
    assert (await client.get(f"{part}/_partition/a/_all_docs/x")).status_code == 404
    assert (await client.post(f"{part}/_partition/a", json={})).status_code == 405
    assert (await client.put(f"{part}/_partition/a/_all_docs")).status_code == 405
    assert (await client.get(f"{part}/_partition/a/_find")).status_code == 405


async def test_a_database_that_is_not_partitioned_has_no_partitions(
    client: httpx.AsyncClient, db: str
) -> None:
    expected = (400, "bad_request", "database is not partitioned")
    for path in ("a", "a/_all_docs", "a/_design/d/_view/map"):
        assert refused(await client.get(f"{db}/_partition/{path}")) == expected
    assert refused(await client.post(f"{db}/_partition/a/_find", json={"selector": {}})) == expected
    unsupported = (400, "query_parse_error", "`partition` parameter is not supported on this db")
    assert refused(await client.get(f"{db}/_all_docs?partition=a")) == unsupported
    answer = await client.post(f"{db}/_find", json={"selector": {}, "partition": "a"})
    assert refused(answer) == unsupported
    answer = await client.put(f"{db}/_design/d", json={"views": VIEWS, "options": {"partitioned": True}})
    assert refused(answer) == (
        400,
        "invalid_design_doc",
        "partitioned option cannot be true in a non-partitioned database.",
    )
    await client.put(f"{db}/_design/d", json={"views": VIEWS, "options": {"partitioned": False}})
    answer = await client.get(f"{db}/_design/d/_view/map?partition=a")
    assert refused(answer) == (400, "query_parse_error", UNSUPPORTED)
    assert (await client.get("/nothing/_partition/a")).status_code == 404


async def test_the_path_and_the_query_name_the_same_partition(client: httpx.AsyncClient, part: str) -> None:
    conflicting = (400, "bad_request", "Conflicting value for `partition` in query string")
    path = f"{part}/_partition/a"
    assert ids(await client.get(f"{path}/_all_docs?partition=a")) == ["a:0", "a:1", "a:2"]
    assert refused(await client.get(f"{path}/_all_docs?partition=b")) == conflicting
    assert refused(await client.get(f"{path}/_design/d/_view/map?partition=b")) == conflicting
    assert refused(await client.post(f"{path}/_find?partition=b", json={"selector": {}})) == conflicting


# -- properties --------------------------------------------------------------------------------

_PARTITIONS = ["a", "a!", "aa", "a;", "b", "ä", "\U0001f600", "\x01"]
_DOCUMENTS = st.dictionaries(
    st.tuples(st.sampled_from(_PARTITIONS), st.sampled_from(["0", "1", ":", "ä", "~"])),
    st.tuples(st.sampled_from([None, False, 1, 2.5, "a", "B", "ä", [1], {"x": 1}]), st.integers(0, 3)),
    max_size=25,
)
_count = iter(range(1_000_000))


@pytest.mark.slow
@settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(documents=_DOCUMENTS, descending=st.booleans(), low=st.integers(0, 3))
async def test_a_query_of_a_partition_answers_the_global_one_filtered(
    client: httpx.AsyncClient,
    documents: dict[tuple[str, str], tuple[Any, int]],
    descending: bool,
    low: int,
) -> None:
    path = f"/p{next(_count)}"
    await client.put(f"{path}?partitioned=true")
    docs = [{"_id": f"{p}:{key}", "k": k, "n": n} for (p, key), (k, n) in documents.items()]
    views = {
        "v": {"map": "function(doc) { emit(doc.k, doc.n); if (doc.n) emit([doc.n]) }", "reduce": "_count"}
    }
    for name, partitioned in (("local", True), ("global", False)):
        docs.append({"_id": f"_design/{name}", "views": views, "options": {"partitioned": partitioned}})
        answer = await client.post(
            f"{path}/_index",
            json={"index": {"fields": ["n"]}, "ddoc": f"{name}-n", "partitioned": partitioned},
        )
        assert answer.status_code == 200
    await client.post(f"{path}/_bulk_docs", json={"docs": docs})
    direction = {"descending": json.dumps(descending)}
    sort = [{"n": "desc" if descending else "asc"}]
    query = {"selector": {"n": {"$gte": low}}, "sort": sort, "limit": 1000}
    listing = (await client.get(f"{path}/_all_docs", params={**direction, "include_docs": "true"})).json()
    found = (await client.post(f"{path}/_find", json=query)).json()["docs"]
    rows_query = {**direction, "reduce": "false"}
    rows = (await client.get(f"{path}/_design/global/_view/v", params=rows_query)).json()["rows"]
    for partition in [*_PARTITIONS, "none"]:
        scope = f"{path}/_partition/{quote(partition)}"

        def within(listed: list[Json], prefix: str = f"{partition}:") -> list[Json]:
            return [row for row in listed if (row.get("id") or row["_id"]).startswith(prefix)]

        answer = await client.get(f"{scope}/_all_docs", params={**direction, "include_docs": "true"})
        assert answer.json()["rows"] == within(listing["rows"])
        assert (await client.post(f"{scope}/_find", json=query)).json()["docs"] == within(found)
        answer = await client.get(f"{scope}/_design/local/_view/v", params=rows_query)
        assert answer.json()["rows"] == within(rows)
        counted = (await client.get(f"{scope}/_design/local/_view/v")).json()["rows"]
        assert [row["value"] for row in counted] == ([len(within(rows))] if within(rows) else [])
        facts = (await client.get(scope)).json()
        assert facts["doc_count"] == len(within(listing["rows"]))

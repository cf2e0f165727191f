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
from tests.replication.http.conftest import Serve

Json = dict[str, Any]

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
BAD_PARTITIONS = {
    "_x": "Partition must not start with an underscore",
    "x:y": "Partition must not contain a colon",
}
MANDATORY = "`partition` parameter is mandatory for queries to this view."
UNSUPPORTED = "`partition` parameter is not supported in this design doc"
BY_COLOR = "function(doc) { if (doc.color) emit(doc.color, doc.n) }"
VIEWS = {
    "map": {"map": BY_COLOR},
    "sum": {"map": BY_COLOR, "reduce": "_sum"},
    "js": {"map": BY_COLOR, "reduce": "function(keys, values, again) { return sum(values) }"},
}


@pytest.fixture
async def part(client: httpx.AsyncClient) -> str:
    """The path of a partitioned database with partitions `a`, `ab` and `b`, three documents each."""
    answer = await client.put("/part?partitioned=true")
    assert answer.status_code == 201
    docs = [
        {"_id": f"{name}:{n}", "n": n, "name": name, "color": ("red", "blue")[n % 2]}
        for name in ("a", "ab", "b")
        for n in range(3)
    ]
    answer = await client.post("/part/_bulk_docs", json={"docs": docs})
    assert all("ok" in row for row in answer.json()), answer.text
    for name, options in (("d", {}), ("local", {"partitioned": True}), ("global", {"partitioned": False})):
        answer = await client.put(f"/part/_design/{name}", json={"views": VIEWS, "options": options})
        assert answer.status_code == 201, answer.text
    return "/part"


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["error"], body["reason"]


def ids(answer: httpx.Response, member: str = "rows") -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row.get("id") or row["_id"] for row in answer.json()[member]]


# -- the database ------------------------------------------------------------------------------


async def test_the_info_tells_that_a_database_is_partitioned(client: httpx.AsyncClient, part: str) -> None:
    assert (await client.get(part)).json()["props"] == {"partitioned": True}
    await client.put("/flat?partitioned=false")
    assert (await client.get("/flat")).json()["props"] == {}


@pytest.mark.parametrize("value", ["TRUE", "1", ""])
async def test_the_parameter_is_true_or_false(client: httpx.AsyncClient, value: str) -> None:
    answer = await client.put("/x", params={"partitioned": value})
    assert refusal(answer) == (400, "bad_request", "Invalid `partitioned` parameter")
    assert (await client.get("/x")).status_code == 404


@pytest.mark.parametrize("docid", BAD_IDS)
async def test_an_id_without_a_partition_is_written_on_no_path(
    client: httpx.AsyncClient, part: str, docid: str
) -> None:
    refused = (400, *BAD_IDS[docid])
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
        assert refusal(answer) == refused, answer.request
    if not docid.startswith("_"):
        answer = await client.put(f"{path}/att", content=b"x", headers={"content-type": "text/plain"})
        assert refusal(answer) == refused
    assert (await client.get(part)).json()["update_seq"] == before


async def test_ids_that_the_server_makes_name_no_partition(client: httpx.AsyncClient, part: str) -> None:
    assert refusal(await client.post(part, json={})) == (400, *NO_PARTITION)
    answer = await client.post(f"{part}/_bulk_docs", json={"docs": [{"_id": "ok:1"}, {}]})
    assert refusal(answer) == (400, *NO_PARTITION)
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
    refused = (400, *NO_PARTITION)
    for query in ("", "?rev=1-abc", "?open_revs=all"):
        assert refusal(await client.get(f"{part}/x{query}")) == refused
    assert (await client.head(f"{part}/x")).status_code == 400
    assert refusal(await client.get(f"{part}/x/att")) == refused
    assert refusal(await client.delete(f"{part}/x?rev=1-abc")) == refused
    assert refusal(await client.request("COPY", f"{part}/x", headers={"destination": "a:9"})) == refused
    for name in ("_revs_diff", "_missing_revs", "_purge"):
        answer = await client.post(f"{part}/{name}", json={"a:1": ["1-abc"], "x": ["1-abc"]})
        assert refusal(answer) == refused, name
    for keys in (["x"], ["a:1", "x"]):
        assert refusal(await client.post(f"{part}/_all_docs", json={"keys": keys})) == refused
    body = {"queries": [{"keys": ["x", "y"]}]}
    assert refusal(await client.post(f"{part}/_all_docs/queries", json=body)) == refused
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
    assert refusal(answer) == (400, "illegal_partition", BAD_PARTITIONS[name])


async def test_what_a_partition_has_not(client: httpx.AsyncClient, part: str) -> None:
    for path in ("", "/"):
        answer = await client.get(f"{part}/_partition{path}")
        assert refusal(answer) == (400, "bad_request", "invalid_partition_req")
    for path in ("b", "_foo", "a:1", "_changes", "_design_docs", "_local_docs", "_bulk_get", "_design/d"):
        assert (await client.get(f"{part}/_partition/a/{path}")).status_code == 404, path
    assert (await client.get(f"{part}/_partition/a/_all_docs/x")).status_code == 404
    assert (await client.post(f"{part}/_partition/a", json={})).status_code == 405
    assert (await client.put(f"{part}/_partition/a/_all_docs")).status_code == 405
    assert (await client.get(f"{part}/_partition/a/_find")).status_code == 405


async def test_a_database_that_is_not_partitioned_has_no_partitions(
    client: httpx.AsyncClient, db: str
) -> None:
    refused = (400, "bad_request", "database is not partitioned")
    for path in ("a", "a/_all_docs", "a/_design/d/_view/map"):
        assert refusal(await client.get(f"{db}/_partition/{path}")) == refused
    assert refusal(await client.post(f"{db}/_partition/a/_find", json={"selector": {}})) == refused
    unsupported = (400, "query_parse_error", "`partition` parameter is not supported on this db")
    assert refusal(await client.get(f"{db}/_all_docs?partition=a")) == unsupported
    answer = await client.post(f"{db}/_find", json={"selector": {}, "partition": "a"})
    assert refusal(answer) == unsupported
    answer = await client.put(f"{db}/_design/d", json={"views": VIEWS, "options": {"partitioned": True}})
    assert refusal(answer) == (
        400,
        "invalid_design_doc",
        "partitioned option cannot be true in a non-partitioned database.",
    )
    await client.put(f"{db}/_design/d", json={"views": VIEWS, "options": {"partitioned": False}})
    answer = await client.get(f"{db}/_design/d/_view/map?partition=a")
    assert refusal(answer) == (400, "query_parse_error", UNSUPPORTED)
    assert (await client.get("/nothing/_partition/a")).status_code == 404


async def test_the_path_and_the_query_name_the_same_partition(client: httpx.AsyncClient, part: str) -> None:
    conflicting = (400, "bad_request", "Conflicting value for `partition` in query string")
    path = f"{part}/_partition/a"
    assert ids(await client.get(f"{path}/_all_docs?partition=a")) == ["a:0", "a:1", "a:2"]
    assert refusal(await client.get(f"{path}/_all_docs?partition=b")) == conflicting
    assert refusal(await client.get(f"{path}/_design/d/_view/map?partition=b")) == conflicting
    assert refusal(await client.post(f"{path}/_find?partition=b", json={"selector": {}})) == conflicting


# -- listings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "012"),
        ("limit=1", "0"),
        ("skip=1", "12"),
        ("descending=true", "210"),
        ("key=%22a:1%22", "1"),
        ("key=%22b:1%22", ""),
        ("startkey=%22a:1%22", "12"),
        ("startkey=%22a:1%22&descending=true", "10"),
        ("endkey=%22a:1%22", "01"),
        ("endkey=%22a:1%22&inclusive_end=false", "0"),
        ("endkey=%22a:1%22&descending=true", "21"),
        ("startkey=%22A%22&endkey=%22z%22", "012"),
        ("startkey=%22ab:0%22", ""),
        ("startkey=%22z%22&descending=true", "210"),
        ("startkey=1", "012"),
        ("endkey=1", ""),
        ("startkey_docid=a:1", "012"),
    ],
)
async def test_listing_a_partition(client: httpx.AsyncClient, part: str, query: str, found: str) -> None:
    path = f"{part}/_partition/a/_all_docs"
    expected = [f"a:{n}" for n in found]
    assert ids(await client.get(f"{path}?{query}")) == expected
    body = {name: json.loads(value) for name, value in httpx.QueryParams(query).items() if "doc" not in name}
    assert ids(await client.post(path, json=body)) == expected
    assert ids(await client.get(f"{part}/_all_docs?partition=a&{query}")) == expected


async def test_the_numbers_of_a_partitions_listing_are_the_databases(
    client: httpx.AsyncClient, part: str
) -> None:
    answer = (await client.get(f"{part}/_partition/ab/_all_docs?limit=1")).json()
    assert (answer["total_rows"], answer["offset"]) == (12, 6)
    answer = (await client.get(f"{part}/_partition/ab/_all_docs?limit=1&descending=true")).json()
    assert (answer["total_rows"], answer["offset"]) == (12, 3)


async def test_keys_are_looked_up_wherever_they_are(client: httpx.AsyncClient, part: str) -> None:
    answer = await client.post(f"{part}/_partition/a/_all_docs", json={"keys": ["a:1", "b:1", "a:9"]})
    assert [row["key"] for row in answer.json()["rows"]] == ["a:1", "b:1", "a:9"]
    assert answer.json()["rows"][1]["id"] == "b:1"


async def test_several_listings_of_partitions(client: httpx.AsyncClient, part: str) -> None:
    queries = {"queries": [{"limit": 1}, {"partition": "b", "limit": 1}]}
    answer = await client.post(f"{part}/_partition/a/_all_docs/queries", json=queries)
    assert [row["id"] for result in answer.json()["results"] for row in result["rows"]] == ["a:0", "b:0"]
    answer = await client.post(f"{part}/_all_docs/queries", json=queries)
    assert answer.json()["results"][0]["total_rows"] == 12
    assert (await client.get(f"{part}/_partition/a/_all_docs/queries")).status_code == 405


@pytest.mark.parametrize("name", ["_design_docs", "_local_docs"])
async def test_other_documents_are_in_no_partition(client: httpx.AsyncClient, part: str, name: str) -> None:
    await client.put(f"{part}/_local/x", json={})
    assert ids(await client.get(f"{part}/{name}"))
    assert ids(await client.get(f"{part}/{name}?partition=a")) == []


# -- Mango -------------------------------------------------------------------------------------


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
    assert refusal(await client.post(f"{part}/_index", json=body)) == (
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
        assert refusal(await find(client, where, {field: {"$gt": 0}}, sort=[field])) == (
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
        refused = await find(client, part, {}, partition=name)
        assert refusal(refused) == (400, "illegal_partition", reason)
    assert len(ids(await find(client, part, {}, partition=""), "docs")) == 9
    answer = await find(client, f"{part}/_partition/a", {}, partition="a")
    assert answer.status_code == 400


# -- views -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ddoc", ["d", "local"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "102"),
        ("limit=1", "1"),
        ("skip=1&limit=1", "0"),
        ("descending=true", "201"),
        ("key=%22red%22", "02"),
        ("keys=[%22red%22,%22blue%22]", "021"),
        ("startkey=%22c%22", "02"),
        ("endkey=%22c%22", "1"),
        ("startkey=%22red%22&startkey_docid=a:1", "2"),
        ("endkey=%22red%22&inclusive_end=false", "1"),
        ("endkey=%22red%22&endkey_docid=a:0", "10"),
        ("startkey=%22red%22&descending=true", "201"),
        ("key=%22zz%22", ""),
        ("partition=a", "102"),
    ],
)
async def test_the_rows_of_a_partition(
    client: httpx.AsyncClient, part: str, ddoc: str, query: str, found: str
) -> None:
    expected = [f"a:{n}" for n in found]
    answer = await client.get(f"{part}/_partition/a/_design/{ddoc}/_view/map?{query}")
    assert ids(answer) == expected
    assert answer.json()["total_rows"] == 9
    if "partition" not in query:
        assert ids(await client.get(f"{part}/_design/{ddoc}/_view/map?partition=a&{query}")) == expected


async def test_rows_of_a_partition_are_counted_within_it(client: httpx.AsyncClient, part: str) -> None:
    path = f"{part}/_partition/b/_design/d/_view/map"
    assert (await client.get(path)).json()["offset"] == 0
    assert (await client.get(f"{path}?key=%22red%22")).json()["offset"] == 1
    assert (await client.get(f"{path}?descending=true&skip=1")).json()["offset"] == 1


@pytest.mark.parametrize("name", ["sum", "js"])
async def test_reducing_a_partition(client: httpx.AsyncClient, part: str, name: str) -> None:
    path = f"{part}/_partition/ab/_design/d/_view/{name}"
    blue, red = {"key": "blue", "value": 1}, {"key": "red", "value": 2}
    for query, rows in (
        ("", [{"key": None, "value": 3}]),
        ("?group=true", [blue, red]),
        ("?key=%22red%22", [{"key": None, "value": 2}]),
        ("?group=true&keys=[%22red%22,%22blue%22]", [red, blue]),
    ):
        assert (await client.get(f"{path}{query}")).json() == {"rows": rows}
    assert (await client.get(f"{part}/_partition/none/_design/d/_view/{name}")).json() == {"rows": []}
    assert ids(await client.get(f"{path}?reduce=false")) == ["ab:1", "ab:0", "ab:2"]


@pytest.mark.parametrize("name", ["map", "sum", "map?keys=[%22red%22]", "sum?group=true"])
async def test_a_view_is_of_partitions_or_of_the_database(
    client: httpx.AsyncClient, part: str, name: str
) -> None:
    for ddoc in ("d", "local"):
        answer = await client.get(f"{part}/_design/{ddoc}/_view/{name}")
        assert refusal(answer) == (400, "query_parse_error", MANDATORY)
    for path in (f"{part}/_partition/a/_design/global/_view/{name}",):
        assert refusal(await client.get(path)) == (400, "query_parse_error", UNSUPPORTED)
    assert (await client.get(f"{part}/_design/global/_view/{name}")).status_code == 200


async def test_a_global_view_has_the_rows_of_all_partitions(client: httpx.AsyncClient, part: str) -> None:
    answer = await client.get(f"{part}/_design/global/_view/map")
    assert ids(answer) == ["a:1", "ab:1", "b:1", "a:0", "a:2", "ab:0", "ab:2", "b:0", "b:2"]
    answer = await client.get(f"{part}/_design/global/_view/sum")
    assert answer.json() == {"rows": [{"key": None, "value": 9}]}


async def test_views_of_partitions_that_are_not_there(client: httpx.AsyncClient, part: str) -> None:
    path = f"{part}/_partition/a/_design"
    assert refusal(await client.get(f"{path}/d/_view/none")) == (404, "not_found", "missing_named_view")
    assert refusal(await client.get(f"{path}/none/_view/map")) == (404, "not_found", "missing")
    assert (await client.get(f"{path}/d/_info")).json()["name"] == "d"


async def test_several_queries_of_a_partitions_view(client: httpx.AsyncClient, part: str) -> None:
    body = {"queries": [{"limit": 1}, {"partition": "b", "limit": 1}]}
    answer = await client.post(f"{part}/_partition/a/_design/d/_view/map/queries", json=body)
    assert [row["id"] for result in answer.json()["results"] for row in result["rows"]] == ["a:1", "b:1"]
    answer = await client.post(f"{part}/_design/d/_view/map/queries", json=body)
    assert refusal(answer) == (400, "query_parse_error", MANDATORY)
    posted = await client.post(f"{part}/_design/d/_view/map", json={"partition": "b", "limit": 1})
    assert ids(posted) == ["b:1"]


async def test_rows_of_a_partition_follow_its_documents(client: httpx.AsyncClient, part: str) -> None:
    path = f"{part}/_partition/a/_design/d/_view/map"
    assert ids(await client.get(path)) == ["a:1", "a:0", "a:2"]
    rev = (await client.get(f"{part}/a:1")).json()["_rev"]
    await client.put(f"{part}/a:1", json={"_rev": rev, "color": "white"})
    await client.put(f"{part}/a:7", json={"color": "blue"})
    assert ids(await client.get(path)) == ["a:7", "a:0", "a:2", "a:1"]


async def test_design_documents_are_in_no_partitions_view(client: httpx.AsyncClient, part: str) -> None:
    views = {"v": {"map": "function(doc) { emit(doc._id) }"}}
    for name, partitioned, count in (("x", True, 3), ("y", False, 14)):
        options = {"include_design": True, "partitioned": partitioned}
        await client.put(f"{part}/_design/{name}", json={"views": views, "options": options})
        scope = "/_partition/a" if partitioned else ""
        rows = await client.get(f"{part}{scope}/_design/{name}/_view/v")
        assert len(ids(rows)) == count


# -- replication -------------------------------------------------------------------------------


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

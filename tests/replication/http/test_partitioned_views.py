"""Views of partitioned databases, as CouchDB 3.5 has them."""

from __future__ import annotations

import httpx
import pytest

from tests.replication.http.partitions import UNSUPPORTED, ids
from tests.replication.http.refusals import refused

MANDATORY = "`partition` parameter is mandatory for queries to this view."


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
        assert refused(answer) == (400, "query_parse_error", MANDATORY)
    answer = await client.get(f"{part}/_partition/a/_design/global/_view/{name}")
    assert refused(answer) == (400, "query_parse_error", UNSUPPORTED)
    assert (await client.get(f"{part}/_design/global/_view/{name}")).status_code == 200


async def test_a_global_view_has_the_rows_of_all_partitions(client: httpx.AsyncClient, part: str) -> None:
    answer = await client.get(f"{part}/_design/global/_view/map")
    assert ids(answer) == ["a:1", "ab:1", "b:1", "a:0", "a:2", "ab:0", "ab:2", "b:0", "b:2"]
    answer = await client.get(f"{part}/_design/global/_view/sum")
    assert answer.json() == {"rows": [{"key": None, "value": 9}]}


async def test_views_of_partitions_that_are_not_there(client: httpx.AsyncClient, part: str) -> None:
    path = f"{part}/_partition/a/_design"
    assert refused(await client.get(f"{path}/d/_view/none")) == (404, "not_found", "missing_named_view")
    assert refused(await client.get(f"{path}/none/_view/map")) == (404, "not_found", "missing")
    assert (await client.get(f"{path}/d/_info")).json()["name"] == "d"


async def test_several_queries_of_a_partitions_view(client: httpx.AsyncClient, part: str) -> None:
    body = {"queries": [{"limit": 1}, {"partition": "b", "limit": 1}]}
    answer = await client.post(f"{part}/_partition/a/_design/d/_view/map/queries", json=body)
    assert [row["id"] for result in answer.json()["results"] for row in result["rows"]] == ["a:1", "b:1"]
    answer = await client.post(f"{part}/_design/d/_view/map/queries", json=body)
    assert refused(answer) == (400, "query_parse_error", MANDATORY)
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

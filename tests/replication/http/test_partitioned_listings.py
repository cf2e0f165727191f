"""Listings of a partition, as CouchDB 3.5 has them."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.replication.http.partitions import ids


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

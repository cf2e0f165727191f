"""Listings of given keys."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.replication.http.batches import A, B, C
from tests.replication.http.listings import ids, listing, query
from tests.replication.http.refusals import refused


async def test_keys_in_input_order_with_duplicates_missing_and_deleted(
    client: httpx.AsyncClient, filled: str
) -> None:
    keys = ["b", "nope", "del", "b", "x"]
    b = {"id": "b", "key": "b", "value": {"rev": f"1-{A}"}}
    gone = {"id": "del", "key": "del", "value": {"rev": f"2-{B}", "deleted": True}}
    missing = {"key": "nope", "error": "not_found"}
    x = {"id": "x", "key": "x", "value": {"rev": f"2-{C}"}}
    answer = await listing(client, filled, "", {"keys": keys})
    assert answer == {"total_rows": 13, "offset": None, "rows": [b, missing, gone, b, x]}
    assert await listing(client, filled, "keys=" + quote('["b","nope","del","b","x"]')) == answer
    rows = (await listing(client, filled, "include_docs=true&conflicts=true", {"keys": keys}))["rows"]
    assert rows[0]["doc"] == {"_id": "b", "_rev": f"1-{A}", "n": "b"}
    assert rows[1] == missing
    assert rows[2] == {**gone, "doc": None}
    assert rows[4]["doc"]["_conflicts"] == [f"2-{B}"]


async def test_keys_with_limit_skip_and_descending(client: httpx.AsyncClient, filled: str) -> None:
    keys = {"keys": ["b", "nope", "del", "b", "x"]}
    rows = (await listing(client, filled, "skip=1&limit=2", keys))["rows"]
    assert [row["key"] for row in rows] == ["nope", "del"]
    rows = (await listing(client, filled, "descending=true&limit=2", keys))["rows"]
    assert [row["key"] for row in rows] == ["x", "b"]
    assert (await listing(client, filled, "", {"keys": []}))["rows"] == []


async def test_keys_that_are_no_ids_are_not_found(client: httpx.AsyncClient, filled: str) -> None:
    keys = [1, None, {"a": 1}, ["x"], True, "", 1.5]
    rows = (await listing(client, filled, "", {"keys": keys}))["rows"]
    assert rows == [{"key": key, "error": "not_found"} for key in keys]


async def test_one_key_may_be_given_twice_over(client: httpx.AsyncClient, filled: str) -> None:
    for text in (query(key="a"), query(startkey="a", endkey="a")):
        answer = await listing(client, filled, text, {"keys": ["a"]})
        assert (ids(answer), answer["offset"]) == (["a"], None)


async def test_keys_of_the_query_beat_those_of_the_body(client: httpx.AsyncClient, filled: str) -> None:
    text = "keys=" + quote('["c","d"]')
    assert ids(await listing(client, filled, text, {"keys": ["a", "b"]})) == ["c", "d"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (query(startkey="a"), ["a", "b"]),
        (query(startkey="b"), ["a"]),
        (query(key="c"), ["a", "b"]),
        ("keys=" + quote('["c"]'), ["a", "b"]),
    ],
)
async def test_keys_and_ranges_exclude_each_other(
    client: httpx.AsyncClient, filled: str, text: str, keys: list[str]
) -> None:
    response = await client.post(f"{filled}/_all_docs?{text}", json={"keys": keys})
    reason = "`keys` is incompatible with `key`, `start_key` and `end_key`"
    assert refused(response) == (400, "query_parse_error", reason)


@pytest.mark.parametrize("keys", ["x", None, 1, {}])
async def test_keys_must_be_an_array(client: httpx.AsyncClient, filled: str, keys: Any) -> None:
    response = await client.post(f"{filled}/_all_docs", json={"keys": keys})
    assert refused(response) == (400, "bad_request", "`keys` body member must be an array.")
    response = await client.get(f"{filled}/_all_docs?{query(keys=keys)}")
    assert refused(response) == (400, "bad_request", "`keys` parameter must be an array.")


async def test_keys_of_local_documents(client: httpx.AsyncClient, filled: str) -> None:
    rows = (await listing(client, filled, "include_docs=true", {"keys": ["_local/l1", "_local/no"]}))["rows"]
    assert rows == [
        {
            "id": "_local/l1",
            "key": "_local/l1",
            "value": {"rev": "0-1"},
            "doc": {"_id": "_local/l1", "_rev": "0-1", "n": "l1"},
        },
        {"key": "_local/no", "error": "not_found"},
    ]

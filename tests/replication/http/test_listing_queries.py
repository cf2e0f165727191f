"""Several listings in one request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.replication.http.listings import ids, queries
from tests.replication.http.refusals import refused


async def test_queries_answer_one_listing_each(client: httpx.AsyncClient, filled: str) -> None:
    results = await queries(
        client,
        filled,
        {"limit": 1},
        {"keys": ["a", "nope"]},
        {"startkey": "c", "limit": 1, "include_docs": True},
        {"keys": ["b"]},
    )
    assert [(ids({"rows": [r for r in result["rows"] if "id" in r]})) for result in results] == [
        ["Z"],
        ["a"],
        ["c"],
        ["b"],
    ]
    assert [result["offset"] for result in results] == [0, None, 5, 4]
    assert results[1]["rows"][1] == {"key": "nope", "error": "not_found"}
    assert results[2]["rows"][0]["doc"]["n"] == "c"


async def test_queries_framing_is_couchdbs(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}/_all_docs/queries", json={"queries": []})
    assert response.text == '{"results":[\r\n]}\n'
    response = await client.post(f"{db}/_all_docs/queries", json={"queries": [{}, {}]})
    empty = '{"total_rows":0,"offset":0,"rows":[\r\n\r\n]}'
    assert response.text == f'{{"results":[\r\n{empty},\r\n{empty}\r\n]}}\n'


async def test_queries_override_the_query_string(client: httpx.AsyncClient, filled: str) -> None:
    results = await queries(client, filled, {}, {"limit": 2}, text="limit=1")
    assert [len(result["rows"]) for result in results] == [1, 2]


async def test_queries_of_design_and_local_documents(client: httpx.AsyncClient, filled: str) -> None:
    (result,) = await queries(client, filled, {"limit": 1}, path="_design_docs")
    assert ids(result) == ["_design/d"]
    (result,) = await queries(client, filled, {"descending": True}, path="_local_docs")
    assert ids(result) == ["_local/l2", "_local/l1"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "POST body must include `queries` parameter."),
        ({"queries": "x"}, "`queries` member must be an array."),
        ({"queries": [1]}, "Each of the `queries` must be an object."),
        ([], "Request body must be a JSON object"),
    ],
)
async def test_queries_that_are_wrong(client: httpx.AsyncClient, filled: str, body: Any, reason: str) -> None:
    response = await client.post(f"{filled}/_all_docs/queries", json=body)
    assert refused(response) == (400, "bad_request", reason)


async def test_queries_keys_must_be_an_array(client: httpx.AsyncClient, filled: str) -> None:
    response = await client.post(f"{filled}/_all_docs/queries", json={"queries": [{"keys": "x"}]})
    assert refused(response) == (400, "query_parse_error", "`keys` must be an array of strings.")

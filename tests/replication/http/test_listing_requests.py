"""What listings may be asked: parameters of the query and the body, and values that are wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.replication.http.listings import ids, listing, query
from tests.replication.http.refusals import refused


async def test_post_takes_the_parameters_in_its_body(client: httpx.AsyncClient, filled: str) -> None:
    answer = await listing(client, filled, "", {"startkey": "b", "endkey": "c", "include_docs": True})
    assert ids(answer) == ["b", "c"]
    assert answer["rows"][0]["doc"]["n"] == "b"
    assert ids(await listing(client, filled, "", {"descending": True, "limit": 1})) == ["𝄞"]
    assert ids(await listing(client, filled, "", {"descending": "true", "limit": 1})) == ["𝄞"]
    assert ids(await listing(client, filled, "", {"key": "b", "unknown": {"a": [1]}})) == ["b"]


async def test_query_string_beats_body(client: httpx.AsyncClient, filled: str) -> None:
    body = {"startkey": "b", "endkey": "d", "limit": 3}
    assert ids(await listing(client, filled, query(startkey="c"), body)) == ["c", "d"]
    assert ids(await listing(client, filled, "limit=1", body)) == ["b"]


BAD_QUERIES = [
    ("limit=abc", 'Invalid value for integer: "abc"'),
    ("limit=", 'Invalid value for integer: ""'),
    ("limit=1.5", 'Invalid value for integer: "1.5"'),
    ("limit=-1", 'Invalid value for positive integer: "-1"'),
    ("limit=99999999999999999999", "Limit is too large, must not exceed 576460752303423487"),
    ("skip=abc", 'Invalid value for integer: "abc"'),
    ("skip=-1", 'Invalid value for positive integer: "-1"'),
    *((f"{name}=abc", 'Invalid boolean parameter: "abc"') for name in ("descending", "include_docs")),
    *(
        (f"{name}=abc", 'Invalid boolean parameter: "abc"')
        for name in ("inclusive_end", "conflicts", "sorted")
    ),
    *(
        (f"{name}=abc", 'Invalid boolean parameter: "abc"')
        for name in ("attachments", "update_seq", "reduce")
    ),
    ("reduce=true", "Reduce is invalid for map-only views."),
    ("group=true", "Invalid use of grouping on a map view."),
    ("group_level=1", "Invalid use of grouping on a map view."),
    ("group_level=x", 'Invalid value for integer: "x"'),
    ("stale=abc", "Invalid value for `stale`."),
    ("update=abc", "Invalid value for `update`."),
    ("stable=abc", "Invalid value for `stable`."),
    ("partition=x", "`partition` parameter is not supported on this db"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_QUERIES)
async def test_bad_values_in_the_query_are_400(
    client: httpx.AsyncClient, filled: str, text: str, reason: str
) -> None:
    assert refused(await client.get(f"{filled}/_all_docs?{text}")) == (400, "query_parse_error", reason)


@pytest.mark.parametrize("name", ["startkey", "endkey", "start_key", "end_key", "key", "keys"])
@pytest.mark.parametrize("value", ["abc", '"a', ""])
async def test_keys_in_the_query_are_json(
    client: httpx.AsyncClient, filled: str, name: str, value: str
) -> None:
    response = await client.get(f"{filled}/_all_docs?{name}={quote(value)}")
    assert refused(response) == (400, "bad_request", "invalid UTF-8 JSON")


BAD_MEMBERS: list[tuple[dict[str, Any], str]] = [
    ({"limit": "2"}, 'Invalid value for integer: "2"'),
    ({"limit": -1}, "Invalid value for positive integer: -1"),
    ({"limit": 1.5}, "Invalid value for integer: 1.5"),
    ({"limit": None}, "Invalid value for integer: null"),
    ({"limit": []}, "Invalid value for integer: []"),
    ({"limit": True}, "Invalid value for integer: true"),
    ({"skip": "x"}, 'Invalid value for integer: "x"'),
    ({"descending": 1}, "Invalid boolean parameter: 1"),
    ({"descending": None}, "Invalid boolean parameter: null"),
    ({"descending": []}, "Invalid boolean parameter: []"),
    ({"include_docs": "x"}, 'Invalid boolean parameter: "x"'),
    ({"stale": "x"}, "Invalid value for `stale`."),
    ({"update": 1}, "Invalid value for `update`."),
    ({"reduce": True}, "Reduce is invalid for map-only views."),
    ({"group": True}, "Invalid use of grouping on a map view."),
    ({"partition": "x"}, "`partition` parameter is not supported on this db"),
]


@pytest.mark.parametrize(("body", "reason"), BAD_MEMBERS)
async def test_bad_values_in_the_body_are_400(
    client: httpx.AsyncClient, filled: str, body: dict[str, Any], reason: str
) -> None:
    expected = (400, "query_parse_error", reason)
    assert refused(await client.post(f"{filled}/_all_docs", json=body)) == expected
    assert refused(await client.post(f"{filled}/_all_docs/queries", json={"queries": [body]})) == expected


async def test_requests_as_a_whole(client: httpx.AsyncClient, filled: str) -> None:
    for path in ("_all_docs", "_design_docs", "_local_docs"):
        response = await client.post(
            f"{filled}/{path}", content=b"{}", headers={"content-type": "text/plain"}
        )
        assert response.status_code == 415
        for body in (b"", b"{", b"[]", b"1"):
            response = await client.post(
                f"{filled}/{path}", content=body, headers={"content-type": "application/json"}
            )
            assert (response.status_code, response.json()["error"]) == (400, "bad_request")
        for method in ("PUT", "DELETE"):
            response = await client.request(method, f"{filled}/{path}")
            assert (response.status_code, response.headers["allow"]) == (405, "GET,HEAD,POST")
            response = await client.request(method, f"{filled}/{path}/queries")
            assert (response.status_code, response.headers["allow"]) == (405, "POST")
        response = await client.head(f"{filled}/{path}")
        assert (response.status_code, response.content) == (200, b"")
        assert refused(await client.get(f"{filled}/{path}/x")) == (404, "not_found", "missing")
        assert (await client.get(f"/none/{path}")).json()["reason"] == "Database does not exist."

from __future__ import annotations

import httpx
import pytest

from replication.http.root import MAX_INFO_KEYS
from replication.store.interface import Store


async def make(client: httpx.AsyncClient, *names: str) -> None:
    for name in names:
        assert (await client.put(f"/{name}")).status_code == 201


async def test_welcome_has_what_clients_look_for(client: httpx.AsyncClient, store: Store) -> None:
    response = await client.get("/")
    assert response.status_code == 200
    body = response.json()
    assert body["couchdb"] == "Welcome"
    assert body["version"].startswith("3.")
    assert body["uuid"] == store.uuid
    assert isinstance(body["features"], list)
    assert "name" in body["vendor"]


async def test_up_says_ok(client: httpx.AsyncClient) -> None:
    response = await client.get("/_up")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "seeds": {}})


async def test_uuids_are_hex_and_one_unless_asked_for_more(client: httpx.AsyncClient) -> None:
    (one,) = (await client.get("/_uuids")).json()["uuids"]
    assert len(one) == 32
    assert int(one, 16)
    many = (await client.get("/_uuids?count=1000")).json()["uuids"]
    assert len(set(many)) == 1000
    assert (await client.get("/_uuids?count=0")).json() == {"uuids": []}


async def test_uuids_must_not_be_cached(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/_uuids")).headers
    assert headers["cache-control"] == "no-cache"
    assert headers["pragma"] == "no-cache"
    assert headers["expires"] == "Mon, 01 Jan 1990 00:00:00 GMT"
    assert headers["etag"]


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        ("1001", "count parameter too large"),
        ("-1", "count must be a positive integer"),
        ("x", "count must be a positive integer"),
        ("1.5", "count must be a positive integer"),
        ("", "count must be a positive integer"),
    ],
)
async def test_uuids_refuses_a_bad_count(client: httpx.AsyncClient, count: str, reason: str) -> None:
    response = await client.get("/_uuids", params={"count": count})
    assert (response.status_code, response.json()) == (400, {"error": "bad_request", "reason": reason})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a-b", "a/b", "ab", "b", "c"]),
        ("limit=2", ["a-b", "a/b"]),
        ("skip=3", ["b", "c"]),
        ("skip=1&limit=1", ["a/b"]),
        ("limit=0", []),
        ("descending=true", ["c", "b", "ab", "a/b", "a-b"]),
        ('startkey="ab"', ["ab", "b", "c"]),
        ('start_key="ab"', ["ab", "b", "c"]),
        ('endkey="ab"', ["a-b", "a/b", "ab"]),
        ('end_key="ab"&inclusive_end=false', ["a-b", "a/b"]),
        ('startkey="b"&endkey="a/"&descending=true', ["b", "ab", "a/b"]),
        ('key="b"', ["b"]),
        ("startkey=1", ["a-b", "a/b", "ab", "b", "c"]),
        ("endkey=null", []),
        ("endkey=null&descending=true", ["c", "b", "ab", "a/b", "a-b"]),
    ],
)
async def test_all_dbs_lists_a_range_of_names_in_byte_order(
    client: httpx.AsyncClient, query: str, expected: list[str]
) -> None:
    await make(client, "c", "a%2Fb", "ab", "a-b", "b")
    response = await client.get(f"/_all_dbs?{query}")
    assert response.status_code == 200
    assert response.json() == expected


@pytest.mark.parametrize(
    ("query", "error", "reason"),
    [
        ("descending=x", "query_parse_error", 'Invalid boolean parameter: "x"'),
        ("limit=x", "query_parse_error", 'Invalid value for integer: "x"'),
        ("limit=-1", "query_parse_error", 'Invalid value for positive integer: "-1"'),
        ("startkey=abc", "bad_request", "invalid UTF-8 JSON"),
    ],
)
async def test_all_dbs_refuses_bad_parameters(
    client: httpx.AsyncClient, query: str, error: str, reason: str
) -> None:
    response = await client.get(f"/_all_dbs?{query}")
    assert (response.status_code, response.json()) == (400, {"error": error, "reason": reason})


async def test_all_dbs_is_304_while_nothing_changed(client: httpx.AsyncClient) -> None:
    await make(client, "a")
    etag = (await client.get("/_all_dbs")).headers["etag"]
    again = await client.get("/_all_dbs", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    await make(client, "b")
    assert (await client.get("/_all_dbs", headers={"If-None-Match": etag})).status_code == 200


async def test_dbs_info_of_all(client: httpx.AsyncClient) -> None:
    await make(client, "a", "b")
    rows = (await client.get("/_dbs_info")).json()
    assert [row["key"] for row in rows] == ["a", "b"]
    assert rows[0]["info"] == (await client.get("/a")).json()


async def test_dbs_info_of_keys_has_a_row_for_each(client: httpx.AsyncClient) -> None:
    await make(client, "a")
    rows = (await client.post("/_dbs_info", json={"keys": ["a", "nope", 1, "Illegal"]})).json()
    assert rows[0]["info"]["db_name"] == "a"
    assert rows[1:] == [{"key": key, "error": "not_found"} for key in ("nope", 1, "Illegal")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "`keys` member must exist."),
        ({"keys": "x"}, "`keys` member must be an array."),
        ([], "Request body must be a JSON object"),
        ({"keys": ["a"] * (MAX_INFO_KEYS + 1)}, "too_many_keys"),
    ],
)
async def test_dbs_info_refuses_bad_keys(client: httpx.AsyncClient, body: object, reason: str) -> None:
    response = await client.post("/_dbs_info", json=body)
    assert (response.status_code, response.json()) == (400, {"error": "bad_request", "reason": reason})


async def test_dbs_info_wants_json(client: httpx.AsyncClient) -> None:
    response = await client.post("/_dbs_info", content=b'{"keys":[]}', headers={"Content-Type": "text/plain"})
    assert response.status_code == 415


async def test_active_tasks_are_none_on_an_idle_server(client: httpx.AsyncClient) -> None:
    await make(client, "a")
    assert (await client.get("/_active_tasks")).json() == []


@pytest.mark.parametrize("path", ["/", "/_up", "/_uuids", "/_all_dbs", "/_active_tasks"])
async def test_other_methods_are_405_with_allow(client: httpx.AsyncClient, path: str) -> None:
    response = await client.put(path)
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
    assert response.json()["error"] == "method_not_allowed"

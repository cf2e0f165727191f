"""What the changes feed may be asked: bodies, parameters, methods, and values that can't be read."""

from __future__ import annotations

import httpx
import pytest

from tests.replication.http.batches import A, replicate, revision
from tests.replication.http.changes import ALL, changes, ids
from tests.replication.http.refusals import refused


async def test_post_with_empty_body_is_allowed(client: httpx.AsyncClient, feed: str) -> None:
    response = await client.post(f"{feed}/_changes", headers={"content-type": "application/json"})
    assert ids(response.json()) == ALL


async def test_post_insists_on_a_json_object(client: httpx.AsyncClient, feed: str) -> None:
    headers = {"content-type": "application/json"}
    for body in (b"[]", b'"x"', b"1", b"null"):
        response = await client.post(f"{feed}/_changes", content=body, headers=headers)
        assert refused(response) == (400, "bad_request", "Request body must be a JSON object")
    response = await client.post(f"{feed}/_changes", content=b"{}", headers={"content-type": "text/plain"})
    assert response.status_code == 415
    response = await client.post(f"{feed}/_changes", content=b"{", headers=headers)
    assert refused(response) == (400, "bad_request", "invalid UTF-8 JSON")


async def test_parameters_count_in_the_query_only(client: httpx.AsyncClient, feed: str) -> None:
    assert ids(await changes(client, feed, "", {"since": "now", "limit": 1, "feed": "x"})) == ALL


async def test_parameter_names_count_in_any_case(client: httpx.AsyncClient, feed: str) -> None:
    assert ids(await changes(client, feed, "LIMIT=1&Descending=true")) == ["x"]


@pytest.mark.parametrize(
    "query",
    [
        "unknown=1",
        "descending=abc",
        "include_docs=True",
        "conflicts=1",
        "skip=x",
        "r=abc",
        "view=x",
        "doc_ids=x",
    ],
)
async def test_what_is_not_understood_is_ignored(client: httpx.AsyncClient, feed: str, query: str) -> None:
    answer = await changes(client, feed, query)
    assert ids(answer) == ALL
    assert "doc" not in answer["results"][0]


HEARTBEAT = "Invalid heartbeat value. Expecting a positive integer value (in milliseconds)."


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("feed=foo", "Supported `feed` types: normal, continuous, live, longpoll, eventsource"),
        ("feed=", "Supported `feed` types: normal, continuous, live, longpoll, eventsource"),
        ("heartbeat=abc", HEARTBEAT),
        ("heartbeat=", HEARTBEAT),
        ("heartbeat=false", HEARTBEAT),
        ("heartbeat=1.5", HEARTBEAT),
        ("heartbeat=0", "The heartbeat value should be a positive integer (in milliseconds)."),
        ("heartbeat=-1", "The heartbeat value should be a positive integer (in milliseconds)."),
        ("seq_interval=abc", "invalid_seq_interval"),
        ("seq_interval=0", "invalid_seq_interval"),
        ("limit=abc", 'Invalid value for integer `limit`: "abc"'),
        ("limit=", 'Invalid value for integer `limit`: ""'),
        ("limit=1.5", 'Invalid value for integer `limit`: "1.5"'),
        ("timeout=abc", 'Invalid value for integer `timeout`: "abc"'),
        ("feed=longpoll&timeout=-1", "The timeout value should be a positive integer (in milliseconds)."),
        ("style=foo", 'Invalid style: "foo"; it is main_only or all_docs'),
        ("style=", 'Invalid style: ""; it is main_only or all_docs'),
    ],
)
async def test_values_that_cannot_be_read_are_400(
    client: httpx.AsyncClient, feed: str, query: str, reason: str
) -> None:
    assert refused(await client.get(f"{feed}/_changes?{query}")) == (400, "bad_request", reason)


async def test_etag_changes_with_the_database(client: httpx.AsyncClient, feed: str) -> None:
    etag = (await client.get(f"{feed}/_changes")).headers["etag"]
    for header in (etag, f"W/{etag}"):
        response = await client.get(f"{feed}/_changes?limit=1", headers={"if-none-match": header})
        assert (response.status_code, response.content) == (304, b"")
    await replicate(client, feed, revision("new", 1, [A]))
    assert (await client.get(f"{feed}/_changes", headers={"if-none-match": etag})).status_code == 200
    assert "etag" not in (await client.get(f"{feed}/_changes?feed=longpoll&limit=1")).headers


async def test_head_answers_the_headers(client: httpx.AsyncClient, feed: str) -> None:
    for query in ("", "?feed=longpoll&since=now&heartbeat=1000", "?feed=continuous"):
        response = await client.head(f"{feed}/_changes{query}")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"] == "application/json"


async def test_other_methods_and_databases(client: httpx.AsyncClient, feed: str) -> None:
    for method in ("PUT", "DELETE"):
        response = await client.request(method, f"{feed}/_changes")
        assert (response.status_code, response.headers["allow"]) == (405, "GET,POST,HEAD")
    for feed_type in ("normal", "longpoll"):
        response = await client.get(f"/none/_changes?feed={feed_type}")
        assert refused(response) == (404, "not_found", "Database does not exist.")

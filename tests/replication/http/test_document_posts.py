"""Single documents that are posted to a database."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.replication.http.batches import A
from tests.replication.http.documents import CONFLICT
from tests.replication.http.refusals import refused


async def test_post_gives_a_document_without_id_a_fresh_one(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(db, json={"v": 1, "_rev": f"1-{A}"})
    body = response.json()
    assert response.status_code == 201
    assert re.fullmatch(r"[0-9a-f]{32}", body["id"])
    assert body["rev"].startswith("1-")
    assert response.headers["location"] == f"http://server/db/{body['id']}"
    assert "etag" not in response.headers
    assert (await client.get(f"{db}/{body['id']}")).json()["v"] == 1


async def test_post_uses_the_id_and_rev_of_the_body(client: httpx.AsyncClient, db: str) -> None:
    rev = (await client.post(db, json={"_id": "a"})).json()["rev"]
    assert (await client.post(db, json={"_id": "a", "_rev": rev})).json()["rev"].startswith("2-")
    assert refused(await client.post(db, json={"_id": "a"})) == CONFLICT


async def test_post_of_a_deletion_is_201(client: httpx.AsyncClient, db: str) -> None:
    assert (await client.post(db, json={"_id": "a", "_deleted": True})).status_code == 201


async def test_post_of_a_local_document_stores_it_as_one(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(db, json={"_id": "_local/x", "_rev": "0-5", "v": 1})
    assert (response.status_code, response.json()) == (201, {"ok": True, "id": "_local/x", "rev": "0-6"})
    assert response.headers["location"] == "http://server/db/_local%2Fx"
    assert (await client.get(f"{db}/_local/x")).json()["v"] == 1


async def test_post_with_batch_ok_answers_202(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}?batch=ok", json={"_id": "a"})
    assert (response.status_code, response.json()) == (202, {"ok": True, "id": "a"})


async def test_post_insists_on_json(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(db, content=b"{}")
    assert refused(response) == (415, "bad_content_type", "Content-Type must be application/json")
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await client.post(db, content=b"{}", headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        ([], "bad_request", "Document must be a JSON object"),
        ({"_id": ""}, "illegal_docid", "Document id must not be empty"),
        ({"_id": 1}, "illegal_docid", "Document id must be a string"),
        ({"_id": "_foo"}, "illegal_docid", "Only reserved document ids may start with underscore."),
        ({"_id": "_design/"}, "illegal_docid", "Illegal document id `_design/`"),
        ({"_id": "_local/"}, "illegal_docid", "Illegal document id `_local/`"),
    ],
)
async def test_post_refuses_bad_documents(
    client: httpx.AsyncClient, db: str, body: object, error: str, reason: str
) -> None:
    assert refused(await client.post(db, json=body)) == (400, error, reason)
    assert (await client.get(db)).json()["doc_count"] == 0

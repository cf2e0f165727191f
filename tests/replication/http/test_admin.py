"""Upkeep of a database: `_security`, `_revs_limit`, `_compact`, `_view_cleanup`, `_purge`."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

JSON = {"Content-Type": "application/json"}


def answer(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["reason"]


async def test_security_is_kept_with_members_of_its_own(client: httpx.AsyncClient, db: str) -> None:
    security = {"members": {"roles": ["a"], "x": 1}, "admins": {"names": []}, "cloudant": {"y": [1]}}
    response = await client.put(f"{db}/_security", json=security)
    assert (response.status_code, response.json()) == (200, {"ok": True})
    assert (await client.get(f"{db}/_security")).json() == security


@pytest.mark.parametrize(
    ("security", "reason"),
    [
        ([], "Request body must be a JSON object"),
        (None, "Request body must be a JSON object"),
        ({"admins": []}, "admins or members must be a JSON list of strings"),
        ({"members": 3}, "admins or members must be a JSON list of strings"),
        ({"admins": {"names": "anna"}}, "names must be a JSON list of strings"),
        ({"members": {"names": [None]}}, "names must be a JSON list of strings"),
        ({"members": {"roles": [1]}}, "roles must be a JSON list of strings"),
        ({"readers": {"roles": {}}}, "roles must be a JSON list of strings"),
    ],
)
async def test_security_of_another_shape_is_400(
    client: httpx.AsyncClient, db: str, security: Any, reason: str
) -> None:
    before = (await client.get(f"{db}/_security")).json()
    response = await client.put(f"{db}/_security", content=json.dumps(security))
    assert answer(response) == (400, reason)
    assert (await client.get(f"{db}/_security")).json() == before


async def test_revs_limit(client: httpx.AsyncClient, db: str) -> None:
    assert (await client.get(f"{db}/_revs_limit")).text == "1000\n"
    assert (await client.put(f"{db}/_revs_limit", content=b"5")).json() == {"ok": True}
    assert (await client.get(f"{db}/_revs_limit")).json() == 5
    for wrong in (b"0", b"-1", b'"x"', b"1.5", b"null", b"true", b"99999999999999999999"):
        response = await client.put(f"{db}/_revs_limit", content=wrong)
        assert answer(response) == (400, "`revs_limit` must be positive integer")
    assert (await client.get(f"{db}/_revs_limit")).json() == 5


async def test_compact(client: httpx.AsyncClient, db: str) -> None:
    rev = (await client.put(f"{db}/a", json={"n": 1})).json()["rev"]
    await client.put(f"{db}/a", json={"n": 2, "_rev": rev})
    assert (await client.get(f"{db}/a?rev={rev}")).status_code == 200
    response = await client.post(f"{db}/_compact", headers=JSON)
    assert (response.status_code, response.json()) == (202, {"ok": True})
    assert (await client.get(f"{db}/a?rev={rev}")).status_code == 404
    assert (await client.get(f"{db}/a")).json()["n"] == 2


async def test_compact_wants_json_and_views_want_their_design_document(
    client: httpx.AsyncClient, db: str
) -> None:
    assert answer(await client.post(f"{db}/_compact")) == (415, "Content-Type must be application/json")
    assert answer(await client.post(f"{db}/_compact/none", headers=JSON)) == (404, "missing")
    await client.put(f"{db}/_design/d", json={})
    assert (await client.post(f"{db}/_compact/d", headers=JSON)).status_code == 202


async def test_view_cleanup(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}/_view_cleanup")
    assert (response.status_code, response.json()) == (202, {"ok": True})
    assert answer(await client.post("/none/_view_cleanup")) == (404, "Database does not exist.")


async def test_purge_answers_what_went(client: httpx.AsyncClient, db: str) -> None:
    rev = (await client.put(f"{db}/a", json={})).json()["rev"]
    await client.put(f"{db}/b", json={})
    body = {"a": [rev], "b": ["1-ffffffffffffffffffffffffffffffff"], "none": ["1-a"], "nothing": []}
    response = await client.post(f"{db}/_purge", json=body)
    assert response.status_code == 201
    assert response.json() == {
        "purge_seq": None,
        "purged": {"a": [rev], "b": [], "none": [], "nothing": []},
    }
    assert answer(await client.get(f"{db}/a")) == (404, "missing")
    assert (await client.get(f"{db}/b")).status_code == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([], "Request body must be a JSON object"),
        ({"a": "1-a"}, "Invalid list of revisions"),
        ({"a": ["x"]}, "Invalid rev format"),
        ({"a": [1]}, "Invalid rev format"),
        ({f"d{n}": [] for n in range(101)}, "Exceeded maximum number of documents."),
        ({"a": [f"{n}-a" for n in range(1, 1002)]}, "Exceeded maximum number of revisions."),
    ],
)
async def test_purge_of_another_shape_is_400(
    client: httpx.AsyncClient, db: str, body: Any, reason: str
) -> None:
    assert answer(await client.post(f"{db}/_purge", json=body)) == (400, reason)


async def test_purge_takes_as_much_as_couchdb(client: httpx.AsyncClient, db: str) -> None:
    body = {f"d{n}": [f"{m}-a" for m in range(1, 11)] for n in range(100)}
    assert (await client.post(f"{db}/_purge", json=body)).status_code == 201
    assert (await client.post(f"{db}/_purge", content=b"{}")).status_code == 415

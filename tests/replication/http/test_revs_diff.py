"""Which revisions are missing: `_revs_diff`, `_missing_revs`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from replication.http import bulk as bulk_endpoints
from tests.replication.http.batches import A, B, C, D, E


async def ask(client: httpx.AsyncClient, db: str, asked: Any) -> tuple[Any, Any]:
    diff = await client.post(f"{db}/_revs_diff", json=asked)
    missing = await client.post(f"{db}/_missing_revs", json=asked)
    assert diff.status_code == missing.status_code == 200
    return diff.json(), missing.json()


async def test_revs_diff_lists_only_documents_that_miss_something(
    conflicted: str, client: httpx.AsyncClient
) -> None:
    asked = {"x": [f"1-{A}", f"2-{B}", f"3-{E}"], "nope": [f"1-{A}"], "none": []}
    diff, missing = await ask(client, conflicted, asked)
    assert diff == {
        "x": {"missing": [f"3-{E}"], "possible_ancestors": [f"2-{C}", f"2-{B}", f"2-{D}"]},
        "nope": {"missing": [f"1-{A}"]},
    }
    assert missing == {"missing_revs": {"x": [f"3-{E}"], "nope": [f"1-{A}"]}}


async def test_revs_diff_possible_ancestors_are_leaves_below_the_greatest_missing(
    conflicted: str, client: httpx.AsyncClient
) -> None:
    diff, _ = await ask(client, conflicted, {"x": [f"2-{E}"]})
    assert diff == {"x": {"missing": [f"2-{E}"]}}
    diff, _ = await ask(client, conflicted, {"x": [f"2-{E}", f"5-{E}"]})
    assert diff["x"]["possible_ancestors"] == [f"2-{C}", f"2-{B}", f"2-{D}"]


async def test_revs_diff_knows_interior_revisions_and_tombstones(
    conflicted: str, client: httpx.AsyncClient
) -> None:
    await client.post(f"{conflicted}/_compact", json={})
    assert await ask(client, conflicted, {"x": [f"1-{A}", f"2-{D}"]}) == ({}, {"missing_revs": {}})


async def test_revs_diff_takes_hashes_in_any_case(conflicted: str, client: httpx.AsyncClient) -> None:
    assert (await ask(client, conflicted, {"x": [f"1-{A.upper()}"]}))[0] == {}


async def test_revs_diff_in_pieces_answers_as_in_one(
    conflicted: str, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {
        "x": [f"1-{A}", f"2-{E}", f"2-{B}", f"5-{E}", f"3-{E}"],
        "nope": [f"1-{A}", f"2-{A}", f"3-{A}"],
        "none": [],
        "also": [f"1-{B}"],
    }
    whole = await ask(client, conflicted, asked)
    for size in (1, 2, 3, 4):
        monkeypatch.setattr(bulk_endpoints, "_LOOKED_UP", size)
        assert await ask(client, conflicted, asked) == whole
    assert whole[0]["x"]["missing"] == [f"2-{E}", f"5-{E}", f"3-{E}"]
    assert whole[0]["x"]["possible_ancestors"] == [f"2-{C}", f"2-{B}", f"2-{D}"]


async def test_revs_diff_of_nothing(client: httpx.AsyncClient, db: str) -> None:
    assert await ask(client, db, {}) == ({}, {"missing_revs": {}})


@pytest.mark.parametrize("revs", ["x", 1, None, {}, ["abc"], [1], [None], [f"3-{E}", "x"], [[]]])
@pytest.mark.parametrize("endpoint", ["_revs_diff", "_missing_revs"])
async def test_revs_diff_bad_revisions_are_400(
    client: httpx.AsyncClient, db: str, endpoint: str, revs: Any
) -> None:
    response = await client.post(f"{db}/{endpoint}", json={"x": revs})
    assert (response.status_code, response.json()["error"]) == (400, "bad_request")

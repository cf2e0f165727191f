"""Many revisions at once: `_bulk_get`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.replication.http.batches import HELLO, HELLO_DIGEST, A, B, C, D, F, replicate, revision

NOT_FOUND = {"error": "not_found", "reason": "missing"}


async def bulk_get(client: httpx.AsyncClient, db: str, *docs: Any, query: str = "") -> Any:
    response = await client.post(f"{db}/_bulk_get{query}", json={"docs": docs})
    assert response.status_code == 200
    assert list(response.json()) == ["results"]
    return response.json()["results"]


async def test_bulk_get_answers_in_order_of_the_requests(client: httpx.AsyncClient, db: str) -> None:
    await replicate(client, db, revision("a", 1, [A], v=1), revision("b", 1, [B]))
    results = await bulk_get(client, db, {"id": "b"}, {"id": "nope"}, {"id": "a"}, {"id": "b"})
    b = {"id": "b", "docs": [{"ok": {"_id": "b", "_rev": f"1-{B}"}}]}
    missing = {"error": {"id": "nope", "rev": "undefined", **NOT_FOUND}}
    assert results == [
        b,
        {"id": "nope", "docs": [missing]},
        {"id": "a", "docs": [{"ok": {"_id": "a", "_rev": f"1-{A}", "v": 1}}]},
        b,
    ]


async def test_bulk_get_of_nothing(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}/_bulk_get", json={"docs": []})
    assert response.content == b'{"results":[]}\n'


async def test_bulk_get_without_revision_answers_all_leaves(
    conflicted: str, client: httpx.AsyncClient
) -> None:
    ((row),) = await bulk_get(client, conflicted, {"id": "x"})
    assert [doc["ok"]["_rev"] for doc in row["docs"]] == [f"2-{C}", f"2-{B}", f"2-{D}"]
    assert row["docs"][2]["ok"]["_deleted"] is True


async def test_bulk_get_of_one_revision(conflicted: str, client: httpx.AsyncClient) -> None:
    results = await bulk_get(client, conflicted, {"id": "x", "rev": f"1-{A}"}, {"id": "x", "rev": f"2-{D}"})
    assert results[0]["docs"] == [{"ok": {"_id": "x", "_rev": f"1-{A}", "v": 1}}]
    assert results[1]["docs"] == [{"ok": {"_id": "x", "_rev": f"2-{D}", "_deleted": True}}]


async def test_bulk_get_of_a_deleted_document_answers_its_tombstone(
    client: httpx.AsyncClient, db: str
) -> None:
    await replicate(client, db, revision("a", 2, [B, A], _deleted=True))
    ((row),) = await bulk_get(client, db, {"id": "a"})
    assert row["docs"] == [{"ok": {"_id": "a", "_rev": f"2-{B}", "_deleted": True}}]


async def test_bulk_get_missing_revisions_are_rows(conflicted: str, client: httpx.AsyncClient) -> None:
    results = await bulk_get(
        client, conflicted, {"id": "x", "rev": f"9-{F}"}, {"id": "nope", "rev": f"1-{A}"}
    )
    assert results == [
        {"id": "x", "docs": [{"error": {"id": "x", "rev": f"9-{F}", **NOT_FOUND}}]},
        {"id": "nope", "docs": [{"error": {"id": "nope", "rev": f"1-{A}", **NOT_FOUND}}]},
    ]


async def test_bulk_get_revs_adds_the_history(conflicted: str, client: httpx.AsyncClient) -> None:
    ((row),) = await bulk_get(client, conflicted, {"id": "x", "rev": f"2-{B}"}, query="?revs=true")
    assert row["docs"] == [
        {"ok": {"_id": "x", "_rev": f"2-{B}", "v": "b", "_revisions": {"start": 2, "ids": [B, A]}}}
    ]
    ((row),) = await bulk_get(client, conflicted, {"id": "x"}, query="?revs=true")
    assert [doc["ok"]["_revisions"]["ids"] for doc in row["docs"]] == [[C, A], [B, A], [D, A]]


async def test_bulk_get_latest_answers_the_leaves_below(conflicted: str, client: httpx.AsyncClient) -> None:
    inner, leaf = await bulk_get(
        client,
        conflicted,
        {"id": "x", "rev": f"1-{A}"},
        {"id": "x", "rev": f"2-{B}"},
        query="?latest=true&revs=true",
    )
    assert {doc["ok"]["_rev"] for doc in inner["docs"]} == {f"2-{C}", f"2-{B}", f"2-{D}"}
    assert [doc["ok"]["_rev"] for doc in leaf["docs"]] == [f"2-{B}"]


@pytest.fixture
async def attached(client: httpx.AsyncClient, db: str) -> str:
    """`a` has at 2-b one attachment from 1-a and one of its own."""
    old = {"content_type": "image/png", "data": HELLO}
    await replicate(client, db, revision("a", 1, [A], _attachments={"old": old}))
    new = {"content_type": "image/png", "data": "d29ybGQ="}
    await replicate(client, db, revision("a", 2, [B, A], _attachments={"old": {"stub": True}, "new": new}))
    return db


def _kinds(row: Any) -> dict[str, str]:
    attachments = row["docs"][0]["ok"]["_attachments"]
    return {name: "data" if "data" in entry else "stub" for name, entry in attachments.items()}


async def test_bulk_get_attachments_are_stubs_unless_asked_for(
    attached: str, client: httpx.AsyncClient
) -> None:
    ((row),) = await bulk_get(client, attached, {"id": "a"})
    assert _kinds(row) == {"old": "stub", "new": "stub"}
    ((row),) = await bulk_get(client, attached, {"id": "a"}, query="?attachments=true&revs=true")
    assert row["docs"][0]["ok"]["_attachments"]["old"] == {
        "content_type": "image/png",
        "revpos": 1,
        "digest": HELLO_DIGEST,
        "data": HELLO,
    }
    assert row["docs"][0]["ok"]["_revisions"] == {"start": 2, "ids": [B, A]}


async def test_bulk_get_atts_since_inlines_what_is_newer(attached: str, client: httpx.AsyncClient) -> None:
    rows = await bulk_get(
        client,
        attached,
        {"id": "a", "atts_since": [f"1-{A}"]},
        {"id": "a", "rev": f"2-{B}", "atts_since": [f"2-{B}"]},
        {"id": "a", "atts_since": [f"1-{F}"]},
        {"id": "a", "atts_since": []},
    )
    assert [_kinds(row) for row in rows] == [
        {"old": "stub", "new": "data"},
        {"old": "stub", "new": "stub"},
        {"old": "data", "new": "data"},
        {"old": "stub", "new": "stub"},
    ]


BAD_REQUESTS: list[tuple[Any, Any, Any, str, str]] = [
    ("x", None, None, "bad_request", "document must be a JSON object"),
    (None, None, None, "bad_request", "document must be a JSON object"),
    ({}, None, None, "bad_request", "document must be a JSON object"),
    ({"rev": f"1-{A}"}, None, None, "bad_request", "document id missed"),
    ({"id": 1}, 1, None, "illegal_docid", "Document id must be a string"),
    ({"id": ""}, "", None, "illegal_docid", "Document id must not be empty"),
    (
        {"id": "_x", "rev": "abc"},
        "_x",
        None,
        "illegal_docid",
        "Only reserved document ids may start with underscore.",
    ),
    ({"id": "x", "rev": "abc"}, "x", "abc", "bad_request", "Invalid rev format"),
    ({"id": "x", "rev": 1}, "x", 1, "bad_request", "Invalid rev format"),
    ({"id": "x", "rev": None}, "x", None, "bad_request", "Invalid rev format"),
    ({"id": "x", "atts_since": "y"}, "x", "y", "bad_request", "att_since value must be array of revs."),
    ({"id": "x", "atts_since": None}, "x", None, "bad_request", "att_since value must be array of revs."),
    ({"id": "x", "atts_since": [1]}, "x", 1, "bad_request", "Invalid rev format"),
    ({"id": "_local/x"}, "_local/x", "undefined", "not_found", "missing"),
]


@pytest.mark.parametrize(("request_", "docid", "rev", "error", "reason"), BAD_REQUESTS)
async def test_bulk_get_faults_of_a_request_are_in_its_row(
    conflicted: str, client: httpx.AsyncClient, request_: Any, docid: Any, rev: Any, error: str, reason: str
) -> None:
    good = {"id": "x", "rev": f"2-{C}"}
    before, row, after = await bulk_get(client, conflicted, good, request_, good)
    assert before == after
    assert row == {
        "id": docid,
        "docs": [{"error": {"id": docid, "rev": rev, "error": error, "reason": reason}}],
    }


@pytest.mark.parametrize("body", [{}, {"docs": "x"}, {"docs": None}, {"docs": {}}])
async def test_bulk_get_without_a_list_is_400(client: httpx.AsyncClient, db: str, body: Any) -> None:
    response = await client.post(f"{db}/_bulk_get", json=body)
    assert (response.status_code, response.json()["error"]) == (400, "bad_request")


@pytest.mark.parametrize("name", ["rev", "open_revs", "atts_since", "new_edits", "w"])
async def test_bulk_get_refuses_parameters_of_single_documents(
    client: httpx.AsyncClient, db: str, name: str
) -> None:
    response = await client.post(f"{db}/_bulk_get?{name}=x", json={"docs": []})
    assert response.status_code == 400
    assert response.json() == {
        "error": "bad_request",
        "reason": f'"{name}" query parameter is not acceptable',
    }


@pytest.mark.parametrize("accept", ["application/json", "*/*", "multipart/mixed, application/json"])
async def test_bulk_get_is_json_wherever_json_is_accepted(
    client: httpx.AsyncClient, db: str, accept: str
) -> None:
    response = await client.post(f"{db}/_bulk_get", json={"docs": []}, headers={"accept": accept})
    assert response.headers["content-type"] == "application/json"

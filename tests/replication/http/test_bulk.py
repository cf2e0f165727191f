"""Batches: `_bulk_docs`, `_bulk_get`, `_revs_diff`, `_missing_revs`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replication.http import bulk as bulk_endpoints
from tests.replication.http.conftest import Serve

A, B, C, D, E, F = (letter * 32 for letter in "abcdef")
HELLO = "aGVsbG8="
HELLO_DIGEST = "md5-XUFAKrxLKna5cZ2REBfFkg=="
PUBLIC: dict[str, Any] = {"members": {"names": [], "roles": []}}
NOT_FOUND = {"error": "not_found", "reason": "missing"}


async def bulk(client: httpx.AsyncClient, db: str, docs: Any, **members: Any) -> httpx.Response:
    return await client.post(f"{db}/_bulk_docs", json={"docs": docs, **members})


async def replicate(client: httpx.AsyncClient, db: str, *docs: dict[str, Any]) -> Any:
    response = await bulk(client, db, list(docs), new_edits=False)
    assert response.status_code == 201
    return response.json()


def revision(docid: str, start: int, ids: list[str], **members: Any) -> dict[str, Any]:
    return {"_id": docid, "_rev": f"{start}-{ids[0]}", "_revisions": {"start": start, "ids": ids}, **members}


async def bulk_get(client: httpx.AsyncClient, db: str, *docs: Any, query: str = "") -> Any:
    response = await client.post(f"{db}/_bulk_get{query}", json={"docs": docs})
    assert response.status_code == 200
    assert list(response.json()) == ["results"]
    return response.json()["results"]


async def update_seq(client: httpx.AsyncClient, db: str) -> str:
    return str((await client.get(db)).json()["update_seq"])


@pytest.fixture
async def conflicted(client: httpx.AsyncClient, db: str) -> str:
    """`x` has the leaves 2-c (the winner), 2-b and, deleted, 2-d, all after 1-a."""
    await replicate(
        client,
        db,
        {"_id": "x", "_rev": f"1-{A}", "v": 1},
        revision("x", 2, [B, A], v="b"),
        revision("x", 2, [C, A], v="c"),
        revision("x", 2, [D, A], _deleted=True),
    )
    return db


# -- _bulk_docs: how many ----------------------------------------------------------------------


@pytest.mark.parametrize("new_edits", [True, False])
async def test_more_documents_than_one_batch_may_have(
    client: httpx.AsyncClient, db: str, new_edits: bool
) -> None:
    response = await bulk(client, db, [{}] * 50_001, new_edits=new_edits)
    assert response.status_code == 413
    assert response.json() == {"error": "max_bulk_docs_count_exceeded", "reason": "50000"}
    assert (await client.get(db)).json()["doc_count"] == 0


# -- _bulk_docs: edits -------------------------------------------------------------------------


async def test_bulk_docs_answers_201_with_a_row_for_each_document_in_order(
    client: httpx.AsyncClient, db: str
) -> None:
    response = await bulk(client, db, [{"_id": "b"}, {"_id": "a"}, {"_id": "c", "v": 1}])
    assert response.status_code == 201
    rows = response.json()
    assert [row["id"] for row in rows] == ["b", "a", "c"]
    assert all(list(row) == ["ok", "id", "rev"] and row["ok"] is True for row in rows)
    assert (await client.get(f"{db}/c")).json() == {"_id": "c", "_rev": rows[2]["rev"], "v": 1}


async def test_bulk_docs_second_of_two_with_one_id_is_a_conflict(client: httpx.AsyncClient, db: str) -> None:
    rows = (await bulk(client, db, [{"_id": "a", "v": 1}, {"_id": "a", "v": 2}])).json()
    assert rows[0]["ok"] is True
    assert rows[1] == {"id": "a", "error": "conflict", "reason": "Document update conflict."}
    assert (await client.get(f"{db}/a")).json()["v"] == 1


async def test_bulk_docs_gives_an_id_to_documents_without(client: httpx.AsyncClient, db: str) -> None:
    first, second = (await bulk(client, db, [{}, {"v": 1}])).json()
    assert len(first["id"]) == len(second["id"]) == 32
    assert first["id"] != second["id"]


async def test_bulk_docs_one_refused_document_does_not_hinder_the_others(
    client: httpx.AsyncClient, db: str
) -> None:
    await client.put(f"{db}/a", json={})
    rows = (await bulk(client, db, [{"_id": "a"}, {"_id": "b"}])).json()
    assert [row.get("error") for row in rows] == ["conflict", None]


async def test_bulk_docs_deletes(client: httpx.AsyncClient, db: str) -> None:
    (made,) = (await bulk(client, db, [{"_id": "a"}])).json()
    (row,) = (await bulk(client, db, [{"_id": "a", "_rev": made["rev"], "_deleted": True}])).json()
    assert row["ok"] is True
    assert row["rev"].startswith("2-")
    assert (await client.get(f"{db}/a")).json() == {"error": "not_found", "reason": "deleted"}


async def test_bulk_docs_edit_continues_the_newest_of_its_revisions(
    client: httpx.AsyncClient, db: str
) -> None:
    await replicate(client, db, revision("a", 2, [B, A]))
    doc = {"_id": "a", "_rev": f"9-{F}", "_revisions": {"start": 2, "ids": [B, A]}, "v": 2}
    (row,) = (await bulk(client, db, [doc])).json()
    assert row["rev"].startswith("3-")


async def test_bulk_docs_stores_local_documents(client: httpx.AsyncClient, db: str) -> None:
    response = await bulk(client, db, [{"_id": "a"}, {"_id": "_local/x", "v": 1}, {"_id": "b"}])
    rows = response.json()
    assert [row["id"] for row in rows] == ["a", "_local/x", "b"]
    assert rows[1]["rev"] == "0-1"
    assert (await client.get(f"{db}/_local/x")).json() == {"_id": "_local/x", "_rev": "0-1", "v": 1}
    (again,) = (await bulk(client, db, [{"_id": "_local/x", "_rev": "0-1"}])).json()
    assert again["rev"] == "0-2"
    assert (await client.get(f"{db}/_changes")).json()["pending"] == 0
    assert len((await client.get(f"{db}/_changes")).json()["results"]) == 2


async def test_bulk_docs_leaves_out_attachments_of_local_documents(
    client: httpx.AsyncClient, db: str
) -> None:
    attachments = {"h.png": {"content_type": "image/png", "data": HELLO}}
    (row,) = (await bulk(client, db, [{"_id": "_local/x", "_attachments": attachments}])).json()
    assert row["rev"] == "0-1"
    assert (await client.get(f"{db}/_local/x")).json() == {"_id": "_local/x", "_rev": "0-1"}


async def test_bulk_docs_all_or_nothing_is_417_and_stores_nothing(client: httpx.AsyncClient, db: str) -> None:
    response = await bulk(client, db, [{"_id": "a"}, {"_id": "b", "_rev": f"1-{A}"}], all_or_nothing=True)
    assert response.status_code == 417
    reason = {"error": "not_implemented", "reason": "all_or_nothing is not supported"}
    assert response.json() == [{"id": "a", "rev": "0-", **reason}, {"id": "b", "rev": f"1-{A}", **reason}]
    assert (await client.get(db)).json()["doc_count"] == 0


@pytest.mark.parametrize("value", [False, "true", 1, None])
async def test_bulk_docs_all_or_nothing_counts_only_as_true(
    client: httpx.AsyncClient, db: str, value: Any
) -> None:
    assert (await bulk(client, db, [{"_id": "a"}], all_or_nothing=value)).status_code == 201


async def test_bulk_docs_of_nothing(client: httpx.AsyncClient, db: str) -> None:
    for new_edits in (True, False):
        response = await bulk(client, db, [], new_edits=new_edits)
        assert (response.status_code, response.json()) == (201, [])


# -- _bulk_docs: replicated --------------------------------------------------------------------


async def test_bulk_docs_new_edits_false_stores_revisions_as_given(
    client: httpx.AsyncClient, db: str
) -> None:
    assert await replicate(client, db, revision("a", 3, [C, B, A], v=3)) == []
    got = (await client.get(f"{db}/a?revs=true")).json()
    assert got == {"_id": "a", "_rev": f"3-{C}", "v": 3, "_revisions": {"start": 3, "ids": [C, B, A]}}


async def test_bulk_docs_new_edits_false_never_conflicts(conflicted: str, client: httpx.AsyncClient) -> None:
    got = (await client.get(f"{conflicted}/x?conflicts=true")).json()
    assert (got["_rev"], got["_conflicts"]) == (f"2-{C}", [f"2-{B}"])


async def test_bulk_docs_new_edits_false_known_revisions_are_no_change(
    conflicted: str, client: httpx.AsyncClient
) -> None:
    before = await update_seq(client, conflicted)
    interior = {"_id": "x", "_rev": f"1-{A}", "v": "other"}
    assert await replicate(client, conflicted, interior, revision("x", 2, [B, A], v="other")) == []
    assert await update_seq(client, conflicted) == before
    assert (await client.get(f"{conflicted}/x?rev=2-{B}")).json()["v"] == "b"


async def test_bulk_docs_new_edits_false_reports_failures_only(serve: Serve) -> None:
    client = await serve(admins={"chief": "secret"})
    chief = httpx.BasicAuth("chief", "secret")
    await client.put("/db", auth=chief)
    assert (await client.put("/db/_security", json=PUBLIC, auth=chief)).status_code == 200
    docs = [{"_id": docid, "_rev": f"1-{A}"} for docid in ("a", "_design/d", "b")]
    (row,) = await replicate(client, "/db", *docs)
    assert list(row) == ["id", "rev", "error", "reason"]
    assert (row["id"], row["rev"]) == ("_design/d", f"1-{A}")
    assert row["error"] in ("unauthorized", "forbidden")
    assert (await client.get("/db/b")).status_code == 200
    assert (await client.get("/db/_design/d")).status_code == 404


async def test_bulk_docs_edits_report_refused_documents_in_their_place(serve: Serve) -> None:
    client = await serve(admins={"chief": "secret"})
    chief = httpx.BasicAuth("chief", "secret")
    await client.put("/db", auth=chief)
    await client.put("/db/_security", json=PUBLIC, auth=chief)
    rows = (await bulk(client, "/db", [{"_id": "a"}, {"_id": "_design/d"}, {"_id": "b"}])).json()
    assert [row["id"] for row in rows] == ["a", "_design/d", "b"]
    assert list(rows[1]) == ["id", "error", "reason"]


async def test_bulk_docs_new_edits_false_without_revision_is_400(client: httpx.AsyncClient, db: str) -> None:
    response = await bulk(client, db, [{"_id": "a", "_rev": f"1-{A}"}, {"_id": "b"}], new_edits=False)
    assert response.status_code == 400
    assert response.json() == {
        "error": "bad_request",
        "reason": "When `new_edits: false`, the document needs `_rev` or `_revisions` specified",
    }
    assert (await client.get(f"{db}/a")).status_code == 404


async def test_bulk_docs_new_edits_in_the_query_does_not_count(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}/_bulk_docs?new_edits=false", json={"docs": [{"_id": "a"}]})
    assert response.json()[0]["ok"] is True


# -- _bulk_docs: attachments -------------------------------------------------------------------


async def test_bulk_docs_stores_inline_attachments(client: httpx.AsyncClient, db: str) -> None:
    attachments = {"h.png": {"content_type": "image/png", "data": HELLO}}
    await bulk(client, db, [{"_id": "a", "_attachments": attachments}])
    assert (await client.get(f"{db}/a/h.png")).content == b"hello"


@pytest.mark.parametrize("new_edits", [True, False])
async def test_bulk_docs_stub_that_nothing_stands_behind_fails_the_request_412(
    client: httpx.AsyncClient, db: str, new_edits: bool
) -> None:
    docs: list[dict[str, Any]] = [
        {"_id": "before", "_rev": f"1-{A}"},
        {"_id": "a", "_rev": f"1-{A}", "_attachments": {"h.png": {"stub": True}}},
    ]
    if new_edits:
        for doc in docs:
            del doc["_rev"]
    response = await bulk(client, db, docs, new_edits=new_edits)
    assert response.status_code == 412
    assert response.json() == {"error": "missing_stub", "reason": "Invalid attachment stub in a for h.png"}
    assert (await client.get(db)).json()["doc_count"] == 0


@pytest.mark.parametrize("stub", [{"revpos": 2}, {"digest": "md5-AAAAAAAAAAAAAAAAAAAAAA=="}])
async def test_bulk_docs_stub_must_fit_what_it_means(
    client: httpx.AsyncClient, db: str, stub: dict[str, Any]
) -> None:
    attachments = {"h.png": {"content_type": "image/png", "data": HELLO}}
    await replicate(client, db, revision("a", 1, [A], _attachments=attachments))
    doc = revision("a", 2, [B, A], _attachments={"h.png": {"stub": True, **stub}})
    assert (await bulk(client, db, [doc], new_edits=False)).status_code == 412


async def test_bulk_docs_stub_keeps_the_parents_attachment(client: httpx.AsyncClient, db: str) -> None:
    attachments = {"h.png": {"content_type": "image/png", "data": HELLO}}
    await replicate(client, db, revision("a", 1, [A], _attachments=attachments))
    stub = {"stub": True, "revpos": 1, "digest": HELLO_DIGEST, "length": 5, "content_type": "image/png"}
    assert await replicate(client, db, revision("a", 2, [B, A], _attachments={"h.png": stub})) == []
    edit = {"_id": "a", "_rev": f"2-{B}", "_attachments": {"h.png": {"stub": True}}, "v": 3}
    assert (await bulk(client, db, [edit])).json()[0]["ok"] is True
    assert (await client.get(f"{db}/a/h.png")).content == b"hello"


async def test_bulk_docs_stub_may_mean_what_an_earlier_document_of_the_batch_brings(
    client: httpx.AsyncClient, db: str
) -> None:
    attachments = {"h.png": {"content_type": "image/png", "data": HELLO}}
    rows = await replicate(
        client,
        db,
        revision("a", 1, [A], _attachments=attachments),
        revision("a", 2, [B, A], _attachments={"h.png": {"stub": True}}),
    )
    assert rows == []
    assert (await client.get(f"{db}/a/h.png")).content == b"hello"


async def test_bulk_docs_refused_edit_with_a_stub_is_a_row(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/a", json={})
    (row,) = (await bulk(client, db, [{"_id": "a", "_attachments": {"h.png": {"stub": True}}}])).json()
    assert row["error"] == "conflict"


# -- _bulk_docs: bad input ---------------------------------------------------------------------

BAD_BODIES = [
    ({}, "POST body must include `docs` parameter."),
    ({"docs": "x"}, "`docs` parameter must be an array."),
    ({"docs": {}}, "`docs` parameter must be an array."),
    ({"docs": None}, "`docs` parameter must be an array."),
    ({"docs": [], "new_edits": "x"}, "`new_edits` parameter must be a boolean."),
    ({"docs": [{"_id": "a"}], "new_edits": None}, "`new_edits` parameter must be a boolean."),
    ({"docs": [{"_id": "a"}], "new_edits": 0}, "`new_edits` parameter must be a boolean."),
    ([], "Request body must be a JSON object"),
    ("x", "Request body must be a JSON object"),
]


@pytest.mark.parametrize(("body", "reason"), BAD_BODIES)
async def test_bulk_docs_bad_body_is_400(client: httpx.AsyncClient, db: str, body: Any, reason: str) -> None:
    response = await client.post(f"{db}/_bulk_docs", json=body)
    assert (response.status_code, response.json()) == (400, {"error": "bad_request", "reason": reason})
    assert (await client.get(db)).json()["doc_count"] == 0


BAD_DOCUMENTS: list[tuple[Any, int, str]] = [
    ("x", 400, "bad_request"),
    (None, 400, "bad_request"),
    (1, 400, "bad_request"),
    ([], 400, "bad_request"),
    ({"_id": 1}, 400, "illegal_docid"),
    ({"_id": None}, 400, "illegal_docid"),
    ({"_id": ""}, 400, "illegal_docid"),
    ({"_id": "_x"}, 400, "illegal_docid"),
    ({"_id": "_design/"}, 400, "illegal_docid"),
    ({"_id": "_local/"}, 400, "illegal_docid"),
    ({"_id": "a", "_rev": "abc"}, 400, "bad_request"),
    ({"_id": "a", "_rev": 1}, 400, "bad_request"),
    ({"_id": "a", "_deleted": "x"}, 400, "doc_validation"),
    ({"_id": "a", "_foo": 1}, 400, "doc_validation"),
    ({"_id": "a", "_revisions": []}, 400, "doc_validation"),
    ({"_id": "a", "_attachments": []}, 400, "doc_validation"),
    ({"_id": "a", "_attachments": {"x": {"data": "%%"}}}, 400, "bad_request"),
    ({"_id": "a", "_attachments": {"_x": {"data": HELLO}}}, 400, "bad_request"),
    ({"_id": "a", "_attachments": {"x": {"follows": True, "length": 1}}}, 400, "bad_request"),
    ({"_id": "_local/a", "_rev": f"1-{A}"}, 400, "bad_request"),
    ({"_id": "big", "x": "a" * 8_000_001}, 413, "document_too_large"),
]


@pytest.mark.parametrize(("document", "status", "error"), BAD_DOCUMENTS)
async def test_bulk_docs_one_bad_document_fails_the_request_and_stores_nothing(
    client: httpx.AsyncClient, db: str, document: Any, status: int, error: str
) -> None:
    response = await bulk(client, db, [{"_id": "before"}, document, {"_id": "after"}])
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert (await client.get(db)).json()["doc_count"] == 0


@pytest.mark.parametrize("endpoint", ["_bulk_docs", "_bulk_get", "_revs_diff", "_missing_revs"])
async def test_bulk_endpoints_insist_on_post_json_and_a_database(
    client: httpx.AsyncClient, db: str, endpoint: str
) -> None:
    for headers in ({"content-type": "text/plain"}, {"content-type": ""}):
        response = await client.post(f"{db}/{endpoint}", content=b'{"docs":[]}', headers=headers)
        assert response.status_code == 415
        assert response.json() == {
            "error": "bad_content_type",
            "reason": "Content-Type must be application/json",
        }
    for method in ("GET", "PUT", "DELETE"):
        response = await client.request(method, f"{db}/{endpoint}")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
    response = await client.post(f"/none/{endpoint}", json={"docs": []})
    assert (response.status_code, response.json()["reason"]) == (404, "Database does not exist.")
    for body in (b"", b"{", b'{"docs":[NaN]}', b'{"docs":["\\ud800"', b"\xff"):
        response = await client.post(
            f"{db}/{endpoint}", content=body, headers={"content-type": "application/json"}
        )
        assert (response.status_code, response.json()["error"]) == (400, "bad_request")


async def test_bulk_docs_lone_surrogate_is_400(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(
        f"{db}/_bulk_docs",
        content=b'{"docs":[{"_id":"a","v":"\\ud800"}]}',
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 400
    assert (await client.get(db)).json()["doc_count"] == 0


# -- _bulk_get ---------------------------------------------------------------------------------


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


# -- _revs_diff, _missing_revs -----------------------------------------------------------------


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


# -- whatever comes ----------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["_id", "_rev", "_deleted", "_attachments", "_revisions", "id", "rev", "docs", "x", "_x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(docs=st.lists(JSON, max_size=3), new_edits=st.booleans())
async def test_no_body_makes_the_server_fail(
    client: httpx.AsyncClient, db: str, docs: list[Any], new_edits: bool
) -> None:
    for path, body in (
        ("_bulk_docs", {"docs": docs, "new_edits": new_edits}),
        ("_bulk_get", {"docs": docs}),
        ("_revs_diff", {"x": docs}),
        ("_revs_diff", docs[0] if docs else None),
    ):
        response = await client.post(f"{db}/{path}", json=body)
        assert response.status_code < 500, (path, body, response.text)
        response.json()

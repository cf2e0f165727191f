"""Batches of documents: `_bulk_docs`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.replication.http.batches import HELLO, HELLO_DIGEST, A, B, C, F, bulk, replicate, revision
from tests.replication.http.conftest import Serve

PUBLIC: dict[str, Any] = {"members": {"names": [], "roles": []}}


async def update_seq(client: httpx.AsyncClient, db: str) -> str:
    return str((await client.get(db)).json()["update_seq"])


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
    await replicate(client, db, revision("a", 3, [C, B, A], v=3))
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
    await replicate(client, conflicted, interior, revision("x", 2, [B, A], v="other"))
    assert await update_seq(client, conflicted) == before
    assert (await client.get(f"{conflicted}/x?rev=2-{B}")).json()["v"] == "b"


async def test_bulk_docs_new_edits_false_reports_failures_only(serve: Serve) -> None:
    client = await serve(admins={"chief": "secret"})
    chief = httpx.BasicAuth("chief", "secret")
    await client.put("/db", auth=chief)
    assert (await client.put("/db/_security", json=PUBLIC, auth=chief)).status_code == 200
    docs = [{"_id": docid, "_rev": f"1-{A}"} for docid in ("a", "_design/d", "b")]
    (row,) = (await bulk(client, "/db", docs, new_edits=False)).json()
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
    await replicate(client, db, revision("a", 2, [B, A], _attachments={"h.png": stub}))
    edit = {"_id": "a", "_rev": f"2-{B}", "_attachments": {"h.png": {"stub": True}}, "v": 3}
    assert (await bulk(client, db, [edit])).json()[0]["ok"] is True
    assert (await client.get(f"{db}/a/h.png")).content == b"hello"


async def test_bulk_docs_stub_may_mean_what_an_earlier_document_of_the_batch_brings(
    client: httpx.AsyncClient, db: str
) -> None:
    attachments = {"h.png": {"content_type": "image/png", "data": HELLO}}
    await replicate(
        client,
        db,
        revision("a", 1, [A], _attachments=attachments),
        revision("a", 2, [B, A], _attachments={"h.png": {"stub": True}}),
    )
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


async def test_bulk_docs_lone_surrogate_is_400(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(
        f"{db}/_bulk_docs",
        content=b'{"docs":[{"_id":"a","v":"\\ud800"}]}',
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 400
    assert (await client.get(db)).json()["doc_count"] == 0

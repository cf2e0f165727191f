from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.replication.http.refusals import refused

BAD_REV = (400, "bad_request", "Invalid rev format")


async def test_put_answers_201_with_rev_0_1_etag_and_location(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/_local/x", json={"v": 1})
    assert (response.status_code, response.json()) == (201, {"ok": True, "id": "_local/x", "rev": "0-1"})
    assert response.headers["location"] == "http://server/db/_local%2Fx"
    got = await client.get(f"{db}/_local/x")
    assert got.json() == {"_id": "_local/x", "_rev": "0-1", "v": 1}
    assert got.headers["etag"] == response.headers["etag"]


async def test_put_counts_on_from_the_rev_it_is_given(client: httpx.AsyncClient, db: str) -> None:
    path = f"{db}/_local/x"
    assert (await client.put(path, json={"_rev": "0-7"})).json()["rev"] == "0-8"
    assert (await client.put(f"{path}?rev=0-3", json={})).json()["rev"] == "0-4"
    assert (await client.put(path, json={}, headers={"If-Match": '"0-9"'})).json()["rev"] == "0-10"


async def test_put_does_not_check_for_conflicts(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/_local/x", json={"_rev": "0-7", "v": 1})
    response = await client.put(f"{db}/_local/x", json={"v": 2})
    assert (response.status_code, response.json()["rev"]) == (201, "0-1")
    assert (await client.get(f"{db}/_local/x")).json()["v"] == 2


async def test_put_drops_revisions_as_replicators_send_them(client: httpx.AsyncClient, db: str) -> None:
    body = {"_rev": "0-1", "_revisions": {"start": 0, "ids": ["1"]}, "v": 1}
    response = await client.put(f"{db}/_local/x", json=body)
    assert response.json()["rev"] == "0-2"
    assert (await client.get(f"{db}/_local/x")).json() == {"_id": "_local/x", "_rev": "0-2", "v": 1}


@pytest.mark.parametrize("rev", ["1-7", "0-abc", "abc", "", "0-", "0--4", None, 5, "0-" + "9" * 20])
async def test_put_refuses_revisions_that_are_not_local(client: httpx.AsyncClient, db: str, rev: Any) -> None:
    assert refused(await client.put(f"{db}/_local/x", json={"_rev": rev})) == BAD_REV
    assert (await client.get(f"{db}/_local/x")).status_code == 404


async def test_put_refuses_revisions_that_disagree(client: httpx.AsyncClient, db: str) -> None:
    path = f"{db}/_local/x"
    reason = "Document rev from request body and query string have different values"
    assert refused(await client.put(f"{path}?rev=0-3", json={"_rev": "0-4"})) == (400, "bad_request", reason)
    reason = "Document rev and etag have different values"
    response = await client.put(path, json={"_rev": "0-4"}, headers={"If-Match": "0-5"})
    assert refused(response) == (400, "bad_request", reason)


async def test_put_of_a_deletion_removes_and_answers_0_0(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/_local/x", json={})
    response = await client.put(f"{db}/_local/x", json={"_deleted": True})
    assert (response.status_code, response.json()["rev"]) == (200, "0-0")
    assert (await client.get(f"{db}/_local/x")).status_code == 404


async def test_put_new_edits_false_stores_the_rev_itself(client: httpx.AsyncClient, db: str) -> None:
    path = f"{db}/_local/x?new_edits=false"
    assert (await client.put(path, json={"_rev": "0-3"})).json()["rev"] == "0-3"
    assert (await client.get(f"{db}/_local/x")).json()["_rev"] == "0-3"
    status, error, _ = refused(await client.put(path, json={}))
    assert (status, error) == (400, "bad_request")


async def test_put_with_batch_ok_answers_202(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/_local/x?batch=ok", json={})
    assert (response.status_code, response.json()) == (202, {"ok": True, "id": "_local/x"})


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        ([], "bad_request", "Document must be a JSON object"),
        ({"_foo": 1}, "doc_validation", "Bad special document member: _foo"),
    ],
)
async def test_put_refuses_bad_bodies(
    client: httpx.AsyncClient, db: str, body: object, error: str, reason: str
) -> None:
    assert refused(await client.put(f"{db}/_local/x", json=body)) == (400, error, reason)
    assert (await client.get(f"{db}/_local/x")).status_code == 404


async def test_attachments_of_local_documents_are_left_out(client: httpx.AsyncClient, db: str) -> None:
    attached = {"x": 1, "_attachments": {"a": {"data": ""}, "b": {"stub": True}}}
    assert (await client.put(f"{db}/_local/x", json=attached)).status_code == 201
    docs = [{"_id": "_local/y", **attached}]
    assert (await client.post(f"{db}/_bulk_docs", json={"docs": docs})).json()[0]["ok"] is True
    for docid in ("_local/x", "_local/y"):
        stored = (await client.get(f"{db}/{docid}", params={"attachments": "true"})).json()
        assert stored == {"_id": docid, "_rev": "0-1", "x": 1}


async def test_oversized_local_documents_are_413(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/_local/x", json={"a": "x" * 8_000_000})
    assert refused(response) == (413, "document_too_large", "_local/x")


async def test_ids_may_hold_encoded_slashes_and_equals_signs(client: httpx.AsyncClient, db: str) -> None:
    for path, docid in (("a%2Fb", "_local/a/b"), ("abc%3D%3D", "_local/abc=="), ("a.b_c", "_local/a.b_c")):
        assert (await client.put(f"{db}/_local/{path}", json={})).json()["id"] == docid
        assert (await client.get(f"{db}/_local%2F{path}")).json()["_id"] == docid


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("_local", "Invalid _local document id."),
        ("_local/", "Invalid _local document id."),
        ("_local%2F", "Invalid _local document id."),
        ("_local/a/b", "_local documents do not accept attachments."),
    ],
)
async def test_addresses_that_are_no_local_documents(
    client: httpx.AsyncClient, db: str, method: str, path: str, reason: str
) -> None:
    response = await client.request(method, f"{db}/{path}", json={})
    assert refused(response) == (400, "bad_request", reason)


async def test_get_head_and_304(client: httpx.AsyncClient, db: str) -> None:
    missing = await client.get(f"{db}/_local/x")
    assert refused(missing) == (404, "not_found", "missing")
    await client.put(f"{db}/_local/x", json={"v": 1})
    etag = (await client.head(f"{db}/_local/x")).headers["etag"]
    headers = {"If-None-Match": etag}
    assert (await client.get(f"{db}/_local/x", headers=headers)).status_code == 304
    await client.put(f"{db}/_local/x", json={"v": 2})
    assert (await client.get(f"{db}/_local/x", headers=headers)).status_code == 200


async def test_get_of_a_named_revision_finds_nothing(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/_local/x", json={})
    for query in ("rev=0-1", "open_revs=all"):
        response = await client.get(f"{db}/_local/x?{query}")
        assert refused(response) == (404, "not_found", "missing")


async def test_get_with_revs_shows_the_number(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/_local/x", json={})
    body = (await client.get(f"{db}/_local/x?revs=true&meta=true&conflicts=true&local_seq=true")).json()
    assert body == {"_id": "_local/x", "_rev": "0-1", "_revisions": {"start": 0, "ids": ["1"]}}


async def test_delete_answers_0_0_whatever_the_rev(client: httpx.AsyncClient, db: str) -> None:
    for query in ("", "?rev=0-99", "?rev=1-abc"):
        await client.put(f"{db}/_local/x", json={})
        response = await client.delete(f"{db}/_local/x{query}")
        assert (response.status_code, response.json()) == (
            200,
            {"ok": True, "id": "_local/x", "rev": "0-0"},
        )
        assert (await client.get(f"{db}/_local/x")).status_code == 404


async def test_delete_of_what_is_not_there_is_404_and_of_a_bad_rev_400(
    client: httpx.AsyncClient, db: str
) -> None:
    assert refused(await client.delete(f"{db}/_local/x?rev=x")) == (404, "not_found", "missing")
    await client.put(f"{db}/_local/x", json={})
    assert refused(await client.delete(f"{db}/_local/x?rev=x")) == BAD_REV
    assert (await client.get(f"{db}/_local/x")).status_code == 200


async def test_local_documents_do_not_move_the_sequence(client: httpx.AsyncClient, db: str) -> None:
    before = (await client.get(db)).json()
    await client.put(f"{db}/_local/x", json={})
    after = (await client.get(db)).json()
    assert after["update_seq"] == before["update_seq"]
    assert after["doc_count"] == 0

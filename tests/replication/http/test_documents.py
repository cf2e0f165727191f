"""Writing and deleting single documents."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.replication.http.batches import A, B
from tests.replication.http.documents import CONFLICT, put
from tests.replication.http.refusals import refused

# -- PUT ---------------------------------------------------------------------------------------


async def test_put_answers_201_with_rev_etag_and_location(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a%2Fb c", json={"v": 1})
    body = response.json()
    assert response.status_code == 201
    assert body == {"ok": True, "id": "a/b c", "rev": body["rev"]}
    assert re.fullmatch(r"1-[0-9a-f]{32}", body["rev"])
    assert response.headers["etag"] == f'"{body["rev"]}"'
    assert response.headers["location"] == "http://server/db/a%2Fb%20c"
    assert (await client.get(f"{db}/a%2Fb c")).json() == {"_id": "a/b c", "_rev": body["rev"], "v": 1}


async def test_put_keeps_member_order_and_big_numbers(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/a", content=b'{"z":123456789012345678901234567890,"a":1.0,"m":{"y":1,"b":2}}')
    text = (await client.get(f"{db}/a")).text
    assert text.endswith('"z":123456789012345678901234567890,"a":1.0,"m":{"y":1,"b":2}}\n')


async def test_put_does_not_insist_on_a_json_content_type(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a", content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 201


async def test_put_takes_the_revision_from_body_query_or_if_match(client: httpx.AsyncClient, db: str) -> None:
    rev = await put(client, f"{db}/a")
    rev = await put(client, f"{db}/a", {"_rev": rev})
    rev = await put(client, f"{db}/a?rev={rev}")
    for value in ("{}", '"{}"', 'W/"{}"'):
        response = await client.put(f"{db}/a", json={}, headers={"If-Match": value.format(rev)})
        assert response.status_code == 201
        rev = response.json()["rev"]
    response = await client.put(f"{db}/a?rev={rev}", json={"_rev": rev}, headers={"If-Match": f'"{rev}"'})
    assert response.json()["rev"].startswith("7-")


async def test_put_with_body_and_query_revisions_that_differ_is_400(
    client: httpx.AsyncClient, db: str
) -> None:
    response = await client.put(f"{db}/a?rev=1-{B}", json={"_rev": f"1-{A}"})
    reason = "Document rev from request body and query string have different values"
    assert refused(response) == (400, "bad_request", reason)


async def test_put_with_body_and_if_match_that_differ_is_400(client: httpx.AsyncClient, db: str) -> None:
    for query, body in (("", {"_rev": f"1-{A}"}), (f"?rev=1-{A}", {})):
        response = await client.put(f"{db}/a{query}", json=body, headers={"If-Match": f'"1-{B}"'})
        reason = "Document rev and etag have different values"
        assert refused(response) == (400, "bad_request", reason)


async def test_put_without_rev_on_an_existing_document_conflicts(client: httpx.AsyncClient, db: str) -> None:
    rev = await put(client, f"{db}/a", {"v": 1})
    assert refused(await client.put(f"{db}/a", json={"v": 2})) == CONFLICT
    assert (await client.get(f"{db}/a")).json() == {"_id": "a", "_rev": rev, "v": 1}


async def test_put_with_a_superseded_rev_conflicts(client: httpx.AsyncClient, db: str) -> None:
    first = await put(client, f"{db}/a")
    await put(client, f"{db}/a", {"_rev": first})
    assert refused(await client.put(f"{db}/a", json={"_rev": first, "v": 2})) == CONFLICT


async def test_put_without_rev_on_a_deleted_document_continues_the_tombstone(
    client: httpx.AsyncClient, db: str
) -> None:
    rev = await put(client, f"{db}/a")
    tombstone = (await client.delete(f"{db}/a?rev={rev}")).json()["rev"]
    rev = await put(client, f"{db}/a", {"v": 2})
    assert rev.startswith("3-")
    history = (await client.get(f"{db}/a?revs=true")).json()["_revisions"]
    assert history["start"] == 3
    assert f"2-{history['ids'][1]}" == tombstone


async def test_put_with_a_superseded_rev_of_a_deleted_document_conflicts(
    client: httpx.AsyncClient, db: str
) -> None:
    rev = await put(client, f"{db}/a")
    await client.delete(f"{db}/a?rev={rev}")
    assert refused(await client.put(f"{db}/a", json={"_rev": rev})) == CONFLICT


async def test_put_that_deletes_answers_200_and_keeps_the_body(client: httpx.AsyncClient, db: str) -> None:
    rev = await put(client, f"{db}/a", {"v": 1})
    response = await client.put(f"{db}/a", json={"_rev": rev, "_deleted": True, "why": "moved"})
    assert response.status_code == 200
    gone = response.json()["rev"]
    assert (await client.get(f"{db}/a?rev={gone}")).json() == {
        "_id": "a",
        "_rev": gone,
        "_deleted": True,
        "why": "moved",
    }


async def test_put_may_begin_with_a_deletion(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a", json={"_deleted": True})
    assert response.status_code == 200
    assert refused(await client.get(f"{db}/a")) == (404, "not_found", "deleted")


async def test_put_goes_by_the_id_of_the_address(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a", json={"_id": "other"})
    assert response.json()["id"] == "a"
    assert (await client.get(f"{db}/other")).status_code == 404


async def test_put_drops_what_readers_are_given_beside_the_document(
    client: httpx.AsyncClient, db: str
) -> None:
    rev = await put(
        client,
        f"{db}/a",
        {"_conflicts": [], "_revs_info": [], "_local_seq": 1, "_deleted_conflicts": [], "v": 1},
    )
    assert (await client.get(f"{db}/a")).json() == {"_id": "a", "_rev": rev, "v": 1}


async def test_put_stores_the_members_that_replication_documents_have(
    client: httpx.AsyncClient, db: str
) -> None:
    await put(client, f"{db}/a", {"_replication_state": "completed", "_replication_id": "x"})
    body = (await client.get(f"{db}/a")).json()
    assert (body["_replication_state"], body["_replication_id"]) == ("completed", "x")


async def test_put_with_batch_ok_answers_202_without_rev(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a?batch=ok", json={"v": 1})
    assert (response.status_code, response.json()) == (202, {"ok": True, "id": "a"})
    assert "etag" not in response.headers
    assert (await client.get(f"{db}/a")).json()["v"] == 1
    assert (await client.put(f"{db}/b?batch=no", json={})).status_code == 201


async def test_put_of_design_documents_with_plain_or_encoded_slash(
    client: httpx.AsyncClient, db: str
) -> None:
    rev = await put(client, f"{db}/_design%2Fd")
    response = await client.put(f"{db}/_design/d", json={"_rev": rev})
    assert response.json()["id"] == "_design/d"
    assert response.headers["location"] == "http://server/db/_design%2Fd"
    assert (await client.get(f"{db}/_design/d")).json() == (await client.get(f"{db}/_design%2Fd")).json()


@pytest.mark.parametrize(
    ("path", "error", "reason"),
    [
        ("_foo", "illegal_docid", "Only reserved document ids may start with underscore."),
        ("_design", "illegal_docid", "Only reserved document ids may start with underscore."),
        ("_design/", "illegal_docid", "Only reserved document ids may start with underscore."),
        ("_local", "bad_request", "Invalid _local document id."),
        ("_local/", "bad_request", "Invalid _local document id."),
        ("x" * 7169, "illegal_docid", "Document id is too long"),
    ],
)
async def test_put_refuses_illegal_ids(
    client: httpx.AsyncClient, db: str, path: str, error: str, reason: str
) -> None:
    assert refused(await client.put(f"{db}/{path}", json={})) == (400, error, reason)
    assert (await client.get(db)).json()["doc_count"] == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "invalid UTF-8 JSON"),
        (b"{", "invalid UTF-8 JSON"),
        (b'{"a":NaN}', "invalid UTF-8 JSON"),
        (b'{"a":1e400}', "invalid UTF-8 JSON"),
        (b'{"a":"\xff"}', "invalid UTF-8 JSON"),
        (b"[]", "Document must be a JSON object"),
        (b"null", "Document must be a JSON object"),
        (b'"x"', "Document must be a JSON object"),
    ],
)
async def test_put_refuses_what_is_no_json_object(
    client: httpx.AsyncClient, db: str, body: bytes, reason: str
) -> None:
    response = await client.put(f"{db}/a", content=body)
    assert refused(response) == (400, "bad_request", reason)
    assert (await client.get(f"{db}/a")).status_code == 404


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"_foo": 1}, "doc_validation"),
        ({"_deleted": "yes"}, "doc_validation"),
        ({"_attachments": 5}, "doc_validation"),
        ({"_attachments": {"a": {"data": "%%%"}}}, "bad_request"),
        ({"_attachments": {"a": {}}}, "bad_request"),
        ({"_attachments": {"_a": {"data": ""}}}, "bad_request"),
        ({"_attachments": {"a": {"follows": True}}}, "bad_request"),
        ({"_revisions": {"start": "1", "ids": []}}, "doc_validation"),
        ({"_revisions": {"start": 1, "ids": "x"}}, "doc_validation"),
        ({"_rev": 1}, "bad_request"),
        ({"_rev": "abc"}, "bad_request"),
        ({"_id": 5}, "illegal_docid"),
        ({"_id": None}, "illegal_docid"),
        ({"_id": "_other"}, "illegal_docid"),
    ],
)
async def test_put_refuses_bad_members(
    client: httpx.AsyncClient, db: str, body: dict[str, Any], error: str
) -> None:
    response = await client.put(f"{db}/a", json=body)
    assert refused(response)[:2] == (400, error)
    assert (await client.get(f"{db}/a")).status_code == 404


@pytest.mark.parametrize("rev", ["", "abc", "1", "x-y", "-1-abc"])
async def test_revisions_that_are_none_are_400_everywhere(
    client: httpx.AsyncClient, db: str, rev: str
) -> None:
    await put(client, f"{db}/a")
    bad = (400, "bad_request", "Invalid rev format")
    params = {"rev": rev}
    assert refused(await client.get(f"{db}/a", params=params)) == bad
    assert refused(await client.put(f"{db}/a", params=params, json={})) == bad
    assert refused(await client.delete(f"{db}/a", params=params)) == bad
    assert refused(await client.put(f"{db}/a", json={}, headers={"If-Match": rev})) == bad
    assert (
        refused(await client.request("COPY", f"{db}/a", params=params, headers={"Destination": "b"})) == bad
    )


async def test_put_of_a_stub_without_its_attachment_is_412(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a", json={"_attachments": {"f": {"stub": True}}})
    status, error, _ = refused(response)
    assert (status, error) == (412, "missing_stub")
    assert (await client.get(f"{db}/a")).status_code == 404


async def test_put_of_an_oversized_document_is_413(client: httpx.AsyncClient, db: str) -> None:
    fits = b'{"a":"' + b"x" * (8_000_000 - 8) + b'"}'
    assert (await client.put(f"{db}/fits", content=fits)).status_code == 201
    response = await client.put(f"{db}/large", content=fits.replace(b'"}', b'x"}'))
    assert refused(response) == (413, "document_too_large", "large")
    assert (await client.get(f"{db}/large")).status_code == 404


async def test_put_into_a_missing_database_is_404(client: httpx.AsyncClient) -> None:
    assert refused(await client.put("/none/a", json={})) == (404, "not_found", "Database does not exist.")


# -- DELETE ------------------------------------------------------------------------------------


async def test_delete_answers_200_and_leaves_a_tombstone(client: httpx.AsyncClient, db: str) -> None:
    rev = await put(client, f"{db}/a", {"v": 1})
    response = await client.delete(f"{db}/a?rev={rev}")
    gone = response.json()["rev"]
    assert (response.status_code, response.json()) == (200, {"ok": True, "id": "a", "rev": gone})
    assert response.headers["etag"] == f'"{gone}"'
    assert refused(await client.get(f"{db}/a")) == (404, "not_found", "deleted")
    assert (await client.get(f"{db}/a?rev={gone}")).json() == {"_id": "a", "_rev": gone, "_deleted": True}


async def test_delete_takes_if_match(client: httpx.AsyncClient, db: str) -> None:
    rev = await put(client, f"{db}/a")
    assert (await client.delete(f"{db}/a", headers={"If-Match": f'"{rev}"'})).status_code == 200


async def test_delete_without_or_with_an_old_rev_conflicts(client: httpx.AsyncClient, db: str) -> None:
    first = await put(client, f"{db}/a")
    await put(client, f"{db}/a", {"_rev": first})
    assert refused(await client.delete(f"{db}/a")) == CONFLICT
    assert refused(await client.delete(f"{db}/a?rev={first}")) == CONFLICT
    assert (await client.get(f"{db}/a")).status_code == 200


async def test_delete_looks_for_the_document_before_the_revision(client: httpx.AsyncClient, db: str) -> None:
    assert refused(await client.delete(f"{db}/a?rev=zz")) == (404, "not_found", "missing")
    rev = await put(client, f"{db}/a")
    await client.delete(f"{db}/a?rev={rev}")
    assert refused(await client.delete(f"{db}/a?rev={rev}")) == (404, "not_found", "deleted")


async def test_delete_of_a_losing_leaf_ends_the_conflict(client: httpx.AsyncClient, db: str) -> None:
    for digest in (A, B):
        await client.put(f"{db}/a?new_edits=false", json={"_rev": f"1-{digest}"})
    assert (await client.delete(f"{db}/a?rev=1-{A}")).status_code == 200
    found = (await client.get(f"{db}/a?conflicts=true")).json()
    assert found == {"_id": "a", "_rev": f"1-{B}"}


# -- other methods -----------------------------------------------------------------------------


async def test_methods_a_document_has_not_are_405(client: httpx.AsyncClient, db: str) -> None:
    response = await client.request("PATCH", f"{db}/a")
    assert response.status_code == 405
    assert set(response.headers["allow"].split(",")) >= {"DELETE", "GET", "HEAD", "PUT", "COPY"}


async def test_method_override_turns_a_post_into_a_put(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}/a", json={}, headers={"X-HTTP-Method-Override": "PUT"})
    assert response.status_code == 201

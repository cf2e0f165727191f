"""Reading single documents: query parameters, ETags, conflicts, attachments inside."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

import httpx
import pytest

from tests.replication.http.batches import A, B, C, D
from tests.replication.http.documents import put

JSON = {"Accept": "application/json"}


@pytest.fixture
async def conflicted(client: httpx.AsyncClient, db: str) -> str:
    """A document whose first revision has three children, one of them deleted; the winner is 2-ccc…."""
    for digest, more in ((B, {"x": 1}), (C, {"x": 2}), (D, {"_deleted": True})):
        body = {"_revisions": {"start": 2, "ids": [digest, A]}, **more}
        assert (await client.put(f"{db}/k?new_edits=false", json=body)).status_code < 300
    return f"{db}/k"


def not_found(reason: str) -> dict[str, str]:
    return {"error": "not_found", "reason": reason}


# -- the plain read ----------------------------------------------------------------------------


async def test_get_answers_the_winner_with_its_rev_as_etag(
    client: httpx.AsyncClient, conflicted: str
) -> None:
    response = await client.get(conflicted)
    assert response.json() == {"_id": "k", "_rev": f"2-{C}", "x": 2}
    assert response.headers["etag"] == f'"2-{C}"'
    assert response.headers["cache-control"] == "must-revalidate"
    assert response.headers["content-type"] == "application/json"


async def test_get_of_unknown_and_deleted_documents_is_404(client: httpx.AsyncClient, db: str) -> None:
    response = await client.get(f"{db}/a")
    assert (response.status_code, response.json()) == (404, not_found("missing"))
    await put(client, f"{db}/a", {"_deleted": True})
    response = await client.get(f"{db}/a")
    assert (response.status_code, response.json()) == (404, not_found("deleted"))


async def test_get_of_ids_that_cannot_be_is_404(client: httpx.AsyncClient, db: str) -> None:
    for path in ("_foo", "_design", "_design/none"):
        assert (await client.get(f"{db}/{path}")).json() == not_found("missing")
    assert (await client.get(f"{db}/_local")).status_code == 400


async def test_head_has_the_headers_of_get(client: httpx.AsyncClient, db: str) -> None:
    await put(client, f"{db}/a")
    get, head = await client.get(f"{db}/a"), await client.head(f"{db}/a")
    assert head.status_code == 200
    for name in ("etag", "content-type", "content-length"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"x", "{}"'])
async def test_get_is_304_for_the_etag_a_client_has(client: httpx.AsyncClient, db: str, form: str) -> None:
    rev = await put(client, f"{db}/a")
    headers = {"If-None-Match": form.format(rev)}
    response = await client.get(f"{db}/a", headers=headers)
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == f'"{rev}"'
    await put(client, f"{db}/a", {"_rev": rev})
    assert (await client.get(f"{db}/a", headers=headers)).status_code == 200


# -- revisions ---------------------------------------------------------------------------------


async def test_rev_answers_that_revision_even_when_deleted(
    client: httpx.AsyncClient, conflicted: str
) -> None:
    response = await client.get(f"{conflicted}?rev=2-{B}")
    assert response.json() == {"_id": "k", "_rev": f"2-{B}", "x": 1}
    assert response.headers["etag"] == f'"2-{B}"'
    response = await client.get(f"{conflicted}?rev=2-{D}")
    assert response.json() == {"_id": "k", "_rev": f"2-{D}", "_deleted": True}


async def test_rev_without_a_body_is_404(client: httpx.AsyncClient, conflicted: str) -> None:
    for rev in (f"1-{A}", f"9-{A}"):
        response = await client.get(f"{conflicted}?rev={rev}")
        assert (response.status_code, response.json()) == (404, not_found("missing"))


async def test_latest_answers_the_leaf_that_a_revision_has_become(
    client: httpx.AsyncClient, conflicted: str
) -> None:
    for rev, leaf in ((f"1-{A}", C), (f"2-{B}", B), (f"2-{D}", D), (f"7-{A}", C)):
        response = await client.get(f"{conflicted}?rev={rev}&latest=true")
        assert response.json()["_rev"] == f"2-{leaf}"


async def test_revs_adds_the_history_and_keeps_the_etag(client: httpx.AsyncClient, conflicted: str) -> None:
    response = await client.get(f"{conflicted}?revs=true&rev=2-{B}")
    assert response.json()["_revisions"] == {"start": 2, "ids": [B, A]}
    assert response.headers["etag"] == f'"2-{B}"'
    headers = {"If-None-Match": f'"2-{B}"'}
    assert (await client.get(f"{conflicted}?revs=true&rev=2-{B}", headers=headers)).status_code == 304


async def test_revs_info_tells_what_became_of_each_body(client: httpx.AsyncClient, db: str) -> None:
    first = await put(client, f"{db}/a")
    second = (await client.delete(f"{db}/a?rev={first}")).json()["rev"]
    third = await put(client, f"{db}/a")
    response = await client.get(f"{db}/a?revs_info=true")
    rows = response.json()["_revs_info"]
    assert [row["rev"] for row in rows] == [third, second, first]
    assert rows[0]["status"] == "available"
    assert rows[1]["status"] in ("deleted", "missing")
    assert rows[2]["status"] in ("available", "missing")
    assert "etag" not in response.headers


async def test_revs_info_of_a_replicated_document_has_missing_ancestors(
    client: httpx.AsyncClient, conflicted: str
) -> None:
    assert (await client.get(f"{conflicted}?revs_info=true")).json()["_revs_info"] == [
        {"rev": f"2-{C}", "status": "available"},
        {"rev": f"1-{A}", "status": "missing"},
    ]


# -- meta --------------------------------------------------------------------------------------


async def test_meta_is_revs_info_and_both_conflicts(client: httpx.AsyncClient, conflicted: str) -> None:
    body = (await client.get(f"{conflicted}?meta=true")).json()
    assert body["_conflicts"] == [f"2-{B}"]
    assert body["_deleted_conflicts"] == [f"2-{D}"]
    assert len(body["_revs_info"]) == 2


async def test_etag_goes_only_when_there_is_meta_in_the_answer(
    client: httpx.AsyncClient, db: str, conflicted: str
) -> None:
    await put(client, f"{db}/plain")
    for query in ("conflicts=true", "deleted_conflicts=true", "local_seq=false", "revs=true"):
        assert "etag" in (await client.get(f"{db}/plain?{query}")).headers
    for query in ("conflicts=true", "deleted_conflicts=true", "local_seq=true", "meta=true"):
        assert "etag" not in (await client.get(f"{conflicted}?{query}")).headers


async def test_meta_is_the_winners_and_not_for_a_named_rev(
    client: httpx.AsyncClient, conflicted: str
) -> None:
    response = await client.get(f"{conflicted}?rev=2-{B}&meta=true&local_seq=true")
    assert response.json() == {"_id": "k", "_rev": f"2-{B}", "x": 1}
    assert response.headers["etag"] == f'"2-{B}"'


async def test_local_seq_is_the_documents_number(client: httpx.AsyncClient, db: str) -> None:
    await put(client, f"{db}/a")
    await put(client, f"{db}/b")
    assert (await client.get(f"{db}/b?local_seq=true")).json()["_local_seq"] == 2


async def test_deleted_true_answers_a_deleted_winner(client: httpx.AsyncClient, db: str) -> None:
    rev = await put(client, f"{db}/a", {"_deleted": True})
    response = await client.get(f"{db}/a?deleted=true")
    assert response.json() == {"_id": "a", "_rev": rev, "_deleted": True}


@pytest.mark.parametrize(
    "query", ["revs=maybe", "revs=", "revs=1", "meta=x", "conflicts=TRUE", "attachments=yes", "r=x", "foo=1"]
)
async def test_parameters_that_make_no_sense_are_ignored(
    client: httpx.AsyncClient, conflicted: str, query: str
) -> None:
    response = await client.get(f"{conflicted}?{query}")
    assert response.json() == {"_id": "k", "_rev": f"2-{C}", "x": 2}
    assert "etag" in response.headers


# -- open_revs ---------------------------------------------------------------------------------


async def open_revs(client: httpx.AsyncClient, path: str, revs: object, more: str = "") -> Any:
    text = revs if isinstance(revs, str) else json.dumps(revs)
    response = await client.get(f"{path}?{more}", params={"open_revs": text}, headers=JSON)
    return response.json()


async def test_open_revs_all_answers_every_leaf(client: httpx.AsyncClient, conflicted: str) -> None:
    rows = (await client.get(f"{conflicted}?open_revs=all&revs=true", headers=JSON)).json()
    assert {row["ok"]["_rev"] for row in rows} == {f"2-{B}", f"2-{C}", f"2-{D}"}
    assert all(row["ok"]["_revisions"]["ids"][1] == A for row in rows)


async def test_open_revs_answers_found_and_missing_revisions(
    client: httpx.AsyncClient, conflicted: str
) -> None:
    rows = await open_revs(client, conflicted, [f"2-{B}", f"2-{A}", f"2-{B}"])
    assert rows == [{"ok": {"_id": "k", "_rev": f"2-{B}", "x": 1}}, {"missing": f"2-{A}"}]


async def test_open_revs_latest_answers_the_leaves_below(client: httpx.AsyncClient, conflicted: str) -> None:
    query = f'open_revs=["1-{A}","2-{B}"]&latest=true'
    rows = (await client.get(f"{conflicted}?{query}", headers=JSON)).json()
    assert sorted(row["ok"]["_rev"] for row in rows) == [f"2-{B}", f"2-{C}", f"2-{D}"]


async def test_open_revs_of_an_unknown_document(client: httpx.AsyncClient, db: str) -> None:
    assert await open_revs(client, f"{db}/none", [f"1-{A}"]) == [{"missing": f"1-{A}"}]
    response = await client.get(f"{db}/none?open_revs=all", headers=JSON)
    assert (response.status_code, response.json()) == (404, not_found("missing"))


async def test_open_revs_of_a_deleted_document(client: httpx.AsyncClient, db: str) -> None:
    rev = await put(client, f"{db}/a", {"_deleted": True})
    assert await open_revs(client, f"{db}/a", "all") == [{"ok": {"_id": "a", "_rev": rev, "_deleted": True}}]


async def test_open_revs_of_none_is_a_plain_read(client: httpx.AsyncClient, conflicted: str) -> None:
    assert (await open_revs(client, conflicted, []))["_rev"] == f"2-{C}"


@pytest.mark.parametrize("name", ["open_revs", "atts_since"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x", "invalid UTF-8 JSON"),
        ("", "invalid UTF-8 JSON"),
        ("{}", "Invalid list of revisions"),
        ('"x"', "Invalid list of revisions"),
        ("[1]", "Invalid rev format"),
        ("[null]", "Invalid rev format"),
        ('["abc"]', "Invalid rev format"),
    ],
)
async def test_lists_of_revisions_that_are_none_are_400(
    client: httpx.AsyncClient, conflicted: str, name: str, value: str, reason: str
) -> None:
    response = await client.get(conflicted, params={name: value})
    assert (response.status_code, response.json()) == (400, {"error": "bad_request", "reason": reason})


# -- attachments inside ------------------------------------------------------------------------


@pytest.fixture
async def attached(client: httpx.AsyncClient, db: str) -> tuple[str, str]:
    """A document with a text from its first revision and bytes from its second; the first rev."""
    first = await put(
        client, f"{db}/a", {"_attachments": {"t": {"content_type": "text/plain", "data": "aGVsbG8="}}}
    )
    await put(
        client,
        f"{db}/a",
        {"_rev": first, "v": 1, "_attachments": {"t": {"stub": True}, "u": {"data": "AQI="}}},
    )
    return f"{db}/a", first


async def test_attachments_are_stubs_unless_asked_for(
    client: httpx.AsyncClient, attached: tuple[str, str]
) -> None:
    entries = (await client.get(attached[0])).json()["_attachments"]
    assert entries["t"] == {
        "content_type": "text/plain",
        "revpos": 1,
        "digest": "md5-iMaiC8wqiFlD2NjLTemvCQ==",
        "length": 5,
        "stub": True,
    }
    assert entries["u"]["content_type"] == "application/octet-stream"


async def test_attachments_true_inlines_base64_and_keeps_the_etag(
    client: httpx.AsyncClient, attached: tuple[str, str]
) -> None:
    response = await client.get(f"{attached[0]}?attachments=true", headers=JSON)
    entries = response.json()["_attachments"]
    assert entries["t"] == {
        "content_type": "text/plain",
        "revpos": 1,
        "digest": "md5-iMaiC8wqiFlD2NjLTemvCQ==",
        "data": "aGVsbG8=",
    }
    assert entries["u"]["data"] == "AQI="
    assert response.json()["v"] == 1
    assert "etag" in response.headers


async def test_atts_since_inlines_only_what_is_newer(
    client: httpx.AsyncClient, attached: tuple[str, str]
) -> None:
    path, first = attached
    for query in ("", "&open_revs=all"):
        response = await client.get(f'{path}?atts_since=["{first}","9-{A}"]{query}', headers=JSON)
        body = response.json()[0]["ok"] if query else response.json()
        entries = body["_attachments"]
        assert entries["t"]["stub"] is True
        assert entries["u"]["data"] == "AQI="


async def test_atts_since_a_stranger_inlines_all(
    client: httpx.AsyncClient, attached: tuple[str, str]
) -> None:
    for since in ("[]", f'["1-{A}"]'):
        response = await client.get(f"{attached[0]}?atts_since={since}", headers=JSON)
        assert all("data" in entry for entry in response.json()["_attachments"].values())


async def test_attachments_true_for_a_document_without_any(client: httpx.AsyncClient, db: str) -> None:
    rev = await put(client, f"{db}/a", {"v": 1.0})
    response = await client.get(f"{db}/a?attachments=true&att_encoding_info=true", headers=JSON)
    assert response.text == f'{{"_id":"a","_rev":"{rev}","v":1.0}}\n'


async def test_att_encoding_info_tells_how_an_attachment_is_stored(
    client: httpx.AsyncClient, db: str
) -> None:
    packed = gzip.compress(b"hello" * 100)
    await client.put(f"{db}/g/f", content=packed, headers={"Content-Encoding": "gzip"})
    stub = (await client.get(f"{db}/g?att_encoding_info=true")).json()["_attachments"]["f"]
    assert (stub["encoding"], stub["encoded_length"], stub["length"]) == ("gzip", len(packed), 500)
    assert stub["stub"] is True
    response = await client.get(f"{db}/g?att_encoding_info=true&attachments=true", headers=JSON)
    entry = response.json()["_attachments"]["f"]
    assert entry["data"] == b64encode(b"hello" * 100).decode()
    assert (entry["encoding"], entry["encoded_length"]) == ("gzip", len(packed))
    assert "encoding" not in (await client.get(f"{db}/g")).json()["_attachments"]["f"]


async def test_an_attachment_that_is_not_named_again_is_gone(client: httpx.AsyncClient, db: str) -> None:
    rev = await put(client, f"{db}/a", {"_attachments": {"f": {"data": "AQI="}}})
    await put(client, f"{db}/a", {"_rev": rev})
    assert "_attachments" not in (await client.get(f"{db}/a")).json()
    assert (await client.get(f"{db}/a/f")).status_code == 404
    assert (await client.get(f"{db}/a/f?rev={rev}")).content == b"\x01\x02"

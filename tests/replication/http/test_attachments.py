"""Attachments by their own address."""

from __future__ import annotations

import gzip
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import md5
from typing import Any

import httpx
import pytest

from replication.http import Application, attachments
from replication.http.attachment_streams import GzipCheck, limited, unpacked
from tests.replication.http.refusals import refused

A = "a" * 32
DATA = bytes(range(256)) * 2000
"""Half a megabyte: more than is sent in one piece, and more than a stored chunk."""


def etag_of(data: bytes) -> str:
    return f'"{b64encode(md5(data).digest()).decode()}"'


async def upload(
    client: httpx.AsyncClient, path: str, data: bytes = b"hello", **headers: str
) -> httpx.Response:
    return await client.put(path, content=data, headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.fixture
async def letters(client: httpx.AsyncClient, db: str) -> str:
    """An attachment that holds the alphabet."""
    path = f"{db}/a/letters"
    response = await upload(client, path, b"abcdefghijklmnopqrstuvwxyz", content_type="image/png")
    assert response.status_code == 201
    return path


# -- PUT ---------------------------------------------------------------------------------------


async def test_put_makes_the_document_and_answers_201_with_location(
    client: httpx.AsyncClient, db: str
) -> None:
    response = await upload(client, f"{db}/a/b%20c/d", content_type="text/plain; charset=utf-8")
    body = response.json()
    assert (response.status_code, body) == (201, {"ok": True, "id": "a", "rev": body["rev"]})
    assert response.headers["location"] == "http://server/db/a/b%20c%2Fd"
    assert "etag" not in response.headers
    assert (await client.get(f"{db}/a")).json()["_attachments"] == {
        "b c/d": {
            "content_type": "text/plain; charset=utf-8",
            "revpos": 1,
            "digest": "md5-iMaiC8wqiFlD2NjLTemvCQ==",
            "length": 5,
            "stub": True,
        }
    }


async def test_put_without_a_content_type_is_octet_stream(client: httpx.AsyncClient, db: str) -> None:
    await upload(client, f"{db}/a/f")
    assert (await client.get(f"{db}/a/f")).headers["content-type"] == "application/octet-stream"


async def test_put_keeps_the_body_and_the_other_attachments(client: httpx.AsyncClient, db: str) -> None:
    body = {"v": 1, "_attachments": {"one": {"data": "AQI="}}}
    rev = (await client.put(f"{db}/a", json=body)).json()["rev"]
    response = await upload(client, f"{db}/a/two?rev={rev}")
    assert response.json()["rev"].startswith("2-")
    found = (await client.get(f"{db}/a")).json()
    assert found["v"] == 1
    assert {name: entry["revpos"] for name, entry in found["_attachments"].items()} == {"one": 1, "two": 2}


async def test_put_replaces_an_attachment(client: httpx.AsyncClient, letters: str) -> None:
    rev = (await client.get("/db/a")).json()["_rev"]
    response = await upload(client, letters, b"new", If_Match=f'"{rev}"')
    assert response.status_code == 201
    assert (await client.get(letters)).content == b"new"
    assert (await client.get(f"{letters}?rev={rev}")).content.startswith(b"abc")


async def test_put_without_rev_on_a_deleted_document_begins_anew(client: httpx.AsyncClient, db: str) -> None:
    rev = (await client.put(f"{db}/a", json={"v": 1})).json()["rev"]
    await client.delete(f"{db}/a?rev={rev}")
    assert (await upload(client, f"{db}/a/f")).json()["rev"].startswith("3-")
    assert "v" not in (await client.get(f"{db}/a")).json()


async def test_put_conflicts_without_or_with_an_old_rev(client: httpx.AsyncClient, db: str) -> None:
    conflict = (409, "conflict", "Document update conflict.")
    first = (await client.put(f"{db}/a", json={})).json()["rev"]
    await client.put(f"{db}/a", json={"_rev": first})
    assert refused(await upload(client, f"{db}/a/f")) == conflict
    assert refused(await upload(client, f"{db}/a/f?rev={first}")) == conflict
    assert "_attachments" not in (await client.get(f"{db}/a")).json()


async def test_put_with_an_unknown_rev_is_409_missing_rev(client: httpx.AsyncClient, db: str) -> None:
    for path in (f"{db}/none/f", f"{db}/a/f"):
        assert refused(await upload(client, f"{path}?rev=3-{A}")) == (409, "not_found", "missing_rev")
        await client.put(f"{db}/a", json={})


async def test_put_into_design_documents(client: httpx.AsyncClient, db: str) -> None:
    response = await upload(client, f"{db}/_design/d/a/b")
    assert response.headers["location"] == "http://server/db/_design%2Fd/a%2Fb"
    for path in ("_design/d/a/b", "_design%2Fd/a/b", "_design/d/a%2Fb"):
        assert (await client.get(f"{db}/{path}")).content == b"hello"


@pytest.mark.parametrize(
    ("path", "status", "error", "reason"),
    [
        ("a/_f", 400, "bad_request", "Attachment name '_f' starts with prohibited character '_'"),
        ("_foo/f", 400, "illegal_docid", "Only reserved document ids may start with underscore."),
        ("a/f?rev=zz", 400, "bad_request", "Invalid rev format"),
        ("_local/a/f", 400, "bad_request", "_local documents do not accept attachments."),
    ],
)
async def test_put_refuses_bad_addresses(
    client: httpx.AsyncClient, db: str, path: str, status: int, error: str, reason: str
) -> None:
    assert refused(await upload(client, f"{db}/{path}")) == (status, error, reason)
    assert (await client.get(db)).json()["doc_count"] == 0


async def test_put_refuses_revisions_that_disagree(client: httpx.AsyncClient, db: str) -> None:
    response = await upload(client, f"{db}/a/f?rev=1-{A}", If_Match="1-b")
    assert refused(response) == (400, "bad_request", "Document rev and etag have different values")


async def test_put_takes_an_empty_attachment(client: httpx.AsyncClient, db: str) -> None:
    assert (await upload(client, f"{db}/a/f", b"")).status_code == 201
    response = await client.get(f"{db}/a/f")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["etag"] == '"1B2M2Y8AsgTpgAmY7PhCfg=="'


async def test_put_takes_chunked_uploads(client: httpx.AsyncClient, db: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(DATA), 70_000):
            yield DATA[start : start + 70_000]

    response = await client.put(f"{db}/a/f", content=pieces())
    assert response.status_code == 201
    assert (await client.get(f"{db}/a/f")).content == DATA


async def test_put_past_the_limit_is_413_and_stores_nothing(
    client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (attachments, __import__("replication.http.attachment_streams", fromlist=["x"])):
        monkeypatch.setattr(module, "MAX_ATTACHMENT_SIZE", 1000)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100

    too_large = (413, "attachment_too_large", "f")
    assert refused(await upload(client, f"{db}/a/f", b"x" * 1001)) == too_large
    assert refused(await client.put(f"{db}/a/f", content=endless())) == too_large
    bomb = gzip.compress(b"x" * 1001)
    assert refused(await upload(client, f"{db}/a/f", bomb, Content_Encoding="gzip")) == too_large
    assert (await client.get(f"{db}/a")).status_code == 404
    assert (await upload(client, f"{db}/a/f", b"x" * 1000)).status_code == 201


async def test_a_client_that_leaves_during_an_upload_stores_nothing(
    client: httpx.AsyncClient, app: Application, db: str
) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/db/a/f",
        "raw_path": b"/db/a/f",
        "query_string": b"",
        "headers": [(b"content-length", b"8")],
        "scheme": "http",
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    assert sent == []
    assert (await client.get(f"{db}/a")).status_code == 404


# -- GET ---------------------------------------------------------------------------------------


async def test_get_answers_bytes_type_length_and_digest(client: httpx.AsyncClient, letters: str) -> None:
    response = await client.get(letters)
    assert response.content == b"abcdefghijklmnopqrstuvwxyz"
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-length"] == "26"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["cache-control"] == "must-revalidate"
    assert response.headers["etag"] == etag_of(response.content)


async def test_get_streams_what_is_larger_than_a_piece(client: httpx.AsyncClient, db: str) -> None:
    await upload(client, f"{db}/a/f", DATA)
    response = await client.get(f"{db}/a/f")
    assert response.content == DATA
    assert response.headers["content-length"] == str(len(DATA))


async def test_get_shields_browsers_from_what_users_upload(client: httpx.AsyncClient, db: str) -> None:
    await upload(client, f"{db}/a/f", b"<script>", content_type="text/html")
    headers = (await client.get(f"{db}/a/f")).headers
    assert headers["content-type"] == "text/html"
    assert headers["content-security-policy"] == "sandbox"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("content_type", ["", "text/€", "text/plain\r\nX-Evil: 1", "text/ü"])
async def test_content_types_that_are_no_header_never_become_one(
    client: httpx.AsyncClient, db: str, content_type: str
) -> None:
    body = {"_attachments": {"f": {"content_type": content_type, "data": "AQI="}}}
    if (await client.put(f"{db}/a", json=body)).status_code == 201:
        response = await client.get(f"{db}/a/f")
        assert response.headers["content-type"] == "application/octet-stream"
        assert "x-evil" not in response.headers


async def test_head_has_the_headers_of_get_and_no_body(client: httpx.AsyncClient, letters: str) -> None:
    get, head = await client.get(letters), await client.head(letters)
    assert (head.status_code, head.content) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k != "x-couch-request-id"} == {
        k: v for k, v in get.headers.items() if k != "x-couch-request-id"
    }


async def test_get_is_304_for_the_digest_a_client_has(client: httpx.AsyncClient, letters: str) -> None:
    etag = (await client.get(letters)).headers["etag"]
    for headers in ({"If-None-Match": etag}, {"If-None-Match": f"W/{etag}", "Range": "bytes=0-0"}):
        response = await client.get(letters, headers=headers)
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == etag


async def test_get_of_what_is_not_there_is_404(client: httpx.AsyncClient, letters: str) -> None:
    assert refused(await client.get("/db/none/f")) == (404, "not_found", "missing")
    assert refused(await client.get("/db/_foo/f")) == (404, "not_found", "missing")
    assert refused(await client.get(f"{letters}?rev=3-{A}")) == (404, "not_found", "missing")
    no_such = (404, "not_found", "Document is missing attachment")
    assert refused(await client.get("/db/a/none")) == no_such
    await client.put("/db/plain", json={})
    assert refused(await client.get("/db/plain/f")) == no_such
    rev = (await client.get("/db/a")).json()["_rev"]
    await client.delete(f"/db/a?rev={rev}")
    assert refused(await client.get(letters)) == (404, "not_found", "deleted")
    assert (await client.get(f"{letters}?rev={rev}")).status_code == 200
    assert refused(await client.get("/none/a/f")) == (404, "not_found", "Database does not exist.")


async def test_get_with_a_bad_rev_is_400(client: httpx.AsyncClient, letters: str) -> None:
    assert refused(await client.get(f"{letters}?rev=zz")) == (400, "bad_request", "Invalid rev format")


# -- ranges ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "content", "content_range"),
    [
        ("bytes=0-0", b"a", "bytes 0-0/26"),
        ("bytes=2-4", b"cde", "bytes 2-4/26"),
        ("bytes=24-", b"yz", "bytes 24-25/26"),
        ("bytes=24-99", b"yz", "bytes 24-25/26"),
        ("bytes=-2", b"yz", "bytes 24-25/26"),
        ("bytes=-99", b"abcdefghijklmnopqrstuvwxyz", "bytes 0-25/26"),
    ],
)
async def test_a_range_is_206(
    client: httpx.AsyncClient, letters: str, asked: str, content: bytes, content_range: str
) -> None:
    response = await client.get(letters, headers={"Range": asked})
    assert (response.status_code, response.content) == (206, content)
    assert response.headers["content-range"] == content_range
    assert response.headers["content-length"] == str(len(content))
    assert response.headers["content-type"] == "image/png"
    assert response.headers["etag"] == etag_of(b"abcdefghijklmnopqrstuvwxyz")
    head = await client.head(letters, headers={"Range": asked})
    assert (head.status_code, head.headers["content-range"]) == (206, content_range)


@pytest.mark.parametrize(
    "asked", ["bytes=26-", "bytes=30-40", "bytes=4-2", "bytes=-0", "bytes=0-0,99-", "bytes=99-,0-0"]
)
async def test_a_range_behind_the_end_is_416(client: httpx.AsyncClient, letters: str, asked: str) -> None:
    response = await client.get(letters, headers={"Range": asked})
    expected = (416, "requested_range_not_satisfiable", "Requested range not satisfiable")
    assert refused(response) == expected


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-", "bytes=x", "bytes=-", "bytes=", "chars=0-1", "bytes=1-2-3", "bytes=0-0" + ",0-0" * 9],
)
async def test_ranges_that_are_not_understood_or_too_many_answer_the_whole(
    client: httpx.AsyncClient, letters: str, asked: str
) -> None:
    response = await client.get(letters, headers={"Range": asked})
    assert (response.status_code, len(response.content)) == (200, 26)


async def test_several_ranges_are_multipart_byteranges(client: httpx.AsyncClient, letters: str) -> None:
    response = await client.get(letters, headers={"Range": "bytes=0-1, -1,3-3"})
    assert response.status_code == 206
    match = re.fullmatch(r'multipart/byteranges; boundary="(\w+)"', response.headers["content-type"])
    assert match is not None
    assert response.headers["content-length"] == str(len(response.content))
    parts = response.content.split(b"--" + match[1].encode())
    assert parts[0] == b"\r\n"
    assert parts[-1] == b"--\r\n"
    assert parts[1:-1] == [
        b"\r\nContent-Type: image/png\r\nContent-Range: bytes %b/26\r\n\r\n%b\r\n" % (span, data)
        for span, data in ((b"0-1", b"ab"), (b"25-25", b"z"), (b"3-3", b"d"))
    ]
    head = await client.head(letters, headers={"Range": "bytes=0-1,-1"})
    assert (head.status_code, head.content) == (206, b"")


async def test_if_range_with_another_etag_answers_the_whole(client: httpx.AsyncClient, letters: str) -> None:
    etag = (await client.get(letters)).headers["etag"]
    for if_range, status in ((etag, 206), ('"other"', 200)):
        headers = {"Range": "bytes=0-0", "If-Range": if_range}
        assert (await client.get(letters, headers=headers)).status_code == status


async def test_a_range_across_stored_chunks(client: httpx.AsyncClient, db: str) -> None:
    await upload(client, f"{db}/a/f", DATA)
    response = await client.get(f"{db}/a/f", headers={"Range": "bytes=100-400000"})
    assert response.content == DATA[100:400001]


# -- gzip --------------------------------------------------------------------------------------


@pytest.fixture
async def packed(client: httpx.AsyncClient, db: str) -> bytes:
    """What `/db/g/f` stores: DATA, compressed by the client."""
    stored = gzip.compress(DATA)
    response = await upload(client, f"{db}/g/f", stored, content_type="text/plain", content_encoding="gzip")
    assert response.status_code == 201
    return stored


async def raw_get(client: httpx.AsyncClient, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """A response and its bytes as they came."""
    async with client.stream("GET", path, headers=headers) as response:
        return response, b"".join([piece async for piece in response.aiter_raw()])


async def test_a_gzipped_upload_is_kept_as_it_is(client: httpx.AsyncClient, db: str, packed: bytes) -> None:
    entry = (await client.get(f"{db}/g")).json()["_attachments"]["f"]
    assert entry["digest"] == "md5-" + etag_of(packed).strip('"')
    assert entry["length"] == len(DATA)


async def test_gzip_is_served_to_those_who_take_it(client: httpx.AsyncClient, db: str, packed: bytes) -> None:
    for accepted in ("gzip", "br, GZIP;q=0.5", "*", "identity;q=0, gzip"):
        response, body = await raw_get(client, f"{db}/g/f", **{"Accept-Encoding": accepted})
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["content-length"] == str(len(packed))
        assert body == packed


async def test_gzip_is_unpacked_for_the_others(client: httpx.AsyncClient, db: str, packed: bytes) -> None:
    for accepted in ("identity", "gzip;q=0", "*;q=0", "br", ""):
        response, body = await raw_get(client, f"{db}/g/f", **{"Accept-Encoding": accepted})
        assert "content-encoding" not in response.headers
        assert response.headers["content-length"] == str(len(DATA))
        assert response.headers["etag"] == etag_of(packed)
        assert response.headers["accept-ranges"] == "none"
        assert body == DATA
    head = await client.head(f"{db}/g/f", headers={"Accept-Encoding": "identity"})
    assert head.headers["content-length"] == str(len(DATA))


async def test_ranges_of_a_packed_attachment_answer_the_whole(
    client: httpx.AsyncClient, db: str, packed: bytes
) -> None:
    headers = {"Accept-Encoding": "identity", "Range": "bytes=0-0"}
    response = await client.get(f"{db}/g/f", headers=headers)
    assert (response.status_code, response.content) == (200, DATA)


async def test_a_packed_attachment_stays_packed_over_edits_and_copies(
    client: httpx.AsyncClient, db: str, packed: bytes
) -> None:
    rev = (await client.get(f"{db}/g")).json()["_rev"]
    await upload(client, f"{db}/g/other?rev={rev}")
    await client.request("COPY", f"{db}/g", headers={"Destination": "h"})
    for docid in ("g", "h"):
        entry = (await client.get(f"{db}/{docid}?att_encoding_info=true")).json()["_attachments"]["f"]
        assert (entry["length"], entry["encoded_length"]) == (len(DATA), len(packed))
        assert (await client.get(f"{db}/{docid}/f")).content == DATA


async def test_uploads_that_are_not_what_their_encoding_says_are_400(
    client: httpx.AsyncClient, db: str
) -> None:
    whole = gzip.compress(b"hello")
    for data in (b"not gzip", whole[:-5], b""):
        response = await upload(client, f"{db}/a/f", data, Content_Encoding="gzip")
        assert refused(response)[:2] == (400, "bad_request")
    assert (await client.get(f"{db}/a")).status_code == 404


async def test_other_encodings_are_415(client: httpx.AsyncClient, db: str) -> None:
    response = await upload(client, f"{db}/a/f", Content_Encoding="br")
    reason = "Only gzip and identity content-encodings are supported"
    assert refused(response) == (415, "bad_content_type", reason)


async def pieces_of(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_unpacking_takes_several_members_in_any_pieces(size: int) -> None:
    plain = b"x" * 300_000
    data = gzip.compress(plain) + gzip.compress(b"") + gzip.compress(b"end")
    check = GzipCheck("f")
    assert b"".join([piece async for piece in check.checked(pieces_of(data, size))]) == data
    assert check.length == len(plain) + 3
    assert b"".join([piece async for piece in unpacked(pieces_of(data, size))]) == plain + b"end"


async def test_limited_passes_what_fits() -> None:
    assert [piece async for piece in limited(pieces_of(b"abc", 2), "f")] == [b"ab", b"c"]


# -- DELETE ------------------------------------------------------------------------------------


async def test_delete_makes_a_revision_without_the_attachment(client: httpx.AsyncClient, db: str) -> None:
    body = {"v": 1, "_attachments": {"one": {"data": "AQI="}, "two": {"data": "AQI="}}}
    rev = (await client.put(f"{db}/a", json=body)).json()["rev"]
    response = await client.delete(f"{db}/a/one?rev={rev}")
    assert response.status_code == 200
    found = (await client.get(f"{db}/a")).json()
    assert response.json() == {"ok": True, "id": "a", "rev": found["_rev"]}
    assert (found["v"], list(found["_attachments"])) == (1, ["two"])


async def test_delete_looks_for_document_and_attachment_first(
    client: httpx.AsyncClient, letters: str
) -> None:
    rev = (await client.get("/db/a")).json()["_rev"]
    assert refused(await client.delete("/db/none/f")) == (404, "not_found", "missing")
    assert refused(await client.delete(f"/db/none/f?rev=3-{A}")) == (409, "not_found", "missing_rev")
    no_such = (404, "not_found", "Document is missing attachment")
    assert refused(await client.delete("/db/a/none")) == no_such
    assert refused(await client.delete(f"/db/a/none?rev={rev}")) == no_such
    assert refused(await client.delete(letters)) == (409, "conflict", "Document update conflict.")
    assert refused(await client.delete(f"{letters}?rev=zz")) == (400, "bad_request", "Invalid rev format")
    assert (await client.get("/db/a")).json()["_rev"] == rev


async def test_methods_an_attachment_has_not_are_405(client: httpx.AsyncClient, letters: str) -> None:
    response = await client.post(letters)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(",")) == {"DELETE", "GET", "HEAD", "PUT"}


async def test_inline_data_may_be_broken_into_lines(client: httpx.AsyncClient, db: str) -> None:
    body = {"_attachments": {"f": {"data": "aGVs\r\nbG8=\n"}}}
    assert (await client.put(f"{db}/a", json=body)).status_code == 201
    assert (await client.get(f"{db}/a/f")).content == b"hello"

"""Reading attachments: headers, ranges, digests."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.replication.http.attachments import DATA, etag_of, upload
from tests.replication.http.batches import A
from tests.replication.http.refusals import refused

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

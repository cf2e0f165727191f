"""Attachments that come or go packed."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from replication.http.attachment_streams import GzipCheck, limited, unpacked
from tests.replication.http.attachments import DATA, etag_of, upload
from tests.replication.http.refusals import refused


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

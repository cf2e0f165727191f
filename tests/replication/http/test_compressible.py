"""Text that is attached is stored as gzip, by CouchDB's rules, whichever way it came."""

from __future__ import annotations

import gzip
from base64 import b64encode
from typing import Any

import httpx
import pytest

from replication.protocol.attachments import InlineAttachment, as_stored, digest_of, is_compressible

DATA = b"hello"
PACKED_DIGEST = "md5-iMaiC8wqiFlD2NjLTemvCQ=="
"""What CouchDB gives for a text that says hello."""

LONG = b"".join(b"%d: a line of text\n" % n for n in range(40_000))


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/plain", True),
        ("text/html; charset=utf-8", True),
        ("text/", True),
        ("TEXT/CSV", True),
        ("application/json", True),
        ("APPLICATION/JSON ; x=y", True),
        ("application/javascript", True),
        ("application/xml", True),
        ("application/json+ld", False),
        ("application/json,x", False),
        ("image/svg+xml", False),
        ("xtext/plain", False),
        ("application/octet-stream", False),
        ("", False),
    ],
)
def test_compressible_types_are_those_of_couchdb(content_type: str, expected: bool) -> None:
    assert is_compressible(content_type) is expected


@pytest.mark.parametrize(
    ("data", "digest", "size"),
    [
        # each as CouchDB 3.5 answered them
        (b"", "md5-cCkGbCesb17xjWYNV0GXmg==", 20),
        (DATA, PACKED_DIGEST, 25),
        (b"hello world", "md5-7mkg+nM0HN26sZkLN8KVSA==", 31),
    ],
)
def test_packed_bytes_are_those_of_couchdb(data: bytes, digest: str, size: int) -> None:
    packed = as_stored(InlineAttachment("text/plain", data, digest_of(data)))
    assert (packed.digest, len(packed.data), packed.length, packed.encoding) == (
        digest,
        size,
        len(data),
        "gzip",
    )
    assert gzip.decompress(packed.data) == data
    assert as_stored(packed) is packed


async def inline(client: httpx.AsyncClient, path: str, data: bytes) -> None:
    entry = {"content_type": "text/plain", "data": b64encode(data).decode()}
    assert (await client.put(path, json={"_attachments": {"f": entry}})).status_code == 201


async def batch(client: httpx.AsyncClient, path: str, data: bytes) -> None:
    entry = {"content_type": "text/plain", "data": b64encode(data).decode()}
    docs = [{"_id": path.removeprefix("/db/"), "_attachments": {"f": entry}}]
    assert (await client.post("/db/_bulk_docs", json={"docs": docs})).status_code == 201


async def by_address(client: httpx.AsyncClient, path: str, data: bytes) -> None:
    response = await client.put(f"{path}/f", content=data, headers={"Content-Type": "text/plain"})
    assert response.status_code == 201


async def multipart(client: httpx.AsyncClient, path: str, data: bytes) -> None:
    entry = b'{"follows":true,"content_type":"text/plain","length":%d}' % len(data)
    body = b'--b\r\nContent-Type: application/json\r\n\r\n{"_attachments":{"f":%b}}' % entry
    body += b"\r\n--b\r\n\r\n" + data + b"\r\n--b--"
    headers = {"Content-Type": 'multipart/related; boundary="b"'}
    assert (await client.put(path, content=body, headers=headers)).status_code == 201


WAYS = [inline, batch, by_address, multipart]


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("data", [b"", DATA, LONG])
async def test_every_way_of_writing_stores_the_same_bytes(
    client: httpx.AsyncClient, db: str, write: Any, data: bytes
) -> None:
    await write(client, f"{db}/a", data)
    entry = (await client.get(f"{db}/a?att_encoding_info=true")).json()["_attachments"]["f"]
    packed = as_stored(InlineAttachment("text/plain", data, ""))
    assert entry == {
        "content_type": "text/plain",
        "revpos": 1,
        "digest": packed.digest,
        "length": len(data),
        "stub": True,
        "encoding": "gzip",
        "encoded_length": len(packed.data),
    }
    path = f"{db}/a/f"
    etag = '"' + packed.digest.removeprefix("md5-") + '"'
    for accepted, encoding in (("gzip", "gzip"), ("identity", None), ("gzip;q=0", None)):
        response = await client.get(path, headers={"Accept-Encoding": accepted, "Range": "bytes=0-1"})
        assert (response.status_code, response.content) == (200, data)
        assert response.headers.get("content-encoding") == encoding
        assert response.headers["etag"] == etag
        assert response.headers["accept-ranges"] == "none"
        assert response.headers["content-length"] == str(len(packed.data) if encoding else len(data))
        assert response.headers["vary"] == "Accept-Encoding"
    assert (await client.get(path, headers={"If-None-Match": etag})).status_code == 304
    answer = (await client.get(f"{db}/a?attachments=true", headers={"Accept": "application/json"})).json()
    assert answer["_attachments"]["f"]["data"] == b64encode(data).decode()


async def test_text_that_comes_again_is_recognised(client: httpx.AsyncClient, db: str) -> None:
    await inline(client, f"{db}/a", LONG)
    rev = (await client.get(f"{db}/a")).json()["_rev"]
    before = (await client.get(db)).json()["sizes"]["active"]
    entry = {"content_type": "text/plain", "data": b64encode(LONG).decode()}
    await client.put(f"{db}/a", json={"_rev": rev, "v": 2, "_attachments": {"f": entry}})
    found = (await client.get(f"{db}/a")).json()
    assert found["_attachments"]["f"]["revpos"] == 1
    after = (await client.get(db)).json()["sizes"]["active"]
    assert after - before < 10_000


async def test_a_copy_keeps_the_packed_bytes(client: httpx.AsyncClient, db: str) -> None:
    await inline(client, f"{db}/a", DATA)
    await client.request("COPY", f"{db}/a", headers={"Destination": "b"})
    entry = (await client.get(f"{db}/b?att_encoding_info=true")).json()["_attachments"]["f"]
    assert (entry["digest"], entry["length"], entry["encoding"]) == (PACKED_DIGEST, 5, "gzip")
    assert (await client.get(f"{db}/b/f")).content == DATA


async def test_a_stub_names_the_packed_digest(client: httpx.AsyncClient, db: str) -> None:
    await inline(client, f"{db}/a", DATA)
    document = (await client.get(f"{db}/a")).json()
    assert document["_attachments"]["f"]["digest"] == PACKED_DIGEST
    assert (await client.put(f"{db}/a", json=document)).status_code == 201
    assert (await client.get(f"{db}/a/f")).content == DATA


async def test_what_was_read_with_its_encoding_can_be_written_back(
    client: httpx.AsyncClient, db: str
) -> None:
    """The data is not packed then, although the entry says how it is stored."""
    await inline(client, f"{db}/a", DATA)
    query = "attachments=true&att_encoding_info=true"
    document = (await client.get(f"{db}/a?{query}", headers={"Accept": "application/json"})).json()
    assert document["_attachments"]["f"]["encoding"] == "gzip"
    del document["_rev"]
    assert (await client.put(f"{db}/b", json=document)).status_code == 201
    assert (await client.get(f"{db}/b/f")).content == DATA
    assert (await client.get(f"{db}/b")).json()["_attachments"]["f"]["digest"] == PACKED_DIGEST


async def test_a_thousand_small_texts_are_packed(client: httpx.AsyncClient, db: str) -> None:
    entries = {f"f{n}": {"content_type": "text/plain", "data": "aGVsbG8="} for n in range(1000)}
    assert (await client.put(f"{db}/a", json={"_attachments": entries})).status_code == 201
    found = (await client.get(f"{db}/a")).json()["_attachments"]
    assert {entry["digest"] for entry in found.values()} == {PACKED_DIGEST}


async def test_a_refused_upload_by_address_gives_its_room_back(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/a", json={})
    first = (await client.get(f"{db}/a")).json()["_rev"]
    await client.put(f"{db}/a", json={"_rev": first})
    before = (await client.get(db)).json()["sizes"]["active"]
    response = await client.put(f"{db}/a/f?rev={first}", content=bytes(10**6))
    assert response.status_code == 409
    assert (await client.get(db)).json()["sizes"]["active"] - before < 10_000

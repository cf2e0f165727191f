"""`PUT /{db}/{id}` with `multipart/related`: a document and the bytes of its attachments in one request."""

from __future__ import annotations

import asyncio
import gzip
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import md5
from typing import Any

import httpx
import pytest

from replication.http import multipart_requests
from replication.store.interface import Store
from replication.store.sqlite.database import SqliteDatabase
from tests.replication.http.refusals import refused

A, B = "a" * 32, "b" * 32
RELATED = {"Content-Type": 'multipart/related; boundary="b"'}
JSON_PART = {"Content-Type": "application/json"}
DATA = bytes(range(256)) * 2000
"""Half a megabyte: too much to be kept in memory, and more than a stored chunk."""

Part = tuple[Mapping[str, str], bytes]


def digest(data: bytes) -> str:
    return "md5-" + b64encode(md5(data).digest()).decode()


def body(parts: Sequence[Part], *, end: bytes = b"--b--") -> bytes:
    written = b""
    for headers, data in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        written += b"--b\r\n" + lines.encode() + b"\r\n" + data + b"\r\n"
    return written + end


def document(value: Any) -> Part:
    return JSON_PART, json.dumps(value).encode()


def follows(length: int | None = None, content_type: str = "image/png", **more: Any) -> dict[str, Any]:
    entry = {"follows": True, "content_type": content_type, **more}
    return entry if length is None else {**entry, "length": length}


def with_attachments(entries: Mapping[str, Any], *datas: bytes, **members: Any) -> list[Part]:
    return [document({**members, "_attachments": entries}), *(({}, data) for data in datas)]


async def put(
    client: httpx.AsyncClient, path: str, parts: Sequence[Part] | bytes, **headers: str
) -> httpx.Response:
    content = parts if isinstance(parts, bytes) else body(parts)
    return await client.put(path, content=content, headers=RELATED | headers)


async def entries_of(client: httpx.AsyncClient, path: str) -> dict[str, dict[str, Any]]:
    answer = (await client.get(f"{path}?att_encoding_info=true")).json()
    entries: dict[str, dict[str, Any]] = answer["_attachments"]
    return entries


# -- what is stored ----------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"hello", b"x" * 70_000, DATA])
async def test_put_stores_the_document_with_its_attachments(
    client: httpx.AsyncClient, db: str, data: bytes
) -> None:
    entries = {"one": follows(len(data), digest=digest(data)), "two": follows(3)}
    response = await put(client, f"{db}/a", with_attachments(entries, data, b"two", v=1))
    rev = response.json()["rev"]
    assert (response.status_code, response.json()) == (201, {"ok": True, "id": "a", "rev": rev})
    assert response.headers["etag"] == f'"{rev}"'
    assert response.headers["location"] == "http://server/db/a"
    found = (await client.get(f"{db}/a")).json()
    assert found["v"] == 1
    assert found["_attachments"]["one"] == {
        "content_type": "image/png",
        "revpos": 1,
        "digest": digest(data),
        "length": len(data),
        "stub": True,
    }
    assert (await client.get(f"{db}/a/one")).content == data
    assert (await client.get(f"{db}/a/two")).content == b"two"


async def test_put_without_lengths_content_types_and_digests(client: httpx.AsyncClient, db: str) -> None:
    await put(client, f"{db}/a", with_attachments({"one": {"follows": True}}, DATA))
    entry = (await entries_of(client, f"{db}/a"))["one"]
    assert (entry["content_type"], entry["length"]) == ("application/octet-stream", len(DATA))


async def test_parts_come_in_order_beside_stubs_and_inline_data(client: httpx.AsyncClient, db: str) -> None:
    first = (await put(client, f"{db}/a", with_attachments({"kept": follows(4)}, b"kept"))).json()["rev"]
    entries = {
        "x": follows(1),
        "kept": {"stub": True},
        "inline": {"data": "aGVsbG8=", "content_type": "image/gif"},
        "y": follows(len(DATA)),
    }
    response = await put(client, f"{db}/a", with_attachments(entries, b"x", DATA, _rev=first))
    assert response.status_code == 201
    for name, data in {"x": b"x", "kept": b"kept", "inline": b"hello", "y": DATA}.items():
        assert (await client.get(f"{db}/a/{name}")).content == data
    revpos = {name: entry["revpos"] for name, entry in (await entries_of(client, f"{db}/a")).items()}
    assert revpos == {"x": 2, "kept": 1, "inline": 2, "y": 2}


@pytest.mark.parametrize("name", ["f", "ä ö", 'a"b', "a;b", "dir/f", "%22"])
async def test_parts_may_say_their_names(client: httpx.AsyncClient, db: str, name: str) -> None:
    """CouchDB sends them as they are, quotes included."""
    parts = with_attachments({name: follows(1), "a": follows(1)})
    parts += [({"Content-Disposition": f'attachment; filename="{name}"'}, b"1")]
    parts += [({"Content-Disposition": 'attachment; filename="a"'}, b"2")]
    assert (await put(client, f"{db}/a", parts)).status_code == 201
    response = await client.get(f"{db}/a?attachments=true", headers={"Accept": "application/json"})
    assert response.json()["_attachments"][name]["data"] == "MQ=="


@pytest.mark.parametrize("size", [5, 100_000])
async def test_gzip_parts_are_kept_as_they_are(client: httpx.AsyncClient, db: str, size: int) -> None:
    data = (DATA + b"hello")[-size:]
    packed = gzip.compress(data, 1)
    entry = follows(size, "text/plain", encoding="gzip", encoded_length=len(packed), digest=digest(packed))
    response = await put(client, f"{db}/a", with_attachments({"f": entry}, packed))
    assert response.status_code == 201
    found = (await entries_of(client, f"{db}/a"))["f"]
    assert (found["digest"], found["length"]) == (digest(packed), size)
    assert (found["encoding"], found["encoded_length"]) == ("gzip", len(packed))
    assert (await client.get(f"{db}/a/f", headers={"Accept-Encoding": "identity"})).content == data


@pytest.mark.parametrize("size", [5, 100_000])
async def test_text_parts_get_compressed_and_their_digest_is_that_of_what_came(
    client: httpx.AsyncClient, db: str, size: int
) -> None:
    data = b"hello" * (size // 5)
    entry = follows(size, "text/plain", digest=digest(data))
    assert (await put(client, f"{db}/a", with_attachments({"f": entry}, data))).status_code == 201
    found = (await entries_of(client, f"{db}/a"))["f"]
    assert found["encoding"] == "gzip"
    assert found["length"] == size
    assert found["digest"] != digest(data)
    assert (await client.get(f"{db}/a/f")).content == data


async def test_put_replicated(client: httpx.AsyncClient, db: str) -> None:
    members = {"_revisions": {"start": 3, "ids": [B, A]}}
    parts = with_attachments(
        {"f": follows(5, revpos=2), "g": follows(len(DATA), revpos=3)}, b"hello", DATA, **members
    )
    for _ in range(2):  # a known revision is no error
        response = await put(client, f"{db}/a?new_edits=false", parts)
        assert (response.status_code, response.json()["rev"]) == (201, f"3-{B}")
    assert {name: entry["revpos"] for name, entry in (await entries_of(client, f"{db}/a")).items()} == {
        "f": 2,
        "g": 3,
    }
    assert (await client.get(f"{db}/a/g")).content == DATA


async def test_put_replicated_takes_gzip_that_is_none_as_the_peer_has_it(
    client: httpx.AsyncClient, db: str
) -> None:
    for size in (5, 100_000):
        data = b"\x00" * size
        entry = follows(3, "text/plain", encoding="gzip", encoded_length=size, digest=digest(data))
        parts = with_attachments({"f": entry}, data, _rev=f"1-{A}")
        assert (await put(client, f"{db}/{size}?new_edits=false", parts)).status_code == 201
        assert (await entries_of(client, f"{db}/{size}"))["f"]["digest"] == digest(data)
        assert refused(await put(client, f"{db}/new{size}", with_attachments({"f": entry}, data)))[:2] == (
            400,
            "bad_request",
        )


async def test_put_of_design_documents_and_deletions(client: httpx.AsyncClient, db: str) -> None:
    response = await put(client, f"{db}/_design/d", with_attachments({"f": follows(1)}, b"1"))
    assert response.headers["location"] == "http://server/db/_design%2Fd"
    assert (await client.get(f"{db}/_design/d/f")).content == b"1"
    response = await put(client, f"{db}/gone", with_attachments({"f": follows(1)}, b"1", _deleted=True))
    assert response.status_code == 200
    assert (await client.get(f"{db}/gone")).status_code == 404


async def test_put_of_a_document_without_attachments(client: httpx.AsyncClient, db: str) -> None:
    assert (await put(client, f"{db}/a", [document({"v": 1})])).status_code == 201
    assert (await client.get(f"{db}/a")).json()["v"] == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related; boundary=b",
        'multipart/related;boundary="b"',
        'Multipart/Related; type="application/json"; BOUNDARY="b"; start="<x>"',
    ],
)
async def test_put_reads_the_boundary(client: httpx.AsyncClient, db: str, content_type: str) -> None:
    content = b"a preamble\r\n" + body(with_attachments({"f": follows(1)}, b"1")) + b"\r\nand an epilogue"
    response = await client.put(f"{db}/a", content=content, headers={"Content-Type": content_type})
    assert response.status_code == 201


async def test_put_is_read_however_it_is_cut(client: httpx.AsyncClient, db: str) -> None:
    tricky = b"\r\n--\r\n--bb\r\n--b-\r\n\r\n-"
    content = body(with_attachments({"f": follows(len(tricky)), "g": follows()}, tricky, tricky * 5000))

    for size in (1, 7, 4096):

        async def pieces(size: int = size) -> AsyncIterator[bytes]:
            for start in range(0, len(content), size):
                yield content[start : start + size]

        path = f"{db}/cut{size}"
        response = await client.put(path, content=pieces(), headers=RELATED)
        assert response.status_code == 201
        assert (await client.get(f"{path}/f")).content == tricky
        assert (await client.get(f"{path}/g")).content == tricky * 5000


async def test_a_boundary_inside_an_attachment_is_data(client: httpx.AsyncClient, db: str) -> None:
    inner = b"--i\r\n\r\nx\r\n--i--"
    entry = follows(len(inner), "multipart/related; boundary=i")
    parts: list[Part] = [document({"_attachments": {"f": entry}})]
    parts += [({"Content-Type": "multipart/related; boundary=i"}, inner)]
    assert (await put(client, f"{db}/a", parts)).status_code == 201
    assert (await client.get(f"{db}/a/f")).content == inner


async def test_a_gzipped_request_is_unpacked(client: httpx.AsyncClient, db: str) -> None:
    content = gzip.compress(body(with_attachments({"f": follows(len(DATA))}, DATA)))
    response = await client.put(f"{db}/a", content=content, headers={**RELATED, "Content-Encoding": "gzip"})
    assert response.status_code == 201
    assert (await client.get(f"{db}/a/f")).content == DATA


async def test_ten_thousand_parts(client: httpx.AsyncClient, db: str) -> None:
    count = 10_000
    parts = with_attachments({f"f{n}": follows(1) for n in range(count)}, *[b"1"] * count)
    assert (await put(client, f"{db}/a", parts)).status_code == 201
    assert len((await client.get(f"{db}/a")).json()["_attachments"]) == count


# -- what is refused ---------------------------------------------------------------------------

ONE = {"f": follows(5)}
PACKED = gzip.compress(b"hello")

BAD = (400, "bad_request")
INVALID = (400, "doc_validation")
MISMATCH = (400, "content_md5_mismatch")

BAD_REQUESTS: dict[str, tuple[Sequence[Part] | bytes, tuple[int, str], str]] = {
    "empty": (b"", BAD, "cut short"),
    "no parts": (b"--b--", BAD, "begins with its JSON"),
    "no JSON part": ([({}, b"{}")], (415, "bad_content_type"), "Content-Type must be application/json"),
    "attachment first": (
        [({"Content-Type": "image/png"}, b"hello"), document({})], (415, "bad_content_type"), ""),
    "not JSON": ([(JSON_PART, b"{nope")], BAD, "invalid UTF-8 JSON"),
    "not an object": ([(JSON_PART, b"[1]")], BAD, "Document must be a JSON object"),
    "bad member": ([document({"_foo": 1})], INVALID, "_foo"),
    "bad rev": ([document({"_rev": "zz"})], BAD, "Invalid rev format"),
    "bad name": (with_attachments({"_f": follows(1)}, b"1"), BAD, "starts with prohibited"),
    "unknown rev": (with_attachments(ONE, b"hello", _rev=f"1-{A}"), (409, "conflict"), ""),
    "missing stub": (with_attachments({**ONE, "s": {"stub": True}}, b"hello"), (412, "missing_stub"), ""),
    "too long": (with_attachments({"f": follows(4)}, b"hello"), BAD, "longer than expected"),
    "too short": (with_attachments({"f": follows(6)}, b"hello"), BAD, "shorter than expected"),
    "much too short": (with_attachments({"f": follows(10**6)}, DATA), BAD, "shorter than"),
    "much too long": (with_attachments({"f": follows(10**5)}, DATA), BAD, "longer than"),
    "too large": (with_attachments({"f": follows(2**31)}, b"hello"), (413, "attachment_too_large"), "f"),
    "wrong digest": (
        with_attachments({"f": follows(5, digest=digest(b"x"))}, b"hello"), MISMATCH, ""),
    "wrong digest of much": (
        with_attachments({"f": follows(digest=digest(b"x"))}, DATA), MISMATCH, ""),
    "missing part": (with_attachments({**ONE, "g": follows(1)}, b"hello"), BAD, "'g' does not follow"),
    "missing after much": (with_attachments({"f": follows(), "g": follows()}, DATA), BAD, "'g'"),
    "surplus part": (with_attachments(ONE, b"hello", b"x"), BAD, "more parts than"),
    "surplus after much": (with_attachments({"f": follows()}, DATA, DATA), BAD, "more parts"),
    "surplus without any": ([document({}), ({}, b"x")], BAD, "more parts than"),
    "misordered": (
        with_attachments({"f": follows(5), "g": follows(1)}, b"x", b"hello"), BAD, "shorter"),
    "misordered by name": (
        [*with_attachments({"f": follows(1), "g": follows(1)}),
         ({"Content-Disposition": 'attachment; filename="g"'}, b"g"),
         ({"Content-Disposition": 'attachment; filename="f"'}, b"f")], BAD, "'g' comes where"),
    "gzip too long": (
        with_attachments({"f": follows(5, encoding="gzip", encoded_length=len(PACKED) - 1)}, PACKED),
        BAD, "longer than expected"),
    "gzip without its own length": (
        with_attachments({"f": follows(5, encoding="gzip")}, PACKED), BAD, "longer than expected"),
    "gzip that is none": (
        with_attachments({"f": follows(5, encoding="gzip", encoded_length=5)}, b"hello"), BAD, "gzip"),
    "gzip that is cut": (
        with_attachments({"f": follows(5, encoding="gzip", encoded_length=len(PACKED) - 1)}, PACKED[:-1]),
        BAD, "cut short"),
    "unknown encoding": (
        with_attachments({"f": follows(5, encoding="br")}, b"hello"), BAD, "Unknown encoding"),
    "negative length": (with_attachments({"f": follows(-1)}, b""), INVALID, "Invalid length"),
    "length of text": (
        with_attachments({"f": {"follows": True, "length": "1"}}, b"1"), INVALID, "Invalid length"),
    "no last boundary": (body(with_attachments(ONE, b"hello"), end=b""), BAD, "cut short"),
    "last boundary in half": (body(with_attachments(ONE, b"hello"), end=b"--b-"), BAD, "cut short"),
    "cut in an attachment": (body(with_attachments(ONE, b"hello"), end=b"")[:-4], BAD, "cut short"),
    "cut in headers": (body([document({})], end=b"--b\r\nX: "), BAD, "cut short"),
    "cut in JSON": (body([document({"v": "x" * 100})], end=b"")[:80], BAD, "cut short"),
    "other boundary": (b"--c\r\n\r\n{}\r\n--c--", BAD, "cut short"),
    "line feeds alone": (b"--b\n\n{}\n--b--", BAD, "cut short"),
    "no header": (body([({"Content-Type": "application/json\r\nnonsense"}, b"{}")]), BAD, "no header"),
    "header twice": (
        body([({"Content-Type": "application/json\r\ncontent-type: x"}, b"{}")]), BAD, "twice"),
    "huge header": ([document({}), ({"X": "y" * 300_000}, b"")], BAD, "headers of a part"),
    "endless header": (b"--b\r\nX: " + b"y" * 300_000, BAD, "headers of a part"),
    "huge preamble": (b"x" * 300_000, BAD, "before the first"),
    "huge epilogue": (body(with_attachments(ONE, b"hello")) + b"x" * 300_000, BAD, "behind the last"),
    "surplus parts without end": (
        body([document({})], end=b"--b\r\n\r\n" * 50_000), BAD, "more parts than"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_REQUESTS)
async def test_put_refuses_and_stores_nothing(
    client: httpx.AsyncClient, store: Store, db: str, name: str
) -> None:
    parts, expected, reason = BAD_REQUESTS[name]
    before = (await client.get(db)).json()
    answer = refused(await put(client, f"{db}/a", parts))
    assert answer[:2] == expected
    assert reason in answer[2]
    after = (await client.get(db)).json()
    assert (after["doc_count"], after["update_seq"]) == (0, before["update_seq"])
    assert (await client.get(f"{db}/a")).status_code == 404
    await nothing_is_left(store)


async def nothing_is_left(store: Store) -> None:
    """No attachment without a document: what was uploaded before the refusal has been removed."""
    database = store.get("db")
    assert isinstance(database, SqliteDatabase)
    assert not database._uploads.waiting
    for _ in range(100):
        with database.reading() as reading:
            left = reading.connection.execute(
                "SELECT (SELECT count(*) FROM chunks) + (SELECT count(*) FROM attachments)"
            ).get
        if left == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{left} rows are left of an upload that was refused")


@pytest.mark.parametrize(
    "content_type",
    ["multipart/related", 'multipart/related; boundary=""', f"multipart/related; boundary={'x' * 71}"],
)
async def test_put_refuses_a_bad_boundary(client: httpx.AsyncClient, db: str, content_type: str) -> None:
    content = body(with_attachments(ONE, b"hello"))
    response = await client.put(f"{db}/a", content=content, headers={"Content-Type": content_type})
    assert refused(response)[:2] == (400, "bad_request")


@pytest.mark.parametrize("content_type", ["multipart/mixed; boundary=b", "multipart/form-data; boundary=b"])
async def test_put_takes_no_other_multipart(client: httpx.AsyncClient, db: str, content_type: str) -> None:
    content = body(with_attachments(ONE, b"hello"))
    response = await client.put(f"{db}/a", content=content, headers={"Content-Type": content_type})
    assert refused(response) == (400, "bad_request", "invalid UTF-8 JSON")


async def test_put_replicated_needs_a_revision(client: httpx.AsyncClient, db: str) -> None:
    response = await put(client, f"{db}/a?new_edits=false", with_attachments(ONE, b"hello"))
    assert refused(response)[:2] == (400, "bad_request")


async def test_a_conflict_gives_the_room_of_its_attachments_back(
    client: httpx.AsyncClient, store: Store, db: str
) -> None:
    await client.put(f"{db}/a", json={})
    response = await put(client, f"{db}/a", with_attachments({"f": follows()}, DATA))
    assert refused(response)[:2] == (409, "conflict")
    await nothing_is_left(store)


async def test_an_attachment_past_the_limit_is_413(
    client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.http.attachment_streams.MAX_ATTACHMENT_SIZE", 300_000)
    response = await put(client, f"{db}/a", with_attachments({"f": follows()}, DATA))
    assert refused(response) == (413, "attachment_too_large", "f")


async def test_a_request_past_the_limit_is_413(
    client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart_requests, "MAX_REQUEST_SIZE", 300_000)
    response = await put(client, f"{db}/a", with_attachments({"f": follows()}, DATA))
    assert refused(response)[:2] == (413, "too_large")


async def test_a_refused_body_is_taken_to_its_end_within_limits(
    client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the sender would meet a closed connection instead of the answer."""
    taken = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal taken
        yield body([document({"_foo": 1})], end=b"--b\r\n\r\n")
        for _ in range(100):
            taken += 1
            yield b"x" * 10_000

    for limit, expected in ((10**7, 100), (200_000, 21)):
        monkeypatch.setattr(multipart_requests, "READ_ON", limit)
        taken = 0
        response = await client.put(f"{db}/a", content=pieces(), headers=RELATED)
        assert refused(response)[:2] == (400, "doc_validation")
        assert taken == expected


async def test_put_into_no_database_is_404(client: httpx.AsyncClient) -> None:
    response = await put(client, "/none/a", with_attachments({"f": follows()}, DATA))
    assert refused(response) == (404, "not_found", "Database does not exist.")


async def test_attachments_may_follow_in_multipart_only(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a", json={"_attachments": ONE})
    assert refused(response)[:2] == (400, "bad_request")

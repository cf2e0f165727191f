"""Attachments that aren't what their document says: none is stored, and none keeps anything else back."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from replication.replicator import LocalPeer, replicate
from replication.replicator.failures import (
    PeerLied,
    PeerUnavailable,
    ReplicationError,
)
from replication.replicator.http_peer import HttpPeer
from replication.replicator.options import parse_endpoint
from replication.store.sqlite import SqliteStore
from tests.replication.replicator.liars import (
    OPTIONS,
    REV,
    Liar,
    assert_nothing_stored,
    digest,
    document,
    liar,
    pull,
    store,
)

__all__ = ["liar", "store"]

DATA = b"the right bytes"
PACKED = gzip.compress(DATA, mtime=0)


def stub(data: bytes = DATA, **members: Any) -> dict[str, Any]:
    entry = {"stub": True, "content_type": "x/y", "digest": digest(data), "length": len(data), "revpos": 1}
    return {"a": {**entry, **members}}


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        (stub(), httpx.Response(200, content=b"the wrong bytes")),
        (stub(), httpx.Response(200, content=DATA[:-1])),
        (stub(), httpx.Response(200, content=DATA + b"!")),
        (stub(digest="sha1-abc"), httpx.Response(200, content=DATA)),
        (stub(digest="md5-"), httpx.Response(200, content=DATA)),
        (stub(), httpx.Response(200, content=PACKED, headers={"content-encoding": "gzip"})),
        (
            stub(PACKED, encoding="gzip", length=len(DATA), encoded_length=len(PACKED)),
            httpx.Response(200, content=DATA),
        ),
        (stub(), httpx.Response(302, headers={"location": "http://elsewhere/"})),
    ],
)
@pytest.mark.parametrize("size", ["small", "large"])
async def test_attachments_that_are_not_what_they_should_be(
    liar: Liar, store: SqliteStore, entry: dict[str, Any], answer: httpx.Response, size: str, request: Any
) -> None:
    if size == "large":
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        monkeypatch.setattr("replication.replicator.local_peer.SMALL", 0)
    liar.document["_attachments"] = entry
    liar.attachment = lambda: answer
    with pytest.raises(ReplicationError):
        await pull(liar, store)
    await assert_nothing_stored(store)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("announced", [0, 5, 10**9])
@pytest.mark.parametrize(
    ("data", "length"),
    [(PACKED, len(DATA)), (PACKED + PACKED, 2 * len(DATA)), (PACKED[:-1], len(PACKED) - 1), (b"no gzip", 7)],
)
async def test_the_length_before_packing_is_found_out(
    liar: Liar,
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    length: int,
    announced: int,
    size: str,
) -> None:
    """A digest says nothing about it, and readers are told it before the bytes come."""
    if size == "large":
        monkeypatch.setattr("replication.replicator.local_peer.SMALL", 0)
    liar.document["_attachments"] = stub(data, encoding="gzip", length=announced)
    liar.attachment = lambda: httpx.Response(
        200, stream=httpx.ByteStream(data), headers={"content-encoding": "gzip"}
    )
    await pull(liar, store)
    info = (await store.get("db").attachments("doc", (1, "a" * 32)))["a"]
    assert (info.length, info.stored_length, info.encoding) == (length, len(data), "gzip")


async def test_a_packed_bomb_is_no_attachment(
    liar: Liar, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.replicator.attachment_streams.MAX_ATTACHMENT", 1_000_000)
    data = gzip.compress(bytes(10_000_000))
    liar.document["_attachments"] = stub(data, encoding="gzip", length=5)
    liar.attachment = lambda: httpx.Response(
        200, stream=httpx.ByteStream(data), headers={"content-encoding": "gzip"}
    )
    with pytest.raises(PeerLied, match="unpacks to more"):
        await pull(liar, store)
    await assert_nothing_stored(store)


@pytest.mark.parametrize("announced", [{"length": 10**12}, {"encoding": "gzip", "encoded_length": 2 * 10**9}])
async def test_an_attachment_that_is_too_large_is_left_out_and_named(
    liar: Liar, store: SqliteStore, announced: dict[str, Any]
) -> None:
    liar.document["_attachments"] = stub(**announced)
    result = await pull(liar, store)
    assert [each.error for each in result.progress.refused] == ["attachment_too_large"]
    assert result.progress.statistics.doc_write_failures == 1
    await assert_nothing_stored(store)


async def test_a_revpos_beyond_all_generations_counts_for_nothing(liar: Liar, store: SqliteStore) -> None:
    liar.document["_attachments"] = stub(revpos=10**30)
    liar.attachment = lambda: httpx.Response(200, content=DATA)
    await pull(liar, store)
    assert (await store.get("db").attachments("doc", (1, "a" * 32)))["a"].revpos == 1


class Trickle(httpx.AsyncByteStream):
    """A byte now and then, for ever."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b"x"


async def test_an_attachment_that_merely_trickles_is_given_up(
    liar: Liar, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.replicator.connection._PACE_SECONDS", 0.1)
    monkeypatch.setattr("replication.replicator.local_peer._ATTACHMENT_RETRIES", 0)
    liar.document["_attachments"] = stub(b"x" * 100_000)
    liar.attachment = lambda: httpx.Response(200, stream=Trickle())
    with pytest.raises(PeerUnavailable, match="too slow"):
        await asyncio.wait_for(pull(liar, store), 10)
    await assert_nothing_stored(store)


async def test_an_attachment_whose_answer_never_begins_is_given_up(
    liar: Liar, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.replicator.connection._TOTAL_SECONDS", 0.1)
    monkeypatch.setattr("replication.replicator.local_peer._ATTACHMENT_RETRIES", 0)
    liar.document["_attachments"] = stub()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/db/doc/"):
            await asyncio.sleep(60)  # a line of a header each second
        return liar(request)

    peer = HttpPeer(parse_endpoint("http://liar/db"), transport=httpx.MockTransport(answer), retries=0)
    with pytest.raises(PeerUnavailable, match="to answer"):
        await asyncio.wait_for(replicate(peer, LocalPeer(store, "db"), OPTIONS), 10)
    await assert_nothing_stored(store)


async def test_an_attachment_that_is_gone_stops_nothing_else(liar: Liar, store: SqliteStore) -> None:
    liar.document["_attachments"] = stub()
    rows = [{"seq": n, "id": docid, "changes": [{"rev": REV}]} for n, docid in enumerate(("doc", "other"), 1)]
    liar.feed = lambda request: {"results": rows, "last_seq": 2, "pending": 0}
    documents = {"doc": liar.document, "other": document("other")}
    liar.bulk_get = lambda docs: {
        "results": [{"id": each["id"], "docs": [{"ok": documents[each["id"]]}]} for each in docs]
    }
    result = await pull(liar, store)
    assert [each.id for each in result.progress.unreadable] == ["doc"]
    assert result.progress.statistics.docs_written == 1
    assert (await store.get("db").info()).doc_count == 1


async def test_the_right_bytes_are_taken(liar: Liar, store: SqliteStore) -> None:
    liar.document["_attachments"] = stub()
    liar.attachment = lambda: httpx.Response(200, content=DATA)
    await pull(liar, store)
    database = store.get("db")
    info = (await database.attachments("doc", (1, "a" * 32)))["a"]
    assert b"".join([piece async for piece in database.read_attachment(info)]) == DATA

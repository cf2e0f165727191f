"""What a peer keeps unpacked is stored here as if it had been uploaded here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from replication.http import create_app
from replication.protocol import jsontext
from replication.protocol.attachments import InlineAttachment, as_stored, digest_of
from replication.protocol.revisions import Rev, parse_rev
from replication.replicator import LocalPeer, Options, replicate
from replication.replicator import local_peer as local_peer_module
from replication.replicator.http_peer import HttpPeer
from replication.replicator.options import parse_endpoint
from replication.replicator.peer import Peer
from replication.store.interface import Database
from replication.store.sqlite import SqliteStore
from replication.store.values import AttachmentInfo
from tests.replication.store.writes import doc

TEXT, LONG = b"a line\n" * 30, b"".join(b"line %d\n" % number for number in range(20_000))


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[SqliteStore, SqliteStore]]:
    first, second = [await SqliteStore.open(tmp_path / name) for name in ("first", "second")]
    yield first, second
    await first.close()
    await second.close()


@pytest.fixture(params=["local", "http"])
async def source(
    request: pytest.FixtureRequest, stores: tuple[SqliteStore, SqliteStore]
) -> AsyncIterator[Peer]:
    """A database `plain` whose text is not packed, as PouchDB's server has it."""
    if request.param == "local":
        yield LocalPeer(stores[0], "plain")
        return
    transport = httpx.ASGITransport(create_app(stores[0]))
    peer = HttpPeer(parse_endpoint("http://host/plain"), transport=transport)
    yield peer
    await peer.close()


async def _write_plain(db: Database, rev: str | None = None, **attachments: tuple[str, bytes]) -> str:
    write = doc("doc", rev)
    write.attachments = {
        name: InlineAttachment(content_type, data, digest_of(data))
        for name, (content_type, data) in attachments.items()
    }
    [result] = await db.write([write])
    assert isinstance(result, str)
    return result


async def _attached(db: Database, rev: str) -> dict[str, AttachmentInfo]:
    return await db.attachments("doc", parse_rev(rev))


async def _bytes(db: Database, info: AttachmentInfo) -> bytes:
    return b"".join([piece async for piece in db.read_attachment(info)])


async def test_text_is_packed_by_the_rules_of_an_upload(
    stores: tuple[SqliteStore, SqliteStore], source: Peer
) -> None:
    plain, copy = await stores[0].create("plain"), await stores[1].create("copy")
    rev = await _write_plain(
        plain,
        short=("text/plain; charset=utf-8", TEXT),
        long=("application/json", LONG),
        empty=("text/plain", b""),
        image=("image/png", LONG),
    )
    assert all(info.encoding is None for info in (await _attached(plain, rev)).values())
    await replicate(source, LocalPeer(stores[1], "copy"))
    found = await _attached(copy, rev)
    for name, content_type, data in (
        ("short", "text/plain; charset=utf-8", TEXT),
        ("long", "application/json", LONG),
        ("empty", "text/plain", b""),
    ):
        packed = as_stored(InlineAttachment(content_type, data, digest_of(data)))
        info = found[name]
        assert (info.digest, info.encoding, info.length, info.revpos) == (packed.digest, "gzip", len(data), 1)
        assert await _bytes(copy, info) == packed.data
    assert (found["image"].digest, found["image"].encoding) == (digest_of(LONG), None)


async def test_what_was_packed_is_not_fetched_again(
    stores: tuple[SqliteStore, SqliteStore], source: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, copy = await stores[0].create("plain"), await stores[1].create("copy")
    target = LocalPeer(stores[1], "copy")
    rev = await _write_plain(plain, short=("text/plain", TEXT), long=("text/plain", LONG))
    await replicate(source, target)
    before = await _attached(copy, rev)
    fetched: list[Any] = []
    for name in ("_collect", "_stage"):
        original = getattr(local_peer_module, name)

        async def counted(*given: Any, original: Any = original) -> Any:
            fetched.append(given)
            return await original(*given)

        monkeypatch.setattr(local_peer_module, name, counted)
    kept = {name: {"stub": True} for name in ("short", "long")}
    [rev] = [str(each) for each in await plain.write([doc("doc", rev, n=2, _attachments=kept)])]
    await replicate(source, target, Options(use_checkpoints=False))
    after = await _attached(copy, rev)
    assert {name: info.digest for name, info in after.items()} == {
        name: info.digest for name, info in before.items()
    }
    assert fetched == []
    # Other bytes of the same length, type and name are another attachment: its `revpos` says so.
    rev = await _write_plain(plain, rev, short=("text/plain", TEXT.swapcase()), long=("text/plain", LONG))
    await replicate(source, target, Options(use_checkpoints=False))
    packed = as_stored(InlineAttachment("text/plain", TEXT.swapcase(), ""))
    assert (await _attached(copy, rev))["short"].digest == packed.digest


async def test_a_revision_that_is_compacted_just_then_does_not_come_without_its_attachments(
    stores: tuple[SqliteStore, SqliteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, copy = await stores[0].create("plain"), await stores[1].create("copy")
    rev = await _write_plain(plain, short=("text/plain", TEXT))
    read = plain.attachments

    async def compacted_then(docid: str, asked: Rev) -> dict[str, AttachmentInfo]:
        await plain.write([doc("doc", rev, n=2)])
        await plain.compact()
        return await read(docid, asked)

    monkeypatch.setattr(plain, "attachments", compacted_then)
    await replicate(LocalPeer(stores[0], "plain"), LocalPeer(stores[1], "copy"))
    assert await copy.revision("doc", parse_rev(rev)) == []
    await replicate(LocalPeer(stores[0], "plain"), LocalPeer(stores[1], "copy"))
    winner = await copy.winner("doc")
    assert winner is not None
    assert jsontext.decode(winner.text)["n"] == 2

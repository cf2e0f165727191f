"""What every driver does: attachments."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from replication.protocol.attachments import InlineAttachment, as_stored
from replication.protocol.revisions import parse_rev
from replication.store.interface import Database
from replication.store.packing import stage_packed
from tests.replication.store.traits import Traits
from tests.replication.store.writes import doc, edit, status


async def _read(
    db: Database, docid: str, rev: str, name: str, start: int = 0, end: int | None = None
) -> bytes:
    info = (await db.attachments(docid, parse_rev(rev)))[name]
    return b"".join([piece async for piece in db.read_attachment(info, start, end)])


@pytest.mark.parametrize("content_type", ["image/png", "text/plain"])
async def test_an_attachment_lives_on_as_a_stub(db: Database, content_type: str, traits: Traits) -> None:
    given = InlineAttachment(content_type, b"hello", "md5-XUFAKrxLKna5cZ2REBfFkg==")
    stored = given if traits.stores_text_as_given else as_stored(given)
    rev = await edit(db, "a", _attachments={"t": {"data": "aGVsbG8=", "content_type": content_type}})
    rev = await edit(db, "a", rev, n=1, _attachments={"t": {"stub": True}})
    found = await db.winner("a")
    assert found is not None
    assert json.loads(found.text)["_attachments"]["t"] == {
        "content_type": content_type,
        "revpos": 1,
        "digest": stored.digest,
        "length": 5,
        "stub": True,
    }
    assert await _read(db, "a", rev, "t") == stored.data
    assert await _read(db, "a", rev, "t", 1, 3) == stored.data[1:3]
    rev = await edit(db, "a", rev, n=2)
    assert await db.attachments("a", parse_rev(rev)) == {}


async def test_packed_text_stays_as_it_came(db: Database) -> None:
    """As the HTTP layer gives it to every driver: packed by CouchDB's rules."""
    packed = as_stored(InlineAttachment("text/plain", b"hello" * 1000, ""))
    assert packed.encoding == "gzip"

    async def chunks() -> AsyncIterator[bytes]:
        yield b"hello" * 1000

    inline, staged = doc("inline"), doc("staged")
    inline.attachments = {"t": packed}
    staged.attachments = {"t": await stage_packed(db, chunks(), content_type="text/plain")}
    for write in (inline, staged):
        [rev] = await db.write([write])
        assert isinstance(rev, str)
        info = (await db.attachments(write.id, parse_rev(rev)))["t"]
        assert (info.encoding, info.length, info.stored_length) == ("gzip", 5000, len(packed.data))
        assert info.digest == packed.digest
        assert await _read(db, write.id, rev, "t") == packed.data
        assert await _read(db, write.id, rev, "t", 2, 9) == packed.data[2:9]


@pytest.mark.parametrize(
    "stub", [{"stub": True}, {"stub": True, "digest": "md5-AAAA"}, {"stub": True, "revpos": 7}]
)
async def test_a_stub_without_its_data_is_refused(db: Database, stub: dict[str, object]) -> None:
    [result] = await db.write([doc("new", _attachments={"t": stub})])
    assert status(result) == (412, "missing_stub")
    rev = await edit(db, "a", _attachments={"u" if len(stub) == 1 else "t": {"data": "aGVsbG8="}})
    [result] = await db.write([doc("a", rev, _attachments={"t": stub})])
    assert status(result) == (412, "missing_stub")
    assert db.update_seq == 1


async def test_a_stub_does_not_reach_into_other_documents(db: Database) -> None:
    await edit(db, "a", _attachments={"t": {"data": "aGVsbG8="}})
    digest = "md5-XUFAKrxLKna5cZ2REBfFkg=="
    [result] = await db.write([doc("b", _attachments={"t": {"stub": True, "digest": digest}})])
    assert status(result) == (412, "missing_stub")


async def test_staged_bytes_become_an_attachment(db: Database) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for n in range(40):
            yield bytes([n]) * 25_000

    staged = await db.stage_attachment(chunks(), content_type="application/x-test")
    assert staged.length == 1_000_000
    write = doc("a")
    write.attachments = {"big": staged}
    [rev] = await db.write([write])
    assert isinstance(rev, str)
    data = await _read(db, "a", rev, "big")
    assert data == b"".join(bytes([n]) * 25_000 for n in range(40))
    assert await _read(db, "a", rev, "big", 262_000, 262_500) == data[262_000:262_500]
    await db.compact()
    assert await _read(db, "a", rev, "big") == data


async def test_an_upload_that_breaks_off_leaves_nothing(db: Database) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await db.stage_attachment(chunks(), content_type="x/y")
    await db.compact()
    assert (await db.info()).active_size < 300_000


async def test_discarded_bytes_are_gone_unless_a_document_has_them(db: Database) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 600_000

    kept = await db.stage_attachment(chunks(), content_type="x/y")
    dropped = await db.stage_attachment(chunks(), content_type="x/y")
    write = doc("a")
    write.attachments = {"f": kept}
    [rev] = await db.write([write])
    assert isinstance(rev, str)
    before = (await db.info()).active_size
    await db.discard_attachments([kept, dropped])
    assert before - (await db.info()).active_size > 500_000
    assert await _read(db, "a", rev, "f") == b"x" * 600_000

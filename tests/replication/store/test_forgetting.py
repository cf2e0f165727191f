"""What a document once said can be forgotten, down to the bytes of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from replication.protocol import jsontext
from replication.protocol.attachments import InlineAttachment, StubAttachment, digest_of
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path as History
from replication.protocol.revisions import format_rev, parse_rev
from replication.store.sqlite import Emptied, SqliteDatabase, SqliteStore, Writing

SECRET = "Rike-Behn-0815"


async def put(db: SqliteDatabase, docid: str, rev: str | None = None, **members: object) -> str:
    attached = {
        name: InlineAttachment("x/y", value, digest_of(value))
        for name, value in members.items()
        if isinstance(value, bytes)
    }
    body = orjson.dumps({name: value for name, value in members.items() if not isinstance(value, bytes)})
    write = DocumentWrite(docid, False, body, parse_rev(rev) if rev else None, attachments=attached)
    (result,) = await db.write([write])
    assert isinstance(result, str), result
    return result


async def created(store: SqliteStore) -> SqliteDatabase:
    db = await store.create("db")
    assert isinstance(db, SqliteDatabase)
    return db


def raw(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(directory.rglob("*")) if file.is_file())


async def forget(db: SqliteDatabase, *docids: str) -> list[list[Emptied] | None]:
    def run(writing: Writing) -> list[list[Emptied] | None]:
        with writing.overwriting():
            return [writing.forget(docid) for docid in docids]

    return await db.transact(run)


async def test_earlier_texts_and_attachments_go_and_the_tree_stays(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await created(store)
    first = await put(db, "a", name=SECRET, photo=f"photo of {SECRET}".encode())
    info = (await db.attachments("a", parse_rev(first)))["photo"]
    keep = DocumentWrite(
        "a",
        False,
        b'{"name":"gone"}',
        parse_rev(first),
        attachments={"photo": StubAttachment(info.digest, 1)},
    )
    (second,) = await db.write([keep])
    assert isinstance(second, str)
    third = await put(db, "a", second, name="gone")
    # A branch that was closed, whose text was never of the winner.
    start, ids = 2, ["b" * 32, parse_rev(first)[1]]
    branch = DocumentWrite("a", False, orjson.dumps({"name": SECRET}), path=History(start, ids))
    end = DocumentWrite("a", True, orjson.dumps({"why": SECRET}), path=History(3, ["c" * 32, *ids]))
    await db.write([branch, end], replicated=True)
    tree = await db.tree("a")

    (emptied,) = await forget(db, "a")
    assert emptied == [
        Emptied(f"3-{'c' * 32}", jsontext.encode({"_id": "a", "_rev": f"3-{'c' * 32}", "_deleted": True}))
    ]
    found = await db.tree("a")
    assert tree is not None
    assert found is not None
    assert found.to_json() == tree.to_json()
    assert {format_rev(rev) for rev in await db.available("a")} == {third, f"3-{'c' * 32}"}
    assert await db.revision("a", parse_rev(first)) == []
    winner = await db.winner("a")
    assert winner is not None
    assert orjson.loads(winner.text)["name"] == "gone"
    assert await db.scrub()
    assert SECRET.encode() not in raw(tmp_path)
    await store.close()
    assert SECRET.encode() not in raw(tmp_path)


async def test_a_deletion_with_a_text_is_emptied(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await created(store)
    rev = await put(db, "a", name=SECRET)
    await db.write([DocumentWrite("a", True, orjson.dumps({"name": SECRET}), parse_rev(rev))])
    (emptied,) = await forget(db, "a")
    assert emptied is not None
    assert len(emptied) == 1
    assert await forget(db, "a", "nobody") == [[], None]
    await db.scrub()
    assert SECRET.encode() not in raw(tmp_path)
    await store.close()


async def test_indexes_that_are_behind_forget_too_and_catch_up(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await created(store)
    rev = await put(db, "a", name=SECRET)
    other = await put(db, "b", name="other")

    def mapper(value: Mapping[str, Any]) -> list[bytes]:
        return [str(value["name"]).encode()]

    await db.refresh_index("by-name", mapper)
    await put(db, "a", rev, name="gone")
    await forget(db, "a", "b")
    await db.scrub()
    assert SECRET.encode() not in raw(tmp_path)
    await db.refresh_index("by-name", mapper)
    assert [one.key for one in await db.scan_index("by-name", b"", None)] == [b"gone", b"other"]
    assert other
    await store.close()


async def test_writes_go_on_around_a_scrub(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await created(store)
    for number in range(20):
        await put(db, f"doc{number}", text="x" * 5000)
    scrub = db.scrub()
    rev = await put(db, "a", n=1)
    assert await scrub
    await put(db, "a", rev, n=2)
    assert (await db.info()).doc_count == 21
    await store.close()

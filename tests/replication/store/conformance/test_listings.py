"""What every driver does: documents by id, local ones, and indexes."""

from __future__ import annotations

import json
from random import Random

import pytest

from replication.protocol.revisions import parse_rev
from replication.store.interface import Database
from replication.store.values import IndexEntry, KeyRange
from tests.replication.store.traits import Traits
from tests.replication.store.writes import doc, edit

# -- listings ----------------------------------------------------------------------------------------


async def test_all_docs_in_order_of_bytes_without_deleted_ones(db: Database) -> None:
    for name in ("b", "a", "ä", "B", "_design/x", "c"):
        await edit(db, name)
    found = await db.winner("c")
    assert found is not None
    await edit(db, "c", found.rev, _deleted=True)
    page = await db.all_docs(KeyRange())
    assert [row["id"] for row in json.loads(b"[" + page.rows + b"]")] == ["B", "_design/x", "a", "b", "ä"]
    assert page.last_id == "ä"


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (KeyRange("b", "d"), "bcd"),
        (KeyRange("b", "d", inclusive_end=False), "bc"),
        (KeyRange("d", "b", descending=True), "dcb"),
        (KeyRange("d", "b", inclusive_end=False, descending=True), "dc"),
        (KeyRange(None, "b"), "ab"),
        (KeyRange("d", None), "de"),
        (KeyRange(None, None, descending=True), "edcba"),
        (KeyRange("d", "b"), ""),
    ],
)
async def test_ranges(db: Database, span: KeyRange, expected: str) -> None:
    await db.write([doc(name) for name in "edcba"])
    page = await db.all_docs(span, include_docs=True)
    rows = json.loads(b"[" + page.rows + b"]")
    assert "".join(row["doc"]["_id"] for row in rows) == expected
    assert page.count == len(expected)
    assert "".join(found.id for found in await db.documents(span)) == expected
    assert "".join(found.id for found in await db.documents(span, skip=1, limit=2)) == expected[1:3]


async def test_count_before_a_range(db: Database) -> None:
    await db.write([doc(name) for name in "abcde"])
    assert await db.count_before(KeyRange("c")) == 2
    assert await db.count_before(KeyRange("c", descending=True)) == 2
    assert await db.count_before(KeyRange("bb")) == 2
    assert await db.count_before(KeyRange("bb", descending=True)) == 3
    assert await db.count_before(KeyRange()) == 0


async def test_count_before_follows_every_change(db: Database, traits: Traits) -> None:
    random = Random(5)
    live: set[str] = set()
    for step in range(traits.rounds):
        names = [f"{random.randrange(10**6):06d}" for _ in range(400 if step % 10 else 3000)]
        for name, result in zip(names, await db.write([doc(name) for name in names]), strict=True):
            if isinstance(result, str):
                live.add(name)
        for name in random.sample(sorted(live), 20):
            found = await db.winner(name)
            assert found is not None
            if random.random() < 0.5:
                await edit(db, name, found.rev, _deleted=True)
            else:
                await db.purge({name: [parse_rev(found.rev)]})
            live.discard(name)
        probe = f"{random.randrange(10**6):06d}"
        assert await db.count_before(KeyRange(probe)) == sum(name < probe for name in live)
        assert await db.count_before(KeyRange(probe, descending=True)) == sum(name > probe for name in live)
    assert (await db.info()).doc_count == len(live)


# -- local documents ---------------------------------------------------------------------------------


async def test_local_documents_count_by_one_and_are_not_in_the_feed(db: Database) -> None:
    assert await db.local("x") is None
    assert await db.put_local("x", 0, b'{"a":1}') == "0-1"
    assert await db.put_local("x", 1, b'{"a":2}') == "0-2"
    found = await db.local("x")
    assert found is not None
    assert json.loads(found.text) == {"_id": "_local/x", "_rev": "0-2", "a": 2}
    assert [one.id for one in await db.local_documents(KeyRange())] == ["x"]
    assert db.update_seq == 0
    assert await db.delete_local("x")
    assert not await db.delete_local("x")


# -- indexes -----------------------------------------------------------------------------------------


async def _scan(
    db: Database, low: bytes = b"", high: bytes | None = None, **options: object
) -> list[IndexEntry]:
    return await db.scan_index("s", low, high, **options)  # type: ignore[arg-type]


async def test_an_index_follows_the_documents(db: Database) -> None:
    def mapper(value: object) -> list[bytes]:
        assert isinstance(value, dict)
        return [b"%04d" % value["n"]] if "n" in value else []

    rev = await edit(db, "a", n=3)
    await db.write([doc("b", n=1), doc("c", x=1), doc("d", n=2)])
    await db.refresh_index("s", mapper)
    assert [entry.id for entry in await _scan(db)] == ["b", "d", "a"]
    rev = await edit(db, "a", rev, n=0)
    found = await db.winner("b")
    assert found is not None
    await edit(db, "b", found.rev, _deleted=True)
    await db.refresh_index("s", mapper)
    assert [entry.id for entry in await _scan(db)] == ["a", "d"]
    await db.purge({"a": [parse_rev(rev)]})
    await db.refresh_index("s", mapper)
    assert [entry.id for entry in await _scan(db)] == ["d"]
    await db.drop_indexes([])
    assert await _scan(db) == []


async def test_scanning_an_index_by_range_and_page(db: Database) -> None:
    await db.write([doc(f"d{n:03d}", n=n // 2) for n in range(20)])
    await db.refresh_index("s", lambda value: [b"%04d" % value["n"]])
    entries = await _scan(db, b"0002", b"0005")
    assert [entry.id for entry in entries] == ["d004", "d005", "d006", "d007", "d008", "d009"]
    assert await _scan(db, b"0002", b"0005", after=entries[2]) == entries[3:]
    backwards = await _scan(db, b"0002", b"0005", descending=True)
    assert backwards == entries[::-1]
    assert await _scan(db, b"0002", b"0005", descending=True, after=backwards[1], limit=2) == backwards[2:4]
    assert await _scan(db, b"0002", b"0005", skip=1, limit=1) == entries[1:2]

"""What every driver does: purge and compaction."""

from __future__ import annotations

import asyncio
import json

from replication.protocol.revisions import parse_rev
from replication.store.interface import Database
from tests.replication.store.reading import rows_of
from tests.replication.store.traits import Traits
from tests.replication.store.writes import branch, edit, replicate


async def test_a_purged_document_leaves_no_trace(db: Database, traits: Traits) -> None:
    rev = await edit(db, "a", _attachments={"t": {"data": "aGVsbG8="}})
    await edit(db, "b")
    assert await db.purge({"a": [parse_rev(rev)], "nope": [(1, "x")]}) == {"a": [rev], "nope": []}
    assert await db.winner("a") is None
    assert [row["id"] for row in await rows_of(db)] == ["b"]
    info = await db.info()
    assert info.doc_count == 1
    assert info.purge_seq == 1 or (info.purge_seq > 0 and not traits.numbers_purges)
    assert await db.pending(0) == 1
    assert (await edit(db, "a")).startswith("1-")


async def test_purging_one_leaf_shows_the_document_again(db: Database) -> None:
    await replicate(db, branch("a", 2, "y", "r", n=2), branch("a", 2, "x", "r", n=1))
    await edit(db, "b")
    assert await db.purge({"a": [(2, "y"), (1, "r")]}) == {"a": ["2-y"]}
    assert [row["id"] for row in await rows_of(db)] == ["b", "a"]
    [leaf] = await db.leaves("a")
    assert leaf.rev == "2-x"
    assert json.loads(leaf.revisions) == {"start": 2, "ids": ["x", "r"]}


async def test_waiting_at_the_end_goes_on_after_a_purge(db: Database) -> None:
    rev = await edit(db, "a")
    await db.purge({"a": [parse_rev(rev)]})
    waiter = asyncio.create_task(db.wait_for_change(1))
    await asyncio.sleep(0.02)
    assert not waiter.done()
    await edit(db, "b")
    await asyncio.wait_for(waiter, 5)


async def test_compaction_keeps_leaves_and_drops_ancestors(db: Database, traits: Traits) -> None:
    rev = first = await edit(db, "a", blob="x" * 1000)
    for n in range(200):
        rev = await edit(db, "a", rev, n=n, blob="y" * 5000)
    await replicate(db, branch("c", 2, "y", "r", n=2), branch("c", 2, "x", "r", n=1))
    if traits.compacts_only_when_told:
        assert await db.revision("a", parse_rev(first)) != []
    before = await db.info()
    await db.compact()
    after = await db.info()
    assert after.file_size < before.file_size / 2
    if traits.sizes_are_of_texts:
        assert after.external_size < before.external_size / 10
    assert await db.revision("a", parse_rev(first)) == []
    assert await db.missing_revisions({"a": [parse_rev(first)]}) == {}
    found = await db.winner("a")
    assert found is not None
    assert found.rev == rev
    assert len(await db.leaves("c")) == 2

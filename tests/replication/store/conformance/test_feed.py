"""What every driver does: the feed of changes."""

from __future__ import annotations

import asyncio
import json

from replication.store.interface import Database, Store
from replication.store.values import KeyRange
from tests.replication.store.reading import rows_of
from tests.replication.store.traits import Traits
from tests.replication.store.writes import branch, doc, edit, replicate


async def test_the_feed_has_one_row_per_document_at_its_latest_change(db: Database) -> None:
    rev = await edit(db, "a")
    await edit(db, "b")
    rev = await edit(db, "a", rev, x=1)
    rows = await rows_of(db)
    assert [(row["seq"], row["id"]) for row in rows] == [
        (db.epochs.format(2), "b"),
        (db.epochs.format(3), "a"),
    ]
    assert rows[1]["changes"] == [{"rev": rev}]
    assert [row["id"] for row in await rows_of(db, 2)] == ["a"]
    assert await rows_of(db, 3) == []


async def test_the_feed_marks_deletions_and_lists_all_leaves(db: Database) -> None:
    await replicate(db, branch("a", 2, "y", "r"), branch("a", 2, "x", "r"))
    await edit(db, "b", _deleted=True)
    first, *_ = await rows_of(db)
    assert first["changes"] == [{"rev": "2-y"}]
    rows = await rows_of(db, all_leaves=True)
    assert rows[0]["changes"] == [{"rev": "2-y"}, {"rev": "2-x"}]
    assert "deleted" not in rows[0]
    assert rows[1]["deleted"] is True
    changes = await db.change_rows(0, 10, all_leaves=True)
    assert changes[0].revs == ("2-y", "2-x")
    assert changes[1].deleted


async def test_a_branch_that_is_old_or_loses_is_in_the_feed_at_once(db: Database) -> None:
    await replicate(db, branch("a", 2, "y", "x", deleted=True))
    for number, rev in ((1, "w"), (1, "z"), (2, "b")):
        before = db.update_seq
        await replicate(db, branch("a", number, rev))
        assert db.update_seq == before + 1
        [row] = await db.change_rows(0, 10, all_leaves=True)
        assert f"{number}-{rev}" in row.revs
    await replicate(db, branch("a", 1, "x"), branch("a", 1, "w"))
    assert db.update_seq == before + 1


async def test_the_feed_backwards_and_with_documents(db: Database) -> None:
    for name in "abc":
        await edit(db, name, n=name)
    page = await db.changes(db.update_seq + 1, 2, descending=True, include_docs=True)
    rows = json.loads(b"[" + page.rows + b"]")
    assert [row["doc"]["n"] for row in rows] == ["c", "b"]
    assert page.last_seq == 2


async def test_the_feed_of_chosen_documents(db: Database) -> None:
    for name in "abcd":
        await edit(db, name)
    changes = await db.change_rows(1, 10, docids=["d", "b", "nope", "a", "b"], include_docs=True)
    assert [(change.seq, change.id) for change in changes] == [(2, "b"), (4, "d")]
    assert changes[0].doc is not None


async def test_odd_ids_come_out_as_they_went_in(db: Database) -> None:
    ids = ['"', "\\", "a/b", "ä€😀", "\x01", "a+b", '","changes":[{"rev":"9-x"}]', "\u2028", " "]
    for name in ids:
        await edit(db, name)
    assert [row["id"] for row in await rows_of(db)] == ids
    assert [change.id for change in await db.change_rows(0, 100)] == ids
    assert all(change.revs[0].startswith("1-") for change in await db.change_rows(0, 100))
    listed = json.loads(b"[" + (await db.all_docs(KeyRange())).rows + b"]")
    assert [row["id"] for row in listed] == sorted(ids, key=lambda text: text.encode())


async def test_pending_counts_what_comes_after(db: Database, traits: Traits) -> None:
    await db.write([doc(f"d{i}") for i in range(5000)])
    assert await db.pending(0) == 5000
    assert await db.pending(2999) == 2001
    [first] = await db.change_rows(0, 1)
    assert first.id == "d0" or not traits.keeps_order_of_a_batch
    await edit(db, first.id, first.revs[0], x=1)
    assert await db.pending(0) == 5000
    assert await db.pending(1) == 5000
    assert await db.pending(4999) == 2
    assert await db.pending(db.update_seq) == 0


async def test_waiting_ends_with_a_change(db: Database) -> None:
    waiter = asyncio.create_task(db.wait_for_change(0))
    await asyncio.sleep(0.01)
    assert not waiter.done()
    await edit(db, "a")
    await asyncio.wait_for(waiter, 5)
    await asyncio.wait_for(db.wait_for_change(0), 5)


async def test_waiting_ends_with_the_database(store: Store) -> None:
    db = await store.create("gone")
    waiter = asyncio.create_task(db.wait_for_change(0))
    await asyncio.sleep(0.01)
    await store.delete("gone")
    await asyncio.wait_for(waiter, 5)


async def test_a_local_document_wakes_nobody(db: Database) -> None:
    waiter = asyncio.create_task(db.wait_for_change(0))
    await db.put_local("x", 0, b"{}")
    await asyncio.sleep(0.02)
    assert not waiter.done()
    waiter.cancel()


async def test_a_reader_that_goes_on_misses_nothing(db: Database) -> None:
    """Writers and a reader that pages at the same time: at the end he has seen every last change."""
    seen: dict[str, str] = {}
    done = False

    async def read() -> None:
        since = 0
        while True:
            finished = done
            rows = await db.change_rows(since, 7)
            for change in rows:
                assert change.seq > since
                since = change.seq
                seen[change.id] = change.revs[0]
            if not rows:
                if finished:
                    return
                await asyncio.sleep(0)

    async def write(worker: int) -> None:
        revs: dict[str, str] = {}
        for n in range(60):
            name = f"{worker}-{n % 7}"
            revs[name] = await edit(db, name, revs.get(name), n=n)

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write(worker) for worker in range(4)))
    done = True
    await reader
    for name, rev in seen.items():
        found = await db.winner(name)
        assert found is not None
        assert found.rev == rev
    assert len(seen) == 28

"""What a store tells those who follow all of its databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

from replication.store.events import DatabaseEvents, EventKind
from replication.store.interface import Store
from replication.store.sqlite import SqliteStore
from tests.replication.store.writes import doc


def _told(store: Store, since: int = 0) -> list[tuple[str, str]]:
    return [(event.kind.value, event.name) for event in store.events.after(since)]


async def test_making_changing_and_deleting_a_database_are_told_in_order(store: Store) -> None:
    one = await store.create("one")
    await store.create("two")
    await one.write([doc("a")])
    await store.delete("two")
    assert _told(store) == [
        ("created", "one"),
        ("created", "two"),
        ("updated", "one"),
        ("deleted", "two"),
    ]


async def test_of_many_changes_only_the_latest_is_kept(store: Store) -> None:
    one, two = await store.create("one"), await store.create("two")
    for number in range(5):
        await one.write([doc(f"a{number}")])
        await two.write([doc(f"a{number}")])
    assert _told(store)[2:] == [("updated", "one"), ("updated", "two")]
    assert store.events.seq == 12


async def test_local_documents_are_no_change(store: Store) -> None:
    one = await store.create("one")
    await one.put_local("a", 0, b"{}")
    assert _told(store) == [("created", "one")]


async def test_a_waiting_reader_is_woken_by_a_writing_thread(store: Store) -> None:
    one = await store.create("one")
    seen = store.events.seq
    waiting = asyncio.create_task(store.events.wait(seen))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await one.write([doc("a")])
    await asyncio.wait_for(waiting, 5)
    assert _told(store, seen) == [("updated", "one")]


async def test_waiting_for_what_has_happened_does_not_wait() -> None:
    events = DatabaseEvents([])
    events.record(EventKind.CREATED, "one")
    await asyncio.wait_for(events.wait(0), 1)


async def test_a_new_start_is_a_new_epoch_that_begins_with_all_databases(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    await store.create("one")
    before = store.events.epochs.format(store.events.seq)
    await store.close()
    store = await SqliteStore.open(tmp_path)
    assert _told(store) == [("updated", "one")]
    assert store.events.epochs.resolve(before, store.events.seq) == 0
    await store.close()


async def test_settings_outlive_the_store(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    assert await store.settings() == b"{}"
    await store.change_settings(lambda kept: b'{"a":1}')
    await store.close()
    store = await SqliteStore.open(tmp_path)
    assert await store.settings() == b'{"a":1}'
    assert (tmp_path / "settings.json").stat().st_mode & 0o077 == 0
    await store.close()


async def test_counts_of_a_deleted_database_stay(store: Store) -> None:
    one = await store.create("one")
    await one.write([doc("a"), doc("b")])
    await one.winner("a")
    before = store.counts()
    assert (before.open_databases, before.document_writes, before.document_reads) == (1, 2, 1)
    assert before.commits == 1
    await store.delete("one")
    assert store.counts() == before._replace(open_databases=0)

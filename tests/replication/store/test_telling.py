"""Between a commit and its number: the row is in the file, and nobody has been told of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from replication.store.events import DatabaseEvents, EventKind
from replication.store.interface import Database
from replication.store.sqlite import SqliteStore
from tests.replication.store.writes import edit


@dataclass
class Held:
    """A database whose next commit stops while it is told of."""

    store: SqliteStore
    database: Database
    told: threading.Event
    go_on: threading.Event


@pytest.fixture
async def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Held]:
    store = await SqliteStore.open(tmp_path)
    told, go_on = threading.Event(), threading.Event()
    record: Callable[[DatabaseEvents, EventKind, str], None] = DatabaseEvents.record

    def slow(events: DatabaseEvents, kind: EventKind, name: str) -> None:
        if kind is EventKind.UPDATED:
            told.set()
            go_on.wait(10)
        record(events, kind, name)

    monkeypatch.setattr(DatabaseEvents, "record", slow)
    yield Held(store, await store.create("a"), told, go_on)
    go_on.set()
    await store.close()


@pytest.mark.parametrize("by_row", [False, True], ids=["page", "rows"])
async def test_a_row_is_given_out_when_its_number_is_known(held: Held, by_row: bool) -> None:
    database = held.database
    writing = asyncio.create_task(edit(database, "one"))
    await asyncio.to_thread(held.told.wait, 10)
    reading = asyncio.create_task((database.change_rows if by_row else database.changes)(0, 10))
    done, _ = await asyncio.wait([reading], timeout=0.05)
    # Who had it would go on after a number that is in the future, and get the row again.
    assert not done
    assert database.epochs.resolve(database.epochs.format(1), database.update_seq) == 0
    held.go_on.set()
    await reading
    assert database.epochs.resolve(database.epochs.format(1), database.update_seq) == 1
    await writing


async def test_who_reads_what_is_there_already_waits_for_nobody(held: Held) -> None:
    writing = asyncio.create_task(edit(held.database, "one"))
    await asyncio.to_thread(held.told.wait, 10)
    assert (await held.database.changes(7, 10)).count == 0
    held.go_on.set()
    await writing


async def test_the_log_of_databases_has_a_change_before_its_number_is_known(held: Held) -> None:
    writing = asyncio.create_task(edit(held.database, "one"))
    await asyncio.to_thread(held.told.wait, 10)
    assert held.database.update_seq == 0
    held.go_on.set()
    await writing
    assert held.database.update_seq == 1
    assert [event.kind for event in held.store.events.after(1)] == [EventKind.UPDATED]

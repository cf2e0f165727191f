"""A journal that comes back without its end: copies that are ahead notice, and so do their readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from kompass.cluster import forks
from kompass.cluster.catalogue import PostgresCatalogue
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import JournalForkedError, SharedStore, SqliteDatabase
from tests.cluster.harness import Cluster, cluster
from tests.replication.store.copied import tables
from tests.replication.store.writes import edit

pytestmark = [pytest.mark.slow]

CHECKPOINT = b'{"session_id":"s","history":[{"session_id":"s","last_seq":3}]}'


@dataclass
class World:
    made: Cluster
    ahead: SharedStore
    """Has what the journal will lose."""
    behind: SharedStore

    async def again(self, store: SharedStore) -> SharedStore:
        """As the next start of its process finds it."""
        await store.close()
        return await self.made.open(store.directory)


def lose(made: Cluster, num: int) -> None:
    """PostgreSQL comes back as it was after an entry."""
    with psycopg.connect(made.dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM kompass_cluster.entries WHERE num > %s", (num,))
        connection.execute(
            "UPDATE kompass_cluster.databases SET head = %s,"
            " mark = (SELECT mark FROM kompass_cluster.entries WHERE num = %s)",
            (num, num),
        )


def db(store: SharedStore) -> SqliteDatabase:
    found = store.get("db")
    assert isinstance(found, SqliteDatabase)
    return found


def catalogue(store: SharedStore) -> PostgresCatalogue:
    assert isinstance(store.catalogue, PostgresCatalogue)
    return store.catalogue


def since(store: SharedStore, sequence: str) -> int:
    return db(store).epochs.resolve(sequence, db(store).update_seq)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The first store has two entries more than the other one and, from now on, the journal."""
    with cluster() as made:
        first = await made.open(tmp_path / "first")
        await first.create("db")
        await edit(db(first), "before")
        await db(first).put_local("checkpoint", 0, CHECKPOINT)
        second = await made.open(tmp_path / "second")
        await second.fresh()
        await second.close()
        kept = first.catalogue.journal("db").head()
        for docid in ("lost", "lost, too"):
            await edit(db(first), docid)
        lose(made, kept)
        one = World(made, first, await made.open(second.directory))
        yield one
        await one.ahead.close()
        await one.behind.close()


async def lost(store: SharedStore) -> Exception:
    for _ in range(200):
        for why in store.lost().values():
            return why
        await asyncio.sleep(0.05)
    raise AssertionError("it goes on")


@pytest.mark.parametrize("more", [0, 2, 3])
async def test_a_copy_that_is_ahead_never_goes_on(world: World, more: int) -> None:
    """However far the journal has come meanwhile."""
    for number in range(more):
        await edit(db(world.behind), f"new {number}")
    with pytest.raises(ProtocolError) as caught:
        await edit(db(world.ahead), "x")
    assert caught.value.status == 503
    assert isinstance(await lost(world.ahead), JournalForkedError)
    with pytest.raises(ProtocolError):
        await world.ahead.fresh()
    world.ahead = await world.again(world.ahead)
    await world.ahead.fresh()
    assert await db(world.ahead).winner("lost") is None
    assert tables(db(world.ahead)) == tables(db(world.behind))


@pytest.mark.parametrize("more", [2, 3])
async def test_one_that_was_killed_notices_at_its_next_start(world: World, more: int) -> None:
    directory = world.ahead.directory
    await world.ahead.close()
    for number in range(more):
        await edit(db(world.behind), f"new {number}")
    world.ahead = await world.made.open(directory)
    await world.ahead.fresh()
    assert tables(db(world.ahead)) == tables(db(world.behind))
    lineage = catalogue(world.ahead).databases()["db"].lineage
    assert catalogue(world.ahead).forked() == [("db", lineage)]


async def test_whoever_read_what_is_lost_begins_from_the_start(world: World) -> None:
    read = db(world.ahead).epochs.format(db(world.ahead).update_seq)
    for number in range(4):
        await edit(db(world.behind), f"new {number}")
    assert await forks.mend(world.behind, catalogue(world.behind)) == [], "nobody has noticed"
    world.ahead = await world.again(world.ahead)
    assert since(world.ahead, read) == 3, "he would miss what has these numbers now"
    assert await forks.mend(world.behind, catalogue(world.behind)) == ["db"]
    assert await forks.mend(world.behind, catalogue(world.behind)) == [], "once"
    for name in ("ahead", "behind"):
        store = getattr(world, name)
        with pytest.raises(ProtocolError):
            await edit(db(store), "x")
        await lost(store)
        setattr(world, name, await world.again(store))
    for store in (world.ahead, world.behind):
        await store.fresh()
        assert since(store, read) == 0
        assert await db(store).local("checkpoint") is None
        own = db(store).epochs.format(db(store).update_seq)
        assert since(store, own) == db(store).update_seq
    await edit(db(world.ahead), "after")
    await world.behind.fresh()
    assert tables(db(world.ahead)) == tables(db(world.behind))
    assert await forks.mend(world.behind, catalogue(world.behind)) == []

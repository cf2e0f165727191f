"""What a process of a cluster has of it: copies, CouchDB, files that copies begin with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from kompass.cluster import catalogue
from kompass.cluster.bases import Bases
from kompass.cluster.errors import ClusterSchemaError, NoClusterError
from kompass.cluster.member import Member
from kompass.settings import Settings
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import SharedStore, SqliteDatabase
from tests.cluster.harness import cluster
from tests.cluster.test_mirror import couchdb
from tests.cluster.test_store import until_there
from tests.readstore import harness
from tests.replication.store.copied import tables
from tests.replication.store.writes import edit

pytestmark = [pytest.mark.slow]


class Members:
    def __init__(self, directory: Path, dsn: str, couchdb_url: str, stack: AsyncExitStack) -> None:
        self.directory = directory
        self.dsn = dsn
        self.couchdb_url, _, self.remote = couchdb_url.rpartition("/")
        self.prefix = self.remote.removesuffix("db")
        self._stack = stack

    async def add(self, name: str) -> tuple[Member, SharedStore]:
        member = Member(self.dsn, self.couchdb_url, name=name, prefix=self.prefix, shown=["db"])
        await asyncio.to_thread(member.join)
        store = await member.open_store(self.directory / name, {})
        self._stack.push_async_callback(member.leave)
        self._stack.push_async_callback(store.close)
        return member, store


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[Members]:
    async with couchdb(tmp_path / "couchdb") as url:
        with cluster() as made:
            async with AsyncExitStack() as stack:
                yield Members(tmp_path, made.dsn, url, stack)


async def test_a_write_at_one_is_at_the_other_and_in_couchdb(members: Members) -> None:
    (_, a), (_, b) = await members.add("a"), await members.add("b")
    await a.create("db")
    async with httpx.AsyncClient(base_url=members.couchdb_url) as client:
        rev = await edit(await until_there(a, "db"), "x")
        assert (await client.get(f"/{members.remote}/x")).json()["_rev"] == rev
        await edit(await until_there(b, "db"), "x", rev)
        assert (await client.get(f"/{members.remote}/x")).json()["_rev"].startswith("2-")


async def test_accounts_are_not_shown_to_couchdb(members: Members) -> None:
    member, store = await members.add("a")
    await store.create("_users")
    await edit(await until_there(store, "_users"), "org.couchdb.user:x", name="x")
    assert member.remote("_users") is None
    assert member.keeper("_users") is None
    assert member.mirrors == {}


async def test_the_leader_finds_what_is_strange(members: Members) -> None:
    member, store = await members.add("a")
    await store.create("db")
    async with httpx.AsyncClient(base_url=members.couchdb_url) as client:
        await client.put(f"/{members.remote}/strange", json={})
    keeper = member.keeper("db")
    assert keeper is not None
    await keeper.look()
    database = store.get("db")
    assert await database.winner("strange") is not None
    assert keeper.strange.taken == 1


async def test_files_are_saved_when_it_is_worth_while(members: Members) -> None:
    member, store = await members.add("a")
    await store.create("_users")
    database = await until_there(store, "_users")
    bases = Bases(store, member.catalogue, entries=5, entries_per_mb=0)

    def saved() -> dict[str, int]:
        return {name: base.num for name, base in member.catalogue.latest_bases().items()}

    for number in range(4):
        await edit(database, f"d{number}", name=str(number))
    await bases.look()
    assert saved() == {"_users": 0}
    await edit(database, "d4")
    size = member.catalogue.latest_bases()["_users"].size
    assert size == pytest.approx((store.directory / "_users.sqlite").stat().st_size, rel=0.5)
    await Bases(store, member.catalogue, entries=5, entries_per_mb=6e6 / size).look()
    assert saved() == {"_users": 0}, "it is large for five entries"
    await bases.look()
    assert saved() == {"_users": 5}
    assert member.catalogue.databases()["_users"].kept == 0
    await edit(database, "d5")
    assert await bases.save("_users", keep=1) == 6
    assert member.catalogue.databases()["_users"].kept == 6
    assert list(store.directory.glob("*draft*")) == []
    _, other = await members.add("b")
    copy = other.get("_users")
    assert isinstance(copy, SqliteDatabase)
    assert tables(copy) == tables(database)


def test_a_cluster_that_is_not_prepared_says_what_to_do() -> None:
    address = harness.make_database(template="template1")
    try:
        with pytest.raises(ClusterSchemaError, match="kompass init"):
            Member(address.dsn).join()
    finally:
        harness.drop_database(address)


def test_without_a_journal_there_is_no_cluster() -> None:
    with pytest.raises(NoClusterError, match="KOMPASS_JOURNAL_DSN"):
        Member.of(Settings(), "kompass api")


def test_a_journal_that_is_away_is_said_without_its_address() -> None:
    with pytest.raises(ProtocolError) as caught:
        Member("postgresql://u:secret@127.0.0.1:1/x").join()
    assert caught.value.status == 503
    assert "127" not in caught.value.reason
    assert "secret" not in caught.value.reason


async def test_nobody_waits_while_a_file_is_saved(members: Members, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large database that takes minutes."""
    member, store = await members.add("a")
    await store.create("_users")
    database = await until_there(store, "_users")
    await edit(database, "before")
    stored, go_on = threading.Event(), threading.Event()
    really = catalogue._store

    def slowly(*given: Any) -> None:
        really(*given)
        stored.set()
        assert go_on.wait(20)

    monkeypatch.setattr(catalogue, "_store", slowly)
    saving = asyncio.create_task(Bases(store, member.catalogue).save("_users"))
    try:
        assert await asyncio.to_thread(stored.wait, 10)
        async with asyncio.timeout(5):
            await edit(database, "meanwhile")
    finally:
        go_on.set()
        assert await saving == 1
    assert member.catalogue.latest_bases()["_users"].num == 1

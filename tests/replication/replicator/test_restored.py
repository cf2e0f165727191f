"""Databases that replicated with one that comes back from a backup: nothing that any of them has is lost."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest

from replication.protocol.documents import parse_document
from replication.replicator import LocalPeer, Options, replicate
from replication.store.interface import Database
from replication.store.sqlite import SqliteStore
from replication.store.sqlite.restored import come_back


async def put(database: Database, *docids: str) -> None:
    outcomes = await database.write([parse_document({"of": docid}, docid=docid) for docid in docids])
    assert all(isinstance(outcome, str) for outcome in outcomes), outcomes


async def ids(database: Database) -> set[str]:
    return {row.id for row in await database.change_rows(0, 1000)}


async def settled(one: Database, other: Database) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while await ids(one) != await ids(other):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(*directories: Path) -> AsyncIterator[list[SqliteStore]]:
    stores = [await SqliteStore.open(directory) for directory in directories]
    try:
        yield stores
    finally:
        for store in stores:
            await store.close()


async def database(store: SqliteStore) -> Database:
    return store.get("db") if "db" in await store.names() else await store.create("db")


@asynccontextmanager
async def pushing(device: SqliteStore, server: SqliteStore) -> AsyncIterator[None]:
    """One session, for as long as the block lasts; it writes checkpoints all the time."""
    options = Options(continuous=True, checkpoint_interval=0.1)
    task = asyncio.create_task(replicate(LocalPeer(device, "db"), LocalPeer(server, "db"), options))
    yield
    task.cancel()
    await asyncio.wait([task])


def backup(place: Path, to: Path) -> None:
    """The file as a running server has it at one moment."""
    to.mkdir()
    source, target = apsw.Connection(str(place / "db.sqlite")), apsw.Connection(str(to / "db.sqlite"))
    with target.backup("main", source, "main") as copying:
        copying.step()
    target.close()
    source.close()
    shutil.copy(place / "server.json", to / "server.json")


async def _lose_what_came_after_a_backup(tmp_path: Path) -> None:
    """`writer` pushed `late`, in the session that goes on through the backup, and `reader` pulled it."""
    async with opened(tmp_path / "writer", tmp_path / "server", tmp_path / "reader") as stores:
        writer, server, reader = [await database(store) for store in stores]
        async with pushing(stores[0], stores[1]):
            await put(writer, "early", "also early")
            await settled(writer, server)
            await asyncio.sleep(0.3)  # the checkpoint
            backup(tmp_path / "server", tmp_path / "restored")
            await put(writer, "late", "also late")
            await settled(writer, server)
            await asyncio.sleep(0.3)
        await put(server, "server's own")
        await replicate(LocalPeer(stores[1], "db"), LocalPeer(stores[2], "db"))
        assert "server's own" in await ids(reader)


@pytest.mark.slow
async def test_who_pushed_and_who_pulled_more_than_the_backup_has_bring_it_back(tmp_path: Path) -> None:
    await _lose_what_came_after_a_backup(tmp_path)
    connection = apsw.Connection(str(tmp_path / "restored" / "db.sqlite"))
    last, dropped = come_back(connection)
    connection.close()
    assert (last, dropped) == (2, 1)
    async with opened(tmp_path / "writer", tmp_path / "restored", tmp_path / "reader") as stores:
        writer, server, reader = [await database(store) for store in stores]
        assert await ids(server) == {"early", "also early"}
        await put(server, "new")
        await replicate(LocalPeer(stores[0], "db"), LocalPeer(stores[1], "db"))
        assert {"late", "also late"} <= await ids(server)
        await replicate(LocalPeer(stores[2], "db"), LocalPeer(stores[1], "db"))
        for device in (0, 2):
            await replicate(LocalPeer(stores[1], "db"), LocalPeer(stores[device], "db"))
        everything = {"early", "also early", "late", "also late", "server's own", "new"}
        assert [await ids(one) for one in (writer, server, reader)] == [everything] * 3

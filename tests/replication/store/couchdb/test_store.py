"""A store over a server that others use as well, and that outlives its processes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from replication.protocol.errors import ProtocolError
from replication.store.couchdb import CouchStore
from replication.store.couchdb.endpoint import read_endpoint
from replication.store.interface import Database
from replication.store.sqlite import DirectoryInUseError
from tests.replication.store.writes import edit

pytestmark = pytest.mark.slow


class Place:
    """Databases at the server whose names begin with `prefix`, and how to get there past the driver."""

    def __init__(self, remote: str, direct: httpx.AsyncClient) -> None:
        self.remote = remote
        self.direct = direct
        self.prefix = f"t{secrets.token_hex(4)}-"

    async def open(self, directory: Path | None) -> CouchStore:
        return await CouchStore.open(read_endpoint(self.remote), directory, prefix=self.prefix, heartbeat=0.3)

    def path(self, name: str) -> str:
        return "/" + quote(self.prefix + name, safe="")


@pytest.fixture
async def place(remote: str) -> AsyncIterator[Place]:
    async with httpx.AsyncClient(base_url=remote, timeout=30) as direct:
        made = Place(remote, direct)
        yield made
        for name in (await direct.get("/_all_dbs")).json():
            if name.startswith(made.prefix):
                await direct.delete("/" + quote(name, safe=""))


async def _ids(db: Database, since: int) -> list[str]:
    return [row.id for row in await db.change_rows(since, 100)]


async def test_a_sequence_is_good_for_the_next_process(place: Place, tmp_path: Path) -> None:
    store = await place.open(tmp_path)
    db = await store.create("test")
    await edit(db, "a")
    await edit(db, "b")
    since = db.epochs.format(1)
    uuid, secret = store.uuid, store.secret
    with pytest.raises(DirectoryInUseError):
        await place.open(tmp_path)
    await store.close()
    await place.direct.put(f"{place.path('test')}/c", json={})
    store = await place.open(tmp_path)
    assert (store.uuid, store.secret) == (uuid, secret)
    db = store.get("test")
    assert await _ids(db, db.epochs.resolve(since, db.update_seq)) == ["b", "c"]
    await store.close()


async def test_another_ledger_is_another_epoch(place: Place, tmp_path: Path) -> None:
    store = await place.open(tmp_path / "one")
    db = await store.create("test")
    await edit(db, "a")
    since = db.epochs.format(db.update_seq)
    await store.close()
    store = await place.open(None)
    db = store.get("test")
    assert await _ids(db, db.epochs.resolve(since, db.update_seq)) == ["a"]
    await store.close()


async def test_databases_that_others_make_and_delete_are_noticed(place: Place, tmp_path: Path) -> None:
    store = await place.open(tmp_path)
    assert await store.names() == []
    await place.direct.put(place.path("test"))
    assert await store.names() == ["test"]
    db = store.get("test")
    waiting = asyncio.create_task(db.wait_for_change(0))
    await edit(db, "a")
    await asyncio.wait_for(waiting, 5)
    waiting = asyncio.create_task(db.wait_for_change(1))
    await place.direct.delete(place.path("test"))
    await asyncio.wait([waiting], timeout=10)
    assert waiting.done()
    assert await store.names() == []
    with pytest.raises(ProtocolError) as caught:
        store.get("test")
    assert caught.value.status == 404
    await store.close()


async def test_what_others_purge_is_gone_from_the_next_process(place: Place, tmp_path: Path) -> None:
    store = await place.open(tmp_path)
    db = await store.create("test")
    rev = await edit(db, "a")
    await edit(db, "b")
    since = db.epochs.format(db.update_seq)
    await store.close()
    gone = await place.direct.post(f"{place.path('test')}/_purge", json={"a": [rev]})
    assert gone.json()["purged"] == {"a": [rev]}
    store = await place.open(tmp_path)
    db = store.get("test")
    assert await _ids(db, 0) == ["b"]
    # Nobody can tell what else has happened, so everybody sees everything again.
    assert await _ids(db, db.epochs.resolve(since, db.update_seq)) == ["b"]
    await store.close()


async def test_the_servers_own_databases_are_not_ours(place: Place, tmp_path: Path) -> None:
    store = await place.open(tmp_path)
    await store.create("_users")
    assert await store.names() == ["_users"]
    assert (await place.direct.get(place.path("own$users"))).status_code == 200
    await store.delete("_users")
    await store.close()

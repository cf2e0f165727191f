"""The drivers that every test of this folder runs over."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from replication.store.couchdb import CouchStore
from replication.store.couchdb.endpoint import read_endpoint
from replication.store.interface import Database, Store
from replication.store.sqlite import SqliteStore
from tests.cluster.harness import cluster
from tests.needs import COUCHDB_URL
from tests.replication.store.journals import MemoryJournal
from tests.replication.store.traits import COUCHDB, SERVED, SQLITE, Traits
from tests.servers import running_server


@pytest.fixture(scope="session")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server behind the driver for CouchDB: the one in KOMPASS_TEST_COUCHDB_URL, or one of ours."""
    if COUCHDB_URL:
        yield COUCHDB_URL
        return
    with running_server(tmp_path_factory.mktemp("remote") / "data") as server:
        yield server.url


@asynccontextmanager
async def couch_store(remote: str, ledgers: Path) -> AsyncIterator[CouchStore]:
    """A store whose databases have a prefix of their own at the server."""
    prefix = f"t{secrets.token_hex(4)}-"
    store = await CouchStore.open(read_endpoint(remote), ledgers, prefix=prefix)
    try:
        yield store
    finally:
        await store.close()
    async with httpx.AsyncClient(base_url=remote, timeout=30) as client:
        for name in (await client.get("/_all_dbs")).json():
            if name.startswith(prefix):
                await client.delete("/" + quote(name, safe=""))


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("copy", marks=[pytest.mark.slow]),
        pytest.param("cluster", marks=[pytest.mark.slow]),
        pytest.param("couchdb", marks=[pytest.mark.slow]),
    ]
)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """`copy`: each database follows a journal in memory; `cluster`: one in PostgreSQL."""
    if request.param == "cluster":
        with cluster() as made:
            shared = await made.open(tmp_path / "data")
            yield shared
            await shared.close()
        return
    if request.param == "couchdb":
        remote = request.getfixturevalue("remote")
        async with couch_store(remote, tmp_path / "ledgers") as couch:
            yield couch
        return
    # A database that is made again has another journal.
    store = await SqliteStore.open(
        tmp_path / "data", journals=(lambda name: MemoryJournal()) if request.param == "copy" else None
    )
    yield store
    await store.close()


@pytest.fixture
def traits(store: Store) -> Traits:
    if not isinstance(store, CouchStore):
        return SQLITE
    return _of_couchdb() if COUCHDB_URL else SERVED


@cache
def _of_couchdb() -> Traits:
    major, minor = httpx.get(COUCHDB_URL, timeout=30).json()["version"].split(".")[:2]
    return replace(COUCHDB, tells_purge_requests=(int(major), int(minor)) >= (3, 4))


@pytest.fixture
async def db(store: Store) -> Database:
    return await store.create("test")

"""A server in this process, without administrators: everybody may do everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from replication.http import Application, create_app
from replication.store.interface import Store
from replication.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await SqliteStore.open(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
def app(store: Store) -> Application:
    return create_app(store)


@pytest.fixture
async def client(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.fixture
async def db(client: httpx.AsyncClient) -> str:
    """The path of an empty database."""
    response = await client.put("/db")
    assert response.status_code == 201
    return "/db"

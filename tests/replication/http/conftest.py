"""A server in this process, without administrators: everybody may do everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from replication.http import Application, create_app
from replication.http.server import ServerConfig
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


Serve = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def serve(store: Store) -> AsyncIterator[Serve]:
    """`await serve(address=…, name=value, …)`: a client of a server with these `ServerConfig` members."""
    async with AsyncExitStack() as stack:

        async def serve_with(*, address: str = "127.0.0.1", **settings: Any) -> httpx.AsyncClient:
            settings.setdefault("password_iterations", 10)
            app = create_app(store, ServerConfig(**settings))
            await app.server.prepare()
            stack.callback(app.server.accounts.close)
            transport = httpx.ASGITransport(app, client=(address, 50000))
            client = httpx.AsyncClient(transport=transport, base_url="http://server")
            return await stack.enter_async_context(client)

        yield serve_with

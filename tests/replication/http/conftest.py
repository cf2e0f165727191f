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
from tests.replication.http.batches import A, B, C, D, replicate, revision


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


@pytest.fixture
async def conflicted(client: httpx.AsyncClient, db: str) -> str:
    """`x` has the leaves 2-c (the winner), 2-b and, deleted, 2-d, all after 1-a."""
    await replicate(
        client,
        db,
        {"_id": "x", "_rev": f"1-{A}", "v": 1},
        revision("x", 2, [B, A], v="b"),
        revision("x", 2, [C, A], v="c"),
        revision("x", 2, [D, A], _deleted=True),
    )
    return db


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

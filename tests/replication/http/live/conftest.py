"""A real server for every test of this folder: over ASGI httpx gives an answer only when it is whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from replication.store.interface import Store
from tests.replication.http.live.feeds import Running, serving


@pytest.fixture
async def running(store: Store) -> AsyncIterator[Running]:
    """`await running(name=value, …)`: a client of a server with these settings, and the database `/db`."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> httpx.AsyncClient:
            client = await stack.enter_async_context(serving(store, **settings))
            await client.put("/db")
            return client

        yield start


@pytest.fixture
async def client(running: Running) -> httpx.AsyncClient:
    return await running()

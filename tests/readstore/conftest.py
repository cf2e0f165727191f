"""One embedded PostgreSQL for all tests of a process, and a fresh database in it for whoever asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from kompass.readstore.embedded import Address
from tests.readstore import harness
from tests.readstore.world import World


@pytest.fixture(scope="session")
def postgres() -> Address:
    """The server, as its superuser."""
    return harness.server()


@pytest.fixture
def database() -> Iterator[Address]:
    """An empty database, as the sink's login; gone afterwards."""
    address = harness.make_database()
    yield address
    harness.drop_database(address)


@pytest_asyncio.fixture
async def world(database: Address) -> AsyncIterator[World]:
    """An empty store with the people of the demo."""
    one = World(database)
    await one.sink.open()
    yield one
    await one.sink.close()

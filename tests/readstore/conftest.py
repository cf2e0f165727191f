"""One embedded PostgreSQL for all tests of a process, and a fresh database in it for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kompass.readstore.embedded import Address
from tests.readstore import harness


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

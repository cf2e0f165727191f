"""One embedded PostgreSQL for all tests of a process, and a fresh database in it for whoever asks."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from kompass.readstore.embedded import Address, EmbeddedPostgres
from tests.needs import require

_NAMES = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Address]:
    """The server, as its superuser."""
    require("postgres")
    # Not below pytest's own directory: nobody but its user may enter, and as root PostgreSQL is another one.
    directory = Path(tempfile.mkdtemp(prefix="kompass-test-pg-"))
    server = EmbeddedPostgres(directory / "pg", fsync=False)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def database(postgres: Address) -> Iterator[Address]:
    """An empty database, gone afterwards."""
    name = f"test_{next(_NAMES)}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield replace(postgres, database=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

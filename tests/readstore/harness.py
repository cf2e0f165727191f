"""The PostgreSQL sink for the suite of sinks: read back by logins of people, as a BI tool would."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from kompass.feed.sink import PersonAccess, Sink
from kompass.readstore import embedded, logins, schema
from kompass.readstore.embedded import Address, EmbeddedPostgres
from kompass.readstore.names import LIVE
from kompass.readstore.place import LOGIN, Server, harden
from kompass.readstore.sink import PostgresSink
from tests.feed.harness import SinkHarness, Stored
from tests.needs import require

PASSWORD = "only-for-tests"
_NAMES = itertools.count(1)


@cache
def server() -> Address:
    """One PostgreSQL for the process, as its superuser; with the sink's login."""
    require("postgres")
    # Not below pytest's own directory: nobody but its user may enter, and as root PostgreSQL is another one.
    directory = Path(tempfile.mkdtemp(prefix="kompass-test-pg-", dir=_memory()))
    directory.chmod(0o711)
    # Each process of a cluster has some, and tests have many processes.
    embedded.SETTINGS["max_connections"] = "200"
    postgres = EmbeddedPostgres(directory / "pg", fsync=False)

    def stop() -> None:
        postgres.stop()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(stop)
    address = postgres.start()
    with psycopg.connect(address.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {LOGIN} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
    return address


def _memory() -> Path | None:
    """Where the system has memory as a disk, if it has enough: each test makes a database of 300 files."""
    place = Path("/dev/shm")
    if not (place.is_dir() and os.access(place, os.W_OK)):
        return None
    return place if shutil.disk_usage(place).free > 2_000_000_000 else None


@cache
def _template() -> str:
    """A database that is prepared already: copying it is ten times as fast as preparing another."""
    address = make_database(template="template1")
    connection = Server(address.dsn).connect()
    schema.prepare(connection, LIVE, "BY")
    connection.close()
    return address.database


def make_database(template: str | None = None) -> Address:
    """A fresh database that the sink's login owns; as that login. Prepared, if no template is named."""
    name = f"test_{next(_NAMES)}"
    superuser = server()
    with psycopg.connect(superuser.dsn, autocommit=True) as connection:
        copied = template or _template()
        connection.execute(f"CREATE DATABASE {name} OWNER {LOGIN} TEMPLATE {copied} STRATEGY file_copy")
    with psycopg.connect(replace(superuser, database=name).dsn, autocommit=True) as connection:
        harden(connection)
    return replace(superuser, user=LOGIN, password=PASSWORD, database=name)


def drop_database(address: Address) -> None:
    with psycopg.connect(server().dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {address.database} WITH (FORCE)")


def at(dsn: str) -> Sink:
    return PostgresSink(Server(dsn))


class ReadstoreHarness(SinkHarness):
    keeps_people = True

    def __init__(self, address: Address) -> None:
        self._address = address
        self._reading: psycopg.Connection[tuple[Any, ...]] | None = None

    def _connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        """For reading; a new one if the database has been broken in between."""
        if self._reading is None or self._reading.closed:
            self._reading = psycopg.connect(self._address.dsn, autocommit=True)
        return self._reading

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()

    @property
    def again(self) -> tuple[str, str]:
        return "tests.readstore.harness:at", self._address.dsn

    def make(self) -> Sink:
        return PostgresSink(Server(self._address.dsn))

    async def read(self, docid: str) -> Stored | None:
        if "\0" in docid:
            return None
        connection = self._connection()
        there = connection.execute("SELECT to_regclass('kompass_data.documents')").fetchone()
        if there is None or there[0] is None:
            return None
        found = connection.execute(
            "SELECT type, rev, channels FROM kompass_data.documents WHERE id = %s", (docid,)
        ).fetchone()
        if found is None:
            return None
        doctype, rev, channels = found
        query: Any = f'SELECT * FROM kompass_data."{doctype}" WHERE id = %s'
        row = connection.execute(query, (docid,)).fetchone()
        assert row is not None
        assert row[1] == rev
        dimension = connection.execute(
            "SELECT company_name FROM kompass_data.dim_customers WHERE customer_id = %s AND is_current",
            (docid,),
        ).fetchall()
        return Stored(rev, frozenset(channels), (row, dimension))

    async def readable(self, person: PersonAccess) -> set[str]:
        with psycopg.connect(self._address.dsn) as connection:
            known = connection.execute(
                "SELECT active FROM kompass_data.people WHERE name = %s", (person.name,)
            ).fetchone()
            if not (known and known[0]):
                return self._as_the_product(connection, person.name)
            login = logins.create(connection, person.name)
        dsn = replace(self._address, user=login.name, password=login.password).dsn
        with psycopg.connect(dsn) as connection:
            found = {row[0] for row in connection.execute("SELECT id FROM documents")}
            customers = {row[0] for row in connection.execute("SELECT id FROM customer")}
        assert found == customers
        with psycopg.connect(self._address.dsn) as connection:
            assert self._as_the_product(connection, person.name) == found
        return found

    def _as_the_product(self, connection: psycopg.Connection[tuple[str]], person: str) -> set[str]:
        with connection.transaction():
            connection.execute("SET LOCAL ROLE kompass_people")
            connection.execute("SELECT set_config('kompass.person', %s, true)", (person,))
            return {row[0] for row in connection.execute("SELECT id FROM kompass.documents")}

    async def break_it(self) -> None:
        with psycopg.connect(server().dsn, autocommit=True) as connection:
            name = self._address.database
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )

    async def mend_it(self) -> None:
        with psycopg.connect(server().dsn, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {self._address.database} ALLOW_CONNECTIONS true")


@asynccontextmanager
async def harness(directory: Path) -> AsyncIterator[SinkHarness]:
    address = make_database()
    one = ReadstoreHarness(address)
    try:
        yield one
    finally:
        one.close()
        drop_database(address)

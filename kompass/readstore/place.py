"""Where the PostgreSQL of the read store is: one of one's own below the data, or a server by name."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from kompass.feed.registry import SinkAbsentError
from kompass.files import replace_file
from kompass.readstore.embedded import Address, EmbeddedPostgres, available
from kompass.readstore.names import literal, quoted
from kompass.settings import Settings

if TYPE_CHECKING:
    import psycopg

DATABASE = "kompass"
LOGIN = "kompass_sink"
FILE = "login.json"
"""How other processes of the product reach the embedded server; for the owner's eyes only."""

SESSION = "-c timezone=UTC -c client_min_messages=error -c search_path=pg_catalog -c synchronous_commit=off"
"""A commit doesn't wait for the disk: what a power failure takes goes with its checkpoint, and comes anew."""
CONNECT_SECONDS = 10


class Place(Protocol):
    """How to connect as the sink."""

    def connect(self) -> psycopg.Connection[Any]:
        """A new connection. Raises `psycopg.OperationalError` and `ReadStoreError`."""

    def shared(self) -> Place:
        """The same place for a second sink, whose end doesn't end it."""

    def close(self) -> None:
        """Stops what was started for it."""


class Server:
    """A server that somebody else runs."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def connect(self) -> psycopg.Connection[Any]:
        import psycopg

        return psycopg.connect(
            self._dsn, options=SESSION, connect_timeout=CONNECT_SECONDS, application_name="kompass"
        )

    def shared(self) -> Place:
        return self

    def close(self) -> None:
        """Nothing was started."""


class Embedded:
    """A server of one's own, started with the first connection."""

    def __init__(self, directory: Path, *, port: int | None = None, fsync: bool = True) -> None:
        self._postgres = EmbeddedPostgres(directory, port=port, fsync=fsync)
        self._dsn: str | None = None

    def connect(self) -> psycopg.Connection[Any]:
        if self._dsn is None or not self._postgres.running:
            if self._dsn is not None:
                self._postgres.stop()  # it has died: what is left of it is taken away
            self._dsn = prepare(self._postgres.start(), self._postgres.directory)
        return Server(self._dsn).connect()

    def shared(self) -> Place:
        return _Guest(self)

    def close(self) -> None:
        self._dsn = None
        with suppress(FileNotFoundError):
            (self._postgres.directory / FILE).unlink()
        self._postgres.stop()


class _Guest:
    def __init__(self, host: Place) -> None:
        self._host = host

    def connect(self) -> psycopg.Connection[Any]:
        return self._host.connect()

    def shared(self) -> Place:
        return self

    def close(self) -> None:
        """The host's matter."""


def prepare(superuser: Address, directory: Path) -> str:
    """Makes the database and the sink's login in a new server, and tells other processes where they are.

    Returns how the sink logs in.
    """
    import psycopg

    password = secrets.token_urlsafe(32)
    with psycopg.connect(superuser.dsn, autocommit=True, options=SESSION) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (LOGIN,)).fetchone():
            connection.execute(f"CREATE ROLE {LOGIN} LOGIN CREATEROLE")
        # A new one at each start: the file with it is all that knows it.
        connection.execute(f"ALTER ROLE {LOGIN} PASSWORD {literal(password)}")
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
            connection.execute(f"CREATE DATABASE {quoted(DATABASE)} OWNER {LOGIN}")
    with psycopg.connect(
        Address(superuser.host, superuser.port, superuser.user, superuser.password, DATABASE).dsn,
        autocommit=True,
        options=SESSION,
    ) as connection:
        harden(connection)
    address = Address(superuser.host, superuser.port, LOGIN, password, DATABASE)
    replace_file(directory / FILE, orjson.dumps({"dsn": address.dsn}))
    return address.dsn


def harden(connection: psycopg.Connection[Any]) -> None:
    """What only a superuser can take from everybody: making large objects."""
    for function in connection.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE proname IN ('lo_create', 'lo_creat',"
        " 'lo_from_bytea', 'lo_import', 'lo_put', 'lo_open', 'lo_unlink', 'lowrite', 'lo_truncate')"
        " AND pronamespace = 'pg_catalog'::regnamespace"
    ).fetchall():
        connection.execute(f"REVOKE ALL ON FUNCTION {function[0]} FROM PUBLIC")


def embedded_dsn(directory: Path) -> str | None:
    """How to log in to the embedded server that another process runs; None if none does."""
    try:
        dsn = orjson.loads((directory / FILE).read_bytes())["dsn"]
    except FileNotFoundError:
        return None
    assert isinstance(dsn, str)
    return dsn


def directory_of(settings: Settings) -> Path:
    return settings.directory / "postgres"


def from_settings(settings: Settings) -> Place | None:
    """Where the settings say, None if there is to be no read store. Connects to nothing.

    Raises `SinkAbsentError` where one would have to be started and can't be.
    """
    if settings.readstore_dsn is not None:
        return Server(settings.readstore_dsn.get_secret_value())
    if not settings.readstore:
        return None
    why = settings.needs_service("readstore_dsn") or available()
    if why is not None:
        raise SinkAbsentError(why)
    return Embedded(directory_of(settings), port=settings.readstore_port)

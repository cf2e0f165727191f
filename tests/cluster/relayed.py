"""Relays on the way to a PostgreSQL or a CouchDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.in_process import LoopThread
from tests.relays import Fault, Relay

TURN = b"BEGIN; "
"""In what takes the turn to append."""
APPEND = b"kompass_entries"
"""In what appends and commits, all in one message as long as it isn't large."""


class Between:
    """A relay in a thread of its own, so that it works whoever waits."""

    def __init__(self, to: int | str) -> None:
        self._thread = LoopThread("relay")
        self._relay = Relay(to)
        self.open()

    @property
    def port(self) -> int:
        return self._relay.port

    @property
    def faults(self) -> list[Fault]:
        return self._relay.faults

    @faults.setter
    def faults(self, faults: list[Fault]) -> None:
        self._relay.faults = faults

    def cut(self) -> None:
        """Breaks all connections; new ones are taken."""
        self._thread.run(self._relay.cut())

    def freeze(self) -> None:
        """Nothing passes any more, and no connection ends: as with a machine that is gone."""
        self._thread.loop.call_soon_threadsafe(self._relay.thawed.clear)

    def thaw(self) -> None:
        self._thread.loop.call_soon_threadsafe(self._relay.thawed.set)

    def shut(self) -> None:
        """Nobody listens any more."""
        self._thread.run(self._relay.close())

    def open(self) -> None:
        """At the same port."""
        self._thread.run(self._relay.open())

    def end(self) -> None:
        self.shut()
        self._thread.end()


@contextmanager
def between(to: int | str) -> Iterator[Between]:
    made = Between(to)
    try:
        yield made
    finally:
        made.end()


@contextmanager
def through(dsn: str) -> Iterator[tuple[Between, str]]:
    """A relay to a PostgreSQL, and the address that leads through it."""
    given = conninfo_to_dict(dsn)
    with between(f"{given['host']}/.s.PGSQL.{given['port']}") as relay:
        yield relay, make_conninfo(dsn, host="127.0.0.1", port=relay.port)


def connections(dsn: str) -> int:
    """How many there are to its database, beside the one that asks."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])

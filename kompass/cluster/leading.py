"""Which process does what one does for all: the one that holds a lock in PostgreSQL."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kompass.cluster.connections import Connections

if TYPE_CHECKING:
    import psycopg

INDEX = 0x6B6F6D7061737332
JOBS = 0x6B6F6D7061737333
"""What there is to lead: the work of `kompass index`, and handing out jobs."""


class Leadership:
    """Methods block, and raise nothing: what can't be reached isn't led."""

    def __init__(self, connections: Connections, what: int = INDEX) -> None:
        self._what = what
        self._connections = connections
        self._connection: psycopg.Connection[Any] | None = None

    def take(self) -> bool:
        """Whether this process leads from now on. False while another one does."""
        import psycopg

        try:
            if self._connection is None:
                self._connection = self._connections.open()
            row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (self._what,)).fetchone()
        except psycopg.Error:
            self.give_up()
            return False
        return row is not None and bool(row[0])

    @property
    def is_connected(self) -> bool:
        """After `take`: whether PostgreSQL could be asked."""
        return self._connection is not None

    def is_held(self) -> bool:
        """Whether it still leads, after `take` said so: the lock goes with the connection."""
        import psycopg

        if self._connection is None:
            return False
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            self.give_up()
            return False
        return True

    def give_up(self) -> None:
        import psycopg

        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

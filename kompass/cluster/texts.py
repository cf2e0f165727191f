"""Small texts that the processes of a cluster have in common, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from kompass.cluster.connections import Connections
from kompass.texts import Text, Texts
from replication.protocol.errors import ProtocolError


class PostgresTexts(Texts):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __getitem__(self, name: str) -> PostgresText:
        return PostgresText(self._connections, name)


class PostgresText(Text):
    """A row of `texts`. Methods block."""

    def __init__(self, connections: Connections, name: str) -> None:
        self._connections = connections
        self._name = name
        self.shown = f"{name} in PostgreSQL"

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            with self._connections.use() as connection:
                yield connection
        except ProtocolError as error:
            raise OSError(f"{self.shown} can't be reached: {error.reason}") from error

    def read(self) -> bytes | None:
        with self._connection() as connection:
            row = connection.execute("SELECT content FROM texts WHERE name = %s", (self._name,)).fetchone()
        return None if row is None else bytes(row[0])

    def replace(self, content: bytes) -> None:
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO texts VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET content = excluded.content",
                (self._name, content),
            )

    @contextmanager
    def alone(self) -> Iterator[bool]:
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (self._name,))
            yield True

    def add(self, lines: bytes) -> None:
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO texts VALUES (%s, %s)"
                " ON CONFLICT (name) DO UPDATE SET content = texts.content || excluded.content",
                (self._name, lines),
            )

    def once(self, content: bytes) -> bytes:
        """What it says: this, if there was nothing."""
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO texts VALUES (%s, %s) ON CONFLICT DO NOTHING", (self._name, content)
            )
            row = connection.execute("SELECT content FROM texts WHERE name = %s", (self._name,)).fetchone()
        assert row is not None
        return bytes(row[0])

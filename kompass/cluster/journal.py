"""A journal in PostgreSQL.

The turn is the lock of the database's row, in a transaction that the append belongs to: a process that loses
its connection, or hangs for longer than PostgreSQL waits, has lost the turn and can't append any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL

from kompass.cluster.connections import Connections
from kompass.cluster.listening import Listener
from replication.protocol import errors
from replication.store.sqlite import Entry, Journal, JournalGapError, Turn, check_same

PAGE_ENTRIES = 500
PAGE_BYTES = 8_000_000
"""Entries that are read at once: no more than this, but at least one."""

_TURN = SQL("SELECT head, mark FROM databases WHERE id = {} FOR NO KEY UPDATE")
"""One at a time. Nobody waits who refers to the row, as a file does that is saved, nor is waited for."""
_SINCE = """
SELECT num, changes, told, mark, after FROM (
    SELECT num, changes, told, mark, after, sum(length(changes) + length(told)) OVER (ORDER BY num) AS upto,
        row_number() OVER (ORDER BY num) AS place
    FROM (SELECT * FROM entries WHERE database = %s AND num > %s ORDER BY num LIMIT %s) AS first
) AS sized WHERE upto <= %s OR place = 1 ORDER BY num
"""


class PostgresJournal(Journal):
    """Of one database."""

    def __init__(self, connections: Connections, listener: Listener, database: int) -> None:
        self._connections = connections
        self._listener = listener
        self._database = database

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        with self._connections.use() as connection:
            # One message: BEGIN, what it is bounded by, and the turn.
            cursor = connection.execute(
                self._connections.beginning(connection) + _TURN.format(self._database)
            )
            while cursor.nextset():
                pass
            turn = _PostgresTurn(connection, self._database, *_head(cursor))
            try:
                yield turn
            finally:
                if not turn.ended and not connection.closed:
                    connection.execute("ROLLBACK")

    def head(self) -> int:
        with self._connections.use() as connection:
            return _head(_asked_head(connection, self._database))[0]

    def since(self, num: int, mark: str = "") -> list[Entry]:
        with self._connections.use() as connection:
            return entries_since(connection, self._database, num, mark)

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        return self._listener.listen(self._database, heard)


class _PostgresTurn(Turn):
    def __init__(self, connection: psycopg.Connection[Any], database: int, head: int, mark: str) -> None:
        self._connection = connection
        self._database = database
        self._head = head
        self._mark = mark
        self.ended = False

    def since(self, num: int, mark: str = "") -> list[Entry]:
        check_same(num, mark, self._head, self._mark)
        if num == self._head:
            return []
        return entries_since(self._connection, self._database, num, head=self._head)

    def append(self, entry: Entry) -> None:
        assert entry.num == self._head + 1, "the copy wasn't up to date"
        with self._connection.pipeline():
            self._connection.execute(
                "INSERT INTO entries (database, num, changes, told, mark, after)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (self._database, *entry),
                binary=True,
            )
            self._connection.execute(
                "UPDATE databases SET head = %s, mark = %s WHERE id = %s",
                (entry.num, entry.mark, self._database),
            )
            self._connection.execute("SELECT pg_notify(%s, %s)", (Listener.CHANNEL, str(self._database)))
            self._connection.execute("COMMIT")
        self._head, self._mark = entry.num, entry.mark
        self.ended = True


def _asked_head(connection: psycopg.Connection[Any], database: int) -> psycopg.Cursor[Any]:
    return connection.execute("SELECT head, mark FROM databases WHERE id = %s", (database,))


def _head(cursor: psycopg.Cursor[Any]) -> tuple[int, str]:
    row = cursor.fetchone()
    if row is None:
        raise errors.database_missing()
    return row[0], row[1]


def entries_since(
    connection: psycopg.Connection[Any], database: int, num: int, mark: str = "", *, head: int | None = None
) -> list[Entry]:
    """Of a database, by its number, what comes after an entry with this mark, or the first of it. `head`: of
    the last one, if that is known. Raises `JournalGapError`, `JournalForkedError`.
    """
    rows = connection.execute(_SINCE, (database, num, PAGE_ENTRIES, PAGE_BYTES), binary=True).fetchall()
    entries = [Entry(*row) for row in rows]
    if entries:
        return entries
    if head is None:
        head, head_mark = _head(_asked_head(connection, database))
        check_same(num, mark, head, head_mark)
        if head > num:
            # Something may have come since the first look; else it isn't kept any more.
            later = connection.execute(
                "SELECT 1 FROM entries WHERE database = %s AND num = %s", (database, num + 1)
            ).fetchone()
            if later is not None:
                return []
    if head != num:
        raise JournalGapError(f"this copy is at {num}, the journal at {head}, without what lies between")
    return []

"""Connections that read one database file: opened when one is needed, kept for the next who needs one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from replication.protocol import errors
from replication.store.sqlite.schema import configure
from replication.store.sqlite.writer import storage_error

STATEMENTS = 200
"""Prepared ones that a connection keeps."""


class Connections:
    def __init__(self, path: Path, opened: Callable[[], None], *, durable: bool = True) -> None:
        """`opened` is called, in any thread, after a connection was opened. Not `durable`: a loss of power
        may take the latest commits, which are kept elsewhere."""
        self._path = path
        self._durable = durable
        self._opened = opened
        self._idle: deque[apsw.Connection] = deque()
        self._closed = False

    @contextmanager
    def reader(self) -> Iterator[apsw.Connection]:
        """A connection for reading, nobody else's meanwhile."""
        if self._closed:
            raise errors.database_missing()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._open_reader()
        try:
            yield connection
        except apsw.Error as error:
            raise storage_error(error) from error
        finally:
            if self.is_closed():
                connection.close()
            else:
                self._idle.append(connection)

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """A reader whose statements all see the same commit."""
        with self.reader() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    def open_writer(self) -> apsw.Connection:
        """One more that writes. There is only ever one at a time: see `Writer`."""
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
        self.configure(connection)
        self._opened()
        return connection

    def configure(self, connection: apsw.Connection) -> None:
        """Of one that writes."""
        configure(connection)
        if not self._durable:
            connection.execute("PRAGMA synchronous = NORMAL")

    def is_closed(self) -> bool:
        return self._closed

    def rest(self) -> None:
        """Closes those that nobody uses at the moment."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def refuse(self) -> None:
        """From now on there is no database for whoever asks; those in use are closed after their use."""
        self._closed = True

    def _open_reader(self) -> apsw.Connection:
        try:
            connection = apsw.Connection(
                str(self._path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=STATEMENTS
            )
            configure(connection)
            connection.execute("PRAGMA query_only = 1")
        except apsw.Error as error:
            raise storage_error(error) from error
        self._opened()
        return connection

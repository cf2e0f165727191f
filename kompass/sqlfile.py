"""A SQLite file of what runs beside the server, which several processes read and write."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

MAX_LINE = 500


class SqlFile:
    """For its owner's eyes only. Blocking, short; calls may come from any thread."""

    def __init__(
        self,
        path: Path,
        tables: str,
        version: int,
        *,
        failure: type[Exception],
        busy: float = 5.0,
        pragmas: Sequence[str] = (),
    ) -> None:
        """`tables`: statements that make them, as `version` has them. `busy`: seconds to wait for another
        process. Raises `failure`, with a text for people, if the file can't be used or is of a newer version.
        """
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = apsw.Connection(str(path))
            self._connection.set_busy_timeout(int(1000 * busy))
            for pragma in ("journal_mode = WAL", *pragmas):
                self._connection.execute(f"PRAGMA {pragma}")
            if self._connection.pragma("user_version") != version:
                self._prepare(tables, version, failure)
        except (OSError, apsw.Error) as error:
            raise failure(f"{path} can't be used: {error}") from error

    def _prepare(self, tables: str, version: int, failure: type[Exception]) -> None:
        with self.writing() as connection:
            stored = connection.pragma("user_version")
            if stored > version:
                raise failure(f"{self.path} is of a newer version of this program ({stored})")
            if stored == 0:
                connection.execute(tables)
                connection.pragma("user_version", version)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """A transaction: all of it or nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            try:
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return fetch(self._connection, query, values)


def fetch(connection: apsw.Connection, query: str, values: Sequence[Any] = ()) -> list[Any]:
    """All rows of a query."""
    return connection.execute(query, tuple(values)).fetchall()


def one_line(text: str) -> str:
    """Of what somebody else has said: one line that can be shown, of bounded length."""
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else "\ufffd" for char in line)[:MAX_LINE]

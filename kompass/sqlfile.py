"""A SQLite file of what runs beside the server, which several processes read and write.

Processes on one machine have one file. Those of a cluster have a copy each, which follows a journal: a
transaction takes its turn there, and whoever reads has what was committed anywhere before.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from kompass.settings import Settings
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import CopyDivergedError, Entry, Journal, JournalGapError
from replication.store.sqlite.copies import Copy, Recording, Told, play

MAX_LINE = 500


class SharedFiles(ABC):
    """Files that the processes of a cluster have copies of."""

    @abstractmethod
    def journal(self, path: Path, make: Callable[[Path], None]) -> Journal:
        """What the copy at `path` follows, which is there then; `make` makes the first one. Files are told
        apart by their names. Raises `ProtocolError`, 503.
        """


def shared_files(settings: Settings) -> SharedFiles | None:
    """Those of the cluster that the settings name; None without one."""
    if settings.journal_dsn is None:
        return None
    from kompass.cluster.files import files_of

    return files_of(settings.journal_dsn.get_secret_value())


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
        shared: SharedFiles | None = None,
    ) -> None:
        """`tables`: statements that make them, as `version` has them. `busy`: seconds to wait for another
        process. `shared`: the file is a copy. Raises `failure`, with a text for people, if the file can't be
        used or is of a newer version.
        """
        self.path = path
        self._failure = failure
        self._lock = threading.RLock()
        self._journal: Journal | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if shared is not None:
                with self._asking():
                    self._journal = shared.journal(path, partial(_make, tables, version, failure))
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
        with self._alone() as connection:
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
        if self._journal is None:
            with self._alone() as connection:
                yield connection
            return
        with self._lock, self._asking(), self._journal.turn() as turn:
            self._play(turn.since)
            recording = Recording(self._connection, Copy(self._journal), turn)
            try:
                with self._alone() as connection:
                    yield connection
                    recording.append(Told(), ())
            finally:
                recording.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What goes wrong with the journal, as what goes wrong with a file."""
        try:
            yield
        except (CopyDivergedError, JournalGapError) as error:
            raise self._failure(f"{self.path} is out of step: start this process again.") from error
        except ProtocolError as error:
            raise self._failure(error.reason) from error

    def _play(self, since: Callable[[int], Iterable[Entry]]) -> None:
        for _ in play(self._connection, since):
            pass

    @contextmanager
    def _alone(self) -> Iterator[apsw.Connection]:
        """A transaction of this file."""
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
        """What a query finds that changes nothing."""
        with self._lock:
            if self._journal is not None and not self._connection.in_transaction:
                with self._asking():
                    self._play(self._journal.since)
            return fetch(self._connection, query, values)


def _make(tables: str, version: int, failure: type[Exception], path: Path) -> None:
    SqlFile(path, tables, version, failure=failure).close()


def fetch(connection: apsw.Connection, query: str, values: Sequence[Any] = ()) -> list[Any]:
    """All rows of a query. What writes belongs into a transaction: other copies must hear of it."""
    before = connection.total_changes()
    found = connection.execute(query, tuple(values)).fetchall()
    assert connection.in_transaction or connection.total_changes() == before, query
    return found


def one_line(text: str) -> str:
    """Of what somebody else has said: one line that can be shown, of bounded length."""
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else "\ufffd" for char in line)[:MAX_LINE]

"""A SQLite file of what runs beside the server, which several processes read and write.

Processes on one machine have one file. Those of a cluster have a copy each, which follows a journal: a
transaction takes its turn there, and whoever reads has what was committed anywhere before.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import apsw
import structlog

from kompass.settings import Settings
from kompass.shared_files import SharedFiles
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import CopyDivergedError, Entry, Journal, JournalGapError, TablesAheadError
from replication.store.sqlite.copies import (
    Copy,
    Recording,
    Told,
    change_by,
    play,
    position_of,
    prepare,
)
from replication.store.sqlite.shared import is_copy

MAX_LINE = 500
SAVED_EVERY = 5_000
"""Entries of a journal after which a file is saved."""

log = structlog.get_logger(__name__)

File = TypeVar("File", bound="SqlFile")


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
        *,
        failure: type[Exception],
        steps: Sequence[str] = (),
        busy: float = 5.0,
        pragmas: Sequence[str] = (),
        shared: SharedFiles | None = None,
    ) -> None:
        """`tables`: statements that make them. `steps`: those from each version to the next, the first
        one's first. `busy`: seconds to wait for another process. `shared`: the file is a copy. Raises
        `failure`, with a text for people, if the file can't be used or is of a newer version.
        """
        self.path = path
        self._failure = failure
        self._steps = steps
        self._lock = threading.RLock()
        self._journal: Journal | None = None
        self._shared = shared
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if shared is None and is_copy(path):
                raise failure(f"{path} is a copy of a cluster's: name the cluster with KOMPASS_JOURNAL_DSN")
            self._make = partial(_make, tables, failure, steps)
            if shared is not None:
                with self._asking():
                    self._journal = shared.journal(path, self._make)
            self._busy = int(1000 * busy)
            self._pragmas = pragmas
            self._connection = self._opened()
            self._prepare(tables)
        except (OSError, apsw.Error) as error:
            raise failure(f"{path} can't be used: {error}") from error

    def _opened(self) -> apsw.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(self._busy)
        self._begin_log(connection)
        for pragma in self._pragmas:
            connection.execute(f"PRAGMA {pragma}")
        if self._journal is not None:
            prepare(connection)
        return connection

    def _begin_log(self, connection: apsw.Connection) -> None:
        """SQLite tells one of two who do this to a new file that it is locked, and doesn't wait by itself."""
        ends = time.monotonic() + self._busy / 1000
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except apsw.BusyError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.005)
            else:
                return

    def _prepare(self, tables: str) -> None:
        """Brings a file whose tables aren't those of this program to that, in all copies."""
        if self._stored() == self._version:
            return
        if self._journal is None:
            with self._alone() as connection:
                if self._stored() == 0:
                    connection.execute(_numbered(tables, self._version))
                elif missing := self._missing():
                    connection.execute(missing)
            return
        with self._lock, self._asking(), self._journal.turn() as turn:
            self._play(turn.since)
            if missing := self._missing():
                # Whoever begins with an earlier file plays this, too: nothing has to be saved for it.
                change_by(self._connection, turn, missing)

    @property
    def _version(self) -> int:
        return 1 + len(self._steps)

    def _stored(self) -> int:
        """The version that the file has; 0 without tables. Raises `failure` for one that is newer."""
        stored: int = self._connection.pragma("user_version")
        if stored > self._version:
            raise self._failure(
                f"{self.path} is of a newer version of this program ({stored}): start that one, or"
                " restore a backup of before"
            )
        return stored

    def _missing(self) -> str:
        """Statements between the tables there and those of this program; empty if there are none."""
        steps = self._steps[self._stored() - 1 :]
        return _numbered(";".join(steps), self._version) if steps else ""

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
                    num = recording.append(Told(), ())
            finally:
                recording.close()
        if num and num % SAVED_EVERY == 0:
            self._save(num)

    def _save(self, num: int) -> None:
        """So that the journal needn't go back to its beginning."""
        assert self._shared is not None
        file = self.path.with_name(f"{self.path.name}.draft")
        try:
            with self._lock:
                file.unlink(missing_ok=True)
                self._connection.execute("VACUUM INTO ?", (str(file),))
            self._shared.save(self.path.name, position_of(file), file)
        except (OSError, apsw.Error, ProtocolError) as error:
            log.warning("a file that copies begin with was not saved", file=self.path.name, error=str(error))
        finally:
            file.unlink(missing_ok=True)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What goes wrong with the journal, as what goes wrong with a file."""
        try:
            yield
        except TablesAheadError as error:
            raise self._failure(f"{self.path} is of a newer version of this program: {error}") from error
        except ProtocolError as error:
            raise self._failure(error.reason) from error

    def _play(self, since: Callable[[int, str], Iterable[Entry]]) -> None:
        """A copy that can't follow, for it wasn't asked for long, is replaced."""
        try:
            self._follow(since)
        except (CopyDivergedError, JournalGapError) as error:
            log.info("a copy that is out of step is fetched anew", file=self.path.name, why=str(error))
            assert self._shared is not None
            self._connection.close()
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            self._journal = self._shared.journal(self.path, self._make)
            self._connection = self._opened()
            self._follow(since)

    def _follow(self, since: Callable[[int, str], Iterable[Entry]]) -> None:
        """Raises `failure` if a newer program has changed the tables."""
        for _ in play(self._connection, since):
            pass
        self._stored()

    @contextmanager
    def _alone(self) -> Iterator[apsw.Connection]:
        """A transaction of this file."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._stored()
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


class Late(Generic[File]):
    """A file that is opened when it is first needed. Blocks; for any thread."""

    def __init__(self, path: Path, open_it: Callable[[], File], shared: SharedFiles | None = None) -> None:
        """`shared`: those of the cluster, where it may be without a copy of it here."""
        self._path = path
        self._open = open_it
        self._shared = shared
        self._lock = threading.Lock()
        self._file: File | None = None

    def there(self) -> File | None:
        """None as long as nobody has made it. Raises what opening does."""
        if self._file is None and self._shared is None and not self._path.exists():
            return None
        return self.opened()

    def opened(self) -> File:
        """Made if it isn't there. Raises what opening does."""
        with self._lock:
            if self._file is None:
                self._file = self._open()
            return self._file

    def close(self) -> None:
        """Until it is needed again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def _make(tables: str, failure: type[Exception], steps: Sequence[str], path: Path) -> None:
    SqlFile(path, tables, failure=failure, steps=steps).close()


def _numbered(statements: str, version: int) -> str:
    return f"{statements};PRAGMA user_version = {version};"


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

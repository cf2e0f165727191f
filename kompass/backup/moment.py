"""One moment of several SQLite files that others are writing.

Every file's write lock is taken, then a read transaction is begun on each, then the locks are given back:
nobody has committed anything in between, so the transactions show what a loss of power at that moment would
have left, of all files together. Everything that goes from one file to another (a refused document into the
quarantine, a change into a job) survives such a moment, because it has to survive a crash. Writers go on
while the transactions are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import apsw

from kompass.backup.errors import BackupError

PATIENCE = 60.0
"""Seconds after which it is given up."""
_TOGETHER = 0.25
"""Seconds within which all locks have to be had once the first is, or all are given back for a while."""
_POLL = 0.0003
_REST, _LONGEST_REST = 0.05, 1.0
"""Seconds between attempts, more after each: writers have them for themselves."""


class Moment(NamedTuple):
    readers: Sequence[apsw.Connection]
    """In the order of the files, each in a transaction of that moment; closed at the end of the block."""
    pause: float
    """Seconds for which nobody could write."""


@contextmanager
def moment(
    files: Sequence[Path], meanwhile: Callable[[], None], patience: float = PATIENCE
) -> Iterator[Moment]:
    """`meanwhile` is called while nobody can write. Raises `BackupError`."""
    with ExitStack() as stack:
        try:
            writers = [_opened(stack, file) for file in files]
            readers = [_opened(stack, file) for file in files]
            for reader in readers:
                reader.execute("PRAGMA query_only = 1")
                reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            pause = _together(writers, readers, meanwhile, time.monotonic() + patience)
        except apsw.Error as error:
            raise BackupError(f"a database can't be read: {error}") from error
        for writer in writers:
            writer.close()
        yield Moment(readers, pause)


def _opened(stack: ExitStack, file: Path) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.Error as error:
        raise BackupError(f"{file} can't be opened: {error}") from error
    stack.callback(connection.close)
    connection.set_busy_timeout(0)
    return connection


def _together(
    writers: Sequence[apsw.Connection],
    readers: Sequence[apsw.Connection],
    meanwhile: Callable[[], None],
    deadline: float,
) -> float:
    rest = _REST
    while True:
        began = 0.0
        try:
            for writer in writers:
                until = min(deadline, began + _TOGETHER) if began else deadline
                _begin(writer, until)
                began = began or time.monotonic()
            for reader in readers:
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            meanwhile()
            return time.monotonic() - began
        except apsw.BusyError:
            for reader in readers:
                _end(reader)
            if time.monotonic() > deadline:
                raise BackupError(
                    "somebody has been writing without a break, so there is no moment to back up: try again"
                ) from None
        finally:
            for writer in writers:
                _end(writer)
        time.sleep(rest)
        rest = min(2 * rest, _LONGEST_REST)


def _begin(writer: apsw.Connection, until: float) -> None:
    """Polls: who waits by SQLite's own rules sleeps longer than a busy server leaves its lock."""
    while True:
        try:
            writer.execute("BEGIN IMMEDIATE")
            return
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(_POLL)


def _end(connection: apsw.Connection) -> None:
    if connection.in_transaction:
        with suppress(apsw.Error):
            connection.execute("ROLLBACK")

"""One writer per database, many writes per commit.

Tasks hand in jobs; a thread takes all that are waiting, runs them in one transaction and commits
once, so that concurrent writers share one sync of the disk. A job that fails is rolled back to its own
savepoint and the others go on. Nobody gets an answer before the commit is on disk. There is no
thread while there is nothing to write: each round is a task of a shared pool.

The writer of a copy (`replication.store.sqlite.copies`) takes its turn for each commit, plays what others
have committed meanwhile, and appends its own to the journal before it commits.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import apsw

from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import copies
from replication.store.sqlite.copies import Copy, Recording, Told
from replication.store.sqlite.journal import CopyDivergedError, JournalGapError, TablesAheadError, Turn
from replication.store.sqlite.transaction import Counters, Transaction

T = TypeVar("T")

MAX_JOBS = 256
"""Most jobs of one commit: bounds how long the first of them waits."""
CHECKPOINT_PAGES = 4000
"""Size of the write-ahead log, in pages, from which it is copied into the database."""

log = logging.getLogger("replication.store")


@dataclass(slots=True)
class _Job(Generic[T]):
    run: Callable[[Transaction], T]
    future: asyncio.Future[T] | None
    """None if somebody waits for it in his own thread."""
    context: Context
    """That of whoever handed the job in: what is said there about him is known to what he has done."""
    alone: Callable[[apsw.Connection], T] | None = None
    """What is run instead, outside of any transaction."""
    own: bool = False
    """Whether it changes nothing that other copies have."""
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future is None or self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Runs jobs against the database's only writing connection."""

    def __init__(
        self,
        connection: apsw.Connection,
        pool: ThreadPoolExecutor,
        committed: Callable[[Counters, list[tuple[int, int]], list[tuple[str, int]], list[object]], None],
        reopen: Callable[[], apsw.Connection],
        copy: Copy | None = None,
        played: Callable[[Counters, Told], None] = lambda counters, told: None,
    ) -> None:
        """`committed` is called in the writing thread after each commit, before anyone has his answer;
        `reopen`, too, for a connection when there is something to write after a `rest`. `copy`: the file is
        one of several; `played` is called as `committed` is, for each commit of another one."""
        self._connection: apsw.Connection | None = connection
        self._pool = pool
        self._committed = committed
        self._reopen = reopen
        self._copy = copy
        self._played = played
        self.design_version = 0
        """Counts commits that changed design documents."""
        self._counters = Counters.load(connection)
        self._position = 0 if copy is None else copies.position(connection)
        self._waiting: deque[_Job[Any]] = deque()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._running = False
        self._closed = False
        self._wal_pages = 0
        self._hindrance = ""
        """Why the copy can't take what others have committed."""
        connection.set_wal_hook(self._note_wal)

    def _note_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    @property
    def position(self) -> int:
        """The number of the last entry of the journal that the file has; 0 if it is no copy."""
        return self._position

    @property
    def counters(self) -> Counters:
        """As of the last commit."""
        return self._counters

    def submit(self, run: Callable[[Transaction], T], *, own: bool = False) -> asyncio.Future[T]:
        """Runs a job in the next commit. Must be called in an event loop.

        The job runs in a copy of the caller's context (`contextvars`) and may raise `ProtocolError`.
        Cancelling the future does not undo the job. `own`: it writes to indexes only, which each copy of a
        database has for itself.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_in(_Job(run, future, copy_context(), own=own))
        return future

    def run_at_once(self, run: Callable[[Transaction], T]) -> T:
        """Runs a job in the caller's thread. Only before anything was handed in."""
        job = _Job(run, None, copy_context())
        self._run_together([job])
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def submit_alone(self, run: Callable[[apsw.Connection], T]) -> asyncio.Future[T]:
        """The same for what can't be done in a transaction. Nobody writes meanwhile."""

        def none(_: Transaction) -> T:
            raise AssertionError

        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_in(_Job(none, future, copy_context(), run))
        return future

    def _hand_in(self, job: _Job[T]) -> None:
        with self._lock:
            if self._closed:
                raise errors.database_missing()
            self._waiting.append(job)
            if not self._running:
                self._running = True
                self._pool.submit(self._round)

    def follow(self) -> asyncio.Future[None]:
        """Plays what other copies have committed, to the journal's end."""
        copy = self._copy
        assert copy is not None
        return self.submit_alone(lambda connection: self._play(connection, copy, None))

    def close(self) -> None:
        """Waits for what was handed in, then closes the connection."""
        with self._lock:
            self._closed = True
            while self._running:
                self._idle.wait()
        if self._connection is not None:
            self._connection.close()

    def rest(self) -> None:
        """Closes the connection, unless there is something to write, until there is."""
        with self._lock:
            if self._closed or self._running or self._connection is None:
                return
            self._running = True
            self._pool.submit(self._rest)

    def _rest(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(apsw.Error):
                connection.close()
        self._wal_pages = 0
        self._round()

    def _connected(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = self._reopen()
            self._connection.set_wal_hook(self._note_wal)
        return self._connection

    def _round(self) -> None:
        while True:
            with self._lock:
                jobs = self._next()
                if not jobs:
                    self._running = False
                    self._idle.notify_all()
                    return
            try:
                if jobs[0].alone is not None:
                    jobs[0].result = jobs[0].context.run(jobs[0].alone, self._connected())
                else:
                    self._commit(jobs)
            except BaseException as error:
                for job in jobs:
                    job.error = job.error or error
            _settle(jobs)
            if self._wal_pages >= CHECKPOINT_PAGES:
                self._checkpoint()

    def _next(self) -> list[_Job[Any]]:
        """What waits and can be committed together, or one job that has to be alone."""
        jobs: list[_Job[Any]] = []
        while self._waiting and len(jobs) < MAX_JOBS:
            if self._waiting[0].alone is not None:
                return jobs or [self._waiting.popleft()]
            jobs.append(self._waiting.popleft())
        return jobs

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        try:
            self._run_together(jobs)
        except (apsw.Error, MemoryError) as error:
            if len(jobs) == 1:
                jobs[0].error = storage_error(error)
                return
            # One of them made the whole transaction fail: each gets its own.
            for job in jobs:
                job.error = None
                self._commit([job])

    def _run_together(self, jobs: list[_Job[Any]]) -> None:
        connection = self._connected()
        copy = self._copy
        if copy is None or all(job.own for job in jobs):
            self._run_recorded(connection, jobs, None)
            return
        with copy.journal.turn() as turn:
            self._play(connection, copy, turn)
            recording = Recording(connection, copy, turn)
            try:
                self._run_recorded(connection, jobs, recording)
            except apsw.Error:
                if not recording.appended:
                    raise
                # The journal has it, which is what counts: this copy gets it as others do.
                recording.close()
                self._play(connection, copy, turn)
            finally:
                recording.close()

    def _play(self, connection: apsw.Connection, copy: Copy, turn: Turn | None) -> None:
        try:
            since = copy.journal.since if turn is None else turn.since
            for told in copies.play(connection, since, copy.tables):
                self._counters = Counters.load(connection)
                self._position += 1
                if told.designs:
                    self.design_version += 1
                self._played(self._counters, told)
            self._hindrance = ""
        except (*LOST, *_DAMAGED) as error:
            copy.lost(error)
            raise out_of_step(error) from error
        except apsw.Error as error:
            why = str(error)
            if why != self._hindrance:
                self._hindrance = why
                log.error("a copy can't take what others have committed: %s", why)
            raise errors.unavailable(
                "This server can't bring its copy of the database up to date: its log tells why. Try again."
            ) from error

    def _run_recorded(
        self, connection: apsw.Connection, jobs: list[_Job[Any]], recording: Recording | None
    ) -> None:
        before = self._counters
        counters = replace(before)
        moved: list[tuple[int, int]] = []
        shown: list[tuple[str, int]] = []
        notes: list[object] = []
        unindexed: list[tuple[str, int]] = []
        designs = overwriting = scrubbing = False
        connection.execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                transaction = Transaction(connection, replace(counters))
                if len(jobs) == 1:
                    # Nobody else to protect: failing rolls everything back.
                    try:
                        job.result = job.context.run(job.run, transaction)
                    except ProtocolError as error:
                        job.error = error
                        connection.execute("ROLLBACK")
                        return
                else:
                    connection.execute("SAVEPOINT job")
                    try:
                        job.result = job.context.run(job.run, transaction)
                    except (apsw.Error, MemoryError):
                        raise
                    except Exception as error:
                        job.error = error
                        connection.execute("ROLLBACK TO job")
                        connection.execute("RELEASE job")
                        continue
                    connection.execute("RELEASE job")
                counters = transaction.counters
                moved += transaction.moved
                shown += transaction.shown
                notes += transaction.notes
                unindexed += transaction.unindexed
                designs = designs or transaction.designs
                overwriting = overwriting or transaction.overwriting
                scrubbing = scrubbing or transaction.scrubbing
            if counters != before:
                counters.save(connection)
            if recording is not None:
                recording.append(Told(moved, shown, designs, unindexed, overwriting, scrubbing), notes)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._counters = counters
        if recording is not None and recording.appended:
            self._position += 1
        if designs:
            self.design_version += 1
        self._committed(counters, moved, shown, notes)

    def _checkpoint(self) -> None:
        # With readers in the way or the disk full, the next commit tries again.
        with suppress(apsw.Error):
            self._connected().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._wal_pages = 0


def _settle(jobs: list[_Job[Any]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job[Any]]] = {}
    for job in jobs:
        if job.future is not None:
            by_loop.setdefault(job.future.get_loop(), []).append(job)
    for loop, group in by_loop.items():
        # A closed loop is gone with whoever waited in it. The writes are done all the same.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_in_loop, group)


def _settle_in_loop(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        job.settle()


LOST = (CopyDivergedError, JournalGapError, TablesAheadError)
"""A copy can't follow."""
_DAMAGED = (apsw.CorruptError, apsw.NotADBError)
"""Nor can one whose file a disk has changed: another one takes its place."""


def out_of_step(error: Exception) -> ProtocolError:
    """What a client is told whose server has a copy that can't follow."""
    if isinstance(error, TablesAheadError):
        return errors.unavailable(
            "The cluster has gone on to a newer version of the program, and this process serves no more."
            " Try again."
        )
    return errors.unavailable(
        "This server's copy of the database is out of step and is being replaced. Try again."
    )


def storage_error(error: BaseException) -> ProtocolError:
    """What a client is told when the disk or the file refuses."""
    if isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        return errors.insufficient_storage("The disk is full: nothing was written. Make room and try again.")
    if isinstance(error, apsw.CantOpenError):
        return errors.internal(
            "The database file cannot be opened: check the data directory's owner and rights,"
            " and how many files the server may have open."
        )
    if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError | PermissionError):
        return errors.internal("The data directory cannot be written: check its owner and rights.")
    if isinstance(error, apsw.IOError):
        return errors.internal(f"Reading or writing the database file failed ({error}).")
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return errors.internal("The database file is damaged: stop the server and run `doctor`.")
    return errors.internal(f"The database failed: {error}")

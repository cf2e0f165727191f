"""A database file that is open: its connections, its writer, transactions that an extension takes part in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw

from replication.protocol.sequences import Epoch, Epochs
from replication.store.interface import Database
from replication.store.sqlite.connections import Connections
from replication.store.sqlite.copies import Copy, Tables, Told, play, prepare, version
from replication.store.sqlite.counts import Counts
from replication.store.sqlite.extension import Extension, Reading, Writing
from replication.store.sqlite.following import Follower
from replication.store.sqlite.journal import Journal, TablesAheadError
from replication.store.sqlite.schema import configure, migrate, upgrade
from replication.store.sqlite.transaction import Counters, Transaction
from replication.store.sqlite.uploads import Uploads
from replication.store.sqlite.waiting import Waiting
from replication.store.sqlite.witness import Witness
from replication.store.sqlite.writer import LOST, Writer, out_of_step

T = TypeVar("T")


class OpenDatabase(Database):
    """One file. `path` exists and has its tables."""

    def __init__(
        self,
        name: str,
        path: Path,
        pool: ThreadPoolExecutor,
        changed: Callable[[], None],
        opened: Callable[[OpenDatabase], None],
        extension: Extension | None = None,
        journal: Journal | None = None,
        witness: Witness | None = None,
        tables: int = 1,
    ) -> None:
        """`changed` is called in a writing thread when documents have changed; `opened`, in any thread, when
        the database has opened a connection. `extension` keeps tables of its own in the file. `journal`: the
        file is a copy of what it says, with `tables` of this version. `witness`: has documents before anybody
        is answered."""
        self.name = name
        self.reads = 0
        """Documents that were read."""
        self.writes = 0
        """Documents that were changed."""
        self.commits = 0
        self.played = 0
        """Commits of other copies that have come here."""
        self._changed = changed
        self._connections = Connections(path, lambda: opened(self), durable=journal is None)
        connection = apsw.Connection(str(path))
        if journal is None:
            migrate(connection)
        else:
            _catch_up(connection, journal, known_tables(tables, extension))
        self._connections.configure(connection)
        meta = _meta(connection)
        self._uuid = str(meta["uuid"])
        self._created = int(meta["created"])
        self._partitioned = bool(meta.get("partitioned", 0))
        self._set(meta)
        self._epochs = Epochs(
            [
                Epoch(name, first)
                for name, first in connection.execute("SELECT name, first FROM epochs ORDER BY rowid")
            ]
        )
        self._counts = Counts(self._connections)
        self._waiting = Waiting()
        self._compacting = False
        self.extension = extension
        self._is_copy = journal is not None
        self._witness = witness
        self._follower: Follower | None = None
        self.lost: Exception | None = None
        """Why this file can't follow its journal any more: another copy has to take its place."""
        copy = None
        if journal is not None:
            copy = Copy(journal, self._shared, self._lose, known_tables(tables, extension))
        self._writer = Writer(
            connection, pool, self._committed, self._connections.open_writer, copy, self._played
        )
        self._told = self._writer.counters.update_seq
        """The number of the latest change that all who follow the database have been told of."""
        self._uploads = Uploads(self._connections, self._writer.submit)
        if extension is not None:
            self._writer.run_at_once(lambda transaction: self._extended(transaction, self._prepare))
        if journal is not None:
            self._follower = Follower(journal, self._writer)
        opened(self)

    def _prepare(self, writing: Writing) -> None:
        assert self.extension is not None
        if not self._is_copy:
            self.extension.make_tables(writing.connection)
        self.extension.prepare(writing)

    def _set(self, meta: Mapping[str, Any]) -> None:
        self._revs_limit = int(meta["revs_limit"])
        self._purge_requests_limit = int(meta["purge_requests_limit"])
        self._security = bytes(meta["security"])

    def _extended(self, transaction: Transaction, run: Callable[[Writing], T]) -> T:
        """Runs a job, then tells the extension what it has changed, until nothing follows from that."""
        writing = Writing(transaction, self._epochs, self._revs_limit, partitioned=self._partitioned)
        if self.extension is None:
            return run(writing)
        transaction.changed = []
        writing.told = partial(self.extension.changed, writing)
        result = run(writing)
        writing.settle()
        return result

    # -- connections ---------------------------------------------------------------------------

    def rest(self) -> None:
        """Closes the connections that nobody uses at the moment. Whoever needs one opens it again."""
        self._connections.rest()
        # The last one to close tidies the file up, so that is the writer, in its own thread.
        self._writer.rest()

    def close(self) -> None:
        """Waits for writes in flight, ends the feeds, closes the file."""
        if self._follower is not None:
            self._follower.close()
        self._connections.refuse()
        self._writer.close()
        self._connections.rest()
        if self.extension is not None:
            self.extension.closed()
        self._waiting.wake()

    @property
    def is_shared(self) -> bool:
        """Whether other processes have copies."""
        return self._follower is not None

    async def fresh(self, head: int | None = None) -> None:
        """Returns when this file has what any copy had committed before the call; at once if there are no
        others. `head`: the journal's last entry then, if it is known. Raises `ProtocolError`, 503, if that
        can't be known.
        """
        if self._follower is not None:
            if self.lost is not None:
                raise out_of_step(self.lost)
            await self._follower.caught_up(head)

    async def _write(self, run: Callable[[Transaction], T]) -> T:
        return await asyncio.shield(self._writer.submit(run))

    async def _write_own(self, run: Callable[[Transaction], T]) -> T:
        """For indexes, which are made in each copy of a database."""
        return await asyncio.shield(self._writer.submit(run, own=True))

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """The database as one commit left it. The block must not wait: it holds a transaction."""
        with self._connections.snapshot() as connection:
            yield Reading(connection, self._epochs)

    async def transact(self, run: Callable[[Writing], T]) -> T:
        """Runs `run` inside one transaction, in the writing thread, and answers when it is durable.

        Everything `run` writes is committed together; what it raises (`ProtocolError`) undoes it. Others
        share the commit, so it must not take long. Cancelling the caller doesn't undo it.
        """
        return await self._witnessed(lambda transaction: self._extended(transaction, run))

    async def _witnessed(self, run: Callable[[Transaction], T]) -> T:
        """As `_write`, for what changes documents."""
        if self._witness is None:
            return await self._write(run)
        self._witness.ask()
        result = await self._write(run)
        await self._witness.has_all()
        return result

    def _committed(
        self,
        counters: Counters,
        moved: list[tuple[int, int]],
        shown: list[tuple[str, int]],
        notes: list[object],
    ) -> None:
        self.commits += 1
        self.writes += len(moved)
        with self._telling(counters, changed=bool(moved)):
            self._counts.committed(counters.update_seq, moved, shown)
            if self.extension is not None:
                self.extension.committed(counters.update_seq, notes)
            if self._witness is not None:
                self._witness.committed([new for _, new in moved if new])

    def _lose(self, error: Exception) -> None:
        self.lost = self.lost or error

    def _shared(self, notes: Sequence[object]) -> str | None:
        return None if self.extension is None else self.extension.shared(notes)

    def _played(self, counters: Counters, told: Told) -> None:
        """Another copy's commit is in this file."""
        self.played += 1
        with self._telling(counters, changed=bool(told.moved)):
            moved, shown = [(old, new) for old, new in told.moved], [(one, n) for one, n in told.shown]
            self._counts.committed(counters.update_seq, moved, shown)
            with self._connections.reader() as connection:
                self._set(_meta(connection))
            if self.extension is not None:
                self.extension.played(counters.update_seq, told.notes)

    @contextmanager
    def _telling(self, counters: Counters, *, changed: bool) -> Iterator[None]:
        """What is told of a commit before its number is anybody's, even if telling fails."""
        try:
            yield
            if changed:
                self._changed()
        finally:
            self._told = counters.update_seq
            if changed:
                self._waiting.wake()


def _meta(connection: apsw.Connection) -> dict[str, Any]:
    rows: Any = connection.execute("SELECT name, value FROM meta")
    return dict(rows)


def known_tables(version: int, extension: Extension | None) -> Tables:
    """Those of copies of a database."""

    def make(connection: apsw.Connection) -> None:
        upgrade(connection)
        if extension is not None:
            extension.make_tables(connection)

    return Tables(version, make)


def _catch_up(connection: apsw.Connection, journal: Journal, tables: Tables) -> None:
    """Whoever has asked for what is fresh may be the one for whom the file is opened."""
    configure(connection)
    try:
        prepare(connection, tables)
        for _ in play(connection, journal.since, tables):
            pass
        if version(connection) != tables.version:
            raise TablesAheadError(f"tables of version {version(connection)}, not {tables.version}")
    except LOST as error:
        connection.close()
        raise out_of_step(error) from error
    except BaseException:
        connection.close()
        raise

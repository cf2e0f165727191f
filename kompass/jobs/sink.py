"""The sink `jobs`: judges every change by the triggers, and stores the jobs that follow with its place in
the feed, in one transaction.

**What counts as a change.** Of each document the sink has the few fields that triggers watch, as it saw
them last. A first generation begins with documents that have been there for long: what stands before the
*baseline*, the end of the feed at that moment, is only looked at. So it is with the generation of another
database, or of an older copy of this one.

**A rebuild does nothing twice.** While a new generation is made the old one goes on judging, and the new
one looks, and plans days. When it takes the old one's place, documents that the old one has not seen as they
are now are compared with what it had seen last.

Days that documents name are planned whenever a document is looked at; the ids of such jobs name the day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import apsw
import orjson

from kompass.access.audiences import Channel
from kompass.feed.registry import SinkAbsentError
from kompass.feed.sink import Batch, Change, Checkpoint, Sink, SinkUnavailableError
from kompass.jobs import redis
from kompass.jobs.catalogue import GENERAL, TRIGGERS
from kompass.jobs.judging import Job, Judge, Subscription
from kompass.jobs.store import JobStore, JobStoreError
from kompass.jobs.triggers import State, Trigger
from kompass.settings import Settings
from kompass.shared_files import SharedFiles
from kompass.sqlfile import fetch, shared_files

T = TypeVar("T")

NAME = "jobs"

_OF_THE_FILE = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
)
"""What is wrong with the file or the disk, and not with a document."""


def from_settings(settings: Settings) -> Sink | None:
    """For the registry. Raises `SinkAbsentError` where there is nothing to have the queues in: jobs would
    pile up, and all be done at once some day.
    """
    if not settings.jobs:
        return None
    why = redis.available() if settings.redis_url is None else None
    if why is not None:
        raise SinkAbsentError(why)
    return JobsSink(settings.directory, shared=shared_files(settings))


class JobsSink:
    """A generation in the file of a data directory."""

    def __init__(
        self,
        directory: Path,
        *,
        triggers: Sequence[Trigger] = TRIGGERS,
        making: bool = False,
        busy: float = 5.0,
        now: Callable[[], float] = time.time,
        shared: SharedFiles | None = None,
    ) -> None:
        """`making`: the generation beside the one that is read. `now`: the clock. `shared`: the files of the
        cluster.
        """
        self._shared = shared
        self._directory = directory
        self._triggers = triggers
        self._making = making
        self._busy = busy
        self._now = now
        self._store: JobStore | None = None
        self._generation = 0
        self._judge = Judge(triggers=triggers)
        self._subscriptions: tuple[Subscription, ...] = ()

    @property
    def name(self) -> str:
        return NAME

    async def open(self) -> None:
        def opening() -> None:
            if self._store is None:
                self._store = JobStore(self._directory, busy=self._busy, shared=self._shared)
            with self._store.writing() as connection:
                found = connection.execute(
                    "SELECT num FROM generations WHERE is_read = ?", (not self._making,)
                ).fetchone()
                if found is None:
                    connection.execute("INSERT INTO generations (is_read) VALUES (?)", (not self._making,))
                    self._generation = connection.last_insert_rowid()
                else:
                    self._generation = found[0]

        await self._in_thread(opening)

    async def checkpoint(self) -> Checkpoint | None:
        return await self._in_thread(self._checkpoint)

    def _checkpoint(self) -> Checkpoint | None:
        row = self._opened.rows(
            "SELECT epoch, since, position FROM generations WHERE num = ?", (self._generation,)
        )
        return Checkpoint(*row[0]) if row and row[0][0] is not None else None

    async def apply(self, batch: Batch) -> None:
        await self._in_thread(lambda: self._apply(batch))

    async def forget(self) -> None:
        await self._in_thread(lambda: self._opened.forget())

    async def rebuilding(self) -> Sink:
        other = JobsSink(
            self._directory,
            triggers=self._triggers,
            making=True,
            busy=self._busy,
            now=self._now,
            shared=self._shared,
        )
        await other.open()
        return other

    async def switch(self) -> None:
        await self._in_thread(self._switch)
        self._making = False

    async def discard(self) -> None:
        def discarding() -> None:
            with self._opened.writing() as connection:
                _remove(connection, self._generation)

        await self._in_thread(discarding)

    async def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await asyncio.to_thread(store.close)

    # -- a batch -------------------------------------------------------------------------------

    def _apply(self, batch: Batch) -> None:
        now = self._now()
        with self._opened.writing() as connection:
            self._hear_of_webhooks(connection)
            for person in batch.people:
                connection.execute(
                    "INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?)",
                    (self._generation, person.name, person.active, _packed(person.channels)),
                )
            baseline = self._baseline(connection, batch)
            for change in batch.changes:
                self._take(connection, change, baseline, now)
            at = batch.checkpoint
            connection.execute(
                "UPDATE generations SET epoch = ?, since = ?, position = ?, baseline = ? WHERE num = ?",
                (at.epoch, at.since, at.position, baseline, self._generation),
            )

    def _baseline(self, connection: apsw.Connection, batch: Batch) -> int | None:
        """Up to where changes are only looked at; None: everywhere."""
        (own,) = fetch(
            connection, "SELECT epoch, baseline FROM generations WHERE num = ?", (self._generation,)
        )
        epoch, baseline = own
        if epoch is not None:
            return None if baseline is None else int(baseline)
        if self._making:
            read = connection.execute("SELECT epoch FROM generations WHERE is_read").fetchone()
            if read is not None and read[0] == batch.checkpoint.epoch:
                return None  # until it takes the other's place
        return batch.latest

    def _take(self, connection: apsw.Connection, change: Change, baseline: int | None, now: float) -> None:
        stored = fetch(
            connection,
            "SELECT position, rev, type, channels, state FROM documents WHERE generation = ? AND id = ?",
            (self._generation, change.id),
        )
        row = stored[0] if stored else None
        if row is not None and row[0] > change.position:
            return
        doctype = change.type or (row[2] if row is not None else "")
        old = orjson.loads(row[4]) if row is not None and row[2] == doctype else None
        new = None if change.doc is None else self._judge.state(doctype, change.doc)
        if change.doc is None:
            connection.execute(
                "DELETE FROM documents WHERE generation = ? AND id = ?", (self._generation, change.id)
            )
        else:
            connection.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    self._generation, change.id, change.position, change.rev, doctype,
                    _packed(change.channels), orjson.dumps(new).decode(),
                ),
            )  # fmt: skip
        if not doctype or (old is None and new is None):
            return
        if self._making and baseline is None and self._is_behind(connection, change):
            return
        self._judge_one(
            connection,
            change,
            doctype,
            old,
            new,
            channels=change.channels if row is None else change.channels | _unpacked(row[3]),
            events=baseline is not None and change.position > baseline,
            known=row is None or row[1] != change.rev,
            now=now,
        )

    def _is_behind(self, connection: apsw.Connection, change: Change) -> bool:
        """Whether the generation that is read has seen the document as it was later."""
        query = """
            SELECT 1 FROM documents JOIN generations ON num = generation
            WHERE is_read AND id = ? AND documents.position > ?
        """
        return bool(fetch(connection, query, (change.id, change.position)))

    def _judge_one(
        self,
        connection: apsw.Connection,
        change: Change,
        doctype: str,
        old: State | None,
        new: State | None,
        *,
        channels: frozenset[Channel],
        events: bool,
        known: bool,
        now: float,
    ) -> None:
        if old is not None and new is not None:
            old = {**new, **old}  # what was not watched then has not changed
        judged = self._judge.judge(
            doctype, change.id, change.rev, old, new, change.doc, now, events=events, known=known
        )
        store = self._opened
        store.add(connection, [job for job in judged.now if self._may_hear(connection, job, channels)], now)
        store.plan(connection, change.id, judged.plans, now)

    def _may_hear(self, connection: apsw.Connection, job: Job, channels: frozenset[Channel]) -> bool:
        """Whether whoever a webhook reads as may read the document. It is asked again when it is sent."""
        if not job.action.startswith("webhook:"):
            return True
        person = next(one.person for one in self._subscriptions if f"webhook:{one.name}" == job.action)
        held = fetch(
            connection,
            "SELECT channels FROM people WHERE generation = ? AND name = ? AND active",
            (self._generation, person),
        )
        return bool(held) and not channels.isdisjoint(_unpacked(held[0][0]))

    def _hear_of_webhooks(self, connection: apsw.Connection) -> None:
        found = tuple(
            Subscription(name, frozenset(orjson.loads(events)), person)
            for name, events, person in fetch(
                connection, "SELECT name, events, person FROM webhooks WHERE active ORDER BY name"
            )
        )
        if found != self._subscriptions:
            self._subscriptions = found
            self._judge = Judge(found, triggers=self._triggers, general=GENERAL)

    # -- generations ---------------------------------------------------------------------------

    def _switch(self) -> None:
        now = self._now()
        with self._opened.writing() as connection:
            self._hear_of_webhooks(connection)
            (own,) = fetch(
                connection,
                "SELECT epoch, position, baseline FROM generations WHERE num = ?",
                (self._generation,),
            )
            epoch, position, baseline = own
            read = fetch(connection, "SELECT num, epoch, position FROM generations WHERE is_read")
            if baseline is None:
                if read and read[0][1] == epoch:
                    self._compare(connection, read[0][0], read[0][2], now)
                connection.execute(
                    "UPDATE generations SET baseline = ? WHERE num = ?", (position or 0, self._generation)
                )
            for one in read:
                _remove(connection, one[0])
            connection.execute("UPDATE generations SET is_read = 1 WHERE num = ?", (self._generation,))

    def _compare(self, connection: apsw.Connection, before: int, position: int, now: float) -> None:
        """Judges what the generation before has not seen."""
        rows = fetch(
            connection,
            "SELECT n.id, n.position, n.rev, n.type, n.channels, n.state, o.state, o.type FROM documents n"
            " LEFT JOIN documents o ON o.generation = ?1 AND o.id = n.id"
            " WHERE n.generation = ?2 AND n.position > ?3 AND (o.rev IS NULL OR o.rev <> n.rev)",
            (before, self._generation, position or 0),
        )
        for docid, at, rev, doctype, channels, new, old, was in rows:
            change = Change(docid, at, rev, orjson.loads(new), _unpacked(channels))
            state = orjson.loads(old) if old is not None and was == doctype else None
            self._events_of(connection, change, doctype, state, orjson.loads(new), now)
        gone = fetch(
            connection,
            "SELECT o.id, o.position, o.rev, o.type, o.channels, o.state FROM documents o"
            " LEFT JOIN documents n ON n.generation = ?2 AND n.id = o.id"
            " WHERE o.generation = ?1 AND n.id IS NULL",
            (before, self._generation),
        )
        for docid, at, rev, doctype, channels, old in gone:
            change = Change(docid, at, rev, None, _unpacked(channels))
            self._events_of(connection, change, doctype, orjson.loads(old), None, now)
            self._opened.plan(
                connection, docid, {one.name: () for one in self._triggers if one.doctype == doctype}, now
            )

    def _events_of(
        self,
        connection: apsw.Connection,
        change: Change,
        doctype: str,
        old: State | None,
        new: State | None,
        now: float,
    ) -> None:
        if old is not None and new is not None:
            old = {**new, **old}
        judged = self._judge.judge(doctype, change.id, change.rev, old, new, None, now)
        jobs = [job for job in judged.now if self._may_hear(connection, job, change.channels)]
        self._opened.add(connection, jobs, now)

    @property
    def _opened(self) -> JobStore:
        if self._store is None:
            raise SinkUnavailableError("the file with the jobs is not open")
        return self._store

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except JobStoreError as error:
            raise SinkUnavailableError(str(error)) from error
        except _OF_THE_FILE as error:
            raise SinkUnavailableError(f"{self._directory / 'jobs'}: {error}") from error


def _remove(connection: apsw.Connection, generation: int) -> None:
    for table in ("documents", "people"):
        query = f"DELETE FROM {table} WHERE generation = ?"  # noqa: S608 - constants
        connection.execute(query, (generation,))
    connection.execute("DELETE FROM generations WHERE num = ?", (generation,))


def _packed(channels: frozenset[Channel]) -> str:
    return orjson.dumps(sorted(channels)).decode()


def _unpacked(text: str) -> frozenset[Channel]:
    return frozenset(orjson.loads(text))

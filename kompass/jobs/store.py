"""The file with the jobs: what is to be done, what was done, and what could not be.

It is the truth about jobs. Redis has none that isn't here, and may be emptied at any moment. The file also
has what the sink keeps of documents (`sink`), because a change and the jobs that follow from it are stored
in one transaction, and the webhooks with their history.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import apsw
import orjson

from kompass.jobs.judging import Job
from kompass.kept import JOBS
from kompass.shared_files import SharedFiles
from kompass.sqlfile import SqlFile, fetch, one_line

KEPT_DAYS = 90
"""How long what is settled is shown."""

MOST_KEPT = 200_000
"""Calls of webhooks that are kept besides, however many there are in that time; about so many."""
CHANGES_OF_ONE = 3
"""It is made, handed out and settled."""
CLOCK_SECONDS = 60.0
"""So far in the future nothing can have happened."""

_TABLES = """
CREATE TABLE generations (
    num INTEGER PRIMARY KEY,
    is_read INTEGER NOT NULL,
    epoch TEXT,
    since TEXT,
    position INTEGER,
    baseline INTEGER
);
CREATE TABLE documents (
    generation INTEGER NOT NULL,
    id TEXT NOT NULL,
    position INTEGER NOT NULL,
    rev TEXT NOT NULL,
    type TEXT NOT NULL,
    channels TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (generation, id)
) WITHOUT ROWID;
CREATE TABLE people (
    generation INTEGER NOT NULL,
    name TEXT NOT NULL,
    active INTEGER NOT NULL,
    channels TEXT NOT NULL,
    PRIMARY KEY (generation, name)
) WITHOUT ROWID;
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    change INTEGER NOT NULL,
    trigger TEXT NOT NULL,
    action TEXT NOT NULL,
    queue TEXT NOT NULL,
    doc TEXT NOT NULL,
    rev TEXT NOT NULL,
    args TEXT NOT NULL,
    state TEXT NOT NULL,
    due REAL NOT NULL,
    attempts INTEGER NOT NULL,
    made REAL NOT NULL,
    changed REAL NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX jobs_by_due ON jobs (state, queue, due);
CREATE INDEX jobs_by_document ON jobs (doc, trigger) WHERE state = 'planned';
CREATE UNIQUE INDEX jobs_by_change ON jobs (change);
CREATE TABLE webhooks (
    name TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    events TEXT NOT NULL,
    fields TEXT NOT NULL,
    person TEXT NOT NULL,
    active INTEGER NOT NULL,
    made REAL NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    closed_until REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE deliveries (
    num INTEGER PRIMARY KEY,
    webhook TEXT NOT NULL,
    job TEXT NOT NULL,
    at REAL NOT NULL,
    attempt INTEGER NOT NULL,
    status INTEGER,
    milliseconds INTEGER NOT NULL,
    error TEXT NOT NULL
);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook, num);
CREATE TABLE notes (name TEXT PRIMARY KEY, at REAL NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER NOT NULL);
INSERT INTO counter VALUES (1, 0);
"""


class JobStoreError(Exception):
    """The file can't be used. The text is for people."""


class JobState(StrEnum):
    PLANNED = "planned"
    """Its time is still to come, or to come again; or Redis takes nothing now."""
    QUEUED = "queued"
    """RQ has it: it waits for a worker, or one is at it."""
    DONE = "done"
    NEEDLESS = "needless"
    """Nothing had to be done any more."""
    DEAD = "dead"
    """It was tried as often as it may be."""
    DROPPED = "dropped"
    """Somebody has dropped it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A job, and what has become of it."""

    id: str
    change: int
    """Grows with everything that happens to a job: whoever has seen one number asks for what comes after."""
    trigger: str
    action: str
    queue: str
    doc: str
    rev: str
    args: Mapping[str, Any]
    state: JobState
    due: float
    attempts: int
    made: float
    changed: float
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt."""

    id: str
    state: JobState
    """`PLANNED`: it is tried again."""
    reason: str = ""
    due: float = 0.0
    counts: bool = True
    """Whether it was an attempt."""
    more: Sequence[Job] = field(default=())
    """Jobs that follow from it."""


_COLUMNS = "id, change, trigger, action, queue, doc, rev, args, state, due, attempts, made, changed, reason"


class JobStore(SqlFile):
    """The file, made where it isn't there. Secrets of webhooks are in it."""

    def __init__(self, directory: Path, *, busy: float = 5.0, shared: SharedFiles | None = None) -> None:
        """Of a data directory; see `SqlFile`. Raises `JobStoreError`."""
        super().__init__(
            directory / JOBS,
            _TABLES,
            failure=JobStoreError,
            busy=busy,
            shared=shared,
            # What a power failure takes goes with its checkpoint, and comes anew.
            pragmas=("synchronous = NORMAL", "secure_delete = ON"),
        )

    # -- making jobs ---------------------------------------------------------------------------

    def add(self, connection: apsw.Connection, jobs: Iterable[Job], now: float) -> int:
        """Within `writing`: those that aren't known yet. How many were not."""
        added = 0
        for job in jobs:
            connection.execute(
                "INSERT INTO jobs SELECT ?, value + 1, ?, ?, ?, ?, ?, ?, 'planned', ?, 0, ?, ?, ''"
                " FROM counter WHERE true ON CONFLICT (id) DO NOTHING",
                (
                    job.id, job.trigger, job.action, job.queue, job.doc, job.rev,
                    orjson.dumps(dict(job.args)).decode(), job.due, now, now,
                ),
            )  # fmt: skip
            if connection.changes():
                connection.execute("UPDATE counter SET value = value + 1")
                added += 1
        return added

    def plan(
        self, connection: apsw.Connection, docid: str, plans: Mapping[str, Sequence[Job]], now: float
    ) -> None:
        """Within `writing`: of these triggers the document has these jobs for days to come, and no others."""
        for trigger, jobs in plans.items():
            wanted = {job.id for job in jobs}
            stored = fetch(
                connection,
                "SELECT id FROM jobs WHERE doc = ? AND trigger = ? AND state = 'planned'",
                (docid, trigger),
            )
            for (each,) in stored:
                if each not in wanted:
                    self._change(connection, each, JobState.NEEDLESS, "the document says something else now")
            self.add(connection, jobs, now)
            for job in jobs:
                # The day was put back to one that had been planned before.
                row = connection.execute(
                    "SELECT state, attempts, due FROM jobs WHERE id = ?", (job.id,)
                ).fetchone()
                if row == (JobState.NEEDLESS.value, 0, job.due):
                    self._change(connection, job.id, JobState.PLANNED, "")

    def _change(self, connection: apsw.Connection, jobid: str, state: JobState, reason: str) -> None:
        connection.execute("UPDATE counter SET value = value + 1")
        connection.execute(
            "UPDATE jobs SET state = ?, reason = ?, changed = ?, change = (SELECT value FROM counter)"
            " WHERE id = ?",
            (state.value, one_line(reason), time.time(), jobid),
        )

    # -- handing out ---------------------------------------------------------------------------

    def due(self, queue: str, now: float, most: int) -> list[Entry]:
        """Those of a queue whose time has come, the first one first; none for a webhook whose receiver is
        left alone.
        """
        return self._entries(
            "state = 'planned' AND queue = ?1 AND due <= ?2 AND NOT (queue = 'webhooks' AND substr(action, 9)"
            " IN (SELECT name FROM webhooks WHERE closed_until > ?2 AND closed_until <= ?2 + 3600))"
            " ORDER BY due, id LIMIT ?3",
            (queue, now, most),
        )

    def queued(self) -> list[Entry]:
        return self._entries("state = 'queued' ORDER BY due, id", ())

    def count_queued(self) -> dict[str, int]:
        """Queue -> how many RQ has."""
        return dict(self.rows("SELECT queue, count(*) FROM jobs WHERE state = 'queued' GROUP BY queue"))

    def hand_out(self, jobids: Iterable[str]) -> None:
        """RQ has them."""
        with self.writing() as connection:
            for each in jobids:
                connection.execute("UPDATE counter SET value = value + 1")
                connection.execute(
                    "UPDATE jobs SET state = 'queued', changed = ?, change = (SELECT value FROM counter)"
                    " WHERE id = ? AND state = 'planned'",
                    (time.time(), each),
                )

    def settle(self, connection: apsw.Connection, outcomes: Iterable[Outcome]) -> None:
        """Within `writing`: what came of attempts. A job that is settled already stays as it is."""
        now = time.time()
        for one in outcomes:
            connection.execute("UPDATE counter SET value = value + 1")
            connection.execute(
                "UPDATE jobs SET state = ?, reason = ?, due = iif(? > 0, ?, due), attempts = attempts + ?,"
                " changed = ?, change = (SELECT value FROM counter)"
                " WHERE id = ? AND state IN ('planned', 'queued')",
                (one.state.value, one_line(one.reason), one.due, one.due, one.counts, now, one.id),
            )
            if connection.changes():
                self.add(connection, one.more, now)

    def clock_put_back(self, now: float, days_named: Container[str]) -> int:
        """What was planned by a clock that was ahead keeps its distance from now. Not so the jobs of these
        triggers: a day stays that day. How many were moved.
        """
        with self.writing() as connection:
            rows = fetch(
                connection,
                "SELECT id, trigger, due, changed FROM jobs WHERE state = 'planned' AND changed > ?",
                (now + CLOCK_SECONDS,),
            )
            for jobid, trigger, due, changed in rows:
                moved = due if trigger in days_named else due - (changed - now)
                connection.execute("UPDATE jobs SET due = ?, changed = ? WHERE id = ?", (moved, now, jobid))
            return len(rows)

    # -- looking -------------------------------------------------------------------------------

    def entry(self, jobid: str) -> Entry | None:
        return next(iter(self._entries("id = ?", (jobid,))), None)

    def entries(
        self, state: str | None = None, *, trigger: str | None = None, after: int = 0, limit: int = 100
    ) -> list[Entry]:
        """By what happened last, from a number on."""
        return self._entries(
            "(?1 IS NULL OR state = ?1) AND (?2 IS NULL OR trigger = ?2) AND change > ?3"
            " ORDER BY change LIMIT ?4",
            (state, trigger, after, limit),
        )

    def latest(self) -> int:
        """The number of what happened last."""
        return int(self.rows("SELECT value FROM counter")[0][0])

    def counts(self) -> dict[str, dict[str, int]]:
        """Queue -> state -> how many."""
        found: dict[str, dict[str, int]] = {}
        for queue, state, count in self.rows("SELECT queue, state, count(*) FROM jobs GROUP BY 1, 2"):
            found.setdefault(queue, {})[state] = count
        return found

    def oldest_due(self, now: float) -> float | None:
        """Since when a job waits whose time has come; None if none does. What waits for a receiver that is
        left alone isn't late: its webhook is told of."""
        found = self.rows(
            "SELECT min(due) FROM jobs WHERE state IN ('planned', 'queued') AND due <= ? AND NOT"
            " (queue = 'webhooks' AND substr(action, 9) IN"
            " (SELECT name FROM webhooks WHERE closed_until > 0))",
            (now,),
        )
        return None if found[0][0] is None else float(found[0][0])

    def has_checkpoint(self) -> bool:
        """Whether the feed has ever come here."""
        return bool(self.rows("SELECT 1 FROM generations WHERE is_read AND epoch IS NOT NULL"))

    # -- by hand -------------------------------------------------------------------------------

    def replay(self, jobid: str) -> bool:
        """It is done, or tried, once more, now. False if there is no such job, or RQ has it."""
        with self.writing() as connection:
            return self._replay(connection, "id = ? AND state <> 'queued'", (jobid,)) > 0

    def replay_dead(self, trigger: str | None = None) -> int:
        """All that were given up. How many."""
        with self.writing() as connection:
            return self._replay(connection, "state = 'dead' AND (?1 IS NULL OR trigger = ?1)", (trigger,))

    def _replay(self, connection: apsw.Connection, condition: str, values: Sequence[Any]) -> int:
        found = fetch(connection, f"SELECT id FROM jobs WHERE {condition}", values)  # noqa: S608 - constants
        for (each,) in found:
            self._change(connection, each, JobState.PLANNED, "")
            connection.execute("UPDATE jobs SET due = ?, attempts = 0 WHERE id = ?", (time.time(), each))
        return len(found)

    def drop(self, jobid: str) -> bool:
        """It isn't done. False if there is no such job, it is settled, or RQ has it."""
        with self.writing() as connection:
            found = connection.execute(
                "SELECT 1 FROM jobs WHERE id = ? AND state IN ('planned', 'dead')", (jobid,)
            ).fetchone()
            if found:
                self._change(connection, jobid, JobState.DROPPED, "somebody has dropped it")
            return bool(found)

    def tidy(self, now: float) -> int:
        """Forgets what was settled long ago. How many."""
        with self.writing() as connection:
            connection.execute(
                "DELETE FROM jobs WHERE state IN ('done', 'needless', 'dropped') AND changed < ?",
                (now - KEPT_DAYS * 86_400,),
            )
            forgotten = connection.changes()
            # Those of days must be remembered for a day at least, or they would be planned once more.
            connection.execute(
                "DELETE FROM jobs WHERE queue = 'webhooks' AND state IN ('done', 'needless', 'dropped')"
                " AND change < (SELECT value FROM counter) - ?",
                (CHANGES_OF_ONE * MOST_KEPT,),
            )
            forgotten += connection.changes()
            connection.execute(
                "DELETE FROM deliveries WHERE at < ? OR num < (SELECT max(num) FROM deliveries) - ?",
                (now - KEPT_DAYS * 86_400, MOST_KEPT),
            )
            return forgotten

    def forget(self) -> None:
        """Takes what was replaced or removed off the file. Raises `apsw.BusyError` if somebody reads it."""
        with self._lock:
            # Deleted content is overwritten as it goes; earlier versions of pages are in the log.
            ((busy, *_),) = fetch(self._connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise apsw.BusyError("the log of the file with the jobs is being read")

    # -- what processes say of themselves ------------------------------------------------------

    def note(self, name: str, text: Mapping[str, Any]) -> None:
        with self.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO notes VALUES (?, ?, ?)",
                (name, time.time(), orjson.dumps(dict(text)).decode()),
            )

    def noted(self, name: str) -> tuple[float, dict[str, Any]] | None:
        """When, and what."""
        found = self.rows("SELECT at, text FROM notes WHERE name = ?", (name,))
        return (float(found[0][0]), orjson.loads(found[0][1])) if found else None

    def _entries(self, condition: str, values: Sequence[Any]) -> list[Entry]:
        rows = self.rows(f"SELECT {_COLUMNS} FROM jobs WHERE {condition}", values)  # noqa: S608 - constants
        return [Entry(*_decoded(row)) for row in rows]


def _decoded(row: Any) -> list[Any]:
    """In the order of the columns, which is that of `Entry`."""
    return [*row[:7], orjson.loads(row[7]), JobState(row[8]), *row[9:]]

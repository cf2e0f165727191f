"""Between the file of jobs and RQ: hands out what is due, and writes down what has come of it.

One process does it for a data directory. A job is handed out, then that is written down; what a worker
gives back is written down, then taken out of Redis. Broken off anywhere in between, the same is done again:
a job that Redis has is not put there a second time, and one that is settled stays so. What Redis has lost,
or a worker that was killed had begun, is handed out again. So each job is done at least once, and always
under the same id, by which whoever gets it can tell that he has had it.

Never more than `WINDOW` jobs of a queue are in Redis. The others wait in the file.

Calls of one receiver go in bundles, and some of a bundle are made at the same time: what RQ does for a job,
what the server is asked before a call, and most of all waiting for the answer take longer than the call. In a
bundle each is about another document, so those about one come in their order. What failed before goes alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import apsw
import structlog

from kompass.jobs.catalogue import TRIGGERS
from kompass.jobs.judging import DAY, DOCUMENTS, MAILS, QUEUES, WEBHOOKS, Job
from kompass.jobs.queues import Queues, Result
from kompass.jobs.receivers import failed, succeeded
from kompass.jobs.schedules import Schedules
from kompass.jobs.store import Entry, JobState, JobStore, Outcome
from kompass.jobs.triggers import At
from replication.replicator.backoff import pause

WINDOW = 200
"""Of each queue: receivers that are slow hold up no reminders."""
AT_ONCE = 100
MOST_TOGETHER = 10
"""Calls in a bundle: a worker that is killed leaves so many of which nobody knows whether they were made."""
AUDIT_SECONDS = 2.0
COLLECT_SECONDS = 1.0
"""How often it is looked for results of which this process knows nothing."""
ATTEMPTS: Mapping[str, int] = {DOCUMENTS: 12, MAILS: 12, WEBHOOKS: 15}
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 6 * 3600.0
FIRST_WAIT, LONGEST_WAIT = 8.0, 60.0
"""Seconds for which a job waits for the server."""
OLDEST = 3 * DAY
"""Then it is given up, even if its receiver was left alone in the meantime."""

_DAYS_NAMED = frozenset(one.name for one in TRIGGERS if isinstance(one.when, At))

log = structlog.get_logger(__name__)


class Dispatcher:
    """`turn` it again and again. Blocking."""

    def __init__(self, store: JobStore, queues: Queues, *, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._queues = queues
        self._now = now
        self._schedules = Schedules(store, now=now)
        self._collected = self._audited = self._scheduled = -1e9
        self._looked = False
        """Whether it is known what Redis has of the jobs that an earlier dispatcher handed out."""
        self._suspects: set[str] = set()
        """What Redis had in no queue when it was last looked: a worker may just have taken it."""
        self.outstanding = store.count_queued()

    def turn(self) -> bool:
        """Whether there may be more to do at once. Raises `QueuesUnavailableError`, `apsw.Error`."""
        clock = time.monotonic()
        if not self._store.has_checkpoint():
            return False  # another machine's feed has its own
        if not self._looked:
            # What had been put there when the one before was broken off, and was not written down.
            self._store.hand_out(self._queues.known())
            self.outstanding = self._store.count_queued()
            self._looked = True
        if clock - self._scheduled >= 1.0:
            self._scheduled = clock
            self._schedules.run()
        if self.outstanding or clock - self._collected >= COLLECT_SECONDS:
            self._collected = clock
            self._collect()
        if clock - self._audited >= AUDIT_SECONDS:
            self._audited = clock
            self._audit()
        return self._hand_out()

    # -- out -----------------------------------------------------------------------------------

    def _hand_out(self) -> bool:
        more = False
        for queue in QUEUES:
            room = min(WINDOW - self.outstanding.get(queue, 0), AT_ONCE)
            if room > 0:
                more |= self._hand_out_of(queue, room) == room
        return more

    def _hand_out_of(self, queue: str, room: int) -> int:
        entries = self._store.due(queue, self._now(), room)
        if queue == WEBHOOKS:
            entries = self._one_of_each_failing(entries)
        handed: list[str] = []
        try:
            for bundle in _bundles(entries):
                self._queues.put(bundle)
                handed += [one.id for one in bundle]
        finally:
            if handed:
                self._store.hand_out(handed)
                self.outstanding[queue] = self.outstanding.get(queue, 0) + len(handed)
        return len(handed)

    def _one_of_each_failing(self, entries: list[Entry]) -> list[Entry]:
        """Of the jobs for a receiver that has failed so often that it was left alone, one goes first."""
        failing = {name for (name,) in self._store.rows("SELECT name FROM webhooks WHERE closed_until > 0")}
        if not failing:
            return entries
        busy = {_receiver(one.action) for one in self._store.queued()}
        kept = []
        for one in entries:
            receiver = _receiver(one.action)
            if receiver in failing:
                if receiver in busy:
                    continue
                busy.add(receiver)
            kept.append(one)
        return kept

    # -- back ----------------------------------------------------------------------------------

    def _collect(self) -> None:
        results = self._queues.results()
        if results:
            with self._store.writing() as connection:
                outcomes = [self._outcome(connection, one) for one in results]
                self._store.settle(connection, [one for one in outcomes if one is not None])
            self._queues.forget(one.id for one in results)
        self.outstanding = self._store.count_queued()

    def _outcome(self, connection: apsw.Connection, result: Result) -> Outcome | None:
        entry = self._store.entry(result.id)
        if entry is None:
            return None
        value: Mapping[str, Any] = result.value if result.value is not None else {"outcome": "again"}
        self._remember_delivery(connection, entry, value.get("delivery"))
        told = str(value.get("reason") or result.reason)
        match value.get("outcome"):
            case "done":
                return Outcome(result.id, JobState.DONE, told, more=list(_jobs(entry, value.get("more"))))
            case "needless":
                return Outcome(result.id, JobState.NEEDLESS, told)
            case "never":
                return Outcome(result.id, JobState.DEAD, told)
            case "wait":
                # The longer it has waited for the server, the longer it can.
                wait = min(max(FIRST_WAIT, (self._now() - entry.made) / 4), LONGEST_WAIT)
                due = self._now() + pause(0, first=wait)
                return Outcome(result.id, JobState.PLANNED, told, due, counts=False)
            case _:
                return self._again(entry, told)

    def _again(self, entry: Entry, why: str) -> Outcome:
        attempts = entry.attempts + 1
        if attempts >= ATTEMPTS[entry.queue] or self._now() - max(entry.made, entry.due) > OLDEST:
            log.warning("a job is given up", job=entry.id, trigger=entry.trigger, why=why)
            return Outcome(entry.id, JobState.DEAD, why)
        due = self._now() + pause(attempts - 1, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        return Outcome(entry.id, JobState.PLANNED, why, due)

    def _remember_delivery(self, connection: apsw.Connection, entry: Entry, delivery: object) -> None:
        name = _receiver(entry.action)
        if name is None or not isinstance(delivery, dict):
            return
        if delivery.get("error"):
            failed(connection, name, entry, delivery, self._now())
        else:
            succeeded(connection, name, entry, delivery, self._now())

    # -- what was lost -------------------------------------------------------------------------

    def _audit(self) -> None:
        self._store.clock_put_back(self._now(), _DAYS_NAMED)
        entries = self._store.queued()
        missing, orphaned = self._queues.lost(entries)
        again = [each for each in missing if each in self._suspects]
        self._suspects = set(missing) - set(again)
        if not again and not orphaned:
            return
        known = {one.id: one for one in entries}
        self._queues.forget([*again, *orphaned])
        outcomes = [Outcome(each, JobState.PLANNED, "", self._now(), counts=False) for each in again]
        outcomes += [self._again(known[each], "its worker has died") for each in orphaned]
        with self._store.writing() as connection:
            self._store.settle(connection, outcomes)
        log.warning("jobs are handed out again", lost=len(again), begun=len(orphaned))
        self.outstanding = self._store.count_queued()


def _bundles(entries: Iterable[Entry]) -> list[list[Entry]]:
    """What a worker does in one go."""
    found: list[list[Entry]] = []
    growing: dict[str, list[Entry]] = {}
    for one in entries:
        receiver = _receiver(one.action)
        if receiver is None or one.attempts:
            found.append([one])
            continue
        bundle = growing.get(receiver)
        if bundle is None or len(bundle) >= MOST_TOGETHER or one.doc in {each.doc for each in bundle}:
            bundle = growing[receiver] = []
            found.append(bundle)
        bundle.append(one)
    return found


def _receiver(action: str) -> str | None:
    """The webhook's name, if the job is for one."""
    kind, _, name = action.partition(":")
    return name if kind == "webhook" else None


def _jobs(entry: Entry, more: object) -> Iterable[Job]:
    """What follows from a job: the same for somebody in particular."""
    for one in more if isinstance(more, list) else ():
        yield Job(
            id=str(one["id"]), trigger=entry.trigger, action=str(one["action"]), queue=str(one["queue"]),
            doc=entry.doc, rev=entry.rev, due=entry.due, args=dict(one["args"]),
        )  # fmt: skip

"""What happens by the clock: cron lines, in Germany's time.

A time that was missed, because nothing ran then, is made up for once, within a day. A clock that is put back
repeats nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from kompass.jobs.judging import DAY, WEBHOOKS, ZONE, Job, job_id
from kompass.jobs.store import JobStore

TIDY = "tidy"


@dataclass(frozen=True, slots=True)
class Schedule:
    name: str
    """The event's: webhooks ask for `schedule.NAME`."""
    cron: str


SCHEDULES: Sequence[Schedule] = (
    Schedule("hourly", "0 * * * *"),
    Schedule("daily", "0 6 * * *"),
    Schedule("weekly", "0 17 * * fri"),
    Schedule("monthly", "0 6 1 * *"),
    Schedule(TIDY, "30 * * * *"),
)
"""For automations elsewhere, which ask for what they need when they are called; and our own tidying."""

EVENTS: Mapping[str, Schedule] = {f"schedule.{one.name}": one for one in SCHEDULES if one.name != TIDY}


class Schedules:
    """Looks which times have come."""

    def __init__(
        self,
        store: JobStore,
        schedules: Sequence[Schedule] = SCHEDULES,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._schedules = schedules
        self._now = now

    def run(self) -> None:
        """Makes the jobs of all times that have come since it was called last. Raises `apsw.Error`."""
        now = self._now()
        noted: dict[str, Any] = dict((self._store.noted("schedules") or (0.0, {}))[1])
        due = {one.name: previous(one, now) for one in self._schedules}
        new = {name: at for name, at in due.items() if at > noted.get(name, 0.0)}
        if not new:
            return
        with self._store.writing() as connection:
            for name, at in new.items():
                if name in noted and name != TIDY and now - at < DAY:
                    self._store.add(connection, self._jobs(name, at), now)
        if TIDY in new and TIDY in noted:
            self._store.tidy(now)
        self._store.note("schedules", {**noted, **new})

    def _jobs(self, name: str, at: float) -> list[Job]:
        event = f"schedule.{name}"
        return [
            Job(
                job_id(event, webhook, str(round(at))),
                event,
                f"webhook:{webhook}",
                WEBHOOKS,
                "",
                "",
                at,
                {"at": at},
            )
            for webhook, events in _asking(self._store)
            if event in events
        ]


def _asking(store: JobStore) -> list[tuple[str, list[str]]]:
    """Webhooks, and the events that they want to hear of."""
    rows = store.rows("SELECT name, events FROM webhooks WHERE active")
    return [(name, orjson.loads(events)) for name, events in rows]


def previous(schedule: Schedule, now: float) -> float:
    """When its time came last."""
    # Of an extra; what events there are the server tells without it.
    from croniter import croniter

    at = croniter(schedule.cron, datetime.fromtimestamp(now, ZONE)).get_prev(datetime)
    assert isinstance(at, datetime)
    return at.timestamp()

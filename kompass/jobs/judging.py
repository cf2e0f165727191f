"""Which jobs follow from a change: pure, the same jobs with the same ids for the same change.

An id is made from the trigger, what it does, the document and either its revision or the day that it
names. So a change that comes again asks for jobs that are there already, and a job that was done is not
done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from kompass.jobs.catalogue import GENERAL, TRIGGERS
from kompass.jobs.triggers import Action, At, Mail, Notify, State, Task, Trigger

ZONE = ZoneInfo("Europe/Berlin")
DAY = 86_400.0
LATE = DAY
"""A day that lies further back when it is first heard of is left alone."""

LONGEST_KEPT = 300
"""Characters of a watched field that are kept."""

_NAMESPACE = UUID("3c1d5a52-5d0e-4f6b-9a1c-7d3f5e0b1a44")
_FIRST, _LAST = date(2000, 1, 1), date(2200, 1, 1)

DOCUMENTS, MAILS, WEBHOOKS = "documents", "mails", "webhooks"
QUEUES = (DOCUMENTS, MAILS, WEBHOOKS)
"""Of RQ; who works takes from the first that isn't empty."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do."""

    id: str
    trigger: str
    action: str
    """`notify`, `mail`, `task`, with its place among the trigger's actions; or `webhook:NAME`."""

    queue: str
    doc: str
    rev: str
    due: float
    """Unix time."""

    args: Mapping[str, Any] = field(default_factory=dict)
    """What the job needs besides; small, and no text of a document."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a webhook hears of, as far as judging needs it."""

    name: str
    events: frozenset[str]
    person: str
    """As whom it reads."""


@dataclass(frozen=True, slots=True)
class Judged:
    now: Sequence[Job]
    """What follows from this change."""

    plans: Mapping[str, Sequence[Job]]
    """Trigger -> its jobs for days that the document names; what else was planned by it is needed no more."""


class Judge:
    """Of one table of triggers and the webhooks there are."""

    def __init__(
        self,
        subscriptions: Iterable[Subscription] = (),
        *,
        triggers: Sequence[Trigger] = TRIGGERS,
        general: Sequence[Trigger] = GENERAL,
    ) -> None:
        self._subscriptions = tuple(subscriptions)
        wanted = {event for one in self._subscriptions for event in one.events}
        self._by_type: dict[str, list[Trigger]] = {}
        for one in (*triggers, *(each for each in general if each.name in wanted)):
            self._by_type.setdefault(one.doctype, []).append(one)

    def watched(self, doctype: str) -> frozenset[str]:
        """Fields of such a document that are kept."""
        return frozenset(name for one in self._by_type.get(doctype, ()) for name in one.fields)

    def state(self, doctype: str, doc: Mapping[str, Any]) -> State:
        """What is kept of a document."""
        return {name: _kept(doc.get(name)) for name in sorted(self.watched(doctype))}

    def judge(
        self,
        doctype: str,
        docid: str,
        rev: str,
        old: State | None,
        new: State | None,
        doc: Mapping[str, Any] | None,
        now: float,
        *,
        events: bool = True,
        known: bool = True,
    ) -> Judged:
        """`events`: whether changes count, or only the days that the document names. `known`: whether `old`
        is of another revision.
        """
        found: list[Job] = []
        plans: dict[str, list[Job]] = {}
        for trigger in self._by_type.get(doctype, ()):
            if isinstance(trigger.when, At):
                plans[trigger.name] = list(self._planned(trigger, trigger.when, docid, rev, doc, now))
            elif events and known and trigger.when.holds(old, new):
                due = now + trigger.after_days * DAY
                found += self._jobs(trigger, docid, rev, rev, due)
        return Judged(found, plans)

    def _planned(
        self, trigger: Trigger, at: At, docid: str, rev: str, doc: Mapping[str, Any] | None, now: float
    ) -> Iterator[Job]:
        if doc is None or (trigger.while_ is not None and not trigger.while_.true(doc)):
            return
        day = _day(doc.get(at.field))
        if day is None:
            return
        for days in at.days:
            due = datetime.combine(day + timedelta(days=days), time(at.hour), ZONE).timestamp()
            if due > now - LATE:
                yield from self._jobs(trigger, docid, rev, f"{day.isoformat()}{days:+d}", due)

    def _jobs(self, trigger: Trigger, docid: str, rev: str, which: str, due: float) -> Iterator[Job]:
        for number, action in enumerate(trigger.actions):
            name = f"{_NAMES[type(action)]}{number or ''}"
            queue = MAILS if isinstance(action, Mail) else DOCUMENTS
            yield Job(job_id(trigger.name, name, docid, which), trigger.name, name, queue, docid, rev, due)
        for one in self._subscriptions:
            if trigger.name in one.events:
                name = f"webhook:{one.name}"
                jobid = job_id(trigger.name, name, docid, which)
                yield Job(jobid, trigger.name, name, WEBHOOKS, docid, rev, due)


_NAMES: Mapping[type[Action], str] = {Notify: "notify", Mail: "mail", Task: "task"}


def action_of(trigger: Trigger, name: str) -> Action | None:
    """Which of the trigger's actions a job is for; None if the table has changed since."""
    for number, action in enumerate(trigger.actions):
        if name == f"{_NAMES[type(action)]}{number or ''}":
            return action
    return None


def job_id(*parts: str) -> str:
    """The same for the same parts."""
    return str(uuid5(_NAMESPACE, "\0".join(part.encode("utf-8", "replace").decode() for part in parts)))


def _kept(value: object) -> Any:
    """A value as it is kept: what is no short text, number or truth is nothing."""
    if isinstance(value, str):
        return value[:LONGEST_KEPT].encode("utf-8", "replace").decode()
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    return None


def _day(value: object) -> date | None:
    """The day in Germany that a date, or a time, names."""
    if not isinstance(value, str) or not 10 <= len(value) <= 40:
        return None
    try:
        if len(value) == 10:
            day = date.fromisoformat(value)
        else:
            moment = datetime.fromisoformat(value)
            day = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(ZONE).date()
    except (ValueError, OverflowError):
        return None
    return day if _FIRST <= day <= _LAST else None

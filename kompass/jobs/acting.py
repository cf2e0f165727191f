"""Does what a job says, once. Called by a worker; the server decides what may be read and written.

Every action looks at the document as it is now: what was wanted when the change came may be needless by the
time it is done. Doing it again changes nothing: documents have ids that follow from the job's, receivers
get the job's id as the key by which they know it again, and so has a mail its `Message-ID`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid5

from kompass.access.services import AUTHOR
from kompass.jobs import telling
from kompass.jobs.catalogue import BY_NAME
from kompass.jobs.judging import MAILS, ZONE, action_of, job_id
from kompass.jobs.letters import Letter, letter
from kompass.jobs.outcomes import NeverError
from kompass.jobs.service import Receiver, RefusedError, View
from kompass.jobs.triggers import Action, At, Mail, Notify, Task, To, Trigger

MOST_PEOPLE = 20
"""That one job concerns."""
LONGEST_NAME = 300

_NAMESPACE = UUID("a1f3c5d4-08b6-4f0e-8b27-5f0b3a6e9c11")


class Server(Protocol):
    """See `kompass.jobs.service`."""

    def document(self, docid: str) -> Mapping[str, Any] | None: ...
    def view(self, person: str, docids: Sequence[str]) -> View | None: ...
    def people(self, role: str) -> list[str]: ...
    def receiver(self, name: str) -> Receiver | None: ...
    def write(self, docid: str, body: Mapping[str, Any]) -> bool: ...


@dataclass(frozen=True, slots=True)
class Work:
    """A job as a worker gets it."""

    id: str
    trigger: str
    action: str
    doc: str
    rev: str
    args: Mapping[str, Any]
    attempt: int
    made: float


@dataclass(frozen=True, slots=True)
class Means:
    """What a worker has to do it with."""

    server: Server
    send: Callable[[Letter, str], None] | None = None
    """Sends a letter under an id; None without a mail server. Raises `LaterError`, `NeverError`."""
    call: Callable[[Receiver, Mapping[str, bytes]], Mapping[str, Mapping[str, Any]]] | None = None
    """Calls a receiver with bodies by their ids; gives for each `status`, `milliseconds`,
    `error`, and `never` if it isn't to be tried again."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


Result = dict[str, Any]
"""`outcome`: `done`, `needless`, `again` or `never`; `reason`; `more`: jobs that follow; `delivery`."""


def act(works: Sequence[Work], means: Means) -> dict[str, Result]:
    """Does one job, or calls of one webhook that are each about another document; what came of each, by id.

    Raises `ServerUnavailableError`, `LaterError`, `NeverError`; then it is so for all of them.
    """
    first = works[0]
    kind, _, name = first.action.partition(":")
    if kind == "webhook":
        return telling.tell(name, [one for one in works if one.action == first.action], means)
    return {first.id: _act(first, kind, means)}


def _act(work: Work, kind: str, means: Means) -> Result:
    trigger = BY_NAME.get(work.trigger)
    action = action_of(trigger, work.action.partition("@")[0]) if trigger is not None else None
    if trigger is None or action is None:
        return _needless("there is no such trigger any more")
    doc = means.server.document(work.doc)
    if doc is None or doc.get("type") != trigger.doctype:
        return _needless("there is no such document any more")
    if trigger.while_ is not None and not trigger.while_.true(doc):
        return _needless("it is no longer so")
    if kind.startswith("mail"):
        return _mail(work, trigger, action, doc, means)
    if isinstance(action, Notify):
        return _notify(work, trigger, action, doc, means)
    assert isinstance(action, Task)
    return _task(work, action, doc, means)


# -- whom it concerns --------------------------------------------------------------------------


def people(to: To, doc: Mapping[str, Any], means: Means) -> list[str]:
    """Names, each once; of the first entry that gives any."""
    for one in to:
        found = list(dict.fromkeys(_people(one, doc, means)))[:MOST_PEOPLE]
        if found:
            return found
    return []


def _people(one: str, doc: Mapping[str, Any], means: Means) -> Iterator[str]:
    if one.startswith("role:"):
        yield from means.server.people(one[5:])
        return
    name, _, then = one.partition(".")
    value = doc.get(name)
    if then and _is_line(value):
        other = means.server.document(str(value))
        value = other.get(then) if other is not None else None
    if _is_line(value) and value != AUTHOR:
        yield str(value)


def _is_line(value: object) -> bool:
    """Whether it can be a name, or an id."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


# -- actions -----------------------------------------------------------------------------------


def _notify(work: Work, trigger: Trigger, action: Notify, doc: Mapping[str, Any], means: Means) -> Result:
    written = refused = 0
    for person in people(action.to, doc, means):
        if _did_it_himself(trigger, person, doc):
            continue
        body = {
            **_made("notification", means.now()),
            "recipientId": person,
            "notificationType": action.kind,
            "isRead": False,
            "documentId": work.doc,
            "documentType": trigger.doctype,
        }
        if trigger.says:
            body["title"] = trigger.says
        try:
            written += means.server.write(_docid("notification", work.id, person), body)
        except RefusedError:
            refused += 1  # he may not read it, or has left
    return {"outcome": "done", "reason": f"{written} written, {refused} refused"}


def _did_it_himself(trigger: Trigger, person: str, doc: Mapping[str, Any]) -> bool:
    """Nobody is told of what he has just done; what a day brings is told to everybody."""
    return not isinstance(trigger.when, At) and not trigger.after_days and doc.get("modifiedBy") == person


def _task(work: Work, action: Task, doc: Mapping[str, Any], means: Means) -> Result:
    for person in people(action.to, doc, means)[:1]:
        view = means.server.view(person, [work.doc])
        if view is None or work.doc not in view.documents:
            return _needless("the person may not read the document")
        day = means.now().astimezone(ZONE).date() + timedelta(days=action.due_in)
        number = doc["offerNumber"] if _is_line(doc.get("offerNumber")) else ""
        body = {
            **_made("user_task", means.now()),
            "title": f"{action.title} {number}".strip()[:200],
            "status": "open",
            "priority": "medium",
            "dueDate": day.isoformat(),
            "assignedTo": person,
        }
        for field_name, source in (
            ("relatedCustomerId", "customerId"),
            ("relatedOpportunityId", "opportunityId"),
        ):
            if _is_line(doc.get(source)):
                body[field_name] = doc[source]
        try:
            written = means.server.write(_docid("user-task", work.id, person), body)
        except RefusedError as error:
            raise NeverError(str(error)) from error
        return {"outcome": "done", "reason": "written" if written else "it was there already"}
    return _needless("nobody is concerned")


def _mail(work: Work, trigger: Trigger, action: Action, doc: Mapping[str, Any], means: Means) -> Result:
    if means.send is None:
        return _needless("no mail server is set")
    person = work.args.get("person")
    if not isinstance(person, str):
        assert isinstance(action, Mail)
        names = [one for one in people(action.to, doc, means) if not _did_it_himself(trigger, one, doc)]
        more = [
            {
                "id": job_id(work.id, one),
                "action": f"{work.action}@{one}",
                "queue": MAILS,
                "args": {"person": one},
            }
            for one in names
        ]
        return {"outcome": "done", "reason": f"for {len(names)}", "more": more}
    view = means.server.view(person, [work.doc])
    if view is None or not view.active:
        return _needless("there is no such person any more")
    seen = view.documents.get(work.doc)
    if seen is None:
        return _needless("the person may not read the document")
    written = letter(trigger, view, seen)
    if written is None:
        return _needless("the person has no address")
    means.send(written, work.id)
    return {"outcome": "done"}


# -- documents ---------------------------------------------------------------------------------


def _docid(prefix: str, *parts: str) -> str:
    return f"{prefix}-{uuid5(_NAMESPACE, chr(0).join(parts))}"


def _made(doctype: str, now: datetime) -> dict[str, Any]:
    at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "type": doctype, "createdBy": AUTHOR, "createdAt": at, "modifiedBy": AUTHOR, "modifiedAt": at,
        "version": 1,
    }  # fmt: skip


def _needless(why: str) -> Result:
    return {"outcome": "needless", "reason": why}

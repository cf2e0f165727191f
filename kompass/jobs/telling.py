"""What a webhook's receiver is told: some fields of documents, as a person may read them when it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kompass.access.services import AUTHOR
from kompass.jobs.catalogue import BY_NAME
from kompass.jobs.service import Receiver, View
from replication.protocol import jsontext

if TYPE_CHECKING:
    from kompass.jobs.acting import Means, Result, Work

_DELETED = ".deleted"


def tell(name: str, works: Sequence[Work], means: Means) -> dict[str, Result]:
    """Calls the receiver of a webhook, for each job once; what came of each, by its id.

    What the person may read is asked once for all of them. Raises `ServerUnavailableError`.
    """
    receiver = means.server.receiver(name)
    if receiver is None or means.call is None:
        return {one.id: _needless("there is no such webhook any more") for one in works}
    shown = [one.doc for one in works if one.trigger in BY_NAME and not one.trigger.endswith(_DELETED)]
    view = means.server.view(receiver.person, shown) if shown else None
    results: dict[str, Result] = {}
    bodies: dict[str, bytes] = {}
    for one in works:
        event = _event(one, receiver, view)
        if event is None:
            results[one.id] = _needless(f"{receiver.person} may not read the document, or it is gone")
        else:
            bodies[one.id] = jsontext.encode(event)
    if bodies:
        results |= {ident: _result(each) for ident, each in means.call(receiver, bodies).items()}
    return results


def _event(work: Work, receiver: Receiver, view: View | None) -> Mapping[str, Any] | None:
    """The body of a call; None if the person reads nothing of it."""
    trigger = BY_NAME.get(work.trigger)
    payload: dict[str, Any] = {}
    user = AUTHOR
    if trigger is not None:
        payload = {"id": work.doc, "type": trigger.doctype, "rev": work.rev}
        if not work.trigger.endswith(_DELETED):
            seen = view.documents.get(work.doc) if view is not None and view.active else None
            if seen is None:
                return None
            payload["rev"] = seen.get("_rev")
            payload |= {one: seen[one] for one in receiver.fields if one in seen}
            user = str(seen.get("modifiedBy") or seen.get("createdBy") or AUTHOR)
    happened = datetime.fromtimestamp(work.args.get("at") or work.made, UTC)
    return {
        "event_type": work.trigger,
        "payload": payload,
        "timestamp": happened.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "user_id": user,
    }


def _result(delivery: Mapping[str, Any]) -> Result:
    error = str(delivery.get("error") or "")
    outcome = "done" if not error else "never" if delivery.get("never") else "again"
    return {"outcome": outcome, "reason": error, "delivery": dict(delivery)}


def _needless(why: str) -> Result:
    return {"outcome": "needless", "reason": why}

"""How far dates may lie from today.

Who was offline for days wrote in the past what arrives now. So the lower bounds count from when the writer
says that he wrote it, up to 30 days back, the upper ones from the server's time. Today is any day that it is
somewhere on earth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kompass.domain.changes import Change
from kompass.domain.refusals import Refusal
from kompass.domain.registry import LABELS

OFFLINE = timedelta(days=30)
"""How far back a writer's own time counts."""

SKEW = timedelta(hours=24)
"""How wrong a device's clock may be."""

_EAST, _WEST = timedelta(hours=14), timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Bound:
    """Days from today within which a date has to lie; None: however far."""

    field: str
    back: int | None = None
    ahead: int | None = None
    at_creation: bool = False
    """Only a new document is judged, and not each change of the field."""


BOUNDS: Mapping[str, tuple[Bound, ...]] = {
    "lead": (Bound("convertedAt", ahead=0),),
    "offer": (
        Bound("offerDate", back=7, ahead=0, at_creation=True),
        Bound("sentAt", ahead=0),
        Bound("viewedAt", ahead=0),
        Bound("acceptedAt", ahead=0),
        Bound("rejectedAt", ahead=0),
    ),
    "contract": (Bound("contractDate", ahead=7), Bound("signedAt", ahead=0)),
    "user_task": (Bound("dueDate", back=0, at_creation=True),),
    "activity": (Bound("followUpDate", back=0),),
    "customer_visit": (Bound("lastVisitDate", ahead=0),),
    "expense": (
        Bound("expenseDate", back=90, ahead=0),
        Bound("submittedAt", ahead=0),
        Bound("approvedAt", ahead=0),
        Bound("paidAt", ahead=0),
    ),
    "mileage_log": (Bound("date", ahead=0),),
    "project_cost": (Bound("invoiceDate", ahead=0),),
    "supplier_invoice": (Bound("invoiceDate", ahead=0),),
    "time_entry": (Bound("startTime", ahead=0), Bound("endTime", ahead=0), Bound("approvedAt", ahead=0)),
}
"""Type -> bounds of its dates and times."""


def check(change: Change) -> Refusal | None:
    """Refuses what lies too far from now. The document's shape is sound."""
    doc = change.doc
    if doc is None:
        return None
    for bound in BOUNDS.get(change.type, ()):
        value = doc.get(bound.field)
        if value is None or not (change.is_new or (not bound.at_creation and change.changes(bound.field))):
            continue
        refusal = _outside(change, bound, value)
        if refusal is not None:
            return refusal
    return None


def _outside(change: Change, bound: Bound, value: str) -> Refusal | None:
    if len(value) > len("2026-11-30"):
        day, exact = _day(datetime.fromisoformat(value)), datetime.fromisoformat(value)
        if bound.ahead == 0 and exact > change.now + SKEW:
            return _refusal(
                change, "bounds", bound.field, "must not be in the future", "darf nicht in der Zukunft liegen"
            )
    else:
        day = date.fromisoformat(value)
    first = None if bound.back is None else _day(_written(change) - _WEST) - timedelta(days=bound.back)
    last = None if bound.ahead is None else _day(change.now + _EAST) + timedelta(days=bound.ahead)
    if (first is None or first <= day) and (last is None or day <= last):
        return None
    if first is None:
        words = f"must be at the latest {last}", f"darf spätestens der {last} sein"
    elif last is None:
        words = f"must be at the earliest {first}", f"darf frühestens der {first} sein"
    else:
        words = f"must be from {first} to {last}", f"muss zwischen {first} und {last} liegen"
    return _refusal(change, "bounds", bound.field, f"{words[0]}, not {day}", f"{words[1]}, nicht {day}")


def _day(moment: datetime) -> date:
    return moment.date()


def _written(change: Change) -> datetime:
    """When the writer says that he wrote it, no more than `OFFLINE` ago and never later than now."""
    assert change.doc is not None
    said = change.doc.get("createdAt" if change.is_new else "modifiedAt")
    if said is None:
        return change.now
    return min(change.now, max(datetime.fromisoformat(said), change.now - OFFLINE))


def _refusal(change: Change, kind: str, field: str, reason: str, grund: str) -> Refusal:
    label = LABELS.get(change.type, change.type)
    return Refusal(
        f"model.{kind}", f"{change.type}: {field} {reason}.", f"{label}: {field} {grund}.", (field,)
    )

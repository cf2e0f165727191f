"""Times that devices write: believed where they can be true, and no rule depends on them.

A device's clock may be wrong by hours. Rules go by when the server received a version; the order of versions
is that of the server. So only what no clock can mean is refused.
"""

from __future__ import annotations

from datetime import UTC, datetime

from kompass.domain.changes import Change, Facts
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Before this nothing of the business was written down."""


def moment(value: object) -> datetime | None:
    """A time or a day (its beginning) in ISO 8601, in UTC; None if it is none. Without a zone it is UTC."""
    if not isinstance(value, str) or not 10 <= len(value) <= 40:
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why `createdAt` and `modifiedAt` can't be true."""
    doc = change.doc
    if doc is None:
        return None
    if change.before is not None and change.before.get("createdAt") and change.changes("createdAt"):
        return _no("time.created", "createdAt never changes.", "createdAt ändert sich nie.", "createdAt")
    latest = change.now + settings.clock_skew
    hours = int(settings.clock_skew.total_seconds() // 3600)
    found: dict[str, datetime] = {}
    for field in ("createdAt", "modifiedAt"):
        if doc.get(field) is None or not (change.is_new or change.changes(field)):
            continue
        at = moment(doc[field])
        if at is None:
            return _no(
                "time.malformed",
                f"{field} is a time like 2026-03-02T08:00:00.000Z.",
                f"{field} ist eine Zeit wie 2026-03-02T08:00:00.000Z.",
                field,
            )
        if at > latest:
            return _no(
                "time.future",
                f"{field} is more than {hours} hours ahead of the server's time: set the device's clock.",
                f"{field} liegt mehr als {hours} Stunden in der Zukunft: Stellen Sie die Uhr des Geräts.",
                field,
            )
        if at < EARLIEST:
            return _no(
                "time.past",
                f"{field} is before {EARLIEST.year}: set the device's clock.",
                f"{field} liegt vor {EARLIEST.year}: Stellen Sie die Uhr des Geräts.",
                field,
            )
        found[field] = at
    created = moment(doc.get("createdAt"))
    if "modifiedAt" in found and created is not None and found["modifiedAt"] < created - settings.clock_skew:
        return _no(
            "time.order",
            f"modifiedAt is more than {hours} hours before createdAt.",
            f"modifiedAt liegt mehr als {hours} Stunden vor createdAt.",
            "modifiedAt",
        )
    return None


def _no(rule: str, reason: str, grund: str, field: str) -> Refusal:
    return Refusal(rule, reason, grund, (field,))

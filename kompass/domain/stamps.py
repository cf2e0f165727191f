"""Moments, as they are stored and as documents write them; and when something was changed, as far as a
device's clock can be believed.

A device that was away says itself when its user made a change, and its clock may be years off. What it says
counts within what the server knows: not before the version that was changed, and not after it arrived.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

Stamp = int
"""Milliseconds since 1970."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def stamp(at: datetime) -> Stamp:
    """The millisecond in which a moment is: the one that `timestamp` writes."""
    return (at - _EPOCH) // _MILLISECOND


def moment(at: Stamp) -> datetime:
    """In UTC; 1970 for what is out of the calendar, as a device may claim it."""
    try:
        return datetime.fromtimestamp(at / 1000, UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)


def timestamp(at: datetime) -> str:
    """A moment as documents and answers write it: `2026-01-31T12:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def claimed(value: object) -> Stamp | None:
    """`modifiedAt` as a stamp; None for what is no time. Without a zone it is UTC."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def bounded(says: object, earliest: Stamp, received: Stamp | None) -> Stamp:
    """When a version was made: what it says, but not before `earliest` nor after it was received.

    `received` is None for what the server didn't see come: then what it says counts.
    """
    said = claimed(says)
    if said is None:
        said = earliest if received is None else received
    if received is not None:
        said = min(said, received)
    return max(said, earliest)

"""When something was changed, as far as a device's clock can be believed.

A device that was away says itself when its user made a change, and its clock may be years off. What it says
counts within what the server knows: not before the version that was changed, and not after it arrived.
"""

from __future__ import annotations

from datetime import UTC, datetime

Stamp = int
"""Milliseconds since 1970."""


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

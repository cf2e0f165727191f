"""Whether a person does what a transaction writes, or it comes from elsewhere with its history."""

from __future__ import annotations

from kompass.access.principals import Principal, known_roles
from kompass.audit.actors import Door, actor

_PEOPLE = frozenset({Door.REPLICATION, Door.EDIT, Door.REST})


def who_acts() -> Principal | None:
    """None for what comes past the gate: an import, an administrator's replication, the server's own work."""
    who = actor()
    if who.door not in _PEOPLE:
        return None
    return Principal(who.name, known_roles(who.roles), who.device)

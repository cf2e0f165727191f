"""Who acts: a name, the roles that count for him now, and the device he uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The roles of the business."""

    ADM = "ADM"
    """Field sales."""
    INNEN = "INNEN"
    """Office staff of sales."""
    PLAN = "PLAN"
    """Planning."""
    KALK = "KALK"
    """Costing."""
    BUCH = "BUCH"
    """Accounting."""
    GF = "GF"
    """Management."""
    ADMIN = "ADMIN"
    """Administration of the system; reads no business documents."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has logged in. He may do what any of his roles may."""

    name: str
    roles: frozenset[Role]
    device: str | None = None
    """The key of the device his session belongs to; None for a request without a session."""


def known_roles(names: Iterable[str]) -> frozenset[Role]:
    """The roles of the business among `names`; whatever else is there is left out."""
    members = Role._value2member_map_
    return frozenset(Role(name) for name in names if name in members)

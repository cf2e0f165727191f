"""Why a document was refused, for the people who read it: in English, and in German for who wrote it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Fault(NamedTuple):
    """What is wrong in one place, to follow its name."""

    path: str
    reason: str
    grund: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused write. Quotes only what was pushed and what its author may read."""

    rule: str
    """Stable name of what refused it."""
    reason: str
    grund: str
    """The reason in German."""
    fields: tuple[str, ...] = ()
    """Names of the fields that are wrong."""
    faults: tuple[Fault, ...] = field(default=(), compare=False)
    """Place by place, where each has something of its own; more of them than the reason names."""

"""What comes of a merge: the document, what rules have decided, and what is left to a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kompass.domain.merge_rules import Rule
from kompass.domain.paths import Steps, text_of


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that a person must decide about. Values are `ABSENT` where there is none."""

    steps: Steps
    base: Any
    mine: Any
    theirs: Any
    kind: str
    """The rule that leaves it to a person, or `no_base`, `removed`, `amount`, `together`, `deleted`."""
    recommendation: str
    """`mine`, `theirs` or `merge`."""
    confidence: float
    """From 0 to 1."""
    newer: str
    """Whose change is the later one: `mine` or `theirs`."""

    @property
    def path(self) -> str:
        return text_of(self.steps)

    @property
    def name(self) -> str:
        """The top-level field."""
        return str(self.steps[0]) if self.steps else ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A field that both changed and a rule has decided about."""

    steps: Steps
    rule: Rule
    taken: str
    """`mine`, `theirs` or `both`."""
    lost: Any
    """The value that isn't in the document; `ABSENT` if nothing was lost."""

    @property
    def path(self) -> str:
        return text_of(self.steps)


@dataclass(slots=True)
class Merged:
    body: dict[str, Any]
    """What both make together; where a person must decide, as it is stored."""
    open: list[FieldConflict] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    escalated: bool = False
    """Whether management decides what is open."""

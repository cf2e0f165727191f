"""What every kind of file has in common for whoever fills it: pages of documents in, bytes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from kompass.accounting.problems import Problem
from replication.store.values import Document

MOST_TOLD = 1000
"""Notes that are kept; the others are counted."""


@dataclass(slots=True)
class Told:
    """What became of the documents."""

    rows: int = 0
    left_out: int = 0
    """Documents that don't fit a profile for which they have to."""
    changed: int = 0
    """Cells that hold something else than the document."""
    sums: Mapping[str, Decimal] = field(default_factory=dict)
    """Heading -> sum of the column's numbers, of profiles for accounting programs."""
    problems: Sequence[Problem] = ()
    """Why documents were left out; `line` is the document's place."""
    notes: list[Problem] = field(default_factory=list)
    """Which cells were changed."""

    def note(self, problem: Problem) -> None:
        self.changed += 1
        if len(self.notes) < MOST_TOLD:
            self.notes.append(problem)

    def as_json(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "rows": self.rows,
            "left_out": self.left_out,
            "changed": self.changed,
            "sums": {heading: f"{number:f}" for heading, number in self.sums.items()},
            "problems": [_shown(one) for one in self.problems],
            "notes": [_shown(one) for one in self.notes],
        }


class Encoder(Protocol):
    """One file. Its methods are called one after the other, none of them in the event loop."""

    @property
    def told(self) -> Told: ...

    def add(self, documents: Sequence[Document]) -> bytes:
        """Takes some documents; what is ready of the file."""
        ...

    def end(self) -> Iterator[bytes]:
        """The rest of it, when there are no more."""
        ...

    def close(self) -> None:
        """Nobody wants the file any more, whether it was ended or not."""
        ...


def _shown(problem: Problem) -> dict[str, Any]:
    return {
        "row": problem.line,
        "column": problem.column,
        "value": problem.value,
        "rule": problem.rule,
        "reason": problem.reason,
        "grund": problem.grund,
    }

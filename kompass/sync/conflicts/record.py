"""One conflict as the server keeps it: what was changed differently, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from kompass.domain.merge_results import Decided, FieldConflict
from kompass.domain.paths import ABSENT, Steps
from replication.protocol import jsontext
from replication.protocol.revisions import Rev

MANAGEMENT = ""
"""In place of a person's name: everybody with the role GF."""

_NAMESPACE = UUID("6a0f7c1e-4d57-4b0c-9a53-0c1f2f1f6d2b")


DELETED = "deleted"
"""The kind of a field that stands for a whole document which one side has deleted."""


class State(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"
    MERGED = "merged"
    """The rules have decided everything."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A branch that did not go together with the winner by itself."""

    number: int
    """In the order in which they came up."""
    id: str
    docid: str
    doctype: str
    state: State
    escalated: bool
    """Whether management decides."""
    author: str
    """Who sent the branch."""
    device: str | None
    other: str
    """Who is said to have changed the winner last."""
    base: str | None
    """Revision that both come from, if it was still stored."""
    branch: str
    server: str
    """Revision that was the winner."""
    stayed: Rev
    """What became the winner. Whoever writes a version that follows it has seen it."""
    opened: datetime
    """Server time."""
    mine_at: datetime
    theirs_at: datetime
    fields: tuple[FieldConflict, ...]
    """What a person decides."""
    decided: tuple[dict[str, Any], ...]
    """What rules decided: path, rule, taken, and `lost` where something was."""
    deleted: bool
    """Whether the branch is a deletion."""
    text: dict[str, Any] | None = None
    """What its author sent; None for a deletion."""
    resolution: dict[str, Any] | None = None
    """Who settled it, when, how; see `store.settle`."""

    @property
    def was_gone(self) -> bool:
        """Whether the document had been deleted when the branch came. Then `stayed` is its deletion, and
        `server` what it said last.
        """
        return not self.deleted and any(one.kind == DELETED for one in self.fields)


def conflict_id(docid: str, branch: str) -> str:
    """The same branch is one conflict, however often it is sent."""
    return str(uuid5(_NAMESPACE, f"{docid}\0{branch}"))


def notice_id(conflict: str, reader: str) -> str:
    """The document that tells somebody."""
    unique = uuid5(_NAMESPACE, f"{conflict}\0{reader}")
    return f"conflict-{unique}"


def encode_fields(fields: Sequence[FieldConflict]) -> str:
    rows = []
    for one in fields:
        row: dict[str, Any] = {
            "steps": [list(step) if isinstance(step, tuple) else step for step in one.steps],
            "kind": one.kind,
            "recommendation": one.recommendation,
            "confidence": one.confidence,
            "newer": one.newer,
        }
        sides = {"base": one.base, "mine": one.mine, "theirs": one.theirs}
        row |= {name: value for name, value in sides.items() if value is not ABSENT}
        rows.append(row)
    return jsontext.encode(rows).decode()


def decode_fields(text: str) -> tuple[FieldConflict, ...]:
    return tuple(
        FieldConflict(
            _steps(row["steps"]),
            row.get("base", ABSENT),
            row.get("mine", ABSENT),
            row.get("theirs", ABSENT),
            row["kind"],
            row["recommendation"],
            row["confidence"],
            row["newer"],
        )
        for row in jsontext.decode(text)
    )


def decisions(decided: Sequence[Decided]) -> tuple[dict[str, Any], ...]:
    """As they are kept. Of an object that is made of both, nothing is lost."""
    rows = []
    for one in decided:
        row = {"path": one.path, "rule": one.rule.value, "taken": one.taken}
        if one.lost is not ABSENT:
            row["lost"] = one.lost
        rows.append(row)
    return tuple(rows)


def _steps(value: Sequence[Any]) -> Steps:
    return tuple(tuple(step) if isinstance(step, list) else step for step in value)

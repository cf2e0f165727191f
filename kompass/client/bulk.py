"""Many writes in one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kompass.client.errors import ProblemError

Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Create:
    """A new document."""

    resource: str
    document: Members


@dataclass(frozen=True, slots=True)
class Replace:
    """The document anew. `rev`: the revision that was read; None for whichever is there."""

    resource: str
    id: str
    document: Members
    rev: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Some of its members; None takes one away."""

    resource: str
    id: str
    changes: Members
    rev: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    resource: str
    id: str
    rev: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """An action, as `send` of an offer, with members that go with it."""

    resource: str
    id: str
    action: str
    members: Members = field(default_factory=dict)
    rev: str | None = None


Operation = Create | Replace | Update | Delete | Step


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of one operation."""

    status: int
    """As if it had been sent alone: 200, 201, 204, or why not."""
    id: str | None
    rev: str | None
    problem: ProblemError | None
    """None if it was done."""


def as_json(operation: Operation) -> dict[str, Any]:
    """As the server reads it."""
    told: dict[str, Any] = {"resource": operation.resource}
    if isinstance(operation, Create):
        return {**told, "op": "create", "document": operation.document}
    told |= {"id": operation.id, "rev": operation.rev or "*"}
    if isinstance(operation, Replace):
        return {**told, "op": "replace", "document": operation.document}
    if isinstance(operation, Update):
        return {**told, "op": "update", "document": operation.changes}
    if isinstance(operation, Step):
        return {**told, "op": "action", "action": operation.action, "document": operation.members}
    return {**told, "op": "delete"}


def outcome(told: Mapping[str, Any]) -> Outcome:
    """As the server tells it."""
    problem = told.get("problem")
    refused = ProblemError(told["status"], problem) if isinstance(problem, dict) else None
    return Outcome(told["status"], told.get("id"), told.get("rev"), refused)

"""What a trigger can say: a type of document, a condition on its old and its new state, and what to do.

Everything here is data. A condition reads few fields of the two states, and names them, so that no more is
kept of a document than what the next change is compared with. What fields say is anything: nobody has asked
here whether they keep to their models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

State = Mapping[str, Any]
"""The watched fields of a document, as it is at one moment."""


class Condition(Protocol):
    """Of a change from `old` to `new`; None is a document that isn't there."""

    @property
    def fields(self) -> frozenset[str]:
        """Those that it reads."""

    def holds(self, old: State | None, new: State | None) -> bool: ...


@dataclass(frozen=True, slots=True)
class Becomes:
    """The field gets one of the values, and had none of them."""

    field: str
    values: frozenset[str]

    @property
    def fields(self) -> frozenset[str]:
        return frozenset({self.field})

    def holds(self, old: State | None, new: State | None) -> bool:
        return self._has(new) and not self._has(old)

    def _has(self, state: State | None) -> bool:
        value = None if state is None else state.get(self.field)
        return isinstance(value, str) and value in self.values


@dataclass(frozen=True, slots=True)
class Changes:
    """The field gets another value, or its first one."""

    field: str

    @property
    def fields(self) -> frozenset[str]:
        return frozenset({self.field})

    def holds(self, old: State | None, new: State | None) -> bool:
        value = None if new is None else new.get(self.field)
        return value is not None and value != (None if old is None else old.get(self.field))


@dataclass(frozen=True, slots=True)
class Comes:
    """The document is new, or comes back."""

    @property
    def fields(self) -> frozenset[str]:
        return frozenset()

    def holds(self, old: State | None, new: State | None) -> bool:
        return old is None and new is not None


@dataclass(frozen=True, slots=True)
class Alters:
    """It was there and is there; only called for another revision."""

    @property
    def fields(self) -> frozenset[str]:
        return frozenset()

    def holds(self, old: State | None, new: State | None) -> bool:
        return old is not None and new is not None


@dataclass(frozen=True, slots=True)
class Goes:
    """It is deleted, purged or erased."""

    @property
    def fields(self) -> frozenset[str]:
        return frozenset()

    def holds(self, old: State | None, new: State | None) -> bool:
        return old is not None and new is None


@dataclass(frozen=True, slots=True)
class Is:
    """The field has one of the values: what has to stay so until the job is done."""

    field: str
    values: frozenset[str]

    def true(self, doc: Mapping[str, Any] | None) -> bool:
        value = None if doc is None else doc.get(self.field)
        return isinstance(value, str) and value in self.values


@dataclass(frozen=True, slots=True)
class At:
    """A day that the document names, and days before (negative) and after it, at an hour of Germany's."""

    field: str
    days: tuple[int, ...]
    hour: int = 8


# -- what is done ------------------------------------------------------------------------------

To = tuple[str, ...]
"""Whom it concerns; the first entry that gives somebody counts. `assignedTo` is a field of the document,
`opportunityId.owner` a field of the document that it names there, `role:BUCH` everybody with the role."""


@dataclass(frozen=True, slots=True)
class Notify:
    """A notification, for each who may read the document: ids, no texts."""

    to: To
    kind: str
    """Its `notificationType`."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to each of them, made from what he may read. Nothing without a mail server."""

    to: To


@dataclass(frozen=True, slots=True)
class Task:
    """A task for the first of them, due some days later."""

    to: To
    title: str
    due_in: int = 2


Action = Notify | Mail | Task


@dataclass(frozen=True, slots=True)
class Trigger:
    name: str
    """As webhooks call it: `offer.sent`."""

    doctype: str
    when: Condition | At
    actions: tuple[Action, ...] = ()
    while_: Is | None = None
    """Looked at once more when the job's time has come, and by `At` with every change."""

    after_days: int = 0
    """Days between the change and the job."""

    says: str = ""
    """For people, in German: the subject of a mail."""

    @property
    def fields(self) -> frozenset[str]:
        """What has to be kept of a document for it."""
        if isinstance(self.when, At):
            return frozenset()  # what the document says now decides
        return self.when.fields

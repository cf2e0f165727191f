"""A change as the rules of the business see it, and what they may know of other documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from kompass.access.fields import same
from kompass.access.principals import Principal

Body = Mapping[str, Any]
"""A document's members with `_id`, and `_attachments` as `{name: digest}` if it has any."""

_ABSENT = object()


def status_of(body: Body) -> str:
    """The document's `status`; empty if that is no text."""
    status = body.get("status")
    return status if isinstance(status, str) else ""


@dataclass(frozen=True, slots=True)
class Change:
    """One document that is about to be stored. Its author may see it and has the right to change it."""

    doc: Body | None
    """What is to be stored; None for a deletion."""
    before: Body | None
    """The stored winner that it follows; None for a new document. Never both None."""
    principal: Principal
    """Who wants it."""
    now: datetime
    """Server time, with a zone."""
    unseen: AbstractSet[str] = frozenset()
    """Ids that it names of documents that its author may not know of: to him there are none."""
    returns: bool = False
    """The document had been deleted and comes back: `before` is what it said last."""

    prints: bool = False
    """The server adds the print that it has made of the document."""

    @property
    def current(self) -> Body:
        """The document as it shall be, or as it was if it is deleted."""
        body = self.before if self.doc is None else self.doc
        assert body is not None
        return body

    @property
    def id(self) -> str:
        return str(self.current["_id"])

    @property
    def type(self) -> str:
        return str(self.current.get("type"))

    @property
    def is_new(self) -> bool:
        return self.before is None

    @property
    def names_anew(self) -> bool:
        """Whether all that it names is named now, also what hasn't changed."""
        return self.before is None or self.returns

    @property
    def is_deletion(self) -> bool:
        return self.doc is None

    def changes(self, field: str) -> bool:
        """Whether the top-level field gets another value than is stored, absence being one."""
        after = _ABSENT if self.doc is None else self.doc.get(field, _ABSENT)
        before = _ABSENT if self.before is None else self.before.get(field, _ABSENT)
        if after is _ABSENT or before is _ABSENT:
            return after is not before
        try:
            return not same(after, before)
        except RecursionError:  # nobody nests like this but to get past a comparison
            return True

    def changed(self) -> tuple[str, ...]:
        """The top-level fields that get another value, sorted; without `_id`, with `_attachments`."""
        names = {*(self.doc or ()), *(self.before or ())} - {"_id"}
        return tuple(sorted(name for name in names if self.changes(name)))


class Facts(Protocol):
    """Other documents, as the transaction has them that stores the change."""

    def document(self, docid: str) -> Body | None:
        """The winner; None if there is none or it is deleted."""

    def referring(self, doctype: str, field: str, docid: str) -> Iterable[Body]:
        """The live documents of a type whose field names that document; read as far as they are looked at."""

    def sharing(self, key: str, value: str, most: int | None = None) -> Sequence[str]:
        """The ids of live documents with that value of a key, at most so many; see `kompass.domain.keys`."""

    def coming(self, docid: str) -> Body | None:
        """What the same push brings of it, though it may be refused; None if nothing, or its deletion."""


class NoFacts:
    """There are no other documents."""

    def document(self, docid: str) -> None:
        return None

    def referring(self, doctype: str, field: str, docid: str) -> tuple[Body, ...]:
        return ()

    def sharing(self, key: str, value: str, most: int | None = None) -> tuple[str, ...]:
        return ()

    def coming(self, docid: str) -> None:
        return None

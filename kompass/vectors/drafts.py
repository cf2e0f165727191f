"""Documents of a batch as they have been read, and whose vectors may be made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kompass.access.audiences import Channel
from kompass.domain.changes import Body, NoFacts
from kompass.domain.consent import Purpose, may_process_about, named_customer
from kompass.feed.sink import Change
from kompass.search.entries import Place, placed
from kompass.vectors.entries import Kept
from kompass.vectors.passages import Passage, passages

CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that is searched, as it has been read."""

    id: str
    position: int
    rev: str
    channels: frozenset[Channel]
    doc: Mapping[str, Any]
    place: Place
    passages: tuple[Passage, ...]

    @property
    def about(self) -> str | None:
        """The customer that it is or that it is about."""
        if self.place.doctype == CUSTOMER:
            return self.id
        named = named_customer(self.doc)
        return named if isinstance(named, str) else None


def draft(
    docid: str, position: int, rev: str, channels: frozenset[Channel], doc: Mapping[str, Any]
) -> Draft | None:
    """None for a document of a type that isn't searched."""
    place = placed(docid, doc)
    if place is None:
        return None
    read = {name: doc[name] for name in doc}
    return Draft(docid, position, rev, channels, read, place, tuple(passages(read, place.searched)))


def drafted(changes: Sequence[Change]) -> list[Draft | None]:
    """Of each what is to be embedded; None for what is deleted or isn't searched."""
    return [
        None
        if change.doc is None
        else draft(change.id, change.position, change.rev, change.channels, change.doc)
        for change in changes
    ]


def again(kept: Iterable[Kept], originals: Mapping[str, Mapping[str, Any]]) -> list[Draft]:
    """Documents that may come in now. One that has another revision by now is on its way."""
    found = []
    for one in kept:
        doc = originals.get(one.id)
        if doc is not None and doc.get("_rev") == one.rev:
            found.append(draft(one.id, one.position, one.rev, one.channels, doc))
    return [one for one in found if one is not None]


class Customers(NoFacts):
    """The customers of a batch, for the rules about consent."""

    def __init__(self, known: Mapping[str, Body]) -> None:
        self._known = known

    def document(self, docid: str) -> Body | None:  # type: ignore[override]
        return self._known.get(docid)


def allowed(one: Draft, customers: Customers) -> bool:
    return may_process_about(Purpose.AI, one.doc, customers)


def named(drafts: Collection[Draft]) -> set[str]:
    """Customers whose consent has to be known."""
    return {one.about for one in drafts if one.about is not None and one.place.doctype != CUSTOMER}

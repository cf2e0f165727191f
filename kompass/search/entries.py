"""A document as an index has it: words, numbers and facets.

Pure, and total: whatever a document says, an entry or none comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from kompass.access.audiences import Channel, key_of
from kompass.access.companions import BASE_FIELD, CARDS
from kompass.feed.sink import Change
from kompass.search import fields, words
from kompass.search.catalogue import FACETS, SEARCHED, Searched, base_type

MOST_WORDS = 20_000
"""Words of a document that are searched, those that count most first."""

MOST_FACET = 200
"""Characters of a facet's value."""

_CARDS = frozenset(card.type for card in CARDS.values())
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One document in an index."""

    id: str
    base: str
    """The document that people are shown: itself, or what it is a companion or a card of."""
    primary: bool
    """Whether it is shown itself."""
    companion: bool
    """Whether it is no card either: what it says isn't in its base."""
    position: int
    rev: str
    channels: frozenset[Channel]
    shown: str
    """Its title as it is written, for whoever looks into an index; nobody is shown it from there."""
    title: str
    """Folded words, here and below, between blanks."""
    strong: str
    plain: str
    codes: frozenset[str]
    """Numbers in all their forms."""
    facets: Mapping[str, str]
    modified: int
    """Seconds since 1970, 0 if it doesn't say."""
    value: float | None
    weight: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document belongs among others."""

    doctype: str
    searched: Searched
    base: str
    """The document that people are shown: itself, or what it is a companion or a card of."""
    facets: Mapping[str, str]
    shown: str
    """Its title as it is written."""


def placed(docid: str, doc: Mapping[str, Any]) -> Place | None:
    """None for a document of a type that isn't searched."""
    doctype = doc.get("type")
    searched = SEARCHED.get(doctype) if isinstance(doctype, str) else None
    if searched is None:
        return None
    assert isinstance(doctype, str)
    doc = {**doc, "_id": docid}
    base = docid
    if doctype in BASE_FIELD:
        named = key_of(doc.get(BASE_FIELD[doctype]))
        if named is None:
            return None
        base = named
    facets = {"type": base_type(doctype)}
    for facet, path in searched.facets.items():
        found = fields.text(doc, path)
        if found is not None and len(found) <= MOST_FACET:
            facets[facet] = sound(found)
    shown = sound(" ".join(part for path in searched.title for part in fields.texts(doc, path)))[:200]
    return Place(doctype, searched, base, facets, shown)


def entry(change: Change) -> Entry | None:
    """None for a document of a type that isn't searched, and for one that is deleted."""
    place = None if change.doc is None else placed(change.id, change.doc)
    if change.doc is None or place is None:
        return None
    searched, docid = place.searched, change.id
    doc = {**change.doc, "_id": docid}
    budget = [MOST_WORDS]
    title = _words(doc, searched.title, budget)
    strong = _words(doc, searched.strong, budget)
    plain = _words(doc, searched.plain, budget)
    return Entry(
        id=docid,
        base=place.base,
        primary=place.base == docid,
        companion=place.base != docid and place.doctype not in _CARDS,
        position=change.position,
        rev=change.rev,
        channels=change.channels,
        shown=place.shown,
        title=title,
        strong=strong,
        plain=plain,
        codes=frozenset(_codes(doc, searched)),
        facets=place.facets,
        modified=_moment(doc.get("modifiedAt")),
        value=_value(doc, searched.value),
        weight=searched.weight / (1 + 0.01 * min(title.count(" "), 20)),
    )


def _words(doc: Mapping[str, Any], paths: tuple[str, ...], budget: list[int]) -> str:
    found: list[str] = []
    for path in paths:
        for text in fields.texts(doc, path):
            if budget[0] <= 0:
                break
            some = list(words.words(text))[: budget[0]]
            budget[0] -= len(some)
            found += some
    return " ".join(found)


def _codes(doc: Mapping[str, Any], searched: Searched) -> set[str]:
    found: set[str] = set()
    for path in searched.exact:
        for text in fields.texts(doc, path):
            found |= words.codes(text)
    for path in searched.amounts:
        for value in fields.values(doc, path):
            amount = words.amount(value)
            if amount is not None:
                found.add(amount)
    return {sound(code) for code in found}


def key(docid: str) -> str:
    """An id as an index has it: short, and nobody reads it."""
    return blake2b(docid.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def sound(text: str) -> str:
    """Half a surrogate pair can't be stored."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _moment(value: object) -> int:
    if not isinstance(value, str):
        return 0
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return max(0, int(min(moment, _LATEST).timestamp()))
    except (OverflowError, ValueError):
        return 0


def _value(doc: Mapping[str, Any], path: str) -> float | None:
    found = fields.number(doc, path) if path else None
    if found is None or not -(10**15) <= found <= 10**15:  # nor what isn't a number
        return None
    return float(found)


assert set(FACETS) >= {facet for searched in SEARCHED.values() for facet in searched.facets}

"""Which field each column of a file is: guessed from its heading, with how sure that is, for a person to
confirm.

A heading is a field's name, one of the names it is known by, or nearly one; or somebody has said it before,
for a file with the same headings.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.util import find_spec

from kompass.imports.targets import Target, name_key, targets

NEARLY = 86.0
"""Percent of likeness from which on a heading may be meant."""
APART = 4.0
"""So much less likely has any other field to be."""
LOOKED_AT = 20
"""Rows from the top among which the headings are looked for."""


class How(StrEnum):
    EXACT = "exact"
    """It is the name of the field, or its label."""
    SYNONYM = "synonym"
    SIMILAR = "similar"
    REMEMBERED = "remembered"
    """Somebody has said so for the same headings before."""
    CHOSEN = "chosen"
    """Somebody says so for this file."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Match:
    """What a column is."""

    field: str | None
    how: How
    confidence: float
    """From 0 to 1."""


NOTHING = Match(None, How.NONE, 0.0)


def source_of(doctype: str, headings: Sequence[str]) -> str:
    """What mappings are remembered by: the set of headings."""
    keys = sorted(name_key(heading) for heading in headings)
    return hashlib.sha256("\n".join([doctype, *keys]).encode()).hexdigest()


def header_place(rows: Sequence[Sequence[object]], target: Target) -> int | None:
    """Which of the first rows has the headings; None if none of them looks like it."""
    known = _known(target.type)
    best, most = None, 1
    for place, row in enumerate(rows[:LOOKED_AT]):
        found = sum(1 for cell in row if isinstance(cell, str) and name_key(cell) in known)
        if found > most:
            best, most = place, found
    if best is not None:
        return best
    # Headings in other words: the first row of several texts, none of them twice.
    for place, row in enumerate(rows[:LOOKED_AT]):
        texts = [cell.strip() for cell in row if isinstance(cell, str) and cell.strip()]
        if len(texts) == len(row) and len(texts) > 1 and len(set(texts)) == len(texts):
            return place if not any(any(sign.isdigit() for sign in text) for text in texts) else None
    return None


def twice(headings: Iterable[str]) -> list[str]:
    """Headings that a file has more than once."""
    counts = Counter(name_key(heading) for heading in headings if heading.strip())
    return sorted({heading for heading in headings if counts[name_key(heading)] > 1})


def guess(
    headings: Sequence[str], target: Target, remembered: Mapping[str, str | None] | None
) -> list[Match]:
    """One for each column. `remembered`: key of a heading -> field. No field is taken by two columns."""
    found = [_of(heading, target, remembered) for heading in headings]
    order = sorted(range(len(found)), key=lambda place: -_rank(found[place]))
    taken: set[str] = set()
    for place in order:
        field = found[place].field
        if field is None:
            continue
        if field in taken:
            found[place] = NOTHING
        taken.add(field)
    return found


def _rank(match: Match) -> float:
    return match.confidence + (match.how is How.REMEMBERED)


def _of(heading: str, target: Target, remembered: Mapping[str, str | None] | None) -> Match:
    key = name_key(heading)
    if not key:
        return NOTHING
    if remembered is not None and key in remembered:
        field = remembered[key]
        if field is None or field in target.fields:
            return Match(field, How.REMEMBERED, 1.0)
    known = _known(target.type)
    if key in known:
        return known[key]
    return _similar(key, target.type)


@cache
def _known(doctype: str) -> Mapping[str, Match]:
    """Key of a name -> what it means."""
    found: dict[str, Match] = {}
    for field in targets()[doctype].fields.values():
        for name in field.names:
            found.setdefault(name_key(name), Match(field.path, How.SYNONYM, 0.95))
    for field in targets()[doctype].fields.values():
        for name in (field.label, field.name, field.path):
            key = name_key(name)
            if key not in found or found[key].field == field.path:
                found[key] = Match(field.path, How.EXACT, 1.0)
    return found


def _similar(key: str, doctype: str) -> Match:
    """What it nearly says. Nothing where `rapidfuzz` isn't installed, and for what might be two fields."""
    if find_spec("rapidfuzz") is None or len(key) < 4:
        return NOTHING
    from rapidfuzz import fuzz, process

    known = _known(doctype)
    found = process.extract(key, list(known), scorer=fuzz.ratio, score_cutoff=NEARLY - APART, limit=10)
    if not found or found[0][1] < NEARLY:
        return NOTHING
    field = known[found[0][0]].field
    if any(known[name].field != field and score > found[0][1] - APART for name, score, _ in found):
        return NOTHING
    return Match(field, How.SIMILAR, round(found[0][1] / 100, 2))

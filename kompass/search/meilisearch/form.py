"""How entries lie in MeiliSearch, and the settings of an index."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kompass.feed.sink import Checkpoint
from kompass.search.asking import Question, Term
from kompass.search.catalogue import FACETS
from kompass.search.entries import Entry, key, sound
from kompass.search.index import MOST_FACET_VALUES
from kompass.search.synonyms import STOP, SYNONYMS, tail

CHECKPOINT = "checkpoint"
"""The document that holds the checkpoint."""

BUILDING = "building"
"""A document that an index has as long as it is being built."""

MOST_TOTAL = 1_000_000
"""Documents up to which is counted."""

SETTINGS: Mapping[str, Any] = {
    # In this order a match counts: the field before how exact it is, as nothing must depend on frequencies.
    # Where in its field a word stands says nothing.
    "searchableAttributes": ["codes", "title", "strong", "plain", "tails"],
    "filterableAttributes": ["channels", "key", "base", "companion", *FACETS],
    "sortableAttributes": ["modified", "value"],
    "displayedAttributes": ["*"],
    "rankingRules": ["sort", "words", "typo", "proximity", "attributeRank", "exactness", "weight:desc"],
    "stopWords": sorted(STOP),
    "synonyms": {word: list(others) for word, others in SYNONYMS.items()},
    "typoTolerance": {
        "enabled": True,
        "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9},
        "disableOnAttributes": ["codes"],
        "disableOnNumbers": True,
    },
    "faceting": {"maxValuesPerFacet": MOST_FACET_VALUES, "sortFacetValuesBy": {"*": "count"}},
    "pagination": {"maxTotalHits": MOST_TOTAL},
    # Not German: words come folded, and its dictionary takes such words apart (`muller` into `mull` and the
    # stop word `er`), which then are found no more. The ends of compounds are in `tails`.
    "localizedAttributes": [{"attributePatterns": ["*"], "locales": ["eng"]}],
    "prefixSearch": "indexingTime",
    "searchCutoffMs": 1500,
}


def document(entry: Entry) -> dict[str, Any]:
    """All of it: a document takes the place of the one with its key."""
    return {
        "key": key(entry.id),
        "id": sound(entry.id),
        "base": sound(entry.base),
        "companion": entry.companion,
        "position": entry.position,
        "rev": sound(entry.rev),
        "channels": sorted(map(sound, entry.channels)),
        "shown": entry.shown,
        "codes": sorted({form for code in entry.codes for form in _forms(code)}),
        "title": entry.title,
        "strong": entry.strong,
        "plain": entry.plain,
        "tails": " ".join(
            found
            for word in f"{entry.title} {entry.strong} {entry.plain}".split()
            if (found := tail(word)) is not None
        ),
        **entry.facets,
        "modified": entry.modified,
        "weight": entry.weight,
        **({} if entry.value is None else {"value": entry.value}),
    }


def gone(docid: str, position: int) -> dict[str, Any]:
    """What is left of a document that is no more: that an older change of it is not to be believed."""
    return {"key": key(docid), "position": position}


def checkpoint_document(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "key": CHECKPOINT,
        "epoch": checkpoint.epoch,
        "since": checkpoint.since,
        "position": checkpoint.position,
    }


def checkpoint_of(stored: Mapping[str, Any] | None) -> Checkpoint | None:
    return None if stored is None else Checkpoint(stored["epoch"], stored["since"], stored["position"])


def text_of(question: Question, left_out: int | None = None) -> str:
    """What MeiliSearch is given for a question: folded words. There is nothing in it that it could obey."""
    terms = [term for at, term in enumerate(question.terms) if at != left_out]
    text = " ".join(_asked(term) for term in terms)
    # A blank behind the last word says that it is complete.
    return text if not terms or terms[-1].begun else f"{text} "


def _asked(term: Term) -> str:
    if term.amount is not None and len(term.words) > 1:
        return _money(term.amount)  # with a comma or a dot; without one it is found as a number
    return term.code or " ".join(term.words)


def _forms(code: str) -> list[str]:
    """The words under which a number is found. A whole sum is found as a number, too."""
    if code[:1] != "=":
        return [code]
    whole = [code[1:-2]] if code.endswith("00") and len(code) > 3 else []
    return [_money(code), *whole]


def _money(amount: str) -> str:
    return f"eur{amount[1:].replace('-', 'm')}"


def one_of(field: str, values: Collection[str]) -> str:
    return f"{field} IN {_listed(values)}"


def none_of(field: str, values: Collection[str]) -> str:
    return f"{field} NOT IN {_listed(values)}"


def _listed(values: Collection[str]) -> str:
    return "[" + ", ".join(_quoted(value) for value in sorted(values)) + "]"


def _quoted(value: str) -> str:
    """A value of a filter; the only characters that mean something in it are taken care of."""
    return '"' + sound(value).replace("\\", "\\\\").replace('"', '\\"') + '"'

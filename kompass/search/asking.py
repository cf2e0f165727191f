"""What somebody asks for: words, numbers, filters. There is no syntax that a question could break.

Pure. However long or strange a text is, what comes of it is small: an index works on `MOST_TERMS` words at
most, of `LONGEST_WORD` characters each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kompass.search import words
from kompass.search.synonyms import STOP, SYNONYMS

MOST_TERMS = 10
"""Words of a question that count."""

MOST_QUESTION = 500
"""Characters of a question."""

MOST_LIMIT = 50
"""Hits in one answer."""

MOST_OFFSET = 1000
"""How far one can leaf. Whoever wants more asks more precisely."""

FEWEST_DIGITS, MOST_LETTERS = 5, 3
"""Of a number that is written with blanks: `DE 985 635 394`, `030 23125 017`."""

LONGEST_FORGIVEN = 24
"""Characters up to which mistakes in a word are forgiven."""


class Sort(StrEnum):
    RELEVANCE = "relevance"
    NEWEST = "-modifiedAt"
    OLDEST = "modifiedAt"
    DEAREST = "-value"
    CHEAPEST = "value"


@dataclass(frozen=True, slots=True)
class Term:
    """One word or number that a document must have."""

    words: tuple[str, ...]
    """Folded. Several for what is written together, as `R-2024-00456`: all of them."""
    begun: bool = False
    """Whether it may be the beginning of a word: somebody is still writing it."""
    code: str = ""
    """The form under which it would be found as a number; empty without a digit."""
    amount: str | None = None
    """The form under which it would be found as a sum of money."""

    @property
    def mistakes(self) -> int:
        """How many letters may be wrong. None in short words, and none in numbers."""
        if self.code or len(self.words) != 1 or len(self.words[0]) > LONGEST_FORGIVEN:
            return 0
        return 0 if len(self.words[0]) < 5 else 1 if len(self.words[0]) < 9 else 2

    @property
    def synonyms(self) -> tuple[str, ...]:
        return SYNONYMS.get(self.words[0], ()) if len(self.words) == 1 else ()


@dataclass(frozen=True, slots=True)
class Question:
    terms: tuple[Term, ...]
    number: str = ""
    """All of it as one number, if it may be one that is written with blanks."""
    nonsense: bool = False
    """Something was asked, but there is no word in it: nothing fits."""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Facet -> values, one of which a document must have."""
    sort: Sort = Sort.RELEVANCE
    text: str = ""
    """As it was written, for what doesn't go by words."""


def question(
    text: str, filters: Mapping[str, tuple[str, ...]] | None = None, sort: Sort = Sort.RELEVANCE
) -> Question:
    """What is asked by a text as somebody has written it."""
    text = "".join(" " if unicodedata.category(one)[0] == "C" else one for one in text[:MOST_QUESTION])
    text = unicodedata.normalize("NFC", text)
    chunks = text.split()
    terms: list[Term] = []
    for chunk in chunks:
        if len(terms) >= MOST_TERMS:
            break
        folded = tuple(words.words(chunk))
        if not folded:
            continue
        if words.has_digit(chunk):
            terms.append(
                Term(folded[:MOST_TERMS], code=words.joined(chunk), amount=words.asked_amount(chunk))
            )
        else:
            terms += [Term((word,)) for word in folded]
    terms = terms[:MOST_TERMS]
    telling = [term for term in terms if term.words[0] not in STOP] or terms
    if telling and telling[-1] is terms[-1] and not text[-1:].isspace():
        last = telling[-1]
        telling[-1] = Term(last.words, True, last.code, last.amount)
    whole = words.joined(text)
    digits = sum(one.isdigit() for one in whole)
    spoken = len(chunks) > 1 and digits >= FEWEST_DIGITS and len(whole) - digits <= MOST_LETTERS
    return Question(
        terms=tuple(telling),
        number=whole if spoken else "",
        nonsense=bool(chunks) and not terms,
        filters=filters or {},
        sort=sort,
        text=" ".join(chunks),
    )

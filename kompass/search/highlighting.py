"""Which words of a text were asked for, as a piece of HTML that can be put anywhere.

Made from the text that somebody is shown, never from an index. Everything is escaped but the two tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape

from kompass.search import words
from kompass.search.asking import Question, Term
from kompass.search.synonyms import tail

BEFORE, AFTER = "<mark>", "</mark>"

LENGTH = 160
"""Characters of a piece, about."""

MOST_READ = 20_000
"""Characters of a text that are looked through."""


class Highlighter:
    """For one question. `stem` gives what the index takes a folded word for."""

    def __init__(self, question: Question, stem: Callable[[str], str]) -> None:
        self._stem = stem
        self._terms = question.terms
        self._number = question.number
        self._words = {
            word for term in self._terms for word in (*(term.words if not term.code else ()), *term.synonyms)
        }
        self._stems = {stem(word) for word in self._words}
        self._begun = tuple(term.words[0] for term in self._terms if term.begun and len(term.words) == 1)

    def piece(self, text: str) -> str | None:
        """The part of a text where most of what was asked for stands; None if nothing of it does."""
        if not self._terms:
            return None
        text = text[:MOST_READ]
        found = [(start, end) for start, end, word in words.spans(text) if self._fits(word)]
        found = found or list(self._mistaken(text))
        return _marked(text, found) if found else None

    def number(self, text: str) -> str | None:
        """A number in full, if it was asked for, or begins as it does."""
        forms = words.codes(text)
        whole = words.joined(text)
        asked = (
            term.code in forms or (term.begun and whole.startswith(term.code))
            for term in self._terms
            if term.code
        )
        fits = any(asked) or (self._number and self._number in forms)
        return f"{BEFORE}{_safe(text)}{AFTER}" if fits else None

    def amount(self, value: object) -> bool:
        """Whether a sum of money was asked for."""
        form = words.amount(value)
        return form is not None and any(term.amount == form for term in self._terms)

    def _fits(self, word: str) -> bool:
        if word in self._words or self._stem(word) in self._stems:
            return True
        if self._begun and word.startswith(self._begun):
            return True
        end = tail(word)
        if end is not None and self._stem(end) in self._stems:
            return True
        return any(term.code and word in (*term.words, term.code) for term in self._terms)

    def _mistaken(self, text: str) -> Iterator[tuple[int, int]]:
        """Words that were asked for with a mistake, where none stands as it was asked for."""
        asked = [term for term in self._terms if term.mistakes]
        if asked:
            for start, end, word in words.spans(text):
                if any(_alike(term, word) for term in asked):
                    yield start, end


def _alike(term: Term, word: str) -> bool:
    return within(term.words[0], word, term.mistakes)


def within(one: str, other: str, most: int) -> bool:
    """Whether one word becomes the other by at most so many letters more, fewer, others or changed over."""
    if abs(len(one) - len(other)) > most:
        return False
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, above, row = row, before, [at]
        for place, each in enumerate(other, 1):
            cost = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (letter != each))
            if at > 1 and place > 1 and letter == other[place - 2] and each == one[at - 2]:
                cost = min(cost, above[place - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
    return row[-1] <= most


def _marked(text: str, found: list[tuple[int, int]]) -> str:
    """The piece with most marks in it, whole words, with dots where it was cut. They come in their order."""
    start, most, upto = 0, 0, 0
    for at, (first, _) in enumerate(found):
        while upto < len(found) and found[upto][1] <= first + LENGTH:
            upto += 1
        if upto - at > most:
            start, most = first, upto - at
    end = min(len(text), start + LENGTH)
    start = max(0, start - LENGTH // 4)
    while start > 0 and not text[start - 1].isspace() and start > end - 2 * LENGTH:
        start -= 1
    while end < len(text) and not text[end].isspace() and end < start + 2 * LENGTH:
        end += 1
    pieces, at = ["…" if start else ""], start
    for first, last in found:
        if first >= at and last <= end:
            pieces += [_safe(text[at:first]), BEFORE, _safe(text[first:last]), AFTER]
            at = last
    return "".join([*pieces, _safe(text[at:end]), "…" if end < len(text) else ""])


def _safe(text: str) -> str:
    """Escaped, on one line, without what isn't shown or turns the direction of what follows."""
    return escape("".join(one if one.isprintable() else " " for one in text))

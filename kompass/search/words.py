"""Words as an index compares them: German spelling made one, numbers left as they are.

`Müller`, `Mueller` and `muller` are the same word, so are `Straße`, `Strasse` and `Str.`, also at the end of
a name. What is stored and what is asked for go through the same functions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

MOST_TEXT = 100_000
"""Characters of one field that are searched."""

LONGEST_WORD = 60
"""Characters of one word that count."""

_WORD = re.compile(r"[^\W_]+")
_DIGIT = re.compile(r"[0-9]")
_E = re.compile(r"([ao])e|(?<![aeiouq])(u)e")
_STREET = re.compile(r"str\Z")
_ABROAD = re.compile(r"\s*(?:\+|00)49[\s/-]*(?:\(0\))?[\s()/-]*")
_AMOUNT = re.compile(
    r"(?P<german>[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]{1,12})(?:,(?P<cents>[0-9]{1,2}))?"
    r"|(?P<whole>[0-9]{1,12})\.(?P<hundredths>[0-9]{1,2})"
)


def fold(text: str) -> str:
    """Letters without case, dots and accents; `ae`, `oe`, `ue` as the umlauts they stand for."""
    folded = text.casefold()
    if not folded.isascii():
        folded = "".join(
            one for one in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(one)
        )
    return _E.sub(lambda found: found[1] or found[2], folded)


def words(text: str) -> Iterator[str]:
    """The words of a text, folded."""
    for word in _WORD.findall(fold(text[:MOST_TEXT])):
        yield spelled(word)


def spelled(word: str) -> str:
    """A folded word without abbreviations."""
    return _STREET.sub("strasse", word[:LONGEST_WORD]) if word.endswith("str") else word[:LONGEST_WORD]


def spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Where the words of a text stand, and what they are folded."""
    for found in _WORD.finditer(text):
        word = fold(found[0])
        # Folding may take a word apart, as `½` becomes 1⁄2: what stands there is one word all the same.
        yield found.start(), found.end(), spelled("".join(_WORD.findall(word)))


def has_digit(text: str) -> bool:
    return _DIGIT.search(text) is not None


def joined(text: str) -> str:
    """A number without what it is written with: `R-2024-00456` and `r2024 00456` are the same."""
    return "".join(_WORD.findall(text.casefold()))[:LONGEST_WORD]


def codes(text: str) -> set[str]:
    """The forms under which a number of a document or a telephone is found."""
    text = text[:500]
    found = set()
    for each in (text, _ABROAD.sub("0", text, count=1) if _ABROAD.match(text) else text):
        found.add(joined(each))
        found.update(piece.casefold()[:LONGEST_WORD] for piece in _WORD.findall(each) if has_digit(piece))
    found.discard("")
    return found


def amount(value: object) -> str | None:
    """The form under which a sum of money is found, None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        cents = round(Decimal(str(value)) * 100)
    except (ArithmeticError, ValueError):
        return None
    return f"={cents}" if abs(cents) < 10**15 else None


def asked_amount(text: str) -> str | None:
    """The same for a sum as somebody writes it: `63.046,00`, `63046,00`, `63046.00`, `63046`, with `€`."""
    found = _AMOUNT.fullmatch(text.strip("€ "))
    if found is None:
        return None
    whole = (found["german"] or found["whole"]).replace(".", "")
    cents = (found["cents"] or found["hundredths"] or "").ljust(2, "0")
    return f"={int(whole + cents)}"

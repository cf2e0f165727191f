"""Where a person shows in texts: his name, his mail address, his telephone numbers, and how they are written.

What means him wherever it stands (a whole name, an address, a number) is looked for everywhere. His
surname alone and his street count only in documents that name him: "Müller" is somebody else elsewhere. What
stands in the record of another person or company as well, such as the mail address of an office, means nobody
alone and is left out (`without`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kompass.domain.changes import Body
from kompass.domain.personal import CODES, NAMES, REMOVED

SHORTEST = 4
"""Characters of a value that is looked for everywhere."""
SHORTEST_NAME = 3
SHORTEST_NUMBER = 6
"""Digits."""

_PHONES = frozenset({"phone", "mobile", "phoneNumber"})
_KEPT = frozenset({"type", "status", "owner", "assignedTo", "user", "userName", "rev", "author"})
"""Members that are no texts: what people chose from a list, or whom they log in as."""
_KEPT_ENDINGS = ("Id", "Ids", "By", "At", "Rev", "Hash")


def is_kept(name: str) -> bool:
    """Whether a member with this name is no text, but an id, a time, a login name or a choice."""
    return name in _KEPT or name.endswith(_KEPT_ENDINGS)


@dataclass(frozen=True)
class Traces:
    """What to look for, as regular expressions by the text that takes its place."""

    everywhere: Mapping[str, str] = field(default_factory=dict)
    """Value -> what stands instead."""
    nearby: Mapping[str, str] = field(default_factory=dict)
    """The same for documents that name him."""

    @cached_property
    def wide(self) -> Finder:
        """Finds him anywhere."""
        return Finder(self.everywhere)

    @cached_property
    def close(self) -> Finder:
        """Finds him in documents that name him."""
        return Finder({**self.everywhere, **self.nearby})

    def without(self, values: Collection[str]) -> Traces:
        """Leaves out values that aren't his alone."""
        return Traces(
            {value: text for value, text in self.everywhere.items() if value not in values}, self.nearby
        )

    def __or__(self, other: Traces) -> Traces:
        return Traces({**self.everywhere, **other.everywhere}, {**self.nearby, **other.nearby})


def traces(bodies: Iterable[Body], label: str) -> Traces:
    """What versions of a subject's own document say about how it is found elsewhere."""
    wide: dict[str, str] = {}
    near: dict[str, str] = {}
    for body in bodies:
        if body.get("anonymized") is True:
            continue
        doctype = str(body.get("type"))
        if doctype not in NAMES:
            continue
        login = {_text(body.get(name)).casefold() for name in ("userName", "name")}
        for name in NAMES[doctype]:
            if doctype != "user" or _text(body.get(name)).casefold() not in login:
                _add(wide, body.get(name), label)
        first, last = _text(body.get("firstName")), _text(body.get("lastName"))
        if last and first:
            _add(wide, f"{first} {last}", label)
            _add(wide, f"{last}, {first}", label)
            _add(wide, f"{last} {first}", label)
        if len(last) >= SHORTEST_NAME:
            near[last] = label
        for name in CODES:
            value = _text(body.get(name))
            if name not in _PHONES or sum(letter.isdigit() for letter in value) >= SHORTEST_NUMBER:
                _add(wide, value, REMOVED)
        address = body.get("billingAddress")
        if isinstance(address, Mapping) and _text(address.get("street")):
            street = f"{_text(address['street'])} {_text(address.get('streetNumber'))}".strip()
            near[street] = REMOVED
    return Traces(wide, near)


def _add(values: dict[str, str], value: object, label: str) -> None:
    text = _text(value)
    if len(text) >= SHORTEST:
        values[text] = label


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


_BETWEEN = r"[\s\-()/.]*"
_SEPARATORS = re.compile(r"[\s\-()/.]+")
_NUMBER = re.compile(r"^\+?[0-9\s\-()/.]{6,}$")


def _digits(value: str) -> tuple[str, str]:
    """The digits of a number that are always there, and what may stand before them."""
    digits = re.sub(r"[^0-9]", "", value)
    german = r"(?:(?:\+|00)49[\s\-()/.]*(?:\(0\))?|0)"
    if digits.startswith("0049"):
        return digits[4:], german
    if digits.startswith("49") and value.lstrip().startswith("+"):
        return digits[2:], german
    if digits.startswith("0") and not digits.startswith("00"):
        return digits[1:], german
    return digits, r"\+?"


_SPELT = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "@": "%40"}
"""How people write letters that they can't type, and addresses of pages an @."""


def _letter(letter: str) -> str:
    """Finds a letter as it is, taken apart into letter and accent, and as it is spelt without."""
    forms = [letter, unicodedata.normalize("NFD", letter), _SPELT.get(letter.lower(), letter)]
    found = list(dict.fromkeys(map(re.escape, forms)))
    return found[0] if len(found) == 1 else f"(?:{'|'.join(found)})"


def pattern(value: str) -> str:
    """Finds a value however it is written: blanks of any kind, a number with or without its country."""
    if _NUMBER.match(value):
        digits, prefix = _digits(value)
        return "".join((r"(?<![0-9])", prefix, _BETWEEN, _BETWEEN.join(digits), r"(?![0-9])"))
    value = unicodedata.normalize("NFC", value)
    words = r"\s+".join("".join(map(_letter, word)) for word in value.split())
    before = r"(?<!\w)" if value[:1].isalnum() else ""
    after = r"(?!\w)" if value[-1:].isalnum() else ""
    return f"{before}{words}{after}"


class _Sought:
    """A value that is looked for, and by what a text shows quickly that it hasn't got it."""

    __slots__ = ("digits", "pattern", "regex", "word")

    def __init__(self, value: str) -> None:
        self.pattern = pattern(value)
        self.regex = re.compile(self.pattern, re.IGNORECASE)
        self.word = self.digits = ""
        if _NUMBER.match(value):
            self.digits = _digits(value)[0]
        else:
            self.word = max(map(_folded, value.split()), key=len, default="")


class Finder:
    """Says whether a text has one of the values, and is quick about most texts, which have none."""

    def __init__(self, values: Iterable[str]) -> None:
        self._sought = [_Sought(value) for value in sorted(values, key=_longest_first)]
        self._has_numbers = any(one.digits for one in self._sought)

    def found(self, text: str) -> bool:
        return any(one.regex.search(text) is not None for one in self.possible(text))

    def possible(self, text: str) -> list[_Sought]:
        """What the text may have, the longest values first."""
        folded = _folded(text)
        joined = _SEPARATORS.sub("", text) if self._has_numbers else ""
        return [one for one in self._sought if (one.digits in joined if one.digits else one.word in folded)]


def _longest_first(value: str) -> tuple[int, str]:
    return -len(value), value


_FOLDED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def _folded(text: str) -> str:
    """What differs in case alone, as regular expressions take it, is alike."""
    text = text.replace("%40", "@")
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFC", text).casefold()
    folded = unicodedata.normalize("NFC", folded).replace("i\u0307", "i").replace("\u0131", "i")
    return folded.translate(_FOLDED)


class Replacer:
    """Replaces what means somebody in the texts of documents."""

    def __init__(self, found: Traces, *, near: bool) -> None:
        values = {**found.everywhere, **found.nearby} if near else dict(found.everywhere)
        self._finder = Finder(values)
        self._texts = [(re.compile(pattern(value), re.IGNORECASE), text) for value, text in values.items()]
        self._compiled: dict[str, re.Pattern[str]] = {}

    def text(self, value: str) -> str:
        """The text without him."""
        possible = self._finder.possible(value)
        if not possible:
            return value
        alternatives = "|".join(one.pattern for one in possible)
        found = self._compiled.get(alternatives)
        if found is None:
            found = self._compiled[alternatives] = re.compile(alternatives, re.IGNORECASE)
        return found.sub(self._instead, value)

    def _instead(self, match: re.Match[str]) -> str:
        for one, text in self._texts:
            if one.fullmatch(match[0]):
                return text
        return REMOVED

    def value(self, value: Any) -> Any:
        """A JSON value without him. What is no text, such as ids and times, stays."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(name): one if is_kept(name) else self.value(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.value(one) for one in value]
        return value


def texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value that `Replacer.value` looks at."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if not is_kept(name):
                yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)

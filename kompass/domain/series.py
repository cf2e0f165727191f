"""The series of numbers: which documents have one, how it looks, and when the server gives it.

A number is given once, by the server, when a document becomes more than its author's draft; so there are no
gaps though devices work offline. Until then a device shows `provisional_label`. A pattern is text with
`{year}` and `{kind}` and, at its end, `{number:05}` with the least number of digits. Everything before the
digits is the *prefix*, and each prefix is counted by itself: a pattern with a year begins anew each year,
one with a kind counts each kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from kompass.domain.changes import Body

_NUMBER = re.compile(r"\{number:0?([1-9])\}\Z")
_LITERAL = re.compile(r"[A-Za-z0-9./-]*\Z")
MAX_NUMBER = 40
"""Characters. What is longer is no number of a document."""


@dataclass(frozen=True)
class Pattern:
    """How the numbers of a series are written. Raises `ValueError` for what is no pattern."""

    text: str

    def __post_init__(self) -> None:
        found = _NUMBER.search(self.text)
        if found is None:
            raise ValueError(f"{self.text!r} must end with the number, as in A-{{year}}-{{number:05}}")
        rest = self.text[: found.start()].replace("{year}", "", 1).replace("{kind}", "", 1)
        if not _LITERAL.match(rest) or not self.text[:1].isalpha():
            raise ValueError(
                f"{self.text!r} may have letters, digits, '-', '.', '/', {{year}} and {{kind}}, each once,"
                " before the number, and begins with a letter"
            )

    @property
    def digits(self) -> int:
        found = _NUMBER.search(self.text)
        assert found is not None
        return int(found.group(1))

    @property
    def has_kind(self) -> bool:
        return "{kind}" in self.text

    @property
    def initial(self) -> str:
        """What stands before the first sign: `A` of `A-{year}-{number:05}`."""
        return re.split(r"[^A-Za-z]", self.text, maxsplit=1)[0]

    def prefix(self, year: int, kind: str) -> str:
        return _NUMBER.sub("", self.text).replace("{year}", f"{year:04}").replace("{kind}", kind)

    def number(self, prefix: str, value: int) -> str:
        return f"{prefix}{value:0{self.digits}}"

    @cached_property
    def _form(self) -> re.Pattern[str]:
        head = re.escape(_NUMBER.sub("", self.text)).replace(r"\{year\}", "[0-9]{4}")
        head = head.replace(r"\{kind\}", "[A-Z0-9]{1,3}")
        return re.compile(f"({head})([0-9]{{{self.digits}}}|[1-9][0-9]{{{self.digits},11}})")

    def read(self, number: str) -> tuple[str, int] | None:
        """Prefix and value of a number of this pattern."""
        found = self._form.fullmatch(number)
        return None if found is None else (found.group(1), int(found.group(2)))


@dataclass(frozen=True, slots=True)
class Series:
    """One series of numbers, given to one type of document."""

    name: str
    type: str
    field: str
    pattern: Pattern
    unnumbered: frozenset[str] = frozenset()
    """The states in which a document has no number yet; empty: it gets one when the server first has it."""
    void: frozenset[str] = frozenset()
    """The states in which its number counts as used up for nothing; it is kept, and listed with the reason.
    """
    aliases: tuple[Pattern, ...] = ()
    """Other forms that are accepted from imports. Nobody is given one."""

    def due(self, doc: Body) -> bool:
        """Whether the document has to have a number."""
        if not self.unnumbered:
            return True
        status = doc.get("status")
        return isinstance(status, str) and status not in self.unnumbered

    def read(self, number: str) -> tuple[str, int] | None:
        """Prefix and value of a number that fits the pattern or an alias."""
        for pattern in (self.pattern, *self.aliases):
            found = pattern.read(number)
            if found is not None:
                return found
        return None


def _series(
    name: str,
    doctype: str,
    field: str,
    pattern: str,
    unnumbered: str = "",
    void: str = "",
    aliases: tuple[str, ...] = (),
) -> Series:
    return Series(
        name,
        doctype,
        field,
        Pattern(pattern),
        frozenset(unnumbered.split()),
        frozenset(void.split()),
        tuple(Pattern(alias) for alias in aliases),
    )


CHANGE_LOG = "change_log"
"""The series of corrections of frozen documents; no document has one, its entries do."""

SERIES: tuple[Series, ...] = (
    _series("customer", "customer", "customerNumber", "K-{number:05}"),
    _series("offer", "offer", "offerNumber", "A-{year}-{number:05}", "draft superseded"),
    _series(
        "contract",
        "contract",
        "contractNumber",
        "C-{year}-{number:05}",
        "draft terminated",
        "terminated",
        ("V-{year}-{number:05}", "AB-{year}-{number:05}"),
    ),
    _series(
        "project",
        "project",
        "projectNumber",
        "P-{year}-{kind}{number:03}",
        aliases=("PRJ-{year}-{number:05}",),
    ),
    _series(
        "purchase_order",
        "purchase_order",
        "orderNumber",
        "PO-{year}-{number:05}",
        "draft cancelled",
        "cancelled",
    ),
    _series(
        "supplier_contract",
        "supplier_contract",
        "contractNumber",
        "SC-{year}-{number:05}",
        "draft cancelled terminated",
        "cancelled terminated",
    ),
    _series(
        "request_for_quote",
        "request_for_quote",
        "rfqNumber",
        "RFQ-{year}-{number:05}",
        "draft cancelled",
        "cancelled",
    ),
    _series("material", "material", "materialCode", "MAT-{kind}-{number:03}"),
    _series("expense", "expense", "receiptNumber", "EXP-{year}-{number:03}", "draft"),
    _series(CHANGE_LOG, "", "", "CL-{year}-{number:05}"),
)
"""As the business has them; `configured` gives some other patterns."""

PROJECT_KINDS = "BMAC"
"""The letters of project numbers. What they stand for is the company's affair."""
DEFAULT_PROJECT_KIND = "B"
DEFAULT_MATERIAL_KIND = "ALG"

_FOLDED = str.maketrans({"Ä": "A", "Ö": "O", "Ü": "U", "ß": "S"})


def configured(patterns: Mapping[str, str]) -> tuple[Series, ...]:
    """The series with other patterns, by the series' names. Raises `ValueError` for what can't be."""
    known = {series.name for series in SERIES}
    unknown = sorted(set(patterns) - known)
    if unknown:
        raise ValueError(f"There is no series {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
    found = []
    for series in SERIES:
        pattern = Pattern(patterns[series.name]) if series.name in patterns else series.pattern
        if pattern.has_kind and not series.pattern.has_kind:
            raise ValueError(f"Numbers of {series.name} have no {{kind}}.")
        # What was given by the pattern of before stays a number of the series.
        aliases = series.aliases if pattern == series.pattern else (*series.aliases, series.pattern)
        found.append(
            Series(
                series.name,
                series.type,
                series.field,
                pattern,
                series.unnumbered,
                series.void,
                tuple(alias for alias in aliases if alias != pattern),
            )
        )
    initials = [series.pattern.prefix(0, "X") for series in found]
    if len(set(initials)) < len(initials):
        raise ValueError("Two series of numbers have the same pattern.")
    return tuple(found)


@dataclass(frozen=True)
class SeriesTable:
    """All series, by the type of document they are for."""

    series: tuple[Series, ...] = SERIES
    by_type: Mapping[str, Series] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_type", {one.type: one for one in self.series if one.type})

    def named(self, name: str) -> Series:
        return next(one for one in self.series if one.name == name)


def kind_of(doc: Body) -> str:
    """What stands for `{kind}` in a document's number."""
    if doc.get("type") == "project":
        given = doc.get("projectType")
        letter = given[:1].upper() if isinstance(given, str) else ""
        return letter if letter and letter in PROJECT_KINDS else DEFAULT_PROJECT_KIND
    category = doc.get("category")
    letters = re.sub("[^A-Z]", "", category.upper().translate(_FOLDED)) if isinstance(category, str) else ""
    return letters[:3] if len(letters) >= 3 else DEFAULT_MATERIAL_KIND


def year_of(moment: datetime) -> int:
    """The year in Germany. It begins in winter, when clocks there are one hour ahead of UTC."""
    return (moment.astimezone(UTC) + timedelta(hours=1)).year


def provisional_label(doc: Mapping[str, Any]) -> str:
    """What is shown instead of the number of a document that has none yet: `Entwurf K-neu-3f2a`.

    The last four characters of its id tell drafts apart. Nothing is promised by it: it is never stored. Empty
    for documents that never have a number.
    """
    series = next((one for one in SERIES if one.type and one.type == doc.get("type")), None)
    if series is None:
        return ""
    return f"Entwurf {series.pattern.initial}-neu-{str(doc.get('_id', ''))[-4:]}"

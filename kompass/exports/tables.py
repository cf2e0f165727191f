"""The columns of a list's file, derived from its model, and what stands in their cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from kompass.accounting.cells import Value
from kompass.accounting.plain import plain_profile
from kompass.accounting.profiles import CellKind, Column, Profile
from kompass.accounting.sources import typed
from kompass.domain.base import Authored
from kompass.domain.labels import label

_LAST = tuple(field.alias or name for name, field in Authored.model_fields.items() if name != "id")
"""Members of all documents: they come behind those of the type."""
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])|[0-9]+")
_MADE = frozenset({CellKind.DECIMAL, CellKind.DAY, CellKind.MOMENT, CellKind.TEXTS})
Rows = Callable[[Mapping[str, Any]], list[Value]]


class Headings(StrEnum):
    """What stands above the columns. By each of them the file can be imported again."""

    NAMES = "names"
    """`billingAddress.zipCode`"""
    ENGLISH = "english"
    """`Billing address › Zip code`"""
    GERMAN = "german"
    """`Rechnungsadresse › Postleitzahl`"""


@cache
def table(
    doctype: str, fields: tuple[str, ...] | None = None, headings: Headings = Headings.NAMES
) -> Profile:
    """A type's plain profile with these columns: members of documents, in their order, behind the id.

    Without `fields` all there are, those that every document has behind those of the type.
    """
    plain = plain_profile(doctype)
    by_member: dict[str, list[Column]] = {}
    for column in plain.columns:
        by_member.setdefault(column.heading.partition(".")[0], []).append(column)
    if fields is None:
        own = [name for name in by_member if name not in _LAST and name != "_id"]
        fields = (*own, *(name for name in _LAST if name in by_member))
    wanted = [column for name in dict.fromkeys(("_id", *fields)) for column in by_member.get(name, ())]
    names = [_heading(column, headings) for column in wanted]
    columns = tuple(
        column.model_copy(update={"heading": name if names.count(name) == 1 else column.heading})
        for column, name in zip(wanted, names, strict=True)
    )
    return plain.model_copy(update={"columns": columns})


def _heading(column: Column, headings: Headings) -> str:
    if headings is Headings.NAMES:
        return column.heading
    steps = tuple(column.heading.split("."))
    if steps == ("_id",):
        return "ID"
    if headings is Headings.GERMAN:
        return label(steps)
    return " › ".join(map(_words, steps))


def _words(name: str) -> str:
    return " ".join(_WORD.findall(name)).capitalize() or name


def rows_of(profile: Profile) -> Rows:
    """Makes rows of documents, for profiles whose columns are all found within the document."""
    ways = [_way(column) for column in profile.columns]

    def row(body: Mapping[str, Any]) -> list[Value]:
        cells: list[Value] = []
        for name, rest, kind in ways:
            value: Any = body.get(name)
            for step in rest:
                value = value.get(step) if isinstance(value, dict) else None
            if value is None or value == "":
                cells.append(None)
            else:
                cells.append(value if kind is None else typed(value, kind))
        return cells

    return row


def _way(column: Column) -> tuple[str, tuple[str, ...], CellKind | None]:
    """Where a column's value is, and its kind, if a cell doesn't have it as it stands in the document."""
    name, *rest = column.source[0].split(".")
    return name, tuple(rest), column.kind if column.kind in _MADE else None

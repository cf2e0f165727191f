"""Where in the index of a field the documents lie that a filter lets through.

An index lists type and value of documents in the order of `sort_key`. A filter reads values its own way, so
the keys between two bounds are those that fit and maybe a few more: what they lead to is filtered still.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from kompass.domain.kinds import Kind
from kompass.resources.filters import Filter
from replication.protocol.collation import above, array_prefix

_FROM = frozenset({"eq", "gt", "gte"})
_UPTO = frozenset({"eq", "lt", "lte"})


def bounds(doctype: str, one: Filter) -> tuple[bytes, bytes] | None:
    """low <= key < high of every document that fits; None: they may be anywhere."""
    if not one.field.sortable or one.operator not in _FROM | _UPTO:
        return None
    if one.field.kind is Kind.TEXT and one.operator != "eq":
        return None  # filters compare texts by their characters, indexes as languages do
    try:
        least, most = _AROUND[one.field.kind](one.values[0])
    except OverflowError:  # the first and the last of all days
        return None
    first = -math.inf if isinstance(least, float) else ""
    last = math.inf if isinstance(most, float) else _LAST_TEXT
    low = array_prefix([doctype, least if one.operator in _FROM else first])
    return low, above(array_prefix([doctype, most if one.operator in _UPTO else last]))


_LAST_TEXT = "9999-12-31T24"
"""Behind every day and time."""


def _text(value: str) -> tuple[str, str]:
    return value, value


def _number(value: Decimal) -> tuple[float, float]:
    """A stored number that isn't its double is next to it."""
    return math.nextafter(float(value), -math.inf), math.nextafter(float(value), math.inf)


def _day(value: date) -> tuple[str, str]:
    return value.isoformat(), value.isoformat()


def _moment(value: datetime) -> tuple[str, str]:
    """Whatever the offset that one was stored with, its day is the same or next to it."""
    day = value.astimezone(UTC).date()
    return (day - timedelta(1)).isoformat(), (day + timedelta(2)).isoformat()


_AROUND: Mapping[Kind, Callable[[Any], tuple[Any, Any]]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.INTEGER: _number,
    Kind.DAY: _day,
    Kind.MOMENT: _moment,
}

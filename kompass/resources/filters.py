"""What a list is narrowed by: `field=value`, or `field.operator=value`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from kompass.domain.kinds import Kind
from kompass.resources.fields import Field

OPERATORS = ("eq", "ne", "lt", "lte", "gt", "gte", "in", "contains", "starts", "exists")
"""`eq` is what a field means without one. `in`: one of several, separated by commas. `contains` and `starts`
are for texts and don't distinguish capitals. `exists` is true or false.
"""

MOST_FILTERS = 20
MOST_VALUE = 500
"""Characters of a value."""
MOST_NUMBER = 10**30
MOST_VALUES = 100
"""Of `in`."""
_ABSENT = object()

_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": lambda one, other: bool(one < other),
    "lte": lambda one, other: bool(one <= other),
    "gt": lambda one, other: bool(one > other),
    "gte": lambda one, other: bool(one >= other),
}


class FilterError(ValueError):
    """A filter that can't be used. The text is for people."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition. A document has to fulfil all of them."""

    field: Field
    operator: str
    values: tuple[Any, ...]
    given: tuple[str, ...]
    """The values as they were written."""

    def matches(self, document: Mapping[str, Any]) -> bool:
        stored = _at(document, self.field.path)
        if self.operator == "exists":
            return (stored is not _ABSENT and stored is not None) is self.values[0]
        entries = stored if self.field.kind is Kind.TEXTS and isinstance(stored, list) else [stored]
        known = [read for one in entries if (read := _read(self.field.kind, one)) is not None]
        if self.operator == "ne":
            return self.values[0] not in known
        return any(self._fits(one) for one in known)

    def _fits(self, value: Any) -> bool:
        if self.operator in {"eq", "in"}:
            return value in self.values
        if self.operator == "contains":
            return self.values[0].casefold() in value.casefold()
        if self.operator == "starts":
            return bool(value.casefold().startswith(self.values[0].casefold()))
        return _ORDERED[self.operator](value, self.values[0])


def parse(fields: Mapping[str, Field], given: Sequence[tuple[str, str]]) -> tuple[Filter, ...]:
    """The filters of a query's parameters. Raises `FilterError` that says which isn't one."""
    if len(given) > MOST_FILTERS:
        raise FilterError(f"There may be at most {MOST_FILTERS} filters.")
    return tuple(_parsed(fields, name, value) for name, value in given)


def _parsed(fields: Mapping[str, Field], name: str, value: str) -> Filter:
    field, operator = fields.get(name), "eq"
    if field is None:
        path, _, operator = name.rpartition(".")
        field = fields.get(path)
    if field is None or operator not in OPERATORS:
        raise FilterError(
            f"There is no parameter {name[:80]}. Filters are field=value or field.operator=value."
        )
    if operator in {"contains", "starts"} and field.kind not in (Kind.TEXT, Kind.TEXTS):
        raise FilterError(f"{operator} is for texts; {field.name} holds none.")
    if operator in _ORDERED and field.kind is Kind.BOOLEAN:
        raise FilterError(f"{field.name} is true or false: neither comes first.")
    texts = tuple(value.split(",")) if operator == "in" else (value,)
    if len(texts) > MOST_VALUES:
        raise FilterError(f"{name} may have at most {MOST_VALUES} values.")
    kind = Kind.BOOLEAN if operator == "exists" else field.kind
    return Filter(field, operator, tuple(_value(name, kind, field, operator, one) for one in texts), texts)


def _value(name: str, kind: Kind, field: Field, operator: str, text: str) -> Any:
    if len(text) > MOST_VALUE:
        raise FilterError(f"A value of {name} may have at most {MOST_VALUE} characters.")
    try:
        if "\x00" in text:
            raise ValueError(text)
        value = _READERS[kind](text)
    except (ValueError, InvalidOperation, OverflowError):
        raise FilterError(f"{name} must be {_SAID[kind]}, not {text[:40]!r}.") from None
    if field.words and operator in {"eq", "ne", "in"} and value not in field.words:
        raise FilterError(f"{name} is one of {', '.join(field.words)}, not {text[:40]!r}.")
    return value


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _number(text: str) -> Decimal:
    if not text.isascii() or len(text) > 30:
        raise ValueError(text)
    number = Decimal(text)
    if not number.is_finite() or abs(number) > MOST_NUMBER or number.adjusted() < -400:
        raise ValueError(text)
    return number


def _whole_number(text: str) -> Decimal:
    number = _number(text)
    if number != number.to_integral_value():
        raise ValueError(text)
    return number


def _moment(text: str) -> datetime:
    """A day alone is its beginning, in UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


_READERS: Mapping[Kind, Callable[[str], Any]] = {
    Kind.TEXT: str,
    Kind.TEXTS: str,
    Kind.NUMBER: _number,
    Kind.INTEGER: _whole_number,
    Kind.BOOLEAN: _flag,
    Kind.DAY: date.fromisoformat,
    Kind.MOMENT: _moment,
}

_SAID: Mapping[Kind, str] = {
    Kind.TEXT: "a text",
    Kind.TEXTS: "a text",
    Kind.NUMBER: "a number such as 1234.50",
    Kind.INTEGER: "a whole number such as 12",
    Kind.BOOLEAN: "true or false",
    Kind.DAY: "a day such as 2026-11-30",
    Kind.MOMENT: "a time such as 2026-11-30T08:15:00Z",
}


def _at(document: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = document
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _read(kind: Kind, stored: Any) -> Any:
    """A stored value as the filter compares it; None for one that is of another kind."""
    if kind is Kind.BOOLEAN:
        return stored if isinstance(stored, bool) else None
    if kind in (Kind.NUMBER, Kind.INTEGER):
        if isinstance(stored, bool) or not isinstance(stored, int | float):
            return None
        return Decimal(repr(stored))
    if not isinstance(stored, str):
        return None
    if kind in (Kind.DAY, Kind.MOMENT) and not stored[4:5] == stored[7:8] == "-":
        return None  # ISO 8601 has more ways to write a day, in which they don't sort; no model takes them
    try:
        return _READERS[kind](stored)
    except ValueError:
        return None

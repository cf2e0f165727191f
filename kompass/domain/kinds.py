"""What kind of value a field of a model holds, for whoever puts documents into columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo


class Kind(StrEnum):
    TEXT = "text"
    TEXTS = "texts"
    """A list of texts."""
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DAY = "day"
    MOMENT = "moment"


_KINDS: Mapping[Any, Kind] = {
    str: Kind.TEXT,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    Decimal: Kind.NUMBER,
    bool: Kind.BOOLEAN,
    date: Kind.DAY,
    datetime: Kind.MOMENT,
}


def plain(annotation: Any) -> Any:
    """A type without what is said about it, and without None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return plain(get_args(annotation)[0])
    if origin in (Union, UnionType):
        rest = [one for one in get_args(annotation) if one is not type(None)]
        return plain(rest[0]) if len(rest) == 1 else None
    return annotation


def kind(annotation: Any) -> Kind | None:
    """Of a type that `plain` has bared; None for what is neither a plain value nor a list of texts."""
    if get_origin(annotation) is list:
        return Kind.TEXTS if kind(plain(get_args(annotation)[0])) is Kind.TEXT else None
    if get_origin(annotation) is Literal:
        return Kind.TEXT
    return _KINDS.get(annotation) if isinstance(annotation, type) else None


def markers(field: FieldInfo) -> Iterator[Any]:
    """What is said about a field's value, at any depth of `Annotated` and unions."""
    yield from field.metadata
    pending = [field.annotation]
    while pending:
        one = pending.pop()
        origin = get_origin(one)
        if origin is Annotated:
            inner, *said = get_args(one)
            pending.append(inner)
            yield from said
        elif origin in (Union, UnionType):
            pending.extend(get_args(one))


def longest(field: FieldInfo) -> int | None:
    """Characters that a text may have; None if nothing is said."""
    limits = [
        getattr(one, "max_length", None) or 0
        for marker in markers(field)
        for one in (marker.metadata if isinstance(marker, FieldInfo) else [marker])
    ]
    return max(limits, default=0) or None

"""Which columns the table of a type has: the fields of its model that are a plain value or a list of texts.

Names are those of the fields, in the way of SQL: `companyName` is `company_name`; of an address there are
`billing_address_city` and the like. What has no column is in `doc`, the whole document as `jsonb`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from kompass.domain.base import Address
from kompass.domain.registry import MODELS
from kompass.domain.values import Ref


class Kind(StrEnum):
    """A column's type in SQL."""

    TEXT = "text"
    TEXTS = "text[]"
    NUMBER = "numeric"
    INTEGER = "bigint"
    BOOLEAN = "boolean"
    DAY = "date"
    MOMENT = "timestamptz"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind
    path: tuple[str, ...]
    """The field, or the address and its field."""

    refers: bool = False
    """Holds the id of another document, or somebody's name: it has an index."""


LONGEST = 1000
"""Characters of a text that has a column. Longer ones are for reading, and in `doc`."""

OTHER = "other"
"""The table of documents whose type is unknown; it has no columns of its own."""

_PEOPLE = frozenset({"owner", "ownerId", "assignedTo", "userId", "userName", "accountManagerId"})
_SKIPPED = frozenset({"_id", "_rev", "_attachments", "type"})
_ADDRESS = ("street", "zipCode", "city", "state", "country")
_KINDS: Mapping[Any, Kind] = {
    str: Kind.TEXT,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    Decimal: Kind.NUMBER,
    bool: Kind.BOOLEAN,
    date: Kind.DAY,
    datetime: Kind.MOMENT,
}


@cache
def columns() -> Mapping[str, tuple[Column, ...]]:
    """Type of document -> the columns of its table, as the models have them now."""
    return MappingProxyType({doctype: tuple(_columns(doctype)) for doctype in MODELS} | {OTHER: ()})


def _columns(doctype: str) -> Iterator[Column]:
    for name, field in MODELS[doctype].model_fields.items():
        path = field.alias or name
        if path in _SKIPPED:
            continue
        annotation = _plain(field.annotation)
        if annotation is Address:
            for part in _ADDRESS:
                yield Column(f"{snake(path)}_{snake(part)}", Kind.TEXT, (path, part))
            continue
        kind = _kind(annotation)
        if kind is not None and not _is_long(field):
            refers = path in _PEOPLE or any(isinstance(one, Ref) for one in _markers(field))
            yield Column(snake(path), kind, (path,), refers and kind is Kind.TEXT)


def snake(name: str) -> str:
    """`companyName` as `company_name`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _plain(annotation: Any) -> Any:
    """A type without what is said about it, and without None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in (Union, UnionType):
        rest = [one for one in get_args(annotation) if one is not type(None)]
        return _plain(rest[0]) if len(rest) == 1 else None
    return annotation


def _kind(annotation: Any) -> Kind | None:
    if get_origin(annotation) is list:
        return Kind.TEXTS if _kind(_plain(get_args(annotation)[0])) is Kind.TEXT else None
    if get_origin(annotation) is Literal:
        return Kind.TEXT
    return _KINDS.get(annotation) if isinstance(annotation, type) else None


def _markers(field: FieldInfo) -> Iterator[Any]:
    """What is said about a field's value, at any depth of `Annotated` and unions."""
    yield from field.metadata
    pending = [field.annotation]
    while pending:
        one = pending.pop()
        origin = get_origin(one)
        if origin is Annotated:
            inner, *markers = get_args(one)
            pending.append(inner)
            yield from markers
        elif origin in (Union, UnionType):
            pending.extend(get_args(one))


def _is_long(field: FieldInfo) -> bool:
    limits = [
        getattr(one, "max_length", None) or 0
        for marker in _markers(field)
        for one in (marker.metadata if isinstance(marker, FieldInfo) else [marker])
    ]
    return _kind(_plain(field.annotation)) is Kind.TEXT and max(limits, default=0) > LONGEST

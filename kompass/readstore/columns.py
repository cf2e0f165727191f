"""Which columns the table of a type has: the fields of its model that are a plain value or a list of texts.

Names are those of the fields, in the way of SQL: `companyName` is `company_name`; of an address there are
`billing_address_city` and the like. What has no column is in `doc`, the whole document as `jsonb`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from pydantic.fields import FieldInfo

from kompass.domain.base import Address
from kompass.domain.kinds import Kind as Value
from kompass.domain.kinds import kind, longest, markers, plain
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
_KINDS: Mapping[Value | None, Kind] = {
    Value.TEXT: Kind.TEXT,
    Value.TEXTS: Kind.TEXTS,
    Value.INTEGER: Kind.INTEGER,
    Value.NUMBER: Kind.NUMBER,
    Value.BOOLEAN: Kind.BOOLEAN,
    Value.DAY: Kind.DAY,
    Value.MOMENT: Kind.MOMENT,
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
        annotation = plain(field.annotation)
        if annotation is Address:
            for part in _ADDRESS:
                yield Column(f"{snake(path)}_{snake(part)}", Kind.TEXT, (path, part))
            continue
        column = _KINDS.get(kind(annotation))
        if column is not None and not _is_long(field):
            refers = path in _PEOPLE or any(isinstance(one, Ref) for one in markers(field))
            yield Column(snake(path), column, (path,), refers and column is Kind.TEXT)


def snake(name: str) -> str:
    """`companyName` as `company_name`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _is_long(field: FieldInfo) -> bool:
    return kind(plain(field.annotation)) is Value.TEXT and (longest(field) or 0) > LONGEST

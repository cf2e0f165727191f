"""The fields of each type of documents, as lists are sorted and filtered by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kompass.domain.kinds import Kind, kind, longest, plain
from kompass.domain.registry import MODELS

LONGEST = 200
"""Characters of a text that may be sorted by: longer ones are prose."""

_UNSORTED = frozenset(
    {
        *("_id", "type", "schemaVersion", "notes"),
        *("immutableAt", "immutableHash", "legalHoldReason", "correctionReason"),
    }
)


@dataclass(frozen=True, slots=True)
class Field:
    """One that documents of a type may have."""

    path: tuple[str, ...]
    """Names, from the document inwards."""
    kind: Kind
    sortable: bool = False
    words: tuple[str, ...] = ()
    """The values there are, if they are few."""

    @property
    def name(self) -> str:
        return ".".join(self.path)


@cache
def fields(doctype: str) -> Mapping[str, Field]:
    """By name, with a dot between the parts of a path."""
    return MappingProxyType({field.name: field for field in _found(MODELS[doctype], ())})


def _found(model: type[BaseModel], above: tuple[str, ...]) -> list[Field]:
    found: list[Field] = []
    for name, info in model.model_fields.items():
        path = (*above, info.alias or name)
        bare = plain(info.annotation)
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            found += [] if above else _found(bare, path)
            continue
        held = kind(bare)
        if held is not None and path != ("_rev",):
            words = get_args(bare) if get_origin(bare) is Literal else ()
            found.append(Field(path, held, not above and _is_sortable(path[0], held, info), words))
    return found


def _is_sortable(name: str, held: Kind, info: FieldInfo) -> bool:
    if name in _UNSORTED or held in (Kind.TEXTS, Kind.BOOLEAN):
        return False
    return held is not Kind.TEXT or (longest(info) or 0) <= LONGEST

"""Field names with dots, and what they point to in a document.

`a.b` is the member `b` of the member `a`; a number points into an array; `a\\.b` is one member
whose name contains a dot. A field can be absent in two ways, and they differ for
`{"$exists": false}`: `MISSING`, an object without that member, and `BAD_PATH`, a way that leads
through a value that has no members or past the end of an array.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from replication.protocol.mango import errors

Path = tuple[str, ...]


class _Absent:
    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


MISSING: Final = _Absent("MISSING")
BAD_PATH: Final = _Absent("BAD_PATH")

_UNESCAPED_DOT = re.compile(r"(?<!\\)\.")
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)


_REMEMBERED: Final = 200
"""Longest name in characters whose path is kept for the next time."""


def parse_path(name: str) -> Path:
    """The members that a field name walks through. Raises `invalid_field_name` if one is empty."""
    return _parse(name) if len(name) > _REMEMBERED else _parse_remembered(name)


def _parse(name: str) -> Path:
    parts = _UNESCAPED_DOT.split(name)
    if "" in parts:
        raise errors.invalid_field_name(name)
    return tuple(part.replace("\\", "") for part in parts)


_parse_remembered = lru_cache(maxsize=1024)(_parse)


def find(value: Any, path: Path) -> Any:
    """What `path` points to in `value`, or `MISSING`, or `BAD_PATH`."""
    for name in path:
        if value.__class__ is dict:
            value = value.get(name, MISSING)
            if value is MISSING:
                return MISSING
        elif value.__class__ is list and _INTEGER.fullmatch(name) and 0 <= int(name) < len(value):
            value = value[int(name)]
        else:
            return BAD_PATH
    return value


def projection(names: Sequence[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function that makes a document of the named fields only, leaving out those it doesn't have.

    Nested fields keep their nesting; an array's element becomes a member named by its number.
    """
    paths = [parse_path(name) for name in names]

    def project(doc: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for path in paths:
            value = find(doc, path)
            if value is not MISSING and value is not BAD_PATH:
                _place(result, path, value)
        return result

    return project


def _place(result: dict[str, Any], path: Path, value: Any) -> None:
    for name in path[:-1]:
        inner = result.setdefault(name, {})
        if inner.__class__ is not dict:
            return  # the whole array is already there
        result = inner
    result[path[-1]] = value

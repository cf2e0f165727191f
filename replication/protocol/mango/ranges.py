"""What a selector says about one field: whether it must be there, and between which values it lies.

Only conditions that hold for every match count, so those under `$and`; one under `$or` counts for
being there if every alternative has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from replication.protocol.collation import raw_sort_key, sort_key
from replication.protocol.mango.normalize import Node

HIGHEST_COLLATED: Final = "\uffff"
"""Collates after every other character, though it isn't the highest code point."""

HIGHEST_RAW: Final = "\U0010ffff"

_INDEXABLE: Final = ("$lt", "$lte", "$eq", "$gt", "$gte", "$beginsWith", "$exists")


class _Unbounded:
    def __repr__(self) -> str:
        return "UNBOUNDED"


UNBOUNDED: Final = _Unbounded()


@dataclass(slots=True)
class Bound:
    """One end of a range; `key` is the value's sort key."""

    value: Any
    key: bytes
    closed: bool


class Range:
    """The values a field may have: everything, until `narrow` is called."""

    __slots__ = ("_key", "high", "low")

    def __init__(self, key: Callable[[Any], bytes]) -> None:
        self._key = key
        self.low = Bound(UNBOUNDED, b"", closed=False)
        self.high = Bound(UNBOUNDED, b"\xff", closed=False)

    @property
    def empty(self) -> bool:
        if self.low.key == self.high.key:
            return not (self.low.closed and self.high.closed)
        return self.low.key > self.high.key

    def narrow(self, operator: str, argument: Any) -> None:
        """Takes one more condition into account; those that bound nothing change nothing."""
        match operator:
            case "$gt":
                self._raise_low(argument, closed=False)
            case "$gte":
                self._raise_low(argument, closed=True)
            case "$lt":
                self._lower_high(argument, closed=False)
            case "$lte":
                self._lower_high(argument, closed=True)
            case "$eq":
                self._raise_low(argument, closed=True)
                self._lower_high(argument, closed=True)
            case "$beginsWith":
                self._raise_low(argument, closed=True)
                highest = HIGHEST_RAW if self._key is raw_sort_key else HIGHEST_COLLATED
                self._lower_high(argument + highest, closed=True)

    def _raise_low(self, value: Any, *, closed: bool) -> None:
        key = self._key(value)
        if key > self.low.key or (key == self.low.key and not closed):
            self.low = Bound(value, key, closed)

    def _lower_high(self, value: Any, *, closed: bool) -> None:
        key = self._key(value)
        if key < self.high.key or (key == self.high.key and not closed):
            self.high = Bound(value, key, closed)


def field_ranges(node: Node) -> dict[str, Range]:
    """The range of every field that an index could serve, by name, in the order of names."""
    ranges: dict[str, Range] = {}
    for name, operator, argument in _certain(node):
        if operator in _INDEXABLE:
            if name not in ranges:
                ranges[name] = Range(raw_sort_key if name == "_id" else sort_key)
            ranges[name].narrow(operator, argument)
    return dict(sorted(ranges.items()))


def constant_fields(node: Node) -> set[str]:
    """The fields that have the same value in all matches."""
    return {name for name, operator, _ in _certain(node) if operator == "$eq"}


def required_fields(node: Node) -> set[str]:
    """The fields that every match has."""
    if not node:
        return set()
    ((key, argument),) = node.items()
    if key == "$and":
        return set().union(*map(required_fields, argument))
    if key == "$or":
        alternatives = [required_fields(part) for part in argument]
        return set.intersection(*alternatives) if alternatives else set()
    return set() if argument == {"$exists": False} else {key}


def named_fields(node: Node) -> set[str]:
    """All fields that the selector mentions outside of element conditions."""
    if not node:
        return set()
    ((key, argument),) = node.items()
    if key in ("$and", "$or"):
        return set().union(*map(named_fields, argument))
    return {key}


def _certain(node: Node) -> Iterator[tuple[str, str, Any]]:
    """Field, operator and argument of the conditions that hold for every match."""
    if not node:
        return
    ((key, argument),) = node.items()
    if key == "$and":
        for part in argument:
            yield from _certain(part)
    elif key != "$or":
        ((operator, value),) = argument.items()
        yield key, operator, value

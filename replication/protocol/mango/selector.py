"""Selectors as predicates.

A selector is normalised once, then compiled to nested closures, so that asking about a document
costs only the comparisons. A field that a document doesn't have matches nothing, not even `$ne`
and `$nin`; only `{"$exists": false}` matches it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from replication.protocol.mango.fields import BAD_PATH, MISSING, Path, find, parse_path
from replication.protocol.mango.normalize import Node, normalize
from replication.protocol.mango.operators import COLLATED, RAW, Ordering, Predicate, predicate

_EXACT_IN_DOUBLE: Final = 2**53


@dataclass(frozen=True, slots=True)
class Selector:
    """A compiled selector."""

    node: Node
    """The normal form: JSON."""

    matches: Predicate = field(compare=False)
    """Whether a decoded document matches. Raises a 400 when a `$regex` takes too long."""

    needs_exact_integers: bool = False
    """Whether the answer may depend on integers of the document that a double can't hold. If not,
    a document may be decoded by a parser that rounds those to doubles."""


def compile_selector(selector: Any) -> Selector:
    """Raises the 400 CouchDB answers to a wrong selector."""
    node = normalize(selector)
    return Selector(node, _compile(node, COLLATED) if node else _always, _needs_exact_integers(node))


def _needs_exact_integers(value: Any) -> bool:
    # Rounding keeps the order of an integer and any number that a double holds exactly.
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if "$mod" in item:
                return True
            pending += item.values()
        elif isinstance(item, list):
            pending += item
        elif isinstance(item, int | float) and abs(item) > _EXACT_IN_DOUBLE:
            return True
    return False


def _always(_: Any) -> bool:
    return True


def _compile(node: Node, ordering: Ordering) -> Predicate:
    ((key, argument),) = node.items()
    match key:
        case "$and":
            return _all_of([_compile(part, ordering) for part in argument])
        case "$or":
            return _any_of([_compile(part, ordering) for part in argument])
        case "$not":
            inner = _compile(argument, ordering)
            return lambda value: not inner(value)
        case "$nor":
            parts = [_compile(part, ordering) for part in argument]
            return lambda value: not any(part(value) for part in parts)
        case "$elemMatch":
            element = _compile(argument, ordering)
            return lambda value: value.__class__ is list and any(map(element, value))
        case "$allMatch":
            element = _compile(argument, ordering)
            return lambda value: value.__class__ is list and value != [] and all(map(element, value))
        case "$keyMapMatch":
            name = _compile(argument, ordering)
            return lambda value: value.__class__ is dict and any(map(name, value))
        case "":
            return _compile(argument, ordering)
    if key.startswith("$"):
        return predicate(key, argument, ordering)
    condition = _compile(argument, RAW if key == "_id" else ordering)
    return _on_field(parse_path(key), condition, absent_matches=argument == {"$exists": False})


def _all_of(parts: list[Predicate]) -> Predicate:
    if len(parts) == 2:
        first, second = parts
        return lambda value: first(value) and second(value)

    def matches(value: Any) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs more than the comparison
            if not part(value):
                return False
        return True

    return matches


def _any_of(parts: list[Predicate]) -> Predicate:
    if not parts:
        return _always

    def matches(value: Any) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs more than the comparison
            if part(value):
                return True
        return False

    return matches


def _on_field(path: Path, condition: Predicate, *, absent_matches: bool) -> Predicate:
    def matches_path(doc: Any) -> bool:
        value = find(doc, path)
        if value is MISSING:
            return absent_matches
        return value is not BAD_PATH and condition(value)

    if len(path) > 1:
        return matches_path
    name = path[0]

    def matches_member(doc: Any) -> bool:
        if doc.__class__ is not dict:
            return matches_path(doc)
        value = doc.get(name, MISSING)
        return absent_matches if value is MISSING else condition(value)

    return matches_member

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
from replication.protocol.mango.patience import Patience

_EXACT_IN_DOUBLE: Final = 2**53

_FEW: Final = 64
"""Conditions that nobody needs patience for, unless one of them alone does."""

_AT_ONCE: Final = 0x7F
"""Elements of an array that are looked at before the clock is, less one."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A compiled selector."""

    node: Node
    """The normal form: JSON."""

    matches: Predicate = field(compare=False)
    """Whether a decoded document matches. Raises a 400 when that takes too long."""

    needs_exact_integers: bool = False
    """Whether the answer may depend on integers of the document that a double can't hold. If not,
    a document may be decoded by a parser that rounds those to doubles."""


def compile_selector(selector: Any) -> Selector:
    """Raises the 400 CouchDB answers to a wrong selector."""
    node = normalize(selector)
    return Selector(node, _matcher(node) if node else _always, _needs_exact_integers(node))


def _matcher(node: Node) -> Predicate:
    patience = Patience()
    begin = patience.begin
    matches = _Compiler(patience, many=_conditions(node) > _FEW).compile(node, COLLATED)

    def matches_in_time(doc: Any) -> bool:
        begin()
        return matches(doc)

    return matches_in_time


def _conditions(node: Node) -> int:
    """How many conditions there are, combinations of others included."""
    found, pending = 0, [node]
    while pending:
        found += 1
        ((key, argument),) = pending.pop().items()
        if key in ("$and", "$or", "$nor"):
            pending += argument
        elif key in ("$not", "$elemMatch", "$allMatch", "$keyMapMatch") or not key.startswith("$"):
            pending.append(argument)
    return found


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


def _never(_: Any) -> bool:
    return False


class _Compiler:
    def __init__(self, patience: Patience, *, many: bool) -> None:
        """`many`: whether there are so many conditions that the clock has to be looked at between them."""
        self._patience = patience
        self._many = many

    def compile(self, node: Node, ordering: Ordering) -> Predicate:
        ((key, argument),) = node.items()
        match key:
            case "$and":
                return self._all_of([self.compile(part, ordering) for part in argument])
            case "$or":
                return self._any_of([self.compile(part, ordering) for part in argument])
            case "$not":
                inner = self.compile(argument, ordering)
                return lambda value: not inner(value)
            case "$nor":
                parts = [self.compile(part, ordering) for part in argument]
                found = self._any_of(parts) if parts else _never
                return lambda value: not found(value)
            case "$elemMatch":
                any_element = self._any_element(self.compile(argument, ordering))
                return lambda value: value.__class__ is list and any_element(value)
            case "$allMatch":
                element = self.compile(argument, ordering)
                wrong_element = self._any_element(lambda value: not element(value))
                return lambda value: value.__class__ is list and value != [] and not wrong_element(value)
            case "$keyMapMatch":
                any_name = self._any_element(self.compile(argument, ordering))
                return lambda value: value.__class__ is dict and any_name(value)
            case "":
                return self.compile(argument, ordering)
        if key.startswith("$"):
            return predicate(key, argument, ordering, self._patience)
        condition = self.compile(argument, RAW if key == "_id" else ordering)
        return _on_field(parse_path(key), condition, absent_matches=argument == {"$exists": False})

    def _any_element(self, test: Predicate) -> Predicate:
        check = self._patience.check

        def matches(elements: Any) -> bool:
            for place, element in enumerate(elements):
                if not place & _AT_ONCE:
                    check()
                if test(element):
                    return True
            return False

        return matches

    def _all_of(self, parts: list[Predicate]) -> Predicate:
        if self._many:
            return self._all_of_many(parts)
        if len(parts) == 2:
            first, second = parts
            return lambda value: first(value) and second(value)

        def matches(value: Any) -> bool:
            for part in parts:  # noqa: SIM110 - a generator costs more than the comparison
                if not part(value):
                    return False
            return True

        return matches

    def _all_of_many(self, parts: list[Predicate]) -> Predicate:
        check = self._patience.check

        def matches(value: Any) -> bool:
            for part in parts:
                check()
                if not part(value):
                    return False
            return True

        return matches

    def _any_of(self, parts: list[Predicate]) -> Predicate:
        if not parts:
            return _always
        check = self._patience.check if self._many else None

        def matches(value: Any) -> bool:
            for part in parts:
                if check is not None:
                    check()
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

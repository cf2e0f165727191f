"""The normal form of selectors, in which everything implicit is said.

Every object has one member; `{"a": 1, "b": {"$gt": 2}}` becomes
`{"$and": [{"a": {"$eq": 1}}, {"b": {"$gt": 2}}]}`; nested fields become one name with dots; a
condition on an element or a value itself stands under the empty name. Negations are pushed down to
the operators, which is more than a matter of form: `{"$not": {"a": 1}}` becomes
`{"a": {"$ne": 1}}` and so doesn't match a document without `a`. Inside of `$elemMatch`,
`$allMatch` and `$keyMapMatch` CouchDB leaves negations where they are, and so a negation there
does match what lacks the field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from replication.protocol.mango import errors
from replication.protocol.mango.fields import parse_path
from replication.protocol.mango.regex import MAX_LENGTH, MAX_TOGETHER, compile_pattern

MAX_DEPTH = 100
"""Deepest nesting of conditions."""

MAX_CONDITIONS = 10_000
"""Conditions of one selector: each of them is asked of every document that is looked at."""

Node = dict[str, Any]
"""A normalised selector: empty, or an object of one member."""

OPPOSITES: Final = {
    "$lt": "$gte",
    "$lte": "$gt",
    "$gt": "$lte",
    "$gte": "$lt",
    "$eq": "$ne",
    "$ne": "$eq",
    "$in": "$nin",
    "$nin": "$in",
}

_COMBINATIONS: Final = ("$and", "$or", "$nor")
_OF_MEMBERS: Final = ("$elemMatch", "$allMatch", "$keyMapMatch")
_UNSUPPORTED: Final = ("$where", "$geoWithin", "$geoIntersects", "$near", "$nearSphere")


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_divisor_and_remainder(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and _is_integer(value[0])
        and _is_integer(value[1])
        and value[0] != 0
    )


ARGUMENTS: Final[dict[str, Callable[[Any], bool]]] = {
    "$lt": lambda _: True,
    "$lte": lambda _: True,
    "$eq": lambda _: True,
    "$ne": lambda _: True,
    "$gt": lambda _: True,
    "$gte": lambda _: True,
    "$in": lambda value: isinstance(value, list),
    "$nin": lambda value: isinstance(value, list),
    "$all": lambda value: isinstance(value, list),
    "$exists": lambda value: isinstance(value, bool),
    "$type": lambda value: isinstance(value, str),
    "$size": lambda value: _is_integer(value) and value >= 0,
    "$mod": _is_divisor_and_remainder,
    "$regex": lambda value: isinstance(value, str) and compile_pattern(value) is not None,
    "$beginsWith": lambda value: isinstance(value, str),
}
"""The operators on a value, each with what makes a good argument."""


def normalize(selector: Any) -> Node:
    """The normal form of `selector`, which may be one already.

    Raises a 400 for what isn't a selector: no object, an unknown operator, a wrong argument.
    """
    if not isinstance(selector, dict):
        raise errors.selector_not_an_object(selector)
    if not selector:
        return {}
    node = _Normalizer(push_negations=True).condition(selector, "", negated=False, depth=0)
    if "" in node:
        raise errors.missing_field_name()
    return node


class _Normalizer:
    def __init__(self, *, push_negations: bool) -> None:
        self._push = push_negations
        self._conditions = 0
        self._patterns = 0

    def condition(self, condition: Any, path: str, *, negated: bool, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise errors.selector_too_deep()
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise errors.too_many_conditions(MAX_CONDITIONS)
        if not isinstance(condition, dict) or not condition:
            return self._operator("$eq", condition, path, negated)
        if len(condition) > 1:
            parts = [{key: value} for key, value in condition.items()]
            return self._combination("$and", parts, path, negated, depth)
        ((key, argument),) = condition.items()
        if not key.startswith("$"):
            inner = f"{path}.{key}" if path else key
            return self.condition(argument, inner, negated=negated, depth=depth + 1)
        if key in _COMBINATIONS:
            return self._combination(key, argument, path, negated, depth)
        if key == "$not":
            return self._negation(argument, path, negated, depth)
        if key in _OF_MEMBERS:
            return self._of_members(key, argument, path, negated, depth)
        return self._operator(key, argument, path, negated)

    def _combination(self, key: str, parts: Any, path: str, negated: bool, depth: int) -> Node:
        if not isinstance(parts, list):
            raise errors.bad_argument(key, parts)
        inner_negated = negated
        if self._push:
            inner_negated = negated != (key == "$nor")
            if key == "$nor":
                key = "$and" if inner_negated else "$or"
            elif negated:
                key = "$or" if key == "$and" else "$and"
        return {key: [self.condition(part, path, negated=inner_negated, depth=depth + 1) for part in parts]}

    def _negation(self, argument: Any, path: str, negated: bool, depth: int) -> Node:
        if not isinstance(argument, dict):
            raise errors.bad_argument("$not", argument)
        if self._push:
            return self.condition(argument, path, negated=not negated, depth=depth + 1)
        return {"$not": self.condition(argument, path, negated=False, depth=depth + 1)}

    def _of_members(self, key: str, argument: Any, path: str, negated: bool, depth: int) -> Node:
        if not isinstance(argument, dict):
            raise errors.bad_argument(key, argument)
        inner = _Normalizer(push_negations=False)
        inner._conditions, inner._patterns = self._conditions, self._patterns
        members = inner.condition(argument, "", negated=False, depth=depth + 1)
        self._conditions, self._patterns = inner._conditions, inner._patterns
        return _on_field(path, {key: members}, negated)

    def _operator(self, key: str, argument: Any, path: str, negated: bool) -> Node:
        if key == "$text":
            if not isinstance(argument, str | int | float):
                raise errors.bad_argument(key, argument)
            raise errors.text_without_index()
        if key in _UNSUPPORTED:
            raise errors.unsupported_operator(key)
        if key not in ARGUMENTS:
            raise errors.invalid_operator(key)
        if key == "$regex" and isinstance(argument, str):
            self._patterns += min(len(argument), MAX_LENGTH)
            if self._patterns > MAX_TOGETHER:
                raise errors.too_many_patterns(MAX_TOGETHER)
        if not ARGUMENTS[key](argument):
            raise errors.bad_argument(key, argument)
        if negated and key in OPPOSITES:
            return _on_field(path, {OPPOSITES[key]: argument}, negated=False)
        if negated and key == "$exists":
            return _on_field(path, {key: not argument}, negated=False)
        return _on_field(path, {key: argument}, negated)


def _on_field(path: str, condition: Node, negated: bool) -> Node:
    if path:
        parse_path(path)
    return {path: {"$not": condition} if negated else condition}

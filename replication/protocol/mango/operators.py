"""What each Mango operator means for a value, as closures made once per selector.

Comparisons order any two values by collation; document ids compare raw. Most of them never build a
sort key: values of different types are ordered by their types' ranks, numbers and strings are
compared directly.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final

from replication.protocol.collation import compare_strings, raw_sort_key, sort_key
from replication.protocol.mango import regex
from replication.protocol.mango.patience import Patience

Predicate = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Ordering:
    """A way to compare JSON values: by rank of type first, inside of a rank by `key`."""

    ranks: Mapping[type, int]
    compare_strings: Callable[[str, str], int]
    key: Callable[[Any], bytes]


def _compare_code_points(left: str, right: str) -> int:
    return (left > right) - (left < right)


COLLATED: Final = Ordering(
    {NoneType: 0, bool: 1, int: 2, float: 2, str: 3, list: 4, dict: 5}, compare_strings, sort_key
)
RAW: Final = Ordering(
    {int: 0, float: 0, NoneType: 1, bool: 1, dict: 2, list: 3, str: 4}, _compare_code_points, raw_sort_key
)

COMPARISONS: Final[dict[str, tuple[Callable[[Any, Any], Any], bool, bool]]] = {
    # inside of one rank; what lower-ranking values do; what higher-ranking values do
    "$lt": (operator.lt, True, False),
    "$lte": (operator.le, True, False),
    "$eq": (operator.eq, False, False),
    "$ne": (operator.ne, True, True),
    "$gte": (operator.ge, False, True),
    "$gt": (operator.gt, False, True),
}

_TYPE_NAMES: Final[dict[str, tuple[type, ...]]] = {
    "null": (NoneType,),
    "boolean": (bool,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


def comparison(name: str, argument: Any, ordering: Ordering, patience: Patience) -> Predicate:
    """The predicate of one of `COMPARISONS`."""
    test, lower, higher = COMPARISONS[name]
    ranks = ordering.ranks
    rank = ranks[argument.__class__]
    if argument.__class__ is str:
        compare = ordering.compare_strings
        if name == "$eq":
            return lambda value: (
                value.__class__ is str and (value == argument or compare(value, argument) == 0)
            )

        def matches_string(value: Any) -> bool:
            if value.__class__ is str:
                return bool(test(compare(value, argument), 0))
            return lower if ranks[value.__class__] < rank else higher

        return matches_string
    if argument.__class__ is int or argument.__class__ is float:

        def matches_number(value: Any) -> bool:
            found = ranks[value.__class__]
            if found == rank:
                return bool(test(value, argument))
            return lower if found < rank else higher

        return matches_number

    key = ordering.key
    limit = key(argument)
    check = patience.check

    def matches_other(value: Any) -> bool:
        found = ranks[value.__class__]
        if found == rank:
            check()
            return bool(test(key(value), limit))
        return lower if found < rank else higher

    return matches_other


def member_of(choices: list[Any], ordering: Ordering, patience: Patience) -> Predicate:
    """`$in`: one of the choices, or an array with an element that is one."""
    strings = {choice for choice in choices if choice.__class__ is str}
    key = ordering.key
    keys = {key(choice) for choice in choices}
    check = patience.check

    def is_choice(value: Any) -> bool:
        if value.__class__ is str and value in strings:
            return True
        check()
        return key(value) in keys

    def matches(value: Any) -> bool:
        if value.__class__ is list:
            return any(map(is_choice, value))
        return is_choice(value)

    return matches


def contains_all(wanted: list[Any], patience: Patience) -> Predicate:
    """`$all`: an array with all of `wanted`; with one array wanted, that array itself, too."""
    keys = {raw_sort_key(item) for item in wanted}
    itself = raw_sort_key(wanted[0]) if len(wanted) == 1 and isinstance(wanted[0], list) else None

    def matches(value: Any) -> bool:
        if value.__class__ is not list or not keys:
            return False
        patience.check()
        return keys <= {raw_sort_key(item) for item in value} or raw_sort_key(value) == itself

    return matches


def remainder(divisor: int, expected: int) -> Predicate:
    """`$mod`. The remainder has the sign of the value, as in CouchDB and JavaScript."""
    size = abs(divisor)

    def matches(value: Any) -> bool:
        if value.__class__ is not int:
            return False
        return bool((value % size if value >= 0 else -(-value % size)) == expected)

    return matches


def _begins_with(prefix: str) -> Predicate:
    return lambda value: value.__class__ is str and value.startswith(prefix)


def _of_type(name: str) -> Predicate:
    types = _TYPE_NAMES.get(name, ())
    return lambda value: value.__class__ in types


def _of_size(size: int) -> Predicate:
    return lambda value: value.__class__ is list and len(value) == size


_OTHERS: Final[dict[str, Callable[[Any], Predicate]]] = {
    "$exists": lambda expected: lambda _: expected,
    "$type": _of_type,
    "$size": _of_size,
    "$mod": lambda argument: remainder(*argument),
    "$beginsWith": _begins_with,
}

_PATIENT: Final[dict[str, Callable[[Any, Patience], Predicate]]] = {
    "$regex": regex.matcher,
    "$all": contains_all,
}


def predicate(name: str, argument: Any, ordering: Ordering, patience: Patience) -> Predicate:
    """The predicate of an operator on a value that is there. `argument` must have been checked.

    It raises a 400 when `patience` ends.
    """
    if name in COMPARISONS:
        return comparison(name, argument, ordering, patience)
    if name == "$in":
        return member_of(argument, ordering, patience)
    if name == "$nin":
        excluded = member_of(argument, ordering, patience)
        return lambda value: not excluded(value)
    if name in _PATIENT:
        return _PATIENT[name](argument, patience)
    return _OTHERS[name](argument)

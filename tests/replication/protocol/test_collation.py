"""Sort keys order JSON values as CouchDB does.

The properties compare keys with a second implementation of the rules, written as comparisons.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.protocol import collation, collation_fallback
from replication.protocol.collation import above, array_prefix, compare_strings, raw_sort_key, sort_key

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)

VIEW_ORDER: list[Any] = [
    None,
    False,
    True,
    -(10**30),
    -1.5,
    0,
    1,
    2,
    2**53,
    2**53 + 1,
    2**53 + 2,
    10**308,
    10**309,
    10**310,
    "",
    "_",
    "-",
    "`",
    "^",
    "1",
    "a",
    "A",
    "aa",
    "b",
    "B",
    "ba",
    "bb",
    "\uffff",
    [],
    [None],
    ["a"],
    ["b"],
    ["b", "c"],
    ["b", "c", "a"],
    ["b", "d"],
    ["b", "d", "e"],
    [[]],
    [{}],
    {},
    {"a": 1},
    {"a": 2},
    {"b": 1},
    {"b": 2},
    {"b": 2, "a": 1},
    {"b": 2, "c": 2},
]
"""From CouchDB's view collation tests, and what follows from its rules.

Its documentation shows another order of punctuation marks: that of an ICU before CLDR 1.9.
"""

RAW_ORDER: list[Any] = [
    1,
    2,
    3,
    4,
    False,
    None,
    True,
    {"a": 1},
    {"a": 2},
    {"b": 1},
    {"b": 2},
    {"b": 2, "a": 1},
    {"b": 2, "c": 2},
    ["a"],
    ["b"],
    ["b", "c"],
    ["b", "c", "a"],
    ["b", "d"],
    ["b", "d", "e"],
    "A",
    "B",
    "a",
    "a\x00",
    "a\x00b",
    "aa",
    "b",
    "ba",
    "bb",
]


def sign(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def compare_by_code_point(left: str, right: str) -> int:
    return sign(left, right)


def naive_compare(
    left: Any, right: Any, rank: Callable[[Any], int], strings: Callable[[str, str], int]
) -> int:
    if rank(left) != rank(right):
        return sign(rank(left), rank(right))
    if isinstance(left, str):
        return strings(left, right)
    if isinstance(left, int | float) and not isinstance(left, bool):
        return sign(left, right)
    if isinstance(left, dict):
        left = [part for pair in left.items() for part in pair]
        right = [part for pair in right.items() for part in pair]
    if isinstance(left, list):
        for a, b in itertools.zip_longest(left, right, fillvalue=...):
            if a is ... or b is ...:
                return -1 if a is ... else 1
            order = naive_compare(a, b, rank, strings)
            if order:
                return order
    return 0


def view_rank(value: Any) -> int:
    if isinstance(value, bool):
        return 2 if value else 1
    return {type(None): 0, int: 3, float: 3, str: 4, list: 5, dict: 6}[type(value)]


def raw_rank(value: Any) -> int:
    if value is None:
        return 2
    if isinstance(value, bool):
        return 3 if value else 1
    return {int: 0, float: 0, dict: 4, list: 5, str: 6}[type(value)]


@given(JSON, JSON)
def test_keys_compare_as_values_do(left: Any, right: Any) -> None:
    assert sign(sort_key(left), sort_key(right)) == naive_compare(left, right, view_rank, compare_strings)


@given(JSON, JSON)
def test_raw_keys_compare_as_erlang_terms_do(left: Any, right: Any) -> None:
    expected = naive_compare(left, right, raw_rank, compare_by_code_point)
    assert sign(raw_sort_key(left), raw_sort_key(right)) == expected


@given(st.lists(JSON, max_size=3), st.lists(JSON, max_size=2), JSON)
def test_prefix_range_holds_exactly_the_arrays_that_begin_so(
    members: list[Any], more: list[Any], other: Any
) -> None:
    low, high = array_prefix(members), above(array_prefix(members))
    assert low < sort_key(members + more) < high
    begins_so = (
        isinstance(other, list)
        and len(other) >= len(members)
        and sort_key(other[: len(members)]) == sort_key(members)
    )
    assert (low <= sort_key(other) < high) == begins_so


@pytest.mark.parametrize(("key", "order"), [(sort_key, VIEW_ORDER), (raw_sort_key, RAW_ORDER)])
def test_known_order(key: Callable[[Any], bytes], order: list[Any]) -> None:
    shuffled = random.Random(1).sample(order, len(order))
    assert sorted(shuffled, key=key) == order


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (0, -0.0), (2**60, float(2**60)), ("é", "e\u0301")])
def test_equal_values_have_one_key(one: Any, other: Any) -> None:
    assert sort_key(one) == sort_key(other)


def test_object_key_order_counts() -> None:
    assert sort_key({"a": 1, "b": 2}) != sort_key({"b": 2, "a": 1})


def test_deep_nesting_and_lone_surrogates_are_no_error() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    assert sort_key(deep) > sort_key([[]])
    assert raw_sort_key(deep) > raw_sort_key([[]])
    assert sort_key("\ud800") > sort_key("a")
    assert raw_sort_key("\ud800") > raw_sort_key("a")


def test_umlauts_sort_beside_their_vowels() -> None:
    names = ["Zander", "Ähre", "Apfel", "Öl", "Ofen", "zart", "ähnlich"]
    assert sorted(names, key=sort_key) == ["ähnlich", "Ähre", "Apfel", "Ofen", "Öl", "Zander", "zart"]


def test_icu_is_what_the_project_installs() -> None:
    assert collation.COLLATION.startswith("icu-")


def test_without_icu_the_fallback_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icu", None)
    spec = importlib.util.find_spec("replication.protocol.collation")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.COLLATION == collation_fallback.COLLATION
    assert module.sort_key(["ä"]) < module.sort_key(["b"]) < module.sort_key({})


FALLBACK_ORDER = ["", " ", "-", "_", "+", "1", "2", "a", "A", "ä", "aa", "Äb", "b", "B", "\uffff"]


def test_fallback_order() -> None:
    shuffled = random.Random(1).sample(FALLBACK_ORDER, len(FALLBACK_ORDER))
    assert sorted(shuffled, key=functools.cmp_to_key(collation_fallback.compare_strings)) == FALLBACK_ORDER


@given(st.text(max_size=6), st.text(max_size=6))
def test_fallback_weights_are_whole_keys(left: str, right: str) -> None:
    a, b = collation_fallback.string_weights(left), collation_fallback.string_weights(right)
    assert a.index(0) == len(a) - 1
    assert sign(a, b) == collation_fallback.compare_strings(left, right)


@given(st.text("abcäöüßABCÄÖÜ -1", max_size=6), st.text("abcäöüßABCÄÖÜ -1", max_size=6))
def test_fallback_finds_the_same_words_equal_as_icu(left: str, right: str) -> None:
    assert (collation_fallback.compare_strings(left, right) == 0) == (compare_strings(left, right) == 0)

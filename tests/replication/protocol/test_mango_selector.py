"""Selectors match what CouchDB's match, and are refused with its errors."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.protocol.errors import ProtocolError
from replication.protocol.mango import fields, patience, regex
from replication.protocol.mango.normalize import MAX_CONDITIONS, MAX_DEPTH, OPPOSITES, normalize
from replication.protocol.mango.operators import COMPARISONS
from replication.protocol.mango.selector import compile_selector


def matches(selector: Any, doc: Any) -> bool:
    return compile_selector(selector).matches(doc)


OPERATORS: list[tuple[str, Any, list[Any], list[Any]]] = [
    # operator, argument, values that match, values that do not
    ("$lt", 5, [4, 4.9, None, True], [5, 6, "4", [], {}]),
    ("$lte", 5, [4, 5, 5.0, False], [6, "", []]),
    ("$gt", 5, [6, "", [], {}], [5, 4, None, True]),
    ("$gte", 5, [5, 6, "a"], [4.99, None]),
    ("$lt", "hello", ["held", 7, None], ["hello", "help", []]),
    ("$lte", "a", ["A"[:0], "a"], ["A", "b"]),
    ("$gt", "ofen", ["Öl", "Ofen", "zart"], ["ofen", "Apfel"]),
    ("$lt", [1, 2, 3], [[1, 2, 2], [1, 2]], [[1, 2, 3], [1, 3]]),
    ("$gt", {"a": 1}, [{"a": 2}, {"b": 0}, {"a": 1, "b": 1}], [{"a": 1}, {}, []]),
    ("$gt", None, [False, 0, "", [], {}], [None]),
    ("$gt", False, [True, 0], [None, False]),
    ("$eq", 5, [5, 5.0], [6, "5", True, None]),
    ("$eq", 1, [1], [True]),
    ("$eq", True, [True], [1, "true", False]),
    ("$eq", None, [None], [False, 0, ""]),
    ("$eq", "é", ["é", "e\u0301"], ["e", "É"]),
    ("$eq", [1, [2, 3], 4], [[1, [2, 3], 4]], [[1, [2, 3]], [1, 2, 3, 4]]),
    ("$eq", {"a": {"b": 7}}, [{"a": {"b": 7}}], [{"a": {"b": 8}}, {"a": {"b": 7}, "c": 1}]),
    ("$eq", {}, [{}], [{"a": 1}, []]),
    ("$ne", 5, [6, "5", None, [5]], [5]),
    ("$in", [], [], [0, True, "foo", []]),
    ("$in", [42, False, "bar", {"b": 2}], [42, 42.0, False, "bar", {"b": 2}, [0, 42]], [43, 0, "bars", []]),
    ("$in", [["nested"]], [[0, ["nested"]]], [["nested"], "nested"]),
    ("$nin", [], [0, "foo", []], []),
    ("$nin", [42, "bar"], [43, "x", [], [1]], [42, "bar", [0, "bar"]]),
    ("$all", [], [], [[], [42], {}, "foo"]),
    ("$all", [1, 2], [[3, 2, 1], [1, 2]], [[1], [], 1, "12"]),
    ("$all", [[1, 2]], [[1, 2], [5, [1, 2]]], [[2, 1], [5, [1, 3]]]),
    ("$all", ["hello"], [["hello"], [0, "hello"]], ["hello", []]),
    ("$all", [{"a": 1}], [[{"a": 1}]], [[{"a": 1, "b": 2}]]),
    ("$exists", True, [None, 0, "", [], {}], []),
    ("$exists", False, [], [None, 0]),
    ("$type", "null", [None], [False, {}]),
    ("$type", "boolean", [True, False], [0]),
    ("$type", "number", [42, 3.14, 0], [True, "1", [1]]),
    ("$type", "string", ["", "x"], [[], 1]),
    ("$type", "array", [[], [1]], [{}, "hi"]),
    ("$type", "object", [{}, {"a": 1}], [[], None]),
    ("$type", "undefined", [], [None, 1]),
    ("$mod", [28, 1], [1, 29, 57], [58, "57", 1.0, True]),
    ("$mod", [5, -2], [-7, -2], [3, 2, 7]),
    ("$mod", [-5, 2], [7, 2], [3]),
    ("$size", 3, [[0, 0, 0]], [3, "fun", [0, 0], {}]),
    ("$regex", "^[0-9a-f]+$", ["3a0df5e"], ["", "3a0gf5e", 42]),
    ("$regex", "(?i)MÜLL", ["Hofladen Müller"], ["Hofladen"]),
    ("$beginsWith", "foo", ["foo", "food"], ["more food", "fo", 42, None]),
    ("$elemMatch", {"$eq": 0}, [[0], [0, 1]], [[], [1], 0, {}]),
    ("$elemMatch", {"$gt": 1, "$lt": 3}, [[2], [0, 2]], [[1, 3], []]),
    ("$elemMatch", {"a": 1}, [[{"a": 1}], [2, {"a": 1, "b": 2}]], [[{"a": 2}], [1], {"a": 1}]),
    ("$elemMatch", {"$elemMatch": {"$eq": 1}}, [[[1]]], [[1]]),
    ("$allMatch", {"$eq": 0}, [[0], [0, 0]], [[], [1], [0, 1], 0]),
    ("$keyMapMatch", {"$eq": "a"}, [{"a": 1}, {"b": 1, "a": 2}], [{"b": "a"}, {}, ["a"], "a"]),
]


@pytest.mark.parametrize(("operator", "argument", "hits", "misses"), OPERATORS)
def test_operator(operator: str, argument: Any, hits: list[Any], misses: list[Any]) -> None:
    plain = compile_selector({"x": {operator: argument}})
    negated = compile_selector({"x": {"$not": {operator: argument}}})
    for value in hits:
        assert plain.matches({"x": value}), value
        assert operator == "$exists" or not negated.matches({"x": value}), value
    for value in misses:
        assert not plain.matches({"x": value}), value
        assert negated.matches({"x": value}), value
    if argument is not False:
        assert not plain.matches({})


def test_missing_field_matches_nothing_but_exists_false() -> None:
    for operator in COMPARISONS:
        assert not matches({"x": {operator: None}}, {"y": 1})
    assert not matches({"x": {"$nin": [1]}}, {})
    assert not matches({"x": {"$not": {"$size": 1}}}, {})
    assert matches({"x": {"$exists": False}}, {})
    assert matches({"x": {"$not": {"$exists": True}}}, {})


def test_pushed_negation_does_not_match_a_missing_field_unless_it_is_about_existence() -> None:
    assert not matches({"$not": {"x": 5}}, {})
    assert matches({"x": {"$not": {"$exists": True, "$eq": 0}}}, {})
    assert not matches({"$nor": [{"x": 1}, {"y": 2}]}, {"x": 2})
    assert matches({"$nor": [{"x": 1}, {"y": 2}]}, {"x": 2, "y": 1})


def test_negation_in_element_condition_stays_where_it_is() -> None:
    assert matches({"x": {"$elemMatch": {"a": {"$not": {"$eq": 1}}}}}, {"x": [{}]})
    assert matches({"x": {"$elemMatch": {"$nor": [{"a": 1}, {"b": 1}]}}}, {"x": [{"c": 1}]})


def test_empty_combinations() -> None:
    assert matches({}, {})
    assert matches({"$and": []}, {})
    assert matches({"$or": []}, {})
    assert not matches({"$or": [{}]}, {"a": 1})
    assert not matches({"a": {}}, {"a": {"b": 1}})


def test_paths() -> None:
    doc = {"a": {"b": [{"c": 1}, 5]}, "x.y": {"z": 2}, "n": 1}
    assert matches({"a.b.0.c": 1}, doc)
    assert matches({"a": {"b": {"0": {"c": 1}}}}, doc)
    assert matches({"a.b.1": 5}, doc)
    assert not matches({"a.b.2": None}, doc)
    assert not matches({"a.b.-1": 5}, doc)
    assert matches({"x\\.y.z": 2}, doc)
    assert not matches({"x.y.z": 2}, doc)


def test_exists_false_needs_a_way_to_the_missing_field() -> None:
    assert matches({"a.b": {"$exists": False}}, {})
    assert matches({"a.b": {"$exists": False}}, {"a": {}})
    assert not matches({"a.b": {"$exists": False}}, {"a": 5})
    assert not matches({"a.7": {"$exists": False}}, {"a": [1]})


def test_id_compares_by_code_points() -> None:
    assert matches({"_id": {"$lt": "a"}}, {"_id": "B"})
    assert not matches({"name": {"$lt": "a"}}, {"name": "B"})
    assert not matches({"_id": "é"}, {"_id": "e\u0301"})
    assert matches({"_id": {"$gt": {}}}, {"_id": "a"})
    assert not matches({"_id": {"$lt": {}}}, {"_id": "a"})
    assert matches({"_id": {"$in": ["a", 1]}}, {"_id": "a"})


NORMAL_FORMS: list[tuple[Any, Any]] = [
    ({}, {}),
    ({"a": 1}, {"a": {"$eq": 1}}),
    ({"a": 1, "b": 2}, {"$and": [{"a": {"$eq": 1}}, {"b": {"$eq": 2}}]}),
    ({"a": {"$gt": 1, "$lt": 5}}, {"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 5}}]}),
    ({"a": {"b": {"c": 1}}}, {"a.b.c": {"$eq": 1}}),
    ({"a": {"$or": [{"$gt": 1}, {"b": 2}]}}, {"$or": [{"a": {"$gt": 1}}, {"a.b": {"$eq": 2}}]}),
    ({"$not": {"a": 1}}, {"a": {"$ne": 1}}),
    ({"$not": {"$not": {"a": 1}}}, {"a": {"$eq": 1}}),
    ({"$nor": [{"a": 1}, {"b": {"$lt": 2}}]}, {"$and": [{"a": {"$ne": 1}}, {"b": {"$gte": 2}}]}),
    ({"$not": {"a": 1, "b": 2}}, {"$or": [{"a": {"$ne": 1}}, {"b": {"$ne": 2}}]}),
    ({"$not": {"$nor": [{"a": 1}]}}, {"$or": [{"a": {"$eq": 1}}]}),
    ({"$not": {"$or": [{"a": 1}]}}, {"$and": [{"a": {"$ne": 1}}]}),
    ({"a": {"$not": {"$size": 1}}}, {"a": {"$not": {"$size": 1}}}),
    ({"a": {"$not": {"$exists": True}}}, {"a": {"$exists": False}}),
    ({"a": {"$elemMatch": {"$gt": 1}}}, {"a": {"$elemMatch": {"": {"$gt": 1}}}}),
    ({"a": [1]}, {"a": {"$eq": [1]}}),
]


@pytest.mark.parametrize(("selector", "normal"), NORMAL_FORMS)
def test_normal_form(selector: Any, normal: Any) -> None:
    assert normalize(selector) == normal
    assert normalize(normal) == normal


def test_opposites_are_mutual() -> None:
    assert all(OPPOSITES[opposite] == name for name, opposite in OPPOSITES.items())


REFUSED: list[tuple[Any, str, str]] = [
    (None, "invalid_selector_json", "Selector must be a JSON object, not: null"),
    ([], "invalid_selector_json", "Selector must be a JSON object, not: []"),
    ("x", "invalid_selector_json", 'Selector must be a JSON object, not: "x"'),
    ({"$gt": 2}, "invalid_selector", "One or more conditions is missing a field name."),
    ({"foo": {"$not_an_op": 2}}, "invalid_operator", "Invalid operator: $not_an_op"),
    ({"$where": "x"}, "not_supported", "Unsupported operator: $where"),
    ({"a": {"$in": 1}}, "bad_arg", "Bad argument for operator $in: 1"),
    ({"a": {"$nin": "x"}}, "bad_arg", 'Bad argument for operator $nin: "x"'),
    ({"$and": {}}, "bad_arg", "Bad argument for operator $and: {}"),
    ({"$or": 1}, "bad_arg", "Bad argument for operator $or: 1"),
    ({"$nor": None}, "bad_arg", "Bad argument for operator $nor: null"),
    ({"$not": []}, "bad_arg", "Bad argument for operator $not: []"),
    ({"a": {"$exists": 1}}, "bad_arg", "Bad argument for operator $exists: 1"),
    ({"a": {"$type": 1}}, "bad_arg", "Bad argument for operator $type: 1"),
    ({"a": {"$mod": [2]}}, "bad_arg", "Bad argument for operator $mod: [2]"),
    ({"a": {"$mod": [0, 1]}}, "bad_arg", "Bad argument for operator $mod: [0,1]"),
    ({"a": {"$mod": [True, 1]}}, "bad_arg", "Bad argument for operator $mod: [true,1]"),
    ({"a": {"$size": -1}}, "bad_arg", "Bad argument for operator $size: -1"),
    ({"a": {"$size": 1.5}}, "bad_arg", "Bad argument for operator $size: 1.5"),
    ({"a": {"$regex": "("}}, "bad_arg", 'Bad argument for operator $regex: "("'),
    ({"a": {"$regex": 1}}, "bad_arg", "Bad argument for operator $regex: 1"),
    ({"a": {"$beginsWith": 1}}, "bad_arg", "Bad argument for operator $beginsWith: 1"),
    ({"a": {"$all": {}}}, "bad_arg", "Bad argument for operator $all: {}"),
    ({"a": {"$elemMatch": 1}}, "bad_arg", "Bad argument for operator $elemMatch: 1"),
    ({"a": {"$allMatch": []}}, "bad_arg", "Bad argument for operator $allMatch: []"),
    ({"a": {"$keyMapMatch": 1}}, "bad_arg", "Bad argument for operator $keyMapMatch: 1"),
    ({"$text": {}}, "bad_arg", "Bad argument for operator $text: {}"),
    ({"a..b": 1}, "invalid_field_name", "Invalid field name: a..b"),
    ({"_id": {"": None}}, "invalid_field_name", "Invalid field name: _id."),
]


@pytest.mark.parametrize(("selector", "error", "reason"), REFUSED)
def test_refused(selector: Any, error: str, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        compile_selector(selector)
    assert (caught.value.status, caught.value.error, caught.value.reason) == (400, error, reason)


def test_text_search_is_refused() -> None:
    with pytest.raises(ProtocolError, match="no_usable_index"):
        compile_selector({"$text": "foo"})


def test_endless_nesting_is_refused() -> None:
    selector: Any = {"a": 1}
    for _ in range(MAX_DEPTH + 1):
        selector = {"$not": selector}
    with pytest.raises(ProtocolError, match="nested too deeply"):
        compile_selector(selector)


@pytest.mark.parametrize(
    "selector",
    [
        {"$or": [{"a": n} for n in range(MAX_CONDITIONS)]},
        {f"a{n}": n for n in range(MAX_CONDITIONS)},
        {"a": {"$elemMatch": {"$or": [{"b": n} for n in range(MAX_CONDITIONS)]}}},
    ],
)
def test_conditions_without_number_are_refused(selector: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="more than 10000 conditions"):
        compile_selector(selector)


def test_catastrophic_regex_is_stopped() -> None:
    selector = compile_selector({"x": {"$regex": "^(a|aa)+$"}})
    started = time.monotonic()
    with pytest.raises(ProtocolError, match="takes too long"):
        selector.matches({"x": "a" * 60 + "b"})
    assert time.monotonic() - started < 20 * patience.MOST


def test_overlong_regex_is_refused() -> None:
    with pytest.raises(ProtocolError, match="bad_arg"):
        compile_selector({"x": {"$regex": "a" * (regex.MAX_LENGTH + 1)}})


@pytest.mark.parametrize("operator", ["$elemMatch", "$allMatch", "$keyMapMatch"])
def test_conditions_on_many_elements_are_stopped(operator: str) -> None:
    asked: Any = {"$or": [{"$mod": [7, n]} for n in range(1000)]}
    values: Any = [0.5] * 100_000
    if operator == "$keyMapMatch":
        asked, values = (
            {"$or": [{"$eq": f"x{n}"} for n in range(1000)]},
            dict.fromkeys(map(str, range(50_000))),
        )
    elif operator == "$allMatch":
        asked = {"$nor": asked["$or"]}
    selector = compile_selector({"x": {operator: asked}})
    started = time.thread_time()
    with pytest.raises(ProtocolError, match="takes too long"):
        selector.matches({"x": values})
    assert time.thread_time() - started < 20 * patience.MOST


@pytest.mark.parametrize(
    "condition",
    [{"$lt": ["a"]}, {"$in": [["a"]]}, {"$all": ["a"]}, {"$regex": "^(a|aa)+$"}],
)
def test_many_dear_conditions_are_stopped(condition: Any) -> None:
    value = "a" * 28 + "b" if "$regex" in condition else ["b"] * 50_000
    selector = compile_selector({"$or": [{"x": condition} for _ in range(60)]})
    started = time.thread_time()
    with pytest.raises(ProtocolError, match="takes too long"):
        selector.matches({"x": value})
    assert time.thread_time() - started < 10 * patience.MOST


def test_each_document_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "thread_time", lambda: now[0])
    selector = compile_selector({"x": {"$elemMatch": {"$eq": 1}}})
    for _ in range(10):
        assert selector.matches({"x": [2, 1]})
        now[0] += 0.9 * patience.MOST


def test_patterns_have_a_length_together() -> None:
    most = regex.MAX_TOGETHER // 20
    for number, refused in ((most, False), (most + 1, True)):
        selector = {"$or": [{"x": {"$elemMatch": {"$regex": f"{n:020}"}}} for n in range(number)]}
        if refused:
            with pytest.raises(ProtocolError, match="patterns of more than"):
                compile_selector(selector)
        else:
            compile_selector(selector)


def test_long_names_are_not_kept() -> None:
    before = fields._parse_remembered.cache_info().currsize
    compile_selector({"a" * 10_000: 1})
    assert fields._parse_remembered.cache_info().currsize == before


VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "A", "b", "ä"])
DOCS = st.dictionaries(st.sampled_from("abc"), VALUES | st.lists(VALUES, max_size=2), max_size=3)
LEAVES = st.builds(
    lambda name, operator, value: {name: {operator: value}},
    st.sampled_from("abc"),
    st.sampled_from(sorted(COMPARISONS)),
    VALUES,
)


@given(LEAVES, LEAVES, DOCS)
def test_combinations_agree_with_logic(one: Any, other: Any, doc: Any) -> None:
    first, second = matches(one, doc), matches(other, doc)
    assert matches({"$and": [one, other]}, doc) == (first and second)
    assert matches({"$or": [one, other]}, doc) == (first or second)
    assert matches({"$not": {"$nor": [one, other]}}, doc) == (first or second)


@given(LEAVES, DOCS)
def test_a_condition_or_its_negation_matches_when_the_field_is_there(leaf: Any, doc: Any) -> None:
    (name,) = leaf
    assert matches(leaf, doc) + matches({"$not": leaf}, doc) == (name in doc)


def test_projection() -> None:
    doc = {"_id": "1", "a": {"b": 1, "c": 2}, "l": [{"x": 1}, 2], "d.e": 3}
    assert fields.projection(["_id", "a.b", "nope", "a.b.c"])(doc) == {"_id": "1", "a": {"b": 1}}
    assert fields.projection(["a.b", "a"])(doc) == {"a": {"b": 1, "c": 2}}
    assert fields.projection(["a", "a.b"])(doc) == {"a": {"b": 1, "c": 2}}
    assert fields.projection(["l.0.x"])(doc) == {"l": {"0": {"x": 1}}}
    assert fields.projection(["l", "l.0"])(doc) == {"l": [{"x": 1}, 2]}
    assert fields.projection(["d\\.e"])(doc) == {"d.e": 3}
    assert doc == {"_id": "1", "a": {"b": 1, "c": 2}, "l": [{"x": 1}, 2], "d.e": 3}

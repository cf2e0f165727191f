"""Queries use the index CouchDB would use, and no range loses a match."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.protocol.collation import sort_key
from replication.protocol.errors import ProtocolError
from replication.protocol.mango.index import IndexDefinition, PrimaryIndex
from replication.protocol.mango.planner import Plan, plan, warnings
from replication.protocol.mango.query import ExecutionStats, read_find
from tests.examples import examples
from tests.replication.protocol.mango_indexes import USERS, index


def chosen(selector: Any, *indexes: IndexDefinition, partitioned: bool = False, **options: Any) -> Plan:
    return plan(read_find({"selector": selector, **options}), indexes, partitioned=partitioned)


def winner(selector: Any, *indexes: IndexDefinition, **options: Any) -> str:
    found = chosen(selector, *indexes, **options).index
    return "_all_docs" if isinstance(found, PrimaryIndex) else found.ddoc.removeprefix("_design/")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"age": 123}, "age"),
        ({"name.first": "Stephanie", "name.last": "x"}, "name"),
        ({"name": {"first": "Stephanie", "last": "x"}}, "name"),
        ({"name.first": {"$gt": "a", "$lt": "z"}, "name.last": "Foo"}, "name"),
        (
            {"company": {"$gt": "a"}, "$or": [{"manager": "Foo"}, {"manager": "Bar"}]},
            "company_and_manager",
        ),
        ({"name.first": "Stephanie", "name.last": "x", "age": {"$gt": 1}}, "name"),
        ({"manager": {"$exists": True}}, "manager"),
        ({"favorites": {"$elemMatch": {"$eq": "Erlang"}}}, "favorites"),
        ({"company": "Pharmex"}, "_all_docs"),
        ({"company": "Pharmex", "manager": {"$exists": False}}, "_all_docs"),
        ({"$or": [{"age": 1}, {"manager": True}]}, "_all_docs"),
        ({"$or": [{"age": 1}, {"age": 2, "manager": True}]}, "age"),
        ({"$or": [], "company": "x"}, "_all_docs"),
        ({"age": {"$not": {"$size": 2}}}, "age"),
        ({}, "_all_docs"),
        ({"_id": "x"}, "_all_docs"),
    ],
)
def test_choice(selector: Any, expected: str) -> None:
    assert winner(selector, *USERS) == expected


def test_ties() -> None:
    wide, middle, narrow = (
        index("aaa", "name", "age", "id"),
        index("bbb", "name", "age"),
        index("zzz", "name"),
    )
    assert winner({"name": "x"}, wide, narrow) == "zzz"
    assert winner({"name": "x", "age": {"$gte": 1}}, wide, middle, narrow) == "bbb"
    assert winner({"name": "x", "id": 1, "age": 1}, wide, narrow) == "aaa"
    assert winner({"name": "x"}, index("ccc", "name"), index("bbb", "name"), narrow) == "bbb"
    assert winner({"name": "x"}, index("b", "name", name="2"), index("b", "name", name="1")) == "b"


def test_id_and_rev_are_in_every_document() -> None:
    assert winner({"name": "x"}, index("a", "name", "_id")) == "a"
    assert winner({"name": "x"}, index("a", "name", "_rev")) == "a"


def test_sort_needs_an_index_that_yields_it() -> None:
    two = index("two", "a", "b")
    assert winner({"a": {"$gt": 0}}, two, sort=["a", "b"]) == "two"
    assert winner({"a": 1}, two, sort=["b"]) == "two"
    assert winner({"a": 1}, two, sort=["a", "b"]) == "two"
    assert winner({"_id": {"$gt": 0}}, two, sort=["_id"]) == "_all_docs"
    three = index("three", "a", "b", "c")
    assert winner({"a": 1, "b": {"$gt": 1}}, three, sort=["b", "c"]) == "three"
    for selector, sort in [
        ({"a": {"$gt": 0}}, ["b"]),
        ({"a": {"$gt": 0}, "b": 1}, ["b", "a"]),
        ({"a": {"$gt": 0}}, ["name"]),
        ({"b": {"$gt": 0}}, ["_id"]),
        ({"a": {"$gt": 0}, "b": 1, "c": 1}, ["a", "c"]),
    ]:
        with pytest.raises(ProtocolError) as caught:
            winner(selector, two, three, sort=sort)
        assert caught.value.error == "no_usable_index"
        assert caught.value.reason == "No index exists for this sort, try indexing by the sort fields."


def test_partial_index_is_used_only_when_named() -> None:
    partial = index("p", "a", partial={"t": 1})
    assert winner({"a": 1, "t": 1}, partial) == "_all_docs"
    assert winner({"a": 1, "t": 1}, partial, use_index="p") == "p"
    assert winner({"a": 1, "t": 1}, partial, use_index=["p", "p"]) == "p"
    assert winner({"a": 1, "t": 1}, partial, use_index=["p", "q"]) == "_all_docs"


def test_use_index_beats_a_better_index() -> None:
    worse, better = index("worse", "a"), index("better", "a", "b")
    selector = {"a": {"$gt": None}, "b": {"$gt": None}}
    assert winner(selector, worse, better) == "better"
    found = chosen(selector, worse, better, use_index="_design/worse")
    assert found.index is worse
    assert warnings(found, ExecutionStats()) is None


def test_without_fallback() -> None:
    manager = index("manager", "manager")
    assert winner({"manager": True}, manager, use_index="manager", allow_fallback=False) == "manager"
    assert winner({"manager": True}, manager, use_index=[], allow_fallback=False) == "manager"
    for selector, use_index, reason in [
        (
            {"manager": True},
            "no",
            "_design/no specified by `use_index` could not be found or it is not suitable.",
        ),
        (
            {"manager": True},
            ["no", "x"],
            "_design/no, x specified by `use_index` could not be found or it is not suitable.",
        ),
        ({"company": "x"}, [], "You must specify an index with the `use_index` parameter."),
    ]:
        with pytest.raises(ProtocolError) as caught:
            winner(selector, manager, use_index=use_index, allow_fallback=False)
        assert (caught.value.error, caught.value.reason) == ("invalid_index", reason)


NO_INDEX = "No matching index found, create an index to optimize query time."


def test_warnings() -> None:
    assert warnings(chosen({"x": 1}), ExecutionStats()) == NO_INDEX
    assert warnings(chosen({}, *USERS, use_index="age"), ExecutionStats()) == (
        "_design/age was not used because it does not contain a valid index for this query.\n" + NO_INDEX
    )
    assert warnings(chosen({}, *USERS, use_index=["age", "age"]), ExecutionStats()) == (
        "_design/age, age was not used because it is not a valid index for this query.\n" + NO_INDEX
    )
    age = chosen({"age": 1}, *USERS)
    assert warnings(age, ExecutionStats(docs_examined=10, results_returned=1)) is None
    for stats in (
        ExecutionStats(docs_examined=11, results_returned=1),
        ExecutionStats(docs_examined=11),
        ExecutionStats(quorum_docs_examined=11),
    ):
        assert (warnings(age, stats) or "").startswith("The number of documents examined is high")


def test_partitions() -> None:
    local, everywhere = index("p", "a", partitioned=True), index("g", "a")
    assert winner({"a": 1}, local, everywhere, partitioned=True) == "g"
    assert winner({"a": 1}, local, everywhere, partitioned=True, partition="x") == "p"
    found = chosen({"b": 1}, local, partitioned=True, partition="x")
    assert (found.low, found.high) == (b"x:", b"x;")
    with pytest.raises(ProtocolError, match="No partitioned index"):
        chosen({"b": 1}, partitioned=True, partition="x", sort=["b"])
    with pytest.raises(ProtocolError, match="No global index"):
        chosen({"b": 1}, partitioned=True, sort=["b"])


@pytest.mark.parametrize(
    ("selector", "low", "high"),
    [
        ({}, b"", b"\xff"),
        ({"_id": "a"}, b"a", b"a\x00"),
        ({"_id": {"$gt": "a"}}, b"a\x00", b"\xff"),
        ({"_id": {"$gte": "a", "$lt": "b"}}, b"a", b"b"),
        ({"_id": {"$lte": "b"}}, b"", b"b\x00"),
        ({"_id": {"$gt": None}}, b"", b"\xff"),
        ({"_id": {"$gt": "B", "$lt": "a"}}, b"B\x00", b"a"),
        ({"_id": {"$beginsWith": "ü"}}, "ü".encode(), "ü\U0010ffff\x00".encode()),
    ],
)
def test_range_of_ids(selector: Any, low: bytes, high: bytes) -> None:
    found = chosen(selector)
    assert (found.low, found.high, found.empty) == (low, high, False)


@pytest.mark.parametrize(
    "selector",
    [
        {"_id": {"$gt": "b", "$lt": "a"}},
        {"_id": {"$gt": "a", "$lte": "a"}},
        {"_id": {"$lt": 5}},
        {"_id": 5},
        {"$and": [{"a": {"$gt": 0}}, {"a": {"$lt": 0}}]},
        {"a": 1, "$and": [{"a": 2}]},
        {"a": {"$gt": None, "$lte": None}},
        {"$or": []},
        {"$and": []},
    ],
)
def test_nothing_can_match(selector: Any) -> None:
    assert chosen(selector, index("a", "a")).empty


def test_range_ends_exactly_at_the_bounds() -> None:
    one = index("i", "a", "b")

    def inside(selector: Any, *keys: list[Any]) -> list[bool]:
        found = chosen(selector, one)
        return [found.low <= sort_key(key) < found.high for key in keys]

    assert inside({"a": 5, "b": {"$gt": 1}}, [5, 1], [5, 2], [5, {}], [4, 2], [6, 2]) == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert inside({"a": {"$gt": 5}, "b": 1}, [5, 9], [5.1, 0], [{}, 1]) == [False, True, True]
    assert inside({"a": {"$gte": 5, "$lte": 7}, "b": 1}, [5, 0], [5, 1], [6, 9], [7, 1], [7, 2]) == [
        False,
        True,
        True,
        True,
        False,
    ]


VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "A", "b", "ba", "ä"])
DEEP = VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.sampled_from("xy"), VALUES, max_size=1)
NAMES = st.sampled_from(["a", "b", "c.x", "_id"])
CONDITIONS = st.one_of(
    st.builds(
        lambda operator, value: {operator: value},
        st.sampled_from(["$lt", "$lte", "$eq", "$ne", "$gt", "$gte"]),
        DEEP,
    ),
    st.builds(lambda value: {"$beginsWith": value}, st.sampled_from(["", "a", "b"])),
    st.builds(lambda value: {"$exists": value}, st.booleans()),
    st.builds(lambda value: {"$in": value}, st.lists(VALUES, max_size=2)),
)
LEAVES = st.builds(lambda name, condition: {name: condition}, NAMES, CONDITIONS)
SELECTORS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(
            lambda key, parts: {key: parts},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        )
        | st.builds(lambda part: {"$not": part}, inner)
    ),
    max_leaves=5,
)
DOCS = st.builds(
    lambda docid, body: {"_id": docid, **body},
    st.sampled_from(["a", "A", "b", "ba", "ä", "z"]),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), DEEP, max_size=3),
)
INDEXES = st.lists(
    st.lists(NAMES, min_size=1, max_size=3, unique=True).map(lambda names: index("-".join(names), *names)),
    max_size=3,
)


@given(SELECTORS, DOCS, INDEXES)
@settings(max_examples=examples(300))
def test_no_plan_loses_a_match(selector: Any, doc: Any, indexes: list[IndexDefinition]) -> None:
    found = chosen(selector, *indexes)
    if not found.request.selector.matches(doc):
        return
    assert not found.empty
    if isinstance(found.index, PrimaryIndex):
        assert found.low <= doc["_id"].encode() < found.high
    else:
        (key,) = found.index.sort_keys(doc)
        assert found.low <= key < found.high

"""The body of `_find`, and bookmarks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.protocol.errors import ProtocolError
from replication.protocol.mango.bookmark import Bookmark, read_bookmark, write_bookmark
from replication.protocol.mango.query import FIND_OPTIONS, ExecutionStats, read_find
from replication.protocol.mango.sorting import SortField


def test_defaults() -> None:
    request = read_find({"selector": {}})
    assert (request.limit, request.skip, request.r) == (25, 0, 1)
    assert (request.use_index, request.sort, request.fields) == ((), (), ())
    assert (request.bookmark, request.partition) == (None, "")
    assert (request.conflicts, request.stale, request.stable, request.execution_stats) == (False,) * 4
    assert (request.update, request.allow_fallback) == (True, True)
    assert request.refreshes
    assert not request.descending


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("dd", ("dd",)),
        ("_design/dd", ("dd",)),
        ("dd/nn", ("dd", "nn")),
        ("_design/dd/nn", ("dd", "nn")),
        (["dd"], ("dd",)),
        (["_design/dd", "nn"], ("dd", "nn")),
        ([], ()),
        (None, ()),
    ],
)
def test_use_index_forms(value: Any, parsed: tuple[str, ...]) -> None:
    assert read_find({"selector": {}, "use_index": value}).use_index == parsed


def test_sort_forms() -> None:
    request = read_find({"selector": {}, "sort": [{"a": "desc"}, {"b": "desc"}]})
    assert request.sort == (SortField("a", "desc"), SortField("b", "desc"))
    assert request.descending
    assert read_find({"selector": {}, "sort": ["a"]}).sort == (SortField("a", "asc"),)


def test_stale_and_update() -> None:
    assert not read_find({"selector": {}, "update": False}).refreshes
    assert not read_find({"selector": {}, "stale": "ok"}).refreshes
    assert read_find({"selector": {}, "stale": "false"}).refreshes


NOT_BOOLEAN: list[Any] = [None, 1.2, "no", {}, [2], 0]
NOT_COUNT: list[Any] = [None, True, -1, 1.2, "3", {}, [2]]
REFUSED: list[tuple[str, str, list[Any]]] = [
    ("selector", "invalid_selector_json", [None, True, 1.0, "foobarbaz", [None, "bing"]]),
    ("limit", "invalid_non_neg_integer", NOT_COUNT),
    ("skip", "invalid_non_neg_integer", NOT_COUNT),
    ("r", "invalid_pos_integer", [*NOT_COUNT, 0]),
    ("conflicts", "invalid_boolean", NOT_BOOLEAN),
    ("update", "invalid_boolean", NOT_BOOLEAN),
    ("stable", "invalid_boolean", NOT_BOOLEAN),
    ("execution_stats", "invalid_boolean", NOT_BOOLEAN),
    ("allow_fallback", "invalid_boolean", NOT_BOOLEAN),
    ("stale", "invalid_ok_or_false_value", [True, "yes", None, 0]),
    ("fields", "invalid_fields", [None, True, 1.2, "no", {"foo": "bar"}]),
    ("fields", "invalid_field", [[2], [[]], ["foo", 2.0], [{}]]),
    ("fields", "invalid_field_name", [["a..b"], [""]]),
    ("sort", "invalid_sort_json", [None, True, 1.2, "no", {"foo": "asc"}]),
    ("sort", "invalid_sort_field", [[2], [""], [{"foo": "asc", "bar": "asc"}], [{"foo": "up"}]]),
    ("sort", "unsupported_mixed_sort", [[{"foo": "asc"}, {"bar": "desc"}], ["a", {"b": "desc"}]]),
    ("use_index", "invalid_index_name", ["foo/bar/baz", ["a", "b", "c"], [1], 1, {}, True]),
    ("bookmark", "invalid_bookmark", [1, [], "bad-bookmark", "g2wAAAABaANkABFub2RlMUBj", "ä", "=="]),
    ("partition", "illegal_partition", [1, None, "_x", "a:b"]),
]


@pytest.mark.parametrize(
    ("key", "error", "value"), [(key, error, value) for key, error, values in REFUSED for value in values]
)
def test_wrong_value(key: str, error: str, value: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_find({"selector": {}, key: value})
    assert (caught.value.status, caught.value.error) == (400, error)


def test_every_option_is_refused_something() -> None:
    assert {key for key, _, _ in REFUSED} == set(FIND_OPTIONS)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ([], "bad_request"),
        (None, "bad_request"),
        ({}, "missing_required_key"),
        ({"selector": {}, "foo": 1}, "invalid_key"),
    ],
)
def test_wrong_body(body: Any, error: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_find(body)
    assert (caught.value.status, caught.value.error) == (400, error)


@given(st.binary(max_size=300), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_bookmark_survives_the_wire(key: bytes, docid: str) -> None:
    assert read_bookmark(write_bookmark(Bookmark(key, docid))) == Bookmark(key, docid)


def test_beginning_bookmarks() -> None:
    assert [read_bookmark(value) for value in (None, "", "nil")] == [None] * 3
    assert write_bookmark(None) == "nil"


def test_bad_bookmark_is_named_in_the_reason() -> None:
    with pytest.raises(ProtocolError) as caught:
        read_bookmark("bad-bookmark")
    assert caught.value.reason == 'Invalid bookmark value: "bad-bookmark"'


def test_execution_stats_shape() -> None:
    assert ExecutionStats(3, 2, 0, 1, 0.12345).as_json() == {
        "total_keys_examined": 3,
        "total_docs_examined": 2,
        "total_quorum_docs_examined": 0,
        "results_returned": 1,
        "execution_time_ms": 0.123,
    }

"""Design documents: what may be stored, what their views are, what built-in reducers make of values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.protocol.collation import sort_key
from replication.protocol.design import DesignDocument, check_design, views_of
from replication.protocol.errors import ProtocolError
from replication.protocol.reducers import ReduceError, builtin_reducer

MAP = "function(doc) { emit(1) }"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"views": 5}, "`views` field must have object type"),
        ({"views": {"v": 5}}, "`views.v` field must have object type"),
        ({"views": {"v": {}}}, "View `v` must contain map function"),
        ({"views": {"v": {"reduce": "_count"}}}, "View `v` must contain map function"),
        ({"views": {"v": {"map": 5}}}, "`views.v.map` field must have string type"),
        ({"views": {"v": {"map": MAP, "reduce": 5}}}, "`views.v.reduce` field must have string type"),
        ({"views": {"v": {"map": MAP, "reduce": "_no"}}}, "`_no` is not a supported reduce function."),
        ({"views": {"v": {"map": MAP, "reduce": "_top_x"}}}, "invalid rank reducer"),
        ({"views": {"v": {"map": MAP, "reduce": "_top_0"}}}, "rank value must be between 1 and 100"),
        ({"views": {"v": {"map": MAP, "reduce": "_bottom_101"}}}, "rank value must be between 1 and 100"),
        ({"language": "query", "views": {"v": {"map": MAP}}}, "`views.v.map` field must have object type"),
        ({"language": 5}, "`language` field must have string type"),
        ({"options": 5}, "`options` field must have object type"),
        ({"options": {"include_design": 5}}, "`options.include_design` field must have boolean type"),
        ({"filters": 5}, "`filters` field must have object type"),
        ({"filters": {"a": 5}}, "`filters.a` field must have string or object type"),
        ({"updates": {"a": 5}}, "`updates.a` field must have string or object type"),
        ({"shows": {"a": 5}}, "`shows.a` field must have string or object type"),
        ({"lists": 5}, "`lists` field must have object type"),
        ({"rewrites": 5}, "`rewrites` field must have array or string type"),
        ({"validate_doc_update": 5}, "`validate_doc_update` field must have string type"),
    ],
)
def test_wrong_members_are_refused(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_design(value)
    assert (caught.value.status, caught.value.error) == (400, "invalid_design_doc")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"views": {}},
        {"views": {"v": {"map": MAP, "reduce": "_top_100"}}},
        {"views": {"lib": {"a": "exports.x = 1"}, "": {"map": MAP}}},
        {"language": "query", "views": {"v": {"map": {"fields": {}}, "reduce": "_count"}}},
        {"language": "other", "views": {"v": {"map": "(lambda)"}}},
        {"views": {"v": {"map": MAP, "reduce": "_sum\n and more"}}},
        {"rewrites": [], "autoupdate": 5, "anything": {"else": 1}},
        {"filters": {"a": {"b": "c"}}},
    ],
)
def test_the_rest_may_be_stored(value: dict[str, Any]) -> None:
    check_design(value)


def view(value: dict[str, Any], name: str = "v") -> Any:
    return {found.name: found for found in views_of(value)}[name]


def test_a_signature_is_that_of_the_rows() -> None:
    plain = view({"views": {"v": {"map": MAP}}}).signature
    assert view({"views": {"w": {"map": MAP, "reduce": "_sum"}}, "filters": {}}, "w").signature == plain
    assert view({"views": {"v": {"map": MAP}, "lib": {"a": "1"}}}).signature == plain
    for other in (
        {"views": {"v": {"map": MAP + " "}}},
        {"views": {"v": {"map": MAP}}, "options": {"collation": "raw"}},
        {"views": {"v": {"map": MAP}}, "options": {"local_seq": True}},
        {"views": {"v": {"map": MAP}}, "options": {"include_design": True}},
        {"views": {"v": {"map": MAP}}, "language": "other"},
    ):
        assert view(other).signature != plain
    with_lib = {"map": "function(doc) { require('views/lib/a') }"}
    first = view({"views": {"v": with_lib, "lib": {"a": "1"}}})
    assert first.signature != view({"views": {"v": with_lib, "lib": {"a": "2"}}}).signature
    assert first.modules == '{"views":{"lib":{"a":"1"}}}'


def test_functions_are_found_or_named_in_the_404() -> None:
    ddoc = DesignDocument("_design/d", "1-a", b"", {"filters": {"a": "x", "b": {"c": 1}}, "updates": 5})
    assert ddoc.function("filters", "a") == "x"
    assert ddoc.function("filters", "b") == '{"c":1}'
    for kind, name, reason in (
        ("filters", "z", "missing json key: z"),
        ("lists", "z", "missing json key: lists"),
        ("updates", "z", "missing json key: z"),
    ):
        with pytest.raises(ProtocolError) as caught:
            ddoc.function(kind, name)
        assert (caught.value.status, caught.value.reason) == (404, reason)


# -- built-in reducers -------------------------------------------------------------------------


def reduced(name: str, values: list[Any], *, at_once: int = 1000, descending: bool = False) -> Any:
    reducer = builtin_reducer(name, descending=descending)
    for start in range(0, len(values), at_once):
        some = values[start : start + at_once]
        keys = [b"%06d" % (start + at) for at in range(len(some))]
        reducer.add(keys, some if reducer.needs_values else ())
    return reducer.result()


def stats(*row: float) -> dict[str, float]:
    return dict(zip(("sum", "count", "min", "max", "sumsqr"), row, strict=True))


@pytest.mark.parametrize(
    ("name", "values", "result"),
    [
        ("_count", [None, "x"], 2),
        ("_sum", [1, 2, 3.5], 6.5),
        ("_sum", [[1, 2], [3, 4]], [4, 6]),
        ("_sum", [[1, 2, 3], [1]], [2, 2, 3]),
        ("_sum", [1, [1, 2], [1, 2]], [3, 4]),
        ("_sum", [{"a": 1, "b": [1]}, {"a": 2.5, "c": {"d": 1}}], {"a": 3.5, "b": [1], "c": {"d": 1}}),
        ("_sum", [[]], [0]),
        ("_stats", [1, 2, 3], stats(6, 3, 1, 3, 14)),
        ("_stats", [[1, 2], [3, 5]], [stats(4, 2, 1, 3, 10), stats(7, 2, 2, 5, 29)]),
        ("_stats", [1, stats(1, 2, 0, 3, 9)], stats(2, 3, 0, 3, 10)),
        ("_approx_count_distinct", [1, 2, 2], 3),
        ("_first", ["a", "b"], "a"),
        ("_last", ["a", "b"], "b"),
        ("_top_3", [1, "z", None, [2], {"a": 1}], [{"a": 1}, [2], "z"]),
        ("_bottom_2", [1, "z", None, [2], True], [None, True]),
        ("_top_100", [2, 1, 1], [2, 1]),
    ],
)
def test_built_in_reducers(name: str, values: list[Any], result: Any) -> None:
    assert reduced(name, values) == result
    assert reduced(name, values, at_once=1) == result


@pytest.mark.parametrize(
    ("values", "wrong"), [(["x"], "x"), ([1, None], None), ([True], True), ([1, {"a": 1}], {"a": 1})]
)
def test_what_can_not_be_summed_is_an_error_as_the_value(values: list[Any], wrong: Any) -> None:
    result = reduced("_sum", values)
    assert (result["error"], result["caused_by"]) == ("builtin_reduce_error", wrong)


@pytest.mark.parametrize("values", [["x"], [None], [{"sum": 1}], [1, [1]], [[1, 2], [1]], [1e200, 1e200]])
def test_what_has_no_statistics_is_an_error(values: list[Any]) -> None:
    with pytest.raises(ReduceError):
        reduced("_stats", values)


def test_first_and_last_are_those_of_the_view_whatever_the_direction() -> None:
    assert reduced("_first", ["b", "a"], descending=True) == "a"
    assert reduced("_last", ["b", "a"], descending=True) == "b"


@given(st.lists(st.integers() | st.text() | st.none() | st.booleans(), min_size=1), st.integers(1, 5))
def test_ranks_do_not_depend_on_how_rows_come(values: list[Any], at_once: int) -> None:
    ordered = sorted(set(map(sort_key, values)), reverse=True)
    assert list(map(sort_key, reduced("_top_3", values, at_once=at_once))) == ordered[:3]
    assert list(map(sort_key, reduced("_bottom_3", values, at_once=at_once))) == ordered[::-1][:3]


@given(st.lists(st.integers(), min_size=1), st.integers(1, 5))
def test_statistics_do_not_depend_on_how_rows_come(values: list[int], at_once: int) -> None:
    expected = stats(sum(values), len(values), min(values), max(values), sum(n * n for n in values))
    assert reduced("_stats", values, at_once=at_once) == expected

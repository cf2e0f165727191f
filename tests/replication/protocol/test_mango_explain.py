"""`_explain` tells what CouchDB's tells."""

from __future__ import annotations

from typing import Any

import pytest

from replication.protocol.mango.explain import explain
from replication.protocol.mango.index import IndexDefinition, PrimaryIndex
from replication.protocol.mango.query import read_find
from tests.replication.protocol.mango_indexes import USERS, index


def explained(selector: Any, *indexes: IndexDefinition, **options: Any) -> dict[str, Any]:
    return explain("db", read_find({"selector": selector, **options}), indexes)


def analysis(answer: dict[str, Any]) -> list[tuple[str, bool, str, int, bool | None]]:
    return [
        (
            row["index"]["name"],
            row["analysis"]["usable"],
            row["analysis"]["reasons"][0]["name"],
            row["analysis"]["ranking"],
            row["analysis"]["covering"],
        )
        for row in answer["index_candidates"]
    ]


def test_explain_shape() -> None:
    age = index("age", "age")
    answer = explained({"age": {"$gt": 0}}, age, fields=["manager"])
    assert answer == {
        "dbname": "db",
        "index": age.as_json(),
        "partitioned": False,
        "selector": {"age": {"$gt": 0}},
        "opts": {
            "use_index": [],
            "bookmark": "nil",
            "limit": 25,
            "skip": 0,
            "sort": {},
            "fields": ["manager"],
            "partition": "",
            "r": 1,
            "conflicts": False,
            "stale": False,
            "update": True,
            "stable": False,
            "execution_stats": False,
            "allow_fallback": True,
        },
        "limit": 25,
        "skip": 0,
        "fields": ["manager"],
        "index_candidates": [
            {
                "index": PrimaryIndex().as_json(),
                "analysis": {
                    "usable": True,
                    "reasons": [{"name": "unfavored_type"}],
                    "ranking": 1,
                    "covering": None,
                },
            }
        ],
        "selector_hints": [{"type": "json", "indexable_fields": ["age"], "unindexable_fields": []}],
        "mrargs": {
            "include_docs": True,
            "view_type": "map",
            "reduce": False,
            "partition": None,
            "start_key": [0],
            "end_key": ["<MAX>"],
            "direction": "fwd",
            "stable": False,
            "update": True,
            "conflicts": "undefined",
        },
        "covering": False,
    }


def test_explain_candidates() -> None:
    assert analysis(explained({"age": 23}, *USERS)) == [
        ("user_id", False, "field_mismatch", 2, False),
        ("name", False, "field_mismatch", 2, False),
        ("manager", False, "field_mismatch", 2, False),
        ("favorites", False, "field_mismatch", 2, False),
        ("company_and_manager", False, "field_mismatch", 2, False),
        ("_all_docs", True, "unfavored_type", 1, None),
    ]
    answer = explained(
        {"a": 1, "b": 1},
        index("ab", "a", "b"),
        index("aab", "a", "b"),
        index("a", "a"),
        index("p", "a", partial={"x": 1}),
        index("g", "a", partitioned=True),
        fields=["a"],
    )
    assert answer["index"]["name"] == "aab"
    assert analysis(answer) == [
        ("p", False, "is_partial", 5, True),
        ("g", False, "scope_mismatch", 4, True),
        ("ab", True, "alphabetically_comes_after", 1, True),
        ("a", True, "less_overlap", 2, True),
        ("_all_docs", True, "unfavored_type", 3, None),
    ]
    assert analysis(explained({"a": 1}, index("ab", "a"), index("b", "a"), use_index="b"))[0] == (
        "ab",
        True,
        "excluded_by_user",
        1,
        False,
    )


def test_explain_without_usable_index() -> None:
    answer = explained({"age": 23}, sort=["company"])
    assert answer["index"] is None
    assert analysis(answer) == [("_all_docs", False, "field_mismatch", 1, None)]
    assert "mrargs" not in answer


@pytest.mark.parametrize(
    ("selector", "options", "start", "end"),
    [
        ({"age": 10, "name": {"$gte": 0}}, {}, [10, 0], [10, "<MAX>"]),
        ({"age": 10, "name": 5}, {}, [10, 5], [10, 5, "<MAX>"]),
        ({"age": {"$lt": 3}, "name": 5}, {"sort": [{"age": "desc"}]}, [3, 5, "<MAX>"], []),
        ({"_id": "x"}, {}, "x", "x"),
        ({"_id": {"$lt": "x"}}, {}, "", "x"),
        ({"b": 1}, {}, None, "<MAX>"),
        ({"age": 1, "$and": [{"age": 2}], "name": 1}, {}, None, None),
    ],
)
def test_explain_keys(selector: Any, options: dict[str, Any], start: Any, end: Any) -> None:
    arguments = explained(selector, index("i", "age", "name"), **options)["mrargs"]
    assert (arguments["start_key"], arguments["end_key"]) == (start, end)


def test_explain_covering_and_hints() -> None:
    answer = explained({"age": {"$lt": 35}}, index("age", "age"), fields=["_id", "age"])
    assert answer["covering"] is True
    assert answer["mrargs"]["include_docs"] is False
    answer = explained({"age": {"$lt": 35}, "x": {"$in": [1]}}, index("age", "age"), fields=["age"])
    assert answer["covering"] is False
    assert answer["selector_hints"][0]["unindexable_fields"] == ["x"]

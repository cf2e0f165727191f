"""Index definitions: the bodies that make them, the design documents they are, the keys they give."""

from __future__ import annotations

from typing import Any

import pytest

from replication.protocol.collation import sort_key
from replication.protocol.errors import ProtocolError
from replication.protocol.mango.index import (
    IndexDefinition,
    PrimaryIndex,
    definitions_of,
    read_bulk_delete,
    read_index_request,
    with_index,
    without_index,
)
from replication.protocol.mango.sorting import SortField


def definition(body: dict[str, Any]) -> IndexDefinition:
    return read_index_request(body).definition


def test_request_becomes_design_document_and_back() -> None:
    request = read_index_request(
        {
            "index": {"fields": ["a.b", {"c": "asc"}], "partial_filter_selector": {"type": "x"}},
            "ddoc": "dd",
            "name": "nn",
        }
    )
    ddoc = with_index(None, request)
    assert ddoc == {
        "language": "query",
        "views": {
            "nn": {
                "map": {
                    "fields": {"a.b": "asc", "c": "asc"},
                    "partial_filter_selector": {"type": {"$eq": "x"}},
                },
                "reduce": "_count",
                "options": {"def": request.source},
            }
        },
    }
    (found,) = definitions_of({"_id": "_design/dd", **ddoc})
    assert (found.ddoc, found.name, found.columns) == ("_design/dd", "nn", ("a.b", "c"))
    assert found.signature == request.definition.signature
    assert found.as_json() == {
        "ddoc": "_design/dd",
        "name": "nn",
        "type": "json",
        "partitioned": False,
        "def": {
            "fields": [{"a.b": "asc"}, {"c": "asc"}],
            "partial_filter_selector": {"type": {"$eq": "x"}},
        },
    }


def test_names_are_generated_from_the_body() -> None:
    one, again = definition({"index": {"fields": ["a"]}}), definition({"index": {"fields": ["a"]}})
    assert one == again
    assert one.ddoc == f"_design/{one.name}"
    assert len(one.name) == 40
    assert definition({"index": {"fields": ["a"]}, "name": "n"}).ddoc != one.ddoc


def test_same_index_again_changes_nothing() -> None:
    request = read_index_request({"index": {"fields": ["a"]}, "ddoc": "_design/d", "name": "n"})
    ddoc = with_index(None, request)
    assert with_index(ddoc, request) is None
    other = with_index(ddoc, read_index_request({"index": {"fields": ["b"]}, "ddoc": "d", "name": "m"}))
    assert other is not None
    assert [found.name for found in definitions_of({"_id": "_design/d", **other})] == ["n", "m"]


def test_removing_the_last_index_leaves_nothing() -> None:
    one = with_index(None, read_index_request({"index": {"fields": ["a"]}, "ddoc": "d", "name": "n"}))
    both = with_index(one, read_index_request({"index": {"fields": ["b"]}, "ddoc": "d", "name": "m"}))
    assert both is not None
    rest = without_index({"_id": "_design/d", "_rev": "1-a", **both}, "m")
    assert rest == {"_id": "_design/d", "_rev": "1-a", **(one or {})}
    assert without_index(rest, "n") is None
    with_more = {**rest, "validate_doc_update": "x"}
    assert without_index(with_more, "n") == {
        "_id": "_design/d",
        "_rev": "1-a",
        "language": "query",
        "validate_doc_update": "x",
    }


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (None, 400, "bad_request"),
        ({}, 400, "missing_required_key"),
        ({"fields": ["a"]}, 400, "missing_required_key"),
        ({"index": {"fields": ["a"]}, "x": 1}, 400, "invalid_key"),
        ({"index": ["a"]}, 400, "invalid_index"),
        ({"index": {}}, 400, "missing_required_key"),
        ({"index": {"fields": ["a"], "x": 1}}, 400, "invalid_key"),
        ({"index": {"fields": None}}, 400, "invalid_sort_json"),
        ({"index": {"fields": "a"}}, 400, "invalid_sort_json"),
        ({"index": {"fields": [""]}}, 400, "invalid_sort_field"),
        ({"index": {"fields": ["a..b"]}}, 400, "invalid_field_name"),
        ({"index": {"fields": [{"a": 2}]}}, 400, "invalid_sort_field"),
        ({"index": {"fields": [{"a": "asc", "b": "asc"}]}}, 400, "invalid_sort_field"),
        ({"index": {"fields": [{"a": "asc"}, {"b": "desc"}]}}, 400, "unsupported_mixed_sort"),
        ({"index": {"fields": ["a"], "partial_filter_selector": 1}}, 400, "invalid_selector_json"),
        ({"index": {"fields": ["a"]}, "type": None}, 400, "invalid_string"),
        ({"index": {"fields": ["a"]}, "type": "geo"}, 400, "invalid_index"),
        ({"index": {"fields": ["a"]}, "type": "text"}, 503, "required index service unavailable"),
        ({"index": {"fields": ["a"]}, "name": ""}, 400, "invalid_empty_string"),
        ({"index": {"fields": ["a"]}, "name": 1}, 400, "invalid_string"),
        ({"index": {"fields": ["a"]}, "ddoc": ""}, 400, "invalid_empty_string"),
        ({"index": {"fields": ["a"]}, "ddoc": "_design/"}, 400, "illegal_docid"),
        ({"index": {"fields": ["a"]}, "w": 0}, 400, "invalid_pos_integer"),
        ({"index": {"fields": ["a"]}, "partitioned": 1}, 400, "invalid_partitioned_value"),
    ],
)
def test_refused_request(body: Any, status: int, error: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_index_request(body)
    assert (caught.value.status, caught.value.error) == (status, error)


def test_design_document_of_another_language_or_scope_is_refused() -> None:
    request = read_index_request({"index": {"fields": ["a"]}, "ddoc": "d", "partitioned": True})
    with pytest.raises(ProtocolError, match="invalid_ddoc_lang"):
        with_index({"language": "javascript"}, request)
    with pytest.raises(ProtocolError, match="invalid_partitioned_option"):
        with_index({"language": "query", "views": {}}, request)
    created = with_index(None, request)
    assert created is not None
    assert created["options"] == {"partitioned": True}
    assert definitions_of({"_id": "_design/d", **created})[0].partitioned is True


@pytest.mark.parametrize(
    "ddoc",
    [
        {"language": "javascript", "views": {"v": {"map": "function(doc){}"}}},
        {"views": {"v": {"map": {"fields": {"a": "asc"}}, "options": {}}}},
        {"language": "query"},
        {"language": "query", "views": []},
        {"language": "query", "views": {"v": 1}},
        {"language": "query", "views": {"v": {"map": "x", "options": {}}}},
        {"language": "query", "views": {"v": {"map": {"fields": {"a": "up"}}, "options": {}}}},
        {"language": "query", "views": {"v": {"map": {"fields": ["a"]}, "options": {}}}},
        {
            "language": "query",
            "views": {
                "v": {"map": {"fields": {"a": "asc"}, "partial_filter_selector": 1}, "options": {}},
            },
        },
    ],
)
def test_what_is_no_index_is_passed_over(ddoc: dict[str, Any]) -> None:
    assert definitions_of({"_id": "_design/d", **ddoc}) == []


def test_keys() -> None:
    index = definition({"index": {"fields": ["a", "b.c"], "partial_filter_selector": {"t": {"$gt": 1}}}})
    assert index.key_of({"_id": "1", "t": 2, "a": None, "b": {"c": [1]}}) == [None, [1]]
    assert index.sort_keys({"_id": "1", "t": 2, "a": 1, "b": {"c": 2}}) == [sort_key([1, 2])]
    assert index.key_of({"_id": "1", "t": 2, "a": 1}) is None
    assert index.key_of({"_id": "1", "t": 2, "a": 1, "b": 5}) is None
    assert index.key_of({"_id": "1", "t": 1, "a": 1, "b": {"c": 2}}) is None
    assert index.sort_keys({"_id": "_design/x", "t": 2, "a": 1, "b": {"c": 2}}) == []


def test_slow_regex_leaves_the_document_out_of_the_index() -> None:
    index = definition(
        {"index": {"fields": ["a"], "partial_filter_selector": {"a": {"$regex": "^(a|aa)+$"}}}}
    )
    assert index.key_of({"_id": "1", "a": "a" * 60 + "b"}) is None
    assert index.key_of({"_id": "1", "a": "aaa"}) == ["aaa"]


def test_signature_is_about_content_not_names() -> None:
    base = IndexDefinition("_design/a", "a", (SortField("x", "asc"),))
    assert base.signature == IndexDefinition("_design/b", "b", (SortField("x", "desc"),)).signature
    assert base.signature != IndexDefinition("_design/a", "a", (SortField("y", "asc"),)).signature


def test_bulk_delete_body() -> None:
    assert read_bulk_delete({"docids": ["_design/a", "b"]}) == ["_design/a", "_design/b"]
    for body in ({}, {"docids": "a"}, {"docids": [1]}, {"docids": ["a/b/c/d"]}, {"docids": [], "x": 1}):
        with pytest.raises(ProtocolError):
            read_bulk_delete(body)


def test_primary_index_as_json() -> None:
    assert PrimaryIndex().as_json() == {
        "ddoc": None,
        "name": "_all_docs",
        "type": "special",
        "def": {"fields": [{"_id": "asc"}]},
    }

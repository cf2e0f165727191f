"""The changes feed with filters: ids, selectors, design documents, and functions that are not there."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from replication.store.interface import Store
from tests.replication.http.batches import A, B, C, D, replicate, revision
from tests.replication.http.changes import ALL, changes, ids
from tests.replication.http.refusals import refused


async def test_doc_ids_selects_documents(client: httpx.AsyncClient, feed: str) -> None:
    asked = {"doc_ids": ["x", "d1", "nope", "x"]}
    answer = await changes(client, feed, "filter=_doc_ids", asked)
    assert ids(answer) == ["d1", "x"]
    by_get = await changes(client, feed, "filter=_doc_ids&doc_ids=" + quote('["x","d1"]'))
    assert by_get == answer
    assert ids(await changes(client, feed, "filter=_doc_ids&descending=true", asked)) == ["x", "d1"]
    assert ids(await changes(client, feed, "filter=_doc_ids", {"doc_ids": []})) == []


@pytest.mark.alone("counts what one process reads from its file")
async def test_doc_ids_are_looked_up_only_when_there_are_more_changes(
    client: httpx.AsyncClient, feed: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A feed that waits for a thousand documents must not look for all of them at every change."""
    database = store.get("db")
    looked_up = []
    read = database.change_rows

    async def watched(*args: Any, docids: Any, **options: Any) -> Any:
        looked_up.append(docids is not None)
        return await read(*args, docids=docids, **options)

    monkeypatch.setattr(database, "change_rows", watched)
    many = {"doc_ids": [f"other{n}" for n in range(1000)] + ["x"]}
    assert ids(await changes(client, feed, "filter=_doc_ids", many)) == ["x"]
    assert ids(await changes(client, feed, "filter=_doc_ids", {"doc_ids": ["x"]})) == ["x"]
    assert looked_up == [False, True]


async def test_doc_ids_with_documents_and_all_leaves(client: httpx.AsyncClient, feed: str) -> None:
    query = "filter=_doc_ids&style=all_docs&include_docs=true&conflicts=true"
    (row,) = (await changes(client, feed, query, {"doc_ids": ["x"]}))["results"]
    assert len(row["changes"]) == 3
    assert row["doc"]["_conflicts"] == [f"2-{B}"]


async def test_doc_ids_without_the_filter_do_not_count(client: httpx.AsyncClient, feed: str) -> None:
    assert ids(await changes(client, feed, "", {"doc_ids": ["x"], "filter": "_doc_ids"})) == ALL


@pytest.mark.parametrize("body", [{}, {"doc_ids": "x"}, {"doc_ids": [1]}, {"doc_ids": None}])
async def test_doc_ids_must_be_a_list_of_strings(client: httpx.AsyncClient, feed: str, body: Any) -> None:
    reason = "`doc_ids` filter parameter is not a list of doc ids."
    response = await client.post(f"{feed}/_changes?filter=_doc_ids", json=body)
    assert refused(response) == (400, "bad_request", reason)


async def test_doc_ids_by_get_must_be_json(client: httpx.AsyncClient, feed: str) -> None:
    response = await client.get(f"{feed}/_changes?filter=_doc_ids&doc_ids=x")
    assert refused(response) == (400, "bad_request", "invalid UTF-8 JSON")
    assert (await client.get(f"{feed}/_changes?filter=_doc_ids")).status_code == 400


async def test_selector_filters_by_content(client: httpx.AsyncClient, feed: str) -> None:
    answer = await changes(client, feed, "filter=_selector", {"selector": {"t": "odd"}})
    assert ids(answer) == ["d1", "d3"]
    deleted = await changes(client, feed, "filter=_selector", {"selector": {"_deleted": True}})
    assert ids(deleted) == ["d4"]
    assert ids(await changes(client, feed, "filter=_selector", {"selector": {}})) == ALL


async def test_selector_judges_each_leaf_of_style_all_docs(client: httpx.AsyncClient, feed: str) -> None:
    query = "filter=_selector&style=all_docs&include_docs=true"
    rows = (await changes(client, feed, query, {"selector": {"t": "odd"}}))["results"]
    assert [row["id"] for row in rows] == ["d1", "d3", "x"]
    assert rows[2]["changes"] == [{"rev": f"2-{B}"}, {"rev": f"2-{D}"}]
    assert rows[2]["doc"]["_rev"] == f"2-{C}"


async def test_selector_with_fields_cuts_the_documents(client: httpx.AsyncClient, feed: str) -> None:
    body = {"selector": {"t": "odd"}, "fields": ["n", "_id"]}
    rows = (await changes(client, feed, "filter=_selector&include_docs=true", body))["results"]
    assert [row["doc"] for row in rows] == [{"n": 1, "_id": "d1"}, {"n": 3, "_id": "d3"}]
    body["fields"] = []
    rows = (await changes(client, feed, "filter=_selector&include_docs=true", body))["results"]
    assert "t" in rows[0]["doc"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "Selector error: expected a JSON object"),
        ({"selector": "x"}, "Selector error: expected a JSON object"),
        ({"selector": {"a": {"$foo": 1}}}, "Invalid operator: $foo"),
        ({"selector": {}, "fields": "x"}, "Selector error: fields must be JSON array"),
        ({"selector": {}, "fields": None}, "Selector error: fields must be JSON array"),
        ({"selector": {}, "fields": [1]}, "Invalid JSON for field spec: 1"),
    ],
)
async def test_selector_that_is_wrong_is_400(
    client: httpx.AsyncClient, feed: str, body: Any, reason: str
) -> None:
    response = await client.post(f"{feed}/_changes?filter=_selector", json=body)
    assert refused(response) == (400, "bad_request", reason)


async def test_selector_comes_in_a_post_only(client: httpx.AsyncClient, feed: str) -> None:
    response = await client.get(f"{feed}/_changes?filter=_selector&selector=" + quote('{"t":"odd"}'))
    assert refused(response) == (400, "bad_request", "Selector must be specified in POST payload")


async def test_design_filter(client: httpx.AsyncClient, feed: str) -> None:
    assert ids(await changes(client, feed, "filter=_design")) == ["_design/d"]
    await replicate(client, feed, revision("_design/gone", 2, [B, A], _deleted=True))
    assert ids(await changes(client, feed, "filter=_design&descending=true")) == ["_design/gone", "_design/d"]


async def test_limit_counts_rows_that_passed_the_filter(client: httpx.AsyncClient, feed: str) -> None:
    body = {"selector": {"t": "odd"}}
    answer = await changes(client, feed, "filter=_selector&limit=1", body)
    assert ids(answer) == ["d1"]
    assert answer["pending"] == 5
    answer = await changes(client, feed, f"filter=_selector&limit=1&since={answer['last_seq']}", body)
    assert ids(answer) == ["d3"]


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("filter=_selector", {"selector": {"t": "none such"}}),
        ("filter=_doc_ids", {"doc_ids": ["d0"]}),
        ("filter=_design", {}),
    ],
)
async def test_last_seq_advances_past_filtered_rows(
    client: httpx.AsyncClient, feed: str, query: str, body: Any
) -> None:
    answer = await changes(client, feed, query, body)
    assert answer["last_seq"] == (await changes(client, feed))["last_seq"]
    assert answer["pending"] == 0


async def test_a_filter_can_be_read_to_its_end_by_pages(client: httpx.AsyncClient, feed: str) -> None:
    seen, since = [], "0"
    while True:
        answer = await changes(
            client, feed, f"filter=_selector&limit=1&since={since}", {"selector": {"t": {"$exists": True}}}
        )
        since = answer["last_seq"]
        if not answer["results"]:
            break
        seen += ids(answer)
    assert seen == ["d0", "d1", "d2", "d3", "x"]


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("filter=_foo", 400, "unknown builtin filter name"),
        ("filter=foo", 400, "`filter` must be of the form `designname/filtername`"),
        ("filter=a/b/c", 400, "`filter` must be of the form `designname/filtername`"),
        ("filter=none/f", 404, "missing"),
        ("filter=d/none", 404, "missing json key: none"),
        ("filter=_view", 400, "`view` filter parameter is not provided."),
        ("filter=_view&view=", 400, "`view` filter parameter is not provided."),
        ("filter=_view&view=dv", 400, "`view` must be of the form `designname/viewname`"),
        ("filter=_view&view=/", 400, "`view` must be of the form `designname/viewname`"),
        ("filter=_view&view=none/v", 404, "missing"),
        ("filter=_view&view=d/none", 404, "missing json key: none"),
    ],
)
async def test_filters_that_are_not_there(
    client: httpx.AsyncClient, feed: str, query: str, status: int, reason: str
) -> None:
    error = {400: "bad_request", 404: "not_found"}[status]
    assert refused(await client.get(f"{feed}/_changes?{query}")) == (status, error, reason)


async def test_filter_of_a_deleted_design_document_is_404(client: httpx.AsyncClient, feed: str) -> None:
    await replicate(client, feed, revision("_design/d", 2, [B, A], _deleted=True))
    response = await client.get(f"{feed}/_changes?filter=d/f")
    assert refused(response) == (404, "not_found", "deleted")


@pytest.mark.parametrize("query", ["filter=", "filter=/"])
async def test_empty_filter_is_none(client: httpx.AsyncClient, feed: str, query: str) -> None:
    assert ids(await changes(client, feed, query)) == ALL

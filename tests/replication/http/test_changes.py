"""The changes feed: rows, parameters, filters, framing. Feeds that wait are in `test_live_feeds`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from replication.http import changes_pages
from replication.store.interface import Store
from tests.replication.http.batches import A, B, C, D, replicate, revision
from tests.replication.http.refusals import refused


async def changes(client: httpx.AsyncClient, db: str, query: str = "", body: Any = None) -> Any:
    """The answer as JSON; with a body it is a POST."""
    url = f"{db}/_changes?{query}"
    response = await client.get(url) if body is None else await client.post(url, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer["results"]]


@pytest.fixture
async def feed(client: httpx.AsyncClient, db: str) -> str:
    """Seven changes; d4 is deleted, x has the leaves 2-c (the winner), 2-b and, deleted, 2-d."""
    for n in range(4):
        await replicate(client, db, revision(f"d{n}", 1, [A], n=n, t="odd" if n % 2 else "even"))
    await replicate(
        client, db, revision("_design/d", 1, [A], filters={"f": "…"}, views={"v": {"map": "x => x"}})
    )
    await replicate(client, db, revision("d4", 2, [B, A], _deleted=True))
    await replicate(
        client,
        db,
        revision("x", 2, [C, A], t="even"),
        revision("x", 2, [B, A], t="odd"),
        revision("x", 2, [D, A], t="odd", _deleted=True),
    )
    return db


ALL = ["d0", "d1", "d2", "d3", "_design/d", "d4", "x"]


# -- rows and framing --------------------------------------------------------------------------


async def test_framing_is_couchdbs(client: httpx.AsyncClient, db: str) -> None:
    response = await client.get(f"{db}/_changes")
    last = response.json()["last_seq"]
    assert response.text == f'{{"results":[\n\n],\n"last_seq":"{last}","pending":0}}\n\n'
    await replicate(client, db, revision("a", 1, [A]), revision("b", 1, [B]))
    response = await client.get(f"{db}/_changes")
    first, second = (row["seq"] for row in response.json()["results"])
    assert response.text == (
        '{"results":[\n'
        f'{{"seq":"{first}","id":"a","changes":[{{"rev":"1-{A}"}}]}},\n'
        f'{{"seq":"{second}","id":"b","changes":[{{"rev":"1-{B}"}}]}}\n'
        f'],\n"last_seq":"{second}","pending":0}}\n\n'
    )
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "must-revalidate"


async def test_sequences_begin_with_an_integer(client: httpx.AsyncClient, feed: str) -> None:
    numbers = [int(row["seq"].partition("-")[0]) for row in (await changes(client, feed))["results"]]
    assert numbers == sorted(numbers)


async def test_each_document_is_listed_once_in_order_of_its_last_change(
    client: httpx.AsyncClient, feed: str
) -> None:
    assert ids(await changes(client, feed)) == ALL
    await replicate(client, feed, revision("d1", 2, [B, A]))
    assert ids(await changes(client, feed)) == ["d0", "d2", "d3", "_design/d", "d4", "x", "d1"]


async def test_deleted_describes_the_winner(client: httpx.AsyncClient, feed: str) -> None:
    rows = {row["id"]: row for row in (await changes(client, feed, "style=all_docs"))["results"]}
    assert rows["d4"]["deleted"] is True
    assert "deleted" not in rows["x"]
    assert "deleted" not in rows["d0"]


async def test_style_all_docs_lists_every_leaf_winner_first(client: httpx.AsyncClient, feed: str) -> None:
    row = (await changes(client, feed, "style=all_docs"))["results"][-1]
    assert row["changes"] == [{"rev": f"2-{C}"}, {"rev": f"2-{B}"}, {"rev": f"2-{D}"}]
    row = (await changes(client, feed, "style=main_only"))["results"][-1]
    assert row["changes"] == [{"rev": f"2-{C}"}]


async def test_local_documents_are_not_in_the_feed(client: httpx.AsyncClient, feed: str) -> None:
    await client.put(f"{feed}/_local/x", json={})
    assert ids(await changes(client, feed)) == ALL


async def test_purged_documents_vanish(client: httpx.AsyncClient, feed: str) -> None:
    await client.post(f"{feed}/_purge", json={"d2": [f"1-{A}"]})
    assert ids(await changes(client, feed)) == ["d0", "d1", "d3", "_design/d", "d4", "x"]


# -- since, limit, descending ------------------------------------------------------------------


async def test_since_goes_on_behind_a_sequence(client: httpx.AsyncClient, feed: str) -> None:
    rows = (await changes(client, feed))["results"]
    for place, row in enumerate(rows):
        assert ids(await changes(client, feed, f"since={row['seq']}")) == ALL[place + 1 :]


async def test_since_quoted_as_json(client: httpx.AsyncClient, feed: str) -> None:
    seq = (await changes(client, feed))["results"][4]["seq"]
    assert ids(await changes(client, feed, "since=" + quote(f'"{seq}"'))) == ALL[5:]


async def test_since_now_is_the_end(client: httpx.AsyncClient, feed: str) -> None:
    answer = await changes(client, feed, "since=now")
    whole = await changes(client, feed)
    assert answer == {"results": [], "last_seq": whole["last_seq"], "pending": 0}


async def test_since_beyond_the_end_finds_nothing(client: httpx.AsyncClient, feed: str) -> None:
    number, _, epoch = (await changes(client, feed))["last_seq"].partition("-")
    answer = await changes(client, feed, f"since={int(number) + 10}-{epoch}")
    assert answer == {"results": [], "last_seq": f"{number}-{epoch}", "pending": 0}


@pytest.mark.parametrize("since", ["abc", "", "-1", "null", "[]", "1-ABC", "99999-g1AAAA", '"x"'])
async def test_since_that_is_no_sequence_is_400(client: httpx.AsyncClient, feed: str, since: str) -> None:
    for name in ("since", "last-event-id"):
        assert refused(await client.get(f"{feed}/_changes?{name}={quote(since)}")) == (
            400,
            "bad_request",
            "Malformed sequence supplied in 'since' parameter.",
        )


async def test_limit_and_pending(client: httpx.AsyncClient, feed: str) -> None:
    answer = await changes(client, feed, "limit=3")
    assert ids(answer) == ALL[:3]
    assert answer["last_seq"] == answer["results"][-1]["seq"]
    assert answer["pending"] == 4
    answer = await changes(client, feed, f"limit=100&since={answer['last_seq']}")
    assert ids(answer) == ALL[3:]
    assert answer["pending"] == 0


async def test_limit_0_answers_no_rows_and_what_is_pending(client: httpx.AsyncClient, feed: str) -> None:
    answer = await changes(client, feed, "limit=0")
    assert (answer["results"], answer["pending"]) == ([], 7)
    assert ids(await changes(client, feed, f"since={answer['last_seq']}")) == ALL


@pytest.mark.parametrize("limit", ["-1", "7", "99999999999999999999"])
async def test_limit_of_all(client: httpx.AsyncClient, feed: str, limit: str) -> None:
    assert ids(await changes(client, feed, f"limit={limit}")) == ALL


async def test_descending_begins_at_the_end_whatever_since_says(client: httpx.AsyncClient, feed: str) -> None:
    for query in ("descending=true", "descending=true&since=now"):
        answer = await changes(client, feed, query)
        assert ids(answer) == ALL[::-1]
        assert answer["last_seq"] == answer["results"][-1]["seq"]
        assert answer["pending"] == 0
    answer = await changes(client, feed, "descending=true&limit=2")
    assert ids(answer) == ["x", "d4"]
    assert answer["last_seq"] == answer["results"][-1]["seq"]
    assert answer["pending"] == 5
    assert (await changes(client, feed, "descending=true&limit=0"))["pending"] == 7


async def test_seq_interval_leaves_sequences_out(client: httpx.AsyncClient, feed: str) -> None:
    async def given(query: str) -> list[bool]:
        rows = (await changes(client, feed, query))["results"]
        return [row["seq"] is not None for row in rows]

    assert await given("seq_interval=2") == [True, False, True, False, True, False, True]
    assert await given("seq_interval=2&limit=3") == [False, True, False]
    assert await given("seq_interval=3&limit=5") == [False, False, True, False, False]
    assert await given("seq_interval=1&limit=2") == [True, True]


# -- documents ---------------------------------------------------------------------------------


async def test_include_docs_adds_the_winner(client: httpx.AsyncClient, feed: str) -> None:
    rows = (await changes(client, feed, "include_docs=true&style=all_docs"))["results"]
    assert rows[0]["doc"] == {"_id": "d0", "_rev": f"1-{A}", "n": 0, "t": "even"}
    assert rows[5]["doc"] == {"_id": "d4", "_rev": f"2-{B}", "_deleted": True}
    assert rows[6]["doc"] == {"_id": "x", "_rev": f"2-{C}", "t": "even"}
    assert list(rows[5]) == ["seq", "id", "changes", "deleted", "doc"]


async def test_conflicts_are_told_with_the_document_only(client: httpx.AsyncClient, feed: str) -> None:
    rows = (await changes(client, feed, "include_docs=true&conflicts=true"))["results"]
    assert rows[6]["doc"]["_conflicts"] == [f"2-{B}"]
    assert "_conflicts" not in rows[0]["doc"]
    assert rows[6]["changes"] == [{"rev": f"2-{C}"}]
    assert "doc" not in (await changes(client, feed, "conflicts=true"))["results"][6]


async def test_attachments_are_stubs_unless_asked_for(client: httpx.AsyncClient, db: str) -> None:
    attachments = {"h.png": {"content_type": "image/png", "data": "aGVsbG8="}}
    await client.put(f"{db}/a", json={"_attachments": attachments})

    async def entry(query: str) -> Any:
        return (await changes(client, db, query))["results"][0]["doc"]["_attachments"]["h.png"]

    assert (await entry("include_docs=true"))["stub"] is True
    assert (await entry("include_docs=true&attachments=true"))["data"] == "aGVsbG8="
    assert (await entry("include_docs=true&att_encoding_info=true"))["stub"] is True


async def test_att_encoding_info_tells_of_gzip(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/a/t.txt", content=b"text " * 500, headers={"content-type": "text/plain"})
    query = "include_docs=true&att_encoding_info=true"
    entry = (await changes(client, db, query))["results"][0]["doc"]["_attachments"]["t.txt"]
    if "encoding" in entry:
        assert entry["encoding"] == "gzip"
        assert entry["encoded_length"] < entry["length"] == 2500


# -- filters -----------------------------------------------------------------------------------


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


# -- requests ----------------------------------------------------------------------------------


async def test_post_with_empty_body_is_allowed(client: httpx.AsyncClient, feed: str) -> None:
    response = await client.post(f"{feed}/_changes", headers={"content-type": "application/json"})
    assert ids(response.json()) == ALL


async def test_post_insists_on_a_json_object(client: httpx.AsyncClient, feed: str) -> None:
    headers = {"content-type": "application/json"}
    for body in (b"[]", b'"x"', b"1", b"null"):
        response = await client.post(f"{feed}/_changes", content=body, headers=headers)
        assert refused(response) == (400, "bad_request", "Request body must be a JSON object")
    response = await client.post(f"{feed}/_changes", content=b"{}", headers={"content-type": "text/plain"})
    assert response.status_code == 415
    response = await client.post(f"{feed}/_changes", content=b"{", headers=headers)
    assert refused(response) == (400, "bad_request", "invalid UTF-8 JSON")


async def test_parameters_count_in_the_query_only(client: httpx.AsyncClient, feed: str) -> None:
    assert ids(await changes(client, feed, "", {"since": "now", "limit": 1, "feed": "x"})) == ALL


async def test_parameter_names_count_in_any_case(client: httpx.AsyncClient, feed: str) -> None:
    assert ids(await changes(client, feed, "LIMIT=1&Descending=true")) == ["x"]


@pytest.mark.parametrize(
    "query",
    [
        "unknown=1",
        "descending=abc",
        "include_docs=True",
        "conflicts=1",
        "skip=x",
        "r=abc",
        "view=x",
        "doc_ids=x",
    ],
)
async def test_what_is_not_understood_is_ignored(client: httpx.AsyncClient, feed: str, query: str) -> None:
    answer = await changes(client, feed, query)
    assert ids(answer) == ALL
    assert "doc" not in answer["results"][0]


HEARTBEAT = "Invalid heartbeat value. Expecting a positive integer value (in milliseconds)."


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("feed=foo", "Supported `feed` types: normal, continuous, live, longpoll, eventsource"),
        ("feed=", "Supported `feed` types: normal, continuous, live, longpoll, eventsource"),
        ("heartbeat=abc", HEARTBEAT),
        ("heartbeat=", HEARTBEAT),
        ("heartbeat=false", HEARTBEAT),
        ("heartbeat=1.5", HEARTBEAT),
        ("heartbeat=0", "The heartbeat value should be a positive integer (in milliseconds)."),
        ("heartbeat=-1", "The heartbeat value should be a positive integer (in milliseconds)."),
        ("seq_interval=abc", "invalid_seq_interval"),
        ("seq_interval=0", "invalid_seq_interval"),
        ("limit=abc", 'Invalid value for integer `limit`: "abc"'),
        ("limit=", 'Invalid value for integer `limit`: ""'),
        ("limit=1.5", 'Invalid value for integer `limit`: "1.5"'),
        ("timeout=abc", 'Invalid value for integer `timeout`: "abc"'),
        ("feed=longpoll&timeout=-1", "The timeout value should be a positive integer (in milliseconds)."),
        ("style=foo", 'Invalid style: "foo"; it is main_only or all_docs'),
        ("style=", 'Invalid style: ""; it is main_only or all_docs'),
    ],
)
async def test_values_that_cannot_be_read_are_400(
    client: httpx.AsyncClient, feed: str, query: str, reason: str
) -> None:
    assert refused(await client.get(f"{feed}/_changes?{query}")) == (400, "bad_request", reason)


async def test_etag_changes_with_the_database(client: httpx.AsyncClient, feed: str) -> None:
    etag = (await client.get(f"{feed}/_changes")).headers["etag"]
    for header in (etag, f"W/{etag}"):
        response = await client.get(f"{feed}/_changes?limit=1", headers={"if-none-match": header})
        assert (response.status_code, response.content) == (304, b"")
    await replicate(client, feed, revision("new", 1, [A]))
    assert (await client.get(f"{feed}/_changes", headers={"if-none-match": etag})).status_code == 200
    assert "etag" not in (await client.get(f"{feed}/_changes?feed=longpoll&limit=1")).headers


async def test_head_answers_the_headers(client: httpx.AsyncClient, feed: str) -> None:
    for query in ("", "?feed=longpoll&since=now&heartbeat=1000", "?feed=continuous"):
        response = await client.head(f"{feed}/_changes{query}")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"] == "application/json"


async def test_other_methods_and_databases(client: httpx.AsyncClient, feed: str) -> None:
    for method in ("PUT", "DELETE"):
        response = await client.request(method, f"{feed}/_changes")
        assert (response.status_code, response.headers["allow"]) == (405, "GET,POST,HEAD")
    for feed_type in ("normal", "longpoll"):
        response = await client.get(f"/none/_changes?feed={feed_type}")
        assert refused(response) == (404, "not_found", "Database does not exist.")


# -- many pages --------------------------------------------------------------------------------

MANY = 137


@pytest.fixture
async def many(client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """More rows than fit a page of any kind."""
    monkeypatch.setattr(changes_pages, "ROWS", 10)
    monkeypatch.setattr(changes_pages, "SCANNED_ROWS", 10)
    monkeypatch.setattr(changes_pages, "FIRST_ROWS_WITH_DOCS", 3)
    docs = [revision(f"d{n:03}", 1, [A], n=n, even=n % 2 == 0) for n in range(MANY)]
    docs += [revision("_design/d", 1, [A]), revision("last", 1, [A], even=True)]
    await replicate(client, db, *docs)
    return db


NAMES = [*(f"d{n:03}" for n in range(MANY)), "_design/d", "last"]


@pytest.mark.parametrize(
    "query",
    ["", "style=all_docs", "include_docs=true", "include_docs=true&conflicts=true", "filter=_doc_ids"],
)
async def test_pages_join_without_gap_or_repetition(client: httpx.AsyncClient, many: str, query: str) -> None:
    body = {"doc_ids": NAMES}
    whole = await changes(client, many, query, body)
    assert ids(whole) == NAMES
    assert whole["pending"] == 0
    assert whole["last_seq"] == whole["results"][-1]["seq"]
    assert ids(await changes(client, many, query + "&descending=true", body)) == NAMES[::-1]
    for limit in (9, 10, 11, 20, 138):
        answer = await changes(client, many, f"{query}&limit={limit}", body)
        assert ids(answer) == NAMES[:limit]
        assert answer["pending"] == len(NAMES) - limit
        assert answer["last_seq"] == answer["results"][-1]["seq"]


async def test_filtered_pages_join(client: httpx.AsyncClient, many: str) -> None:
    even = [name for name in NAMES[:MANY] if int(name[1:]) % 2 == 0] + ["last"]
    body = {"selector": {"even": True}}
    assert ids(await changes(client, many, "filter=_selector", body)) == even
    assert ids(await changes(client, many, "filter=_selector&descending=true", body)) == even[::-1]
    answer = await changes(client, many, "filter=_selector&limit=40", body)
    assert ids(answer) == even[:40]
    assert answer["pending"] == len(NAMES) - 79
    assert ids(await changes(client, many, "filter=_design")) == ["_design/d"]
    assert ids(await changes(client, many, "filter=_design&descending=true")) == ["_design/d"]


async def test_seq_interval_counts_over_pages(client: httpx.AsyncClient, many: str) -> None:
    rows = (await changes(client, many, "seq_interval=4&limit=100"))["results"]
    assert [place for place, row in enumerate(rows) if row["seq"]] == list(range(0, 100, 4))


@pytest.mark.alone("counts what one process reads from its file")
async def test_pages_with_large_documents_are_small(
    client: httpx.AsyncClient, db: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await replicate(client, db, *(revision(f"d{n:03}", 1, [A], x="x" * 100_000) for n in range(100)))
    database = store.get("db")
    sizes = []
    read = database.changes

    async def watched(*args: Any, **options: Any) -> Any:
        page = await read(*args, **options)
        sizes.append(len(page.rows))
        return page

    monkeypatch.setattr(database, "changes", watched)
    assert len((await changes(client, db, "include_docs=true"))["results"]) == 100
    assert max(sizes[1:]) < 2 * changes_pages.PAGE_SIZE


async def test_a_row_is_never_split_at_a_separator_in_its_text(client: httpx.AsyncClient, db: str) -> None:
    docid = 'a,\n"changes":[{"rev":"9-f"}]'
    await client.put(f"{db}/{quote(docid, safe='')}", json={"text": ',\n{"seq":1}'})
    body = {"selector": {"text": {"$exists": True}}}
    for query in ("include_docs=true", "include_docs=true&seq_interval=2&limit=1"):
        (row,) = (await changes(client, db, query))["results"]
        assert (row["id"], row["doc"]["text"]) == (docid, ',\n{"seq":1}')
    (row,) = (await changes(client, db, "filter=_selector&style=all_docs", body))["results"]
    assert row["id"] == docid
    lines = (await client.get(f"{db}/_changes?feed=continuous&timeout=1&include_docs=true")).text
    assert json.loads(lines.splitlines()[0])["doc"]["text"] == ',\n{"seq":1}'

"""Views over HTTP: rules of the wire, as CouchDB 3.5 has them."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from replication.http.app import Application
from tests.replication.http.designs import BY_X, DOCS, Json, design, get, ids, pairs, save


async def test_rows_come_in_the_order_of_keys_then_ids(client: httpx.AsyncClient, views: str) -> None:
    answer = await client.get(f"{views}/x")
    assert answer.text == (
        '{"total_rows":5,"offset":0,"rows":[\r\n'
        '{"id":"a","key":1,"value":["p","q",1]},\r\n{"id":"f","key":1,"value":null},\r\n'
        '{"id":"b","key":2,"value":["p","q",2]},\r\n{"id":"c","key":3,"value":["p","r",1]},\r\n'
        '{"id":"d","key":4,"value":["s"]}\r\n]}\n'
    )
    assert answer.headers["cache-control"] == "must-revalidate"
    assert "etag" not in answer.headers
    assert (await client.head(f"{views}/x")).status_code == 200


@pytest.mark.parametrize(
    ("query", "offset", "found"),
    [
        ("", 0, "afbcd"),
        ("key=1", 0, "af"),
        ("key=1&key=2", 2, "b"),
        ("key=99", 5, ""),
        ("endkey=0", 0, ""),
        ("startkey=2", 2, "bcd"),
        ("startkey=2&endkey=4&inclusive_end=false", 2, "bc"),
        ("start_key=2&end_key=3", 2, "bc"),
        ("startkey=1&startkey_docid=b", 1, "fbcd"),
        ("startkey=1&endkey=1&endkey_docid=a", 0, "a"),
        ("startkey=1&endkey=1&endkey_docid=f&inclusive_end=false", 0, "a"),
        ("start_key=1&start_key_doc_id=x&end_key=1&end_key_doc_id=x", 2, ""),
        ("key=1&startkey_docid=f", 1, "f"),
        ("startkey_docid=b", 0, "afbcd"),
        ("descending=true", 0, "dcbfa"),
        ("descending=true&startkey=3&endkey=2", 1, "cb"),
        ("descending=true&startkey=3&endkey=1&inclusive_end=false", 1, "cb"),
        ("descending=true&startkey=1&startkey_docid=a", 4, "a"),
        ("descending=true&endkey=1&endkey_docid=f", 0, "dcbf"),
        ("limit=1&skip=1", 1, "f"),
        ("limit=0", 0, ""),
        ("startkey=2&limit=0", 2, ""),
        ("skip=99", 5, ""),
        ("keys=[1,3,1]", 0, "afcaf"),
        ("keys=[1,3,1]&skip=1&limit=3", 1, "fca"),
        ("keys=[1,3]&skip=2", 2, "c"),
        ("keys=[3,1]&descending=true", 3, "fac"),
        ("keys=[4,4]", 4, "dd"),
        ("keys=[1,2]&startkey_docid=b", 1, "fb"),
        ("keys=[1,2]&endkey_docid=b", 0, "ab"),
        ("keys=[1,2]&inclusive_end=false", 0, ""),
        ("keys=[1,2]&endkey_docid=f&inclusive_end=false", 0, "ab"),
        ("key=1&startkey_docid=b&endkey_docid=a", 1, ""),
        ("descending=true&key=1&startkey_docid=a&endkey_docid=b", 4, ""),
        ("keys=[2]", 2, "b"),
        ("keys=[]", 0, ""),
        ("keys=[9]", 5, ""),
        ("reduce=false&group_level=0&unknown=5", 0, "afbcd"),
        ("stable=true&conflicts=true&attachments=true", 0, "afbcd"),
    ],
)
async def test_which_rows_a_query_gets(
    client: httpx.AsyncClient, views: str, query: str, offset: int, found: str
) -> None:
    answer = await client.get(f"{views}/x?{query}")
    assert answer.status_code == 200, answer.text
    value = answer.json()
    assert (value["total_rows"], value["offset"], ids(value)) == (5, offset, found)


@pytest.mark.parametrize(
    ("query", "error", "reason"),
    [
        ("limit=-1", "query_parse_error", 'Invalid value for positive integer: "-1"'),
        ("limit=x", "query_parse_error", 'Invalid value for integer: "x"'),
        ("skip=-1", "query_parse_error", 'Invalid value for positive integer: "-1"'),
        ("key=x", "bad_request", "invalid UTF-8 JSON"),
        ("keys=[1", "bad_request", "invalid UTF-8 JSON"),
        ("keys=5", "query_parse_error", "`keys` must be an array of strings."),
        (
            "keys=[1,2]&startkey=1",
            "query_parse_error",
            "`keys` is incompatible with `key`, `start_key` and `end_key`",
        ),
        (
            "startkey=4&endkey=2",
            "query_parse_error",
            "No rows can match your key range, reverse your start_key and end_key or set descending=true",
        ),
        ("reduce=true", "query_parse_error", "Reduce is invalid for map-only views."),
        ("group=true", "query_parse_error", "Invalid use of grouping on a map view."),
        ("group_level=1", "query_parse_error", "Invalid use of grouping on a map view."),
        ("update=x", "query_parse_error", "Invalid value for `update`."),
        ("stale=x", "query_parse_error", "Invalid value for `stale`."),
        ("stable=x", "query_parse_error", "Invalid value for `stable`."),
        ("sorted=x", "query_parse_error", 'Invalid boolean parameter: "x"'),
        ("include_docs=x", "query_parse_error", 'Invalid boolean parameter: "x"'),
        (
            "partition=a",
            "query_parse_error",
            "`partition` parameter is not supported in this design doc",
        ),
    ],
)
async def test_queries_that_are_refused(
    client: httpx.AsyncClient, views: str, query: str, error: str, reason: str
) -> None:
    answer = await client.get(f"{views}/x?{query}")
    assert answer.status_code == 400
    assert answer.json() == {"error": error, "reason": reason}


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ("descending=true&startkey=2&endkey=4", "set descending=false"),
        ('startkey=["z"]&endkey=["a"]', "set descending=true"),
        ("startkey=1&endkey=1.0&startkey_docid=b&endkey_docid=a", "set descending=true"),
    ],
)
async def test_a_range_that_is_reversed_is_refused(
    client: httpx.AsyncClient, views: str, query: str, advice: str
) -> None:
    answer = await client.get(f"{views}/x?{query}")
    assert answer.status_code == 400
    assert answer.json()["reason"].endswith(advice)


async def test_what_is_not_there(client: httpx.AsyncClient, views: str) -> None:
    for path, reason in (
        (f"{views}/none", "missing_named_view"),
        ("/db/_design/none/_view/x", "missing"),
        ("/db/_design/none/_info", "missing"),
        (f"{views}/lib", "missing_named_view"),
    ):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (404, reason)
    rev = (await client.get("/db/_design/d")).json()["_rev"]
    await client.delete(f"/db/_design/d?rev={rev}")
    assert (await client.get(f"{views}/x")).json()["reason"] == "deleted"


async def test_methods_and_media_types(client: httpx.AsyncClient, views: str) -> None:
    for method, path in (
        ("PUT", f"{views}/x"),
        ("DELETE", f"{views}/x"),
        ("GET", f"{views}/x/queries"),
        ("GET", f"{views}/x/more"),
        ("GET", views),
        ("POST", "/db/_design/d/_info"),
    ):
        assert (await client.request(method, path)).status_code == 405, path
    assert (await client.post(f"{views}/x", content=b"{}")).status_code == 415


async def test_attachments_of_design_documents_keep_their_addresses(
    client: httpx.AsyncClient, views: str
) -> None:
    rev = (await client.get("/db/_design/d")).json()["_rev"]
    for name in ("att", "sub/_view/att"):
        answer = await client.put(f"/db/_design/d/{name}?rev={rev}", content=b"x")
        assert answer.status_code == 201
        rev = answer.json()["rev"]
        assert (await client.get(f"/db/_design/d/{name}")).content == b"x"
        assert (await client.get(f"/db/_design%2Fd/{name}")).content == b"x"
    assert (await client.put(f"/db/_design/d/_view?rev={rev}", content=b"x")).status_code == 405
    assert (await client.put(f"/db/_design/d/_nope?rev={rev}", content=b"x")).status_code == 400
    assert ids(await get(client, "/db/_design%2Fd/_view/x")) == "afbcd"


async def test_post_takes_parameters_from_the_body_and_the_query_wins(
    client: httpx.AsyncClient, views: str
) -> None:
    async def post(body: Any, query: str = "") -> str:
        answer = await client.post(f"{views}/x?{query}", json=body)
        return ids(answer.json()) if answer.status_code == 200 else answer.json()["reason"]

    assert await post({"keys": [1, 9]}) == "af"
    assert await post({"keys": [1], "key": 2}) == "b"
    assert await post({"limit": 2, "descending": True}) == "dc"
    assert await post({"limit": 2}, "limit=1") == "a"
    assert await post({"keys": [1]}, "keys=[2]") == "b"
    assert await post({"unknown": 1}) == "afbcd"
    assert await post([]) == "Request body must be a JSON object"
    assert await post({"keys": 5}) == "`keys` member must be an array."
    assert await post({"queries": 5}) == "`queries` member must be an array."
    assert await post({"queries": []}) == ("The `queries` parameter is no longer supported at this endpoint")
    assert await post({"limit": "1"}) == 'Invalid value for integer: "1"'
    assert await post({"skip": 1.5}) == "Invalid value for integer: 1.5"


async def test_several_queries_at_once(client: httpx.AsyncClient, views: str) -> None:
    async def post(body: Any, view: str = "x", query: str = "") -> Any:
        answer = await client.post(f"{views}/{view}/queries?{query}", json=body)
        return answer.json()["results"] if answer.status_code == 200 else answer.json()["reason"]

    found = await post({"queries": [{"key": 1}, {"limit": 1, "skip": 1}, {"keys": [4, 2]}]})
    assert [(one["offset"], ids(one)) for one in found] == [(0, "af"), (1, "f"), (4, "db")]
    assert await post({"queries": []}) == []
    assert await post({}) == "POST body must include `queries` parameter."
    assert await post({"queries": 5}) == "`queries` member must be an array."
    assert await post({"queries": [5]}) == "Each of the `queries` must be an object."
    assert await post({"queries": [{"group": True}]}) == "Invalid use of grouping on a map view."
    found = await post({"queries": [{}, {"group": True, "limit": 1}, {"reduce": False, "limit": 1}]}, "sum")
    assert [one["rows"] for one in found] == [
        [{"key": None, "value": 11}],
        [{"key": None, "value": 1}],
        [{"id": "f", "key": None, "value": 1}],
    ]


async def test_rows_of_one_document_with_one_key_are_sorted_by_value(
    client: httpx.AsyncClient, db: str
) -> None:
    await save(client, {"_id": "a"}, {"_id": "b"})
    source = "function(doc) { emit('k', 3); emit('j', 0); emit('k', [1]); emit('k', 1); emit('k', 1) }"
    path = await design(client, views={"v": {"map": source}})
    values = [row["value"] for row in (await get(client, f"{path}/v"))["rows"]]
    assert values == [0, 0, 1, 1, 3, [1], 1, 1, 3, [1]]
    descending = await get(client, f"{path}/v", descending=True)
    assert [row["value"] for row in descending["rows"]] == values[::-1]


async def test_keys_collate_as_icu_does_or_raw(client: httpx.AsyncClient, db: str) -> None:
    await save(client, {"_id": "a"})
    source = "function() { ['b','a','B','A','ä',1,null,true,{},[],{a:1},[0]].forEach(k => emit(k)) }"
    path = await design(client, views={"v": {"map": source}})
    keys = [row["key"] for row in (await get(client, f"{path}/v"))["rows"]]
    assert keys == [None, True, 1, "a", "A", "ä", "b", "B", [], [0], {}, {"a": 1}]
    path = await design(client, options={"collation": "raw"}, views={"v": {"map": source}})
    keys = [row["key"] for row in (await get(client, f"{path}/v"))["rows"]]
    assert keys == [1, None, True, {}, {"a": 1}, [], [0], "A", "B", "a", "b", "ä"]
    assert ids(await get(client, f"{path}/v", startkey='"A"', endkey='"B"')) == "aa"


async def test_what_functions_emit_becomes_json(client: httpx.AsyncClient, db: str) -> None:
    await save(client, {"_id": "a"})
    source = """function(doc) {
        emit(); emit(undefined, undefined); emit(NaN, function() {}); emit([,1], [undefined]);
        emit({a: undefined}, new Date(0)); emit('\\ud800', -0); emit(doc._id, doc)
    }"""
    path = await design(client, views={"v": {"map": source}})
    rev = (await client.get("/db/a")).json()["_rev"]
    assert pairs(await get(client, f"{path}/v")) == [
        (None, None),
        (None, None),
        (None, None),
        ("a", {"_id": "a", "_rev": rev}),
        ("\ufffd", 0),
        ([None, 1], [None]),
        ({}, "1970-01-01T00:00:00.000Z"),
    ]


async def test_a_document_on_which_the_function_fails_is_left_out(
    client: httpx.AsyncClient, db: str, caplog: pytest.LogCaptureFixture
) -> None:
    await save(client, {"_id": "a"}, {"_id": "b"}, {"_id": "c"})
    source = "function(doc) { emit(doc._id); if (doc._id == 'b') throw new Error('no') }"
    path = await design(client, views={"v": {"map": source}})
    assert ids(await get(client, f"{path}/v")) == "ac"
    assert "1 documents are left out, the first is b: Error: no" in caplog.text


async def test_functions_may_require_modules_of_the_views(client: httpx.AsyncClient, db: str) -> None:
    await save(client, {"_id": "a"})
    views = {
        "lib": {"x": "exports.f = doc => 'L' + doc._id", "sub": {"y": "exports.g = require('../x').f"}},
        "good": {"map": "function(doc) { emit(require('views/lib/sub/y').g(doc)) }"},
        "bad": {"map": "function(doc) { emit(require('lib/other').x) }"},
        "reduced": {
            "map": "function(doc) { emit(1) }",
            "reduce": "function() { return require('views/lib/x').f({_id: 1}) }",
        },
    }
    path = await design(client, views=views, lib={"other": "exports.x = 1"})
    assert pairs(await get(client, f"{path}/good")) == [("La", None)]
    assert pairs(await get(client, f"{path}/bad")) == []
    assert pairs(await get(client, f"{path}/reduced")) == [(None, "L1")]
    assert (await client.get(f"{path}/lib")).status_code == 404


async def test_options_of_the_design_document(client: httpx.AsyncClient, db: str) -> None:
    await save(client, {"_id": "a"})
    source = "function(doc) { emit(doc._id, typeof doc._local_seq) }"
    path = await design(client, views={"v": {"map": source}})
    assert pairs(await get(client, f"{path}/v")) == [("a", "undefined")]
    options = {"local_seq": True, "include_design": True}
    path = await design(client, options=options, views={"v": {"map": source}})
    assert pairs(await get(client, f"{path}/v")) == [("_design/d", "number"), ("a", "number")]


async def test_map_functions_see_conflicts(client: httpx.AsyncClient, db: str) -> None:
    docs = [{"_id": "a", "_rev": rev, "_deleted": rev == "1-a"} for rev in ("1-a", "1-b", "1-c")]
    await client.post("/db/_bulk_docs", json={"docs": docs, "new_edits": False})
    source = "function(doc) { emit(doc._conflicts, doc._deleted_conflicts) }"
    path = await design(client, views={"v": {"map": source}})
    assert pairs(await get(client, f"{path}/v")) == [(["1-b"], ["1-a"])]


async def test_views_of_a_language_that_nobody_speaks(client: httpx.AsyncClient, db: str) -> None:
    path = await design(client, language="cobol", views={"v": {"map": "IDENTIFICATION DIVISION."}})
    answer = await client.get(f"{path}/v")
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "unknown_query_language", "reason": "cobol"},
    )


async def test_indexes_of_mango_can_be_asked_as_views(client: httpx.AsyncClient, db: str) -> None:
    await save(client, {"_id": "a", "x": 2}, {"_id": "b", "x": 1}, {"_id": "c"})
    body = {"index": {"fields": ["x"]}, "ddoc": "m", "name": "ix"}
    assert (await client.post("/db/_index", json=body)).status_code == 200
    assert pairs(await get(client, "/db/_design/m/_view/ix", reduce=False)) == [([1], None), ([2], None)]
    assert pairs(await get(client, "/db/_design/m/_view/ix")) == [(None, 2)]


# -- documents in rows -------------------------------------------------------------------------


async def test_rows_come_with_their_documents(client: httpx.AsyncClient, views: str) -> None:
    (row,) = (await get(client, f"{views}/x", include_docs=True, limit=1))["rows"]
    assert row["doc"] == {"_rev": row["doc"]["_rev"], **DOCS[0]}


async def test_rows_come_with_the_documents_their_values_name(client: httpx.AsyncClient, db: str) -> None:
    await save(client, {"_id": "a"}, {"_id": "gone"})
    rev = (await client.get("/db/gone")).json()["_rev"]
    await client.delete(f"/db/gone?rev={rev}")
    first = (await client.get("/db/a")).json()["_rev"]
    await client.put("/db/a", json={"_rev": first, "n": 2})
    links = [
        ({"_id": "a"}, 2),
        ({"_id": "a", "_rev": first}, 1),
        ({"_rev": first}, 1),
        ({"_id": "a", "_rev": "9-x"}, None),
        ({"_id": "a", "_rev": "no"}, None),
        ({"_id": "none"}, None),
        ({"_id": "gone"}, None),
        ({"_id": 5}, None),
        (["_id"], 2),
    ]
    listed = json.dumps(links)
    source = f"function(doc) {{ if (doc._id == 'a') {listed}.forEach((link, at) => emit(at, link[0])) }}"
    path = await design(client, views={"v": {"map": source}})
    rows = (await get(client, f"{path}/v", include_docs=True))["rows"]
    found = [row["doc"] and int(row["doc"]["_rev"][0]) for row in rows]
    assert found == [generation for _, generation in links]


async def test_documents_in_rows_show_conflicts_and_attachments(client: httpx.AsyncClient, db: str) -> None:
    docs: list[Json] = [{"_id": "a", "_rev": f"1-{name}"} for name in "xy"]
    docs[1]["_attachments"] = {"t": {"data": "aGFsbG8=", "content_type": "image/x"}}
    await client.post("/db/_bulk_docs", json={"docs": docs, "new_edits": False})
    path = await design(client, views={"v": {"map": "function(doc) { emit(1) }"}})
    (row,) = (await get(client, f"{path}/v", include_docs=True, conflicts=True, attachments=True))["rows"]
    assert row["doc"]["_conflicts"] == ["1-x"]
    assert row["doc"]["_attachments"]["t"]["data"] == "aGFsbG8="


# -- hostile views -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", ["for (;;);", "const a = []; for (;;) a.push('x' + a.length);", "for (;;) emit(1, 2);"]
)
async def test_a_hostile_view_harms_only_itself(
    client: httpx.AsyncClient, app: Application, views: str, body: str
) -> None:
    app.server.javascript._call_seconds = 0.3
    path = await design(
        client, "evil", views={"v": {"map": f"function(doc) {{ {body} }}"}, "w": {"map": BY_X}}
    )
    answers = await asyncio.gather(client.get(f"{path}/v"), client.get(f"{views}/x"), client.get(f"{path}/w"))
    assert [answer.status_code for answer in answers] == [500, 200, 200]
    assert answers[0].json()["error"] == "os_process_error"
    assert ids(answers[1].json()) == ids(answers[2].json()) == "afbcd"
    rev = (await client.get("/db/_design/evil")).json()["_rev"]
    assert (await client.delete(f"/db/_design/evil?rev={quote(rev)}")).status_code == 200


@pytest.mark.parametrize("name", ["_show", "_list", "_rewrite"])
async def test_deprecated_functions_are_not_supported(
    client: httpx.AsyncClient, views: str, name: str
) -> None:
    answer = await client.get(f"/db/_design/d/{name}/x")
    assert (answer.status_code, answer.json()["error"]) == (501, "not_implemented")
    assert (await client.get(f"/db/_design/none/{name}/x")).status_code == 404

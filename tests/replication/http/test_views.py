"""Views over HTTP: rules of the wire, as CouchDB 3.5 has them."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from replication.http.app import Application

Json = dict[str, Any]

DOCS: list[Json] = [
    {"_id": "a", "x": 1, "k": ["p", "q", 1]},
    {"_id": "b", "x": 2, "k": ["p", "q", 2]},
    {"_id": "c", "x": 3, "k": ["p", "r", 1]},
    {"_id": "d", "x": 4, "k": ["s"]},
    {"_id": "e", "k": "str"},
    {"_id": "f", "x": 1, "k": None},
]
BY_X = "function(doc) { if (doc.x) emit(doc.x, doc.k) }"
BY_K = "function(doc) { if (doc.x) emit(doc.k, doc.x) }"


async def save(client: httpx.AsyncClient, *docs: Json) -> None:
    answer = await client.post("/db/_bulk_docs", json={"docs": docs})
    assert all("ok" in row for row in answer.json()), answer.text


async def design(client: httpx.AsyncClient, name: str = "d", **value: Any) -> str:
    """Writes a design document; the path of its views."""
    old = await client.get(f"/db/_design/{name}")
    if old.status_code == 200:
        value["_rev"] = old.json()["_rev"]
    answer = await client.put(f"/db/_design/{name}", json=value)
    assert answer.status_code == 201, answer.text
    return f"/db/_design/{name}/_view"


@pytest.fixture
async def views(client: httpx.AsyncClient, db: str) -> str:
    await save(client, *DOCS)
    return await design(
        client,
        views={
            "x": {"map": BY_X},
            "sum": {"map": BY_K, "reduce": "_sum"},
            "js": {"map": BY_K, "reduce": "function(keys, values, again) { return sum(values) }"},
        },
    )


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Json:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    answer = await client.get(path, params=texts)
    assert answer.status_code == 200, answer.text
    value: Json = answer.json()
    return value


def ids(answer: Json) -> str:
    return "".join(row["id"] for row in answer["rows"])


def pairs(answer: Json) -> list[tuple[Any, Any]]:
    return [(row["key"], row["value"]) for row in answer["rows"]]


# -- map views ---------------------------------------------------------------------------------


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


# -- reduced views -----------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["sum", "js"])
@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", [(None, 11)]),
        ("reduce=true", [(None, 11)]),
        ("group_level=0", [(None, 11)]),
        ("group=false", [(None, 11)]),
        (
            "group=true",
            [(None, 1), (["p", "q", 1], 1), (["p", "q", 2], 2), (["p", "r", 1], 3), (["s"], 4)],
        ),
        ("group_level=1", [(None, 1), (["p"], 6), (["s"], 4)]),
        ("group_level=2", [(None, 1), (["p", "q"], 3), (["p", "r"], 3), (["s"], 4)]),
        ("group_level=1&descending=true", [(["s"], 4), (["p"], 6), (None, 1)]),
        ("group=true&skip=1&limit=2", [(["p", "q", 1], 1), (["p", "q", 2], 2)]),
        ("group=true&group_level=0", [(None, 11)]),
        ('key=["p","q",1]', [(None, 1)]),
        ('startkey=["p"]&endkey=["p",{}]', [(None, 6)]),
        ('startkey=["p"]&endkey=["p",{}]&group_level=2', [(["p", "q"], 3), (["p", "r"], 3)]),
        ('keys=[["s"],["p","q",1],"none",["s"]]&group=true', [(["s"], 4), (["p", "q", 1], 1), (["s"], 4)]),
        ('keys=[["s"],["p","q",1]]&group=true&skip=1', [(["p", "q", 1], 1)]),
        ('keys=[["s"]]', [(None, 4)]),
        ("keys=[]&group=true", []),
        ('startkey=["z"]', []),
        ('startkey=["z"]&group=true', []),
        ("limit=0", []),
        ("limit=1", [(None, 11)]),
        ("skip=1", []),
    ],
)
async def test_reduced_rows(
    client: httpx.AsyncClient, views: str, view: str, query: str, rows: list[Any]
) -> None:
    answer = await client.get(f"{views}/{view}?{query}")
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"rows"}
    assert pairs(answer.json()) == rows


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("reduce=false&group=true", "Invalid use of grouping on a map view."),
        ("keys=[1,2]", "Multi-key fetches for reduce views must use `group=true`"),
        ("keys=[]", "Multi-key fetches for reduce views must use `group=true`"),
        ("keys=[1,2]&group_level=1", "Multi-key fetches for reduce views must use `group=true`"),
        ("include_docs=true", "`include_docs` is invalid for reduce"),
        ("conflicts=true", "`conflicts` is invalid for reduce views."),
        ("group_level=-1", 'Invalid value for positive integer: "-1"'),
        ("group_level=x", 'Invalid value for integer: "x"'),
        ("group=maybe", 'Invalid boolean parameter: "maybe"'),
        ("group_level=1&group=false", "Can't specify group=false and group_level>0 at the same time"),
    ],
)
async def test_reduced_queries_that_are_refused(
    client: httpx.AsyncClient, views: str, query: str, reason: str
) -> None:
    answer = await client.get(f"{views}/sum?{query}")
    assert answer.status_code == 400
    assert answer.json() == {"error": "query_parse_error", "reason": reason}


async def reduced(client: httpx.AsyncClient, source: str, reduce: str, **query: Any) -> list[Any]:
    path = await design(client, views={"v": {"map": source, "reduce": reduce}})
    return (await get(client, f"{path}/v", **query))["rows"]  # type: ignore[no-any-return]


async def test_a_reduce_function_that_throws_gives_null(client: httpx.AsyncClient, views: str) -> None:
    for function in (
        "function() { throw new Error() }",
        "function() {}",
        "function() { throw {forbidden: 1} }",
    ):
        assert await reduced(client, BY_X, function) == [{"key": None, "value": None}]


async def test_a_reduce_function_must_reduce(client: httpx.AsyncClient, views: str) -> None:
    source = f"function(doc) {{ emit(1, '{'x' * 2000}') }}"
    (row,) = await reduced(client, source, "function(keys, values) { return values.concat(values) }")
    assert row["error"] == "reduce_overflow_error"
    assert row["reason"].startswith("Reduce output must shrink more rapidly: input size: 1")
    (row,) = await reduced(client, source, "function(keys, values) { return values.join('').slice(0, 4000) }")
    assert len(row["value"]) == 4000


async def test_a_sum_of_what_is_no_number_is_an_error_in_the_row(
    client: httpx.AsyncClient, views: str
) -> None:
    (row,) = await reduced(client, "function(doc) { emit(1, 'x') }", "_sum")
    assert (row["value"]["error"], row["value"]["caused_by"]) == ("builtin_reduce_error", "x")


async def test_statistics_of_what_is_no_number_fail_the_query(client: httpx.AsyncClient, views: str) -> None:
    source = "function(doc) { emit(1, 'x') }"
    path = await design(client, "s", views={"v": {"map": source, "reduce": "_stats"}, "w": {"map": BY_X}})
    answer = await client.get(f"{path}/v")
    assert (answer.status_code, answer.json()["error"]) == (500, "invalid_value")
    assert ids(await get(client, f"{path}/v", reduce=False)) == "abcdef"
    assert ids(await get(client, f"{path}/w")) == "afbcd"


async def test_large_groups_are_reduced_in_chunks(
    client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.queries.reducing.CHUNK", 7)
    monkeypatch.setattr("replication.queries.views.ROWS", 20)
    await save(client, *({"_id": f"{n:03}", "n": n} for n in range(300)))
    source = "function(doc) { emit([doc.n % 3, doc.n], doc.n) }"
    function = """function(keys, values, again) {
        if (again ? keys !== null : keys.length != values.length || keys[0].length != 2) throw 1;
        return again ? sum(values) : values.length
    }"""
    assert await reduced(client, source, function) == [{"key": None, "value": 300}]
    groups = await reduced(client, source, function, group_level=1)
    assert groups == [{"key": [n], "value": 100} for n in range(3)]
    groups = await reduced(client, source, function, group=True, skip=150, limit=100)
    assert [row["value"] for row in groups] == [1] * 100
    stats = await reduced(client, source, "_stats", group_level=1, descending=True)
    assert [row["value"]["sum"] for row in stats] == [sum(range(n, 300, 3)) for n in (2, 1, 0)]


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_what_was_reduced_is_remembered_until_rows_change(
    client: httpx.AsyncClient, app: Application, views: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = []
    run = type(app.server.javascript).run

    async def counted(engine: Any, job: Any) -> Any:
        kinds.append(job.kind)
        return await run(engine, job)

    monkeypatch.setattr(type(app.server.javascript), "run", counted)
    for _ in range(3):
        assert pairs(await get(client, f"{views}/js")) == [(None, 11)]
        assert pairs(await get(client, f"{views}/js", group_level=1, limit=1)) == [(None, 1)]
    assert kinds == ["map", "reduce", "reduce"]
    await save(client, {"_id": "z", "x": 5, "k": 0})
    assert pairs(await get(client, f"{views}/js")) == [(None, 16)]
    rev = (await client.get("/db/z")).json()["_rev"]
    await client.post("/db/_purge", json={"z": [rev]})
    assert pairs(await get(client, f"{views}/js")) == [(None, 11)]
    path = await design(client, views={"js": {"map": BY_K, "reduce": "function() { return 7 }"}})
    assert pairs(await get(client, f"{path}/js")) == [(None, 7)]


# -- freshness ---------------------------------------------------------------------------------


async def test_rows_follow_the_documents(client: httpx.AsyncClient, views: str) -> None:
    assert ids(await get(client, f"{views}/x")) == "afbcd"
    doc = (await client.get("/db/a")).json()
    await client.put("/db/a", json={**doc, "x": 9})
    rev = (await client.get("/db/b")).json()["_rev"]
    await client.delete(f"/db/b?rev={rev}")
    await save(client, {"_id": "z", "x": 0.5})
    answer = await get(client, f"{views}/x")
    assert (answer["total_rows"], ids(answer)) == (5, "zfcda")
    rev = (await client.get("/db/z")).json()["_rev"]
    await client.post("/db/_purge", json={"z": [rev]})
    answer = await get(client, f"{views}/x")
    assert (answer["total_rows"], ids(answer)) == (4, "fcda")


async def test_rows_that_may_be_old(client: httpx.AsyncClient, views: str) -> None:
    for stale in ("stale=ok", "update=false"):
        assert (await client.get(f"{views}/x?{stale}")).json()["rows"] == []
    for later in ("stale=update_after", "update=lazy"):
        before = (await client.get(f"{views}/x?{later}")).json()["total_rows"]
        for _ in range(100):
            await asyncio.sleep(0.02)
            now = (await client.get(f"{views}/x?update=false")).json()["total_rows"]
            if now > before:
                break
        assert now > before
        await save(client, {"_id": later, "x": 7})
    assert (await client.get(f"{views}/x?update=true")).json()["total_rows"] == 7


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_update_seq_is_that_of_the_index(client: httpx.AsyncClient, views: str) -> None:
    answer = await client.get(f"{views}/x?update_seq=true&limit=0")
    assert list(answer.json()) == ["total_rows", "offset", "update_seq", "rows"]
    seq = (await client.get("/db")).json()["update_seq"]
    assert answer.json()["update_seq"] == seq
    await save(client, {"_id": "z"})
    assert (await get(client, f"{views}/x", update_seq=True, update=False))["update_seq"] == seq
    answer = await client.get(f"{views}/sum?update_seq=true")
    assert list(answer.json()) == ["update_seq", "rows"]
    assert list(await get(client, f"{views}/x", sorted=False, update_seq=True)) == ["rows"]


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_many_who_ask_wait_for_one_refresh(
    client: httpx.AsyncClient, app: Application, views: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    run = app.server.javascript.run

    async def counted(job: Any) -> Any:
        jobs.append(job.kind)
        return await run(job)

    monkeypatch.setattr(type(app.server.javascript), "run", lambda engine, job: counted(job))
    answers = await asyncio.gather(*(get(client, f"{views}/x") for _ in range(20)))
    assert {ids(answer) for answer in answers} == {"afbcd"}
    assert jobs == ["map"]


async def test_a_refresh_goes_on_when_nobody_waits(client: httpx.AsyncClient, views: str) -> None:
    asking = asyncio.create_task(client.get(f"{views}/x"))
    await asyncio.sleep(0.005)
    asking.cancel()
    for _ in range(100):
        await asyncio.sleep(0.02)
        if (await get(client, f"{views}/x", update=False))["rows"]:
            return
    pytest.fail("the index was not brought up to date")


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_cleaning_up_keeps_what_design_documents_define(client: httpx.AsyncClient, views: str) -> None:
    await get(client, f"{views}/x")
    assert (await client.post("/db/_view_cleanup", json={})).status_code == 202
    assert ids(await get(client, f"{views}/x", update=False)) == "afbcd"
    await design(client, views={"x": {"map": BY_X + " "}})
    assert (await get(client, f"{views}/x", update=False))["rows"] == []
    await design(client, views={"x": {"map": BY_X}})
    assert ids(await get(client, f"{views}/x", update=False)) == "afbcd"
    await design(client, views={})
    assert (await client.post("/db/_view_cleanup", json={})).status_code == 202
    await design(client, views={"x": {"map": BY_X}})
    assert (await get(client, f"{views}/x", update=False))["rows"] == []


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_facts_about_the_views(client: httpx.AsyncClient, views: str) -> None:
    before = await get(client, "/db/_design/d/_info")
    assert before["name"] == "d"
    assert before["view_index"]["updates_pending"] == {"minimum": 7, "preferred": 7, "total": 7}
    for name in ("x", "sum"):
        await get(client, f"{views}/{name}")
    facts = (await get(client, "/db/_design/d/_info"))["view_index"]
    assert facts["signature"] == before["view_index"]["signature"]
    assert (facts["update_seq"], facts["updates_pending"]["total"]) == (7, 0)
    assert (facts["language"], facts["updater_running"], facts["purge_seq"]) == ("javascript", False, 0)
    assert facts["sizes"]["active"] > 50
    await design(client, views={"x": {"map": BY_X + " "}})
    assert (await get(client, "/db/_design/d/_info"))["view_index"]["signature"] != facts["signature"]


async def test_long_answers_are_sent_in_pieces(client: httpx.AsyncClient, db: str) -> None:
    await save(client, *({"_id": f"{n:04}", "n": n} for n in range(2500)))
    path = await design(client, views={"v": {"map": "function(doc) { emit(doc.n % 100) }"}})
    answer = await get(client, f"{path}/v")
    assert len(answer["rows"]) == answer["total_rows"] == 2500
    assert [row["id"] for row in answer["rows"]][:3] == ["0000", "0100", "0200"]
    answer = await get(client, f"{path}/v", descending=True, skip=10, limit=2200, include_docs=True)
    assert len(answer["rows"]) == 2200
    assert all(row["doc"]["_id"] == row["id"] for row in answer["rows"])


async def test_documents_that_make_a_lot_are_indexed(client: httpx.AsyncClient, db: str) -> None:
    await save(client, *({"_id": f"{n:02}"} for n in range(20)))
    source = "function(doc) { emit(doc._id, 'x'.repeat(1e6)) }"
    path = await design(client, views={"v": {"map": source, "reduce": "_count"}})
    assert pairs(await get(client, f"{path}/v")) == [(None, 20)]
    answer = await get(client, f"{path}/v", reduce=False)
    assert [len(row["value"]) for row in answer["rows"]] == [1_000_000] * 20


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

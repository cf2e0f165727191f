"""Whatever comes in wrong gets an error that says so, and changes nothing.

The table holds what a request may get wrong, with the answer in full. After each the database is as it was:
the same documents at the same sequence number, and the doctor finds nothing.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from replication.http import Application
from tests.replication.http.bad_input import (
    BAD_ESCAPE,
    BAD_HEARTBEAT,
    BAD_REV,
    CONFLICT,
    MISSING,
    NO_DATABASE,
    NO_DOCUMENT,
    NOT_JSON,
    NOT_UTF8,
    NUL,
    RESERVED,
    REV_OF_DATABASE,
    A,
    B,
    Error,
    Row,
    Z,
    app,
    as_bytes,
    bad,
    illegal_name,
    name_of,
    query_error,
    refused,
    state,
    validation,
)
from tests.replication.http.raw import JSON, ask

__all__ = ["app"]

# -- addresses ---------------------------------------------------------------------------------------

LONG_ID = "x" * 7169

ADDRESSES: list[Row] = [
    # databases
    ("PUT", "/Upper", b"", illegal_name("Upper")),
    ("PUT", "/1db", b"", illegal_name("1db")),
    ("PUT", "/_db", b"", illegal_name("_db")),
    ("PUT", "/a.b", b"", illegal_name("a.b")),
    ("PUT", "/..", b"", illegal_name("..")),
    ("PUT", "/%2e%2e", b"", illegal_name("..")),
    ("PUT", "/%2Fetc", b"", illegal_name("/etc")),
    ("PUT", "/a%20b", b"", illegal_name("a b")),
    ("PUT", "/a+b", b"", illegal_name("a b")),
    ("PUT", "/d%C3%B6", b"", illegal_name("dö")),
    ("PUT", "/a%0d%0aX:%20y", b"", illegal_name("a\r\nX: y")),
    ("PUT", "/a%00", b"", NUL),
    ("PUT", "/a%ff", b"", NOT_UTF8),
    ("PUT", "/a%ED%A0%80", b"", NOT_UTF8),
    ("PUT", "/a%zz", b"", BAD_ESCAPE),
    ("PUT", "/a%", b"", BAD_ESCAPE),
    ("PUT", "/a%4", b"", BAD_ESCAPE),
    (
        "PUT",
        "/" + "a" * 239,
        b"",
        (400, "database_name_too_long", f"At least one path segment of `{'a' * 239}` is too long."),
    ),
    ("PUT", "/db", b"", (412, "file_exists", "The database could not be created, the file already exists.")),
    ("DELETE", "/db?rev=1-a", b"", bad(REV_OF_DATABASE)),
    ("GET", "/none", b"", NO_DATABASE),
    ("GET", "/..", b"", NO_DATABASE),
    ("GET", "/../../etc/passwd", b"", NO_DATABASE),
    ("GET", "/%2e%2e%2f%2e%2e%2fetc%2fpasswd", b"", NO_DATABASE),
    ("GET", "/..%5c..%5cboot.ini", b"", NO_DATABASE),
    ("GET", "/%252e%252e", b"", NO_DATABASE),
    ("GET", "/db.sqlite", b"", NO_DATABASE),
    ("GET", "/server.json", b"", NO_DATABASE),
    ("GET", "/_none", b"", NO_DATABASE),
    ("POST", "/_none", b"{}", NO_DATABASE),
    ("DELETE", "/_none", b"", NO_DATABASE),
    ("DELETE", "/none", b"", NO_DATABASE),
    ("PUT", "/none/x", b"{}", NO_DATABASE),
    ("POST", "/none/_bulk_docs", {"docs": []}, NO_DATABASE),
    ("GET", "/none/_changes", b"", NO_DATABASE),
    ("GET", "/none/_local/x", b"", NO_DATABASE),
    ("PATCH", "/db", b"", (405, "method_not_allowed", "Only GET,HEAD,PUT,DELETE,POST allowed")),
    # documents
    ("PUT", "/db/_x", b"{}", RESERVED),
    ("PUT", "/db/_bulk", b"{}", RESERVED),
    ("PUT", "/db/%5fx", b"{}", RESERVED),
    ("PUT", "/db/_design/", b"{}", RESERVED),
    ("PUT", "/db/_design", b"{}", RESERVED),
    ("PUT", "/db/_local/", b"{}", bad("Invalid _local document id.")),
    ("PUT", "/db/_local", b"{}", bad("Invalid _local document id.")),
    ("PUT", f"/db/{LONG_ID}", b"{}", (400, "illegal_docid", "Document id is too long")),
    ("PUT", "/db/x%00y", b"{}", NUL),
    ("PUT", "/db/x%ff", b"{}", NOT_UTF8),
    ("PUT", "/db/x%zz", b"{}", BAD_ESCAPE),
    ("GET", "/db/..", b"", MISSING),
    ("GET", "/db/%2e%2e%2f%2e%2e", b"", MISSING),
    ("GET", "/db/_none", b"", MISSING),
    ("GET", "/db/gone", b"", (404, "not_found", "deleted")),
    ("DELETE", "/db/none?rev=1-a", b"", MISSING),
    ("POST", "/db/plain", b"{}", (405, "method_not_allowed", "Only GET,HEAD,PUT,DELETE,COPY allowed")),
    # attachments
    ("GET", "/db/with/none", b"", (404, "not_found", "Document is missing attachment")),
    ("GET", "/db/with/../a.txt", b"", (404, "not_found", "Document is missing attachment")),
    ("PUT", "/db/new/_x", b"data", bad("Attachment name '_x' starts with prohibited character '_'")),
    ("PUT", "/db/new/x%ff", b"data", NOT_UTF8),
    ("PUT", "/db/with/a.txt", b"data", CONFLICT),
    ("DELETE", "/db/with/a.txt", b"", CONFLICT),
    ("PUT", "/db/_local/note/file", b"data", bad("_local documents do not accept attachments.")),
]


@pytest.mark.parametrize(("method", "target", "body", "error"), ADDRESSES, ids=name_of)
async def test_addresses(app: Application, method: str, target: str, body: Any, error: Error) -> None:
    await refused(app, method, target, body, error)


# -- documents ---------------------------------------------------------------------------------------


def member(name: str, value: Any) -> dict[str, Any]:
    return {"_id": "new", name: value}


def attachment(entry: Any, name: str = "f") -> dict[str, Any]:
    return {"_id": "new", "_attachments": {name: entry}}


BAD_DOCUMENTS: list[tuple[Any, Error]] = [
    # members
    (member("_x", 1), validation("Bad special document member: _x")),
    (member("_", 1), validation("Bad special document member: _")),
    (member("_Deleted", True), validation("Bad special document member: _Deleted")),
    (member("_deleted", "true"), validation("Bad special document member: _deleted")),
    (member("_deleted", 1), validation("Bad special document member: _deleted")),
    (member("_deleted", None), validation("Bad special document member: _deleted")),
    # revisions
    (member("_rev", 1), BAD_REV),
    (member("_rev", None), BAD_REV),
    (member("_rev", ""), BAD_REV),
    (member("_rev", []), BAD_REV),
    (member("_rev", "1"), BAD_REV),
    (member("_rev", "a-b"), BAD_REV),
    (member("_rev", "-1-a"), BAD_REV),
    (member("_rev", f"0-{A}"), BAD_REV),
    (member("_rev", f"1-{Z}"), BAD_REV),
    (member("_rev", "1-a b"), BAD_REV),
    (member("_rev", '1-"'), BAD_REV),
    (member("_rev", "1-a\r\nX: y"), BAD_REV),
    (member("_rev", "\u0661-a"), BAD_REV),
    (member("_rev", "9" * 30 + "-a"), BAD_REV),
    (member("_rev", "1-" + "a" * 256), BAD_REV),
    (member("_revisions", []), validation("Bad special document member: _revisions")),
    (member("_revisions", None), validation("Bad special document member: _revisions")),
    (member("_revisions", {}), validation("_revisions.start isn't an integer.")),
    (member("_revisions", {"start": 1}), validation("_revisions.ids isn't a array.")),
    (member("_revisions", {"start": "1", "ids": [A]}), validation("_revisions.start isn't an integer.")),
    (member("_revisions", {"start": True, "ids": [A]}), validation("_revisions.start isn't an integer.")),
    (member("_revisions", {"start": 1, "ids": A}), validation("_revisions.ids isn't a array.")),
    (member("_revisions", {"start": 1, "ids": [1]}), validation("RevId isn't a string")),
    (member("_revisions", {"start": 1, "ids": []}), validation("_revisions.ids must not be empty.")),
    (
        member("_revisions", {"start": 1, "ids": [A, B]}),
        validation("_revisions.start does not fit the number of _revisions.ids."),
    ),
    (
        member("_revisions", {"start": -1, "ids": [A]}),
        validation("_revisions.start does not fit the number of _revisions.ids."),
    ),
    (
        member("_revisions", {"start": 10**15, "ids": [A]}),
        validation("_revisions.start does not fit the number of _revisions.ids."),
    ),
    (member("_revisions", {"start": 1, "ids": [Z]}), BAD_REV),
    (member("_revisions", {"start": 1, "ids": ["a b"]}), BAD_REV),
    # attachments
    (member("_attachments", []), validation("Bad special document member: _attachments")),
    (member("_attachments", None), validation("Bad special document member: _attachments")),
    (attachment("x"), bad("Attachment 'f' must be an object")),
    (attachment({}), bad("Invalid attachment data for f")),
    (attachment({"data": 1}), bad("Invalid attachment data for f")),
    (attachment({"data": "!!!"}), bad("Invalid attachment data for f")),
    (attachment({"data": "YQ"}), bad("Invalid attachment data for f")),
    (attachment({"data": "YQ=="}, "_f"), bad("Attachment name '_f' starts with prohibited character '_'")),
    (attachment({"data": "YQ=="}, ""), bad("Attachment name must not be empty")),
    (attachment({"stub": True}), (412, "missing_stub", "Invalid attachment stub in new for f")),
    (
        attachment({"stub": True, "digest": "md5-x", "revpos": 1}),
        (412, "missing_stub", "Invalid attachment stub in new for f"),
    ),
    (
        attachment({"follows": True, "length": 1}),
        bad("Attachment 'f' follows, but the request is not multipart"),
    ),
    (attachment({"data": "YQ==", "revpos": "1"}), validation("Invalid revpos of attachment 'f'")),
    (attachment({"data": "YQ==", "revpos": -1}), validation("Invalid revpos of attachment 'f'")),
    (attachment({"data": "YQ==", "revpos": 10**30}), validation("Invalid revpos of attachment 'f'")),
    (attachment({"data": "YQ==", "digest": 1}), validation("Invalid digest of attachment 'f'")),
    (attachment({"data": "YQ==", "content_type": 1}), bad("Invalid content_type of attachment 'f'")),
    (
        attachment({"data": "YQ==", "content_type": "a/b\r\nX: y"}),
        bad("Invalid content_type of attachment 'f'"),
    ),
]


@pytest.mark.parametrize(("doc", "error"), BAD_DOCUMENTS, ids=lambda value: json.dumps(value)[12:70])
async def test_bad_documents(app: Application, doc: Any, error: Error) -> None:
    """One bad document refuses a batch as a whole."""
    bare = {name: value for name, value in doc.items() if name != "_id"}
    await refused(app, "PUT", "/db/new", bare, error)
    await refused(app, "POST", "/db", doc, error)
    await refused(app, "POST", "/db/_bulk_docs", {"docs": [{"_id": "good"}, doc]}, error)
    if error[0] != 412:
        replicated = {"docs": [doc if "_rev" in doc else {"_rev": f"1-{A}", **doc}], "new_edits": False}
        await refused(app, "POST", "/db/_bulk_docs", replicated, error)


BAD_IDS: list[tuple[Any, Error]] = [
    (1, (400, "illegal_docid", "Document id must be a string")),
    (None, (400, "illegal_docid", "Document id must be a string")),
    ("", (400, "illegal_docid", "Document id must not be empty")),
    ("_x", RESERVED),
    ("_designs/x", RESERVED),
    ("_design/", (400, "illegal_docid", "Illegal document id `_design/`")),
    ("a\0b", (400, "illegal_docid", "Document id must not contain a NUL character")),
    ("x" * 7169, (400, "illegal_docid", "Document id is too long")),
    ("\u20ac" * 2390, (400, "illegal_docid", "Document id is too long")),
]


@pytest.mark.parametrize(("docid", "error"), BAD_IDS, ids=name_of)
async def test_bad_ids(app: Application, docid: Any, error: Error) -> None:
    await refused(app, "POST", "/db", {"_id": docid}, error)
    await refused(app, "POST", "/db/_bulk_docs", {"docs": [{"_id": "good"}, {"_id": docid}]}, error)
    answer = await ask(app, "POST", "/db/_bulk_get", as_bytes({"docs": [{"id": docid}]}), JSON)
    (row,) = answer.json()["results"][0]["docs"]
    assert (answer.status, row["error"]["error"]) == (200, "illegal_docid")


REQUESTS: list[Row] = [
    # which revision is meant
    (
        "PUT",
        f"/db/plain?rev=1-{B}",
        {"_rev": f"1-{A}"},
        bad("Document rev from request body and query string have different values"),
    ),
    ("PUT", "/db/plain?rev=x", {}, BAD_REV),
    ("PUT", "/db/plain?rev=", {}, BAD_REV),
    ("PUT", "/db/plain", {"_rev": f"1-{B}"}, CONFLICT),
    ("PUT", "/db/plain", {}, CONFLICT),
    ("PUT", "/db/none", {"_rev": f"1-{B}"}, CONFLICT),
    ("PUT", "/db/gone", {"_rev": f"2-{A}"}, CONFLICT),
    (
        "PUT",
        "/db/new?new_edits=false",
        {},
        bad("When `new_edits: false`, the document needs `_rev` or `_revisions` specified"),
    ),
    ("DELETE", "/db/plain", b"", CONFLICT),
    ("DELETE", f"/db/plain?rev=1-{B}", b"", CONFLICT),
    ("GET", "/db/plain?rev=x", b"", BAD_REV),
    ("GET", f"/db/plain?rev=7-{A}", b"", MISSING),
    ("GET", "/db/plain?open_revs=x", b"", NOT_JSON),
    ("GET", "/db/plain?open_revs=[1]", b"", BAD_REV),
    ("GET", "/db/plain?atts_since={}", b"", bad("Invalid list of revisions")),
    ("GET", "/db/plain?rev=%ED%A0%80", b"", bad("The query string is not percent-encoded UTF-8")),
    ("GET", "/db/plain?x=%ff", b"", bad("The query string is not percent-encoded UTF-8")),
    ("PUT", "/db/_local/note", {"_rev": "1-a"}, BAD_REV),
    ("PUT", "/db/_local/note", {"_rev": "x"}, BAD_REV),
    ("PUT", "/db/_local/note", {"_x": 1}, validation("Bad special document member: _x")),
    # batches
    ("POST", "/db/_bulk_docs", {}, bad("POST body must include `docs` parameter.")),
    ("POST", "/db/_bulk_docs", {"docs": {}}, bad("`docs` parameter must be an array.")),
    ("POST", "/db/_bulk_docs", {"docs": [1]}, NO_DOCUMENT),
    (
        "POST",
        "/db/_bulk_docs",
        {"docs": [], "new_edits": "x"},
        bad("`new_edits` parameter must be a boolean."),
    ),
    (
        "POST",
        "/db/_bulk_docs",
        {"docs": [{"_id": "new"}], "new_edits": False},
        bad("When `new_edits: false`, the document needs `_rev` or `_revisions` specified"),
    ),
    ("POST", "/db/_bulk_get", {}, bad("Missing JSON list of 'docs'.")),
    ("POST", "/db/_bulk_get", {"docs": 1}, bad("`docs` must be an array.")),
    ("POST", "/db/_bulk_get?rev=1-a", {"docs": []}, bad('"rev" query parameter is not acceptable')),
    ("POST", "/db/_revs_diff", {"a": 1}, bad("The revisions of `a` must be an array of strings.")),
    ("POST", "/db/_revs_diff", {"a": [1]}, BAD_REV),
    ("POST", "/db/_missing_revs", {"a": ["x"]}, BAD_REV),
    ("POST", "/db/_purge", {"plain": 1}, bad("Invalid list of revisions")),
    ("POST", "/db/_purge", {"plain": ["x"]}, BAD_REV),
    ("POST", "/db/_purge", {f"{n}": [] for n in range(1001)}, bad("Exceeded maximum number of documents.")),
    (
        "POST",
        "/db/_purge",
        {"plain": [f"{n + 1}-a" for n in range(1001)]},
        bad("Exceeded maximum number of revisions."),
    ),
    # listings and feeds
    ("GET", "/db/_all_docs?limit=x", b"", query_error('Invalid value for integer: "x"')),
    ("GET", "/db/_all_docs?limit=-1", b"", query_error('Invalid value for positive integer: "-1"')),
    (
        "GET",
        "/db/_all_docs?limit=" + "9" * 40,
        b"",
        query_error("Limit is too large, must not exceed 576460752303423487"),
    ),
    ("GET", "/db/_all_docs?skip=1.5", b"", query_error('Invalid value for integer: "1.5"')),
    ("GET", "/db/_all_docs?limit=%D9%A1", b"", query_error('Invalid value for integer: "\u0661"')),
    ("GET", "/db/_all_docs?descending=1", b"", query_error('Invalid boolean parameter: "1"')),
    ("GET", "/db/_all_docs?startkey=x", b"", NOT_JSON),
    ("GET", "/db/_all_docs?startkey=%22%5Cud800%22", b"", NOT_JSON),
    ("GET", "/db/_all_docs?keys={}", b"", bad("`keys` parameter must be an array.")),
    ("POST", "/db/_all_docs", {"keys": 1}, bad("`keys` body member must be an array.")),
    ("POST", "/db/_all_docs", {"limit": "1"}, query_error('Invalid value for integer: "1"')),
    ("POST", "/db/_all_docs/queries", {"queries": {}}, bad("`queries` member must be an array.")),
    ("POST", "/db/_all_docs/queries", {"queries": [1]}, bad("Each of the `queries` must be an object.")),
    ("GET", "/db/_all_docs/none", b"", MISSING),
    ("GET", "/db/_changes?since=x", b"", bad("Malformed sequence supplied in 'since' parameter.")),
    (
        "GET",
        "/db/_changes?feed=x",
        b"",
        bad("Supported `feed` types: normal, continuous, live, longpoll, eventsource"),
    ),
    ("GET", "/db/_changes?limit=x", b"", bad('Invalid value for integer `limit`: "x"')),
    ("GET", "/db/_changes?style=x", b"", bad('Invalid style: "x"; it is main_only or all_docs')),
    (
        "GET",
        "/db/_changes?heartbeat=0",
        b"",
        bad("The heartbeat value should be a positive integer (in milliseconds)."),
    ),
    ("GET", "/db/_changes?heartbeat=1e3", b"", bad(BAD_HEARTBEAT)),
    (
        "GET",
        "/db/_changes?feed=longpoll&timeout=-1",
        b"",
        bad("The timeout value should be a positive integer (in milliseconds)."),
    ),
    ("GET", "/db/_changes?seq_interval=0", b"", bad("invalid_seq_interval")),
    (
        "POST",
        "/db/_changes?filter=_doc_ids",
        {"doc_ids": 1},
        bad("`doc_ids` filter parameter is not a list of doc ids."),
    ),
    ("POST", "/db/_changes?filter=_selector", {"selector": 1}, bad("Selector error: expected a JSON object")),
    # Mango
    ("POST", "/db/_find", {}, (400, "missing_required_key", "Missing required key: selector")),
    (
        "POST",
        "/db/_find",
        {"selector": 1},
        (400, "invalid_selector_json", "Selector must be a JSON object, not: 1"),
    ),
    ("POST", "/db/_find", {"selector": {"a": {"$x": 1}}}, (400, "invalid_operator", "Invalid operator: $x")),
    (
        "POST",
        "/db/_find",
        {"selector": {"a": {"$regex": "("}}},
        (400, "bad_arg", 'Bad argument for operator $regex: "("'),
    ),
    (
        "POST",
        "/db/_find",
        {"selector": {"a": {"$mod": [0, 1]}}},
        (400, "bad_arg", "Bad argument for operator $mod: [0,1]"),
    ),
    (
        "POST",
        "/db/_find",
        {"selector": {}, "limit": -1},
        (400, "invalid_non_neg_integer", "-1 is not an integer greater than or equal to zero"),
    ),
    ("POST", "/db/_find", {"selector": {}, "x": 1}, (400, "invalid_key", "Invalid key x for this request.")),
    (
        "POST",
        "/db/_find",
        {"selector": {}, "bookmark": "x"},
        (400, "invalid_bookmark", 'Invalid bookmark value: "x"'),
    ),
    (
        "POST",
        "/db/_find",
        {"selector": {}, "sort": [{"a": "up"}]},
        (400, "invalid_sort_field", 'Invalid sort field: {"a":"up"}'),
    ),
    (
        "POST",
        "/db/_find",
        {"selector": {}, "partition": "p"},
        query_error("`partition` parameter is not supported on this db"),
    ),
    ("POST", "/db/_index", {}, (400, "missing_required_key", "Missing required key: index")),
    (
        "POST",
        "/db/_index",
        {"index": {"fields": ["a"]}, "partitioned": True},
        bad("partitioned option cannot be true in a non-partitioned database."),
    ),
    ("DELETE", "/db/_index/none/json/none", b"", MISSING),
    # the database's settings
    ("PUT", "/db/_security", {"admins": []}, bad("admins or members must be a JSON list of strings")),
    ("PUT", "/db/_security", {"admins": {"names": [1]}}, bad("names must be a JSON list of strings")),
    ("PUT", "/db/_security", {"members": {"roles": "x"}}, bad("roles must be a JSON list of strings")),
    ("PUT", "/db/_revs_limit", 0, bad("`revs_limit` must be positive integer")),
    ("PUT", "/db/_revs_limit", -5, bad("`revs_limit` must be positive integer")),
    ("PUT", "/db/_revs_limit", 1.5, bad("`revs_limit` must be positive integer")),
    ("PUT", "/db/_revs_limit", True, bad("`revs_limit` must be positive integer")),
    # the server
    ("GET", "/_uuids?count=x", b"", bad("count must be a positive integer")),
    ("GET", "/_uuids?count=1001", b"", bad("count parameter too large")),
    ("GET", "/_all_dbs?limit=x", b"", query_error('Invalid value for integer: "x"')),
    ("POST", "/_dbs_info", {"keys": ["x"] * 101}, bad("too_many_keys")),
    ("POST", "/_session", {"name": 1, "password": "x"}, bad("name and password must be strings")),
    ("GET", "/_session?basic=true", b"", (401, "unauthorized", "Please login.")),
    (
        "POST",
        "/_session?next=//evil.example/",
        {"name": "x", "password": "x"},
        bad("path must be a path of this server"),
    ),
    (
        "POST",
        "/_session?next=/a%0d%0aX:%20y",
        {"name": "x", "password": "x"},
        bad("path must be a path of this server"),
    ),
    ("POST", "/_session?next=evil", {"name": "x", "password": "x"}, bad("path must begin with a /.")),
]


@pytest.mark.parametrize(("method", "target", "body", "error"), REQUESTS, ids=name_of)
async def test_requests(app: Application, method: str, target: str, body: Any, error: Error) -> None:
    await refused(app, method, target, body, error)


# -- headers -----------------------------------------------------------------------------------------

HEADERS: list[tuple[str, str, bytes, bytes, Error]] = [
    ("PUT", "/db/plain", b"if-match", b"x", BAD_REV),
    (
        "PUT",
        f"/db/plain?rev=1-{A}",
        b"if-match",
        b"1-" + b"b" * 32,
        bad("Document rev and etag have different values"),
    ),
    ("PUT", "/db/plain", b"if-match", b"1-\xc3\xbc", BAD_REV),
    ("COPY", "/db/plain", b"destination", b"http://other/x", bad("Destination URL must be relative.")),
    ("COPY", "/db/plain", b"destination", b"_x", RESERVED),
    ("COPY", "/db/plain", b"destination", b"", (400, "illegal_docid", "Document id must not be empty")),
    (
        "COPY",
        "/db/plain",
        b"destination",
        b"x%00",
        (400, "illegal_docid", "Document id must not contain a NUL character"),
    ),
    ("COPY", "/db/plain", b"destination", b"x%ff", (400, "illegal_docid", "Document id must be valid UTF-8")),
    ("COPY", "/db/plain", b"destination", b"conflicted", CONFLICT),
    ("COPY", "/db/plain", b"destination", b"conflicted?rev=x", BAD_REV),
    ("COPY", "/db/none", b"destination", b"x", MISSING),
    ("COPY", "/db/plain", b"x", b"y", bad("Destination header is mandatory for COPY.")),
    (
        "GET",
        "/db/with/a.txt",
        b"range",
        b"bytes=9-",
        (416, "requested_range_not_satisfiable", "Requested range not satisfiable"),
    ),
    ("GET", "/", b"authorization", b"Basic !!!", bad("Authorization header has invalid base64 value")),
    ("GET", "/", b"authorization", b"Basic eDp5", (401, "unauthorized", "Name or password is incorrect.")),
    (
        "GET",
        "/",
        b"cookie",
        b"AuthSession=garbage",
        bad("Malformed AuthSession cookie. Please clear your cookies."),
    ),
]


@pytest.mark.parametrize(("method", "target", "name", "value", "error"), HEADERS, ids=name_of)
async def test_headers(
    app: Application, method: str, target: str, name: bytes, value: bytes, error: Error
) -> None:
    before = await state(app)
    answer = await ask(app, method, target, b"{}" if method == "PUT" else b"", (name, value))
    assert answer.error == error
    assert await state(app) == before


@pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", "a\nb", '"; X="', "\u00fc\u20ac", "\x7f", "a\x00b"])
async def test_nothing_that_comes_in_makes_a_header(app: Application, text: str) -> None:
    """Ids, names, revisions and types go out in headers only as what a header can hold."""
    quoted = "".join(f"%{byte:02x}" for byte in text.encode())
    for method, target, body, headers in [
        ("PUT", f"/db/{quoted}", b"{}", ()),
        ("POST", "/db", json.dumps({"_id": text}).encode(), (JSON,)),
        ("PUT", f"/db/new/{quoted}", b"data", ()),
        ("PUT", "/db/other/file", b"data", ((b"content-type", text.encode("utf-8")),)),
        ("GET", "/db/other/file", b"", ()),
        ("PUT", "/db/third", as_bytes({"_attachments": {text: {"data": "", "content_type": text}}}), ()),
        ("GET", f"/db/third/{quoted}", b"", ()),
        ("GET", f"/db/new/{quoted}", b"", ()),
        ("COPY", "/db/plain", b"", ((b"destination", quoted.encode() + b"2"),)),
        ("GET", f"/{quoted}", b"", ()),
        ("PUT", f"/db/{quoted}?rev={quoted}", b"{}", ()),
        ("GET", "/db/_changes?since=" + quoted, b"", ()),
        ("POST", f"/_session?next=/{quoted}", b'{"name":"x","password":"x"}', (JSON,)),
    ]:  # fmt: skip
        answer = await ask(app, method, target, body, *headers)
        assert 200 <= answer.status < 500, (method, target, answer.body)
        for name, value in answer.headers:
            assert b"\r" not in value, (name, value)
            assert b"\n" not in value, (name, value)
            assert b"\0" not in value, (name, value)
            assert name.lower() != b"x-evil"


async def test_thousands_of_parameters_and_repeated_ones(app: Application) -> None:
    """Of a repeated parameter the last counts."""
    many = "&".join(f"p{n}={n}" for n in range(5000))
    assert (await ask(app, "GET", f"/db/plain?{many}")).status == 200
    answer = await ask(app, "GET", "/db/_all_docs?limit=x&limit=1&limit=0")
    assert answer.json()["rows"] == []
    assert (await ask(app, "GET", "/db/_all_docs?limit=1&limit=x")).status == 400


async def test_a_revision_is_a_winner_once_however_often_it_comes(app: Application) -> None:
    """The same revision twice in a batch; `_rev` beside a `_revisions` that says otherwise and counts."""
    same = {"_id": "plain", "_rev": f"1-{A}", "n": 99}
    answer = await ask(
        app, "POST", "/db/_bulk_docs", as_bytes({"docs": [same, same], "new_edits": False}), JSON
    )
    assert answer.json() == []
    assert (await ask(app, "GET", "/db/plain")).json()["n"] == 1
    told = {"_id": "new", "_rev": f"5-{B}", "_revisions": {"start": 2, "ids": [B, A]}}
    answer = await ask(app, "POST", "/db/_bulk_docs", as_bytes({"docs": [told], "new_edits": False}), JSON)
    assert answer.json() == []
    assert (await ask(app, "GET", "/db/new")).json()["_rev"] == f"2-{B}"


async def test_a_history_that_goes_in_circles_ends(app: Application) -> None:
    """Revisions are told apart by their generation, so an id that comes again is another revision."""
    circle = {"_id": "new", "_revisions": {"start": 4, "ids": [A, B, A, B]}}
    body = as_bytes({"docs": [circle], "new_edits": False})
    assert (await ask(app, "POST", "/db/_bulk_docs", body, JSON)).json() == []
    back = {"_id": "new", "_revisions": {"start": 4, "ids": [B, A, B, A]}}
    body = as_bytes({"docs": [back], "new_edits": False})
    assert (await ask(app, "POST", "/db/_bulk_docs", body, JSON)).json() == []
    found = (await ask(app, "GET", "/db/new?revs=true&conflicts=true")).json()
    assert found["_revisions"] == {"start": 4, "ids": [B, A, B, A]}
    assert found["_conflicts"] == [f"4-{A}"]

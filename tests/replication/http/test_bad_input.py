"""Whatever comes in wrong gets an error that says so, and changes nothing.

The table holds what a request may get wrong, with the answer in full. After each the database is as it was:
the same documents at the same sequence number, and the doctor finds nothing.
"""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from replication.http import Application, create_app
from replication.http.server import ServerConfig
from replication.store.interface import Store
from replication.store.sqlite import SqliteStore
from replication.store.sqlite.doctor import examine
from tests.replication.http.raw import JSON, Answer, ask

A, B, Z = "a" * 32, "b" * 32, "z" * 32
MEGABYTE = 1024 * 1024
GZIP = (b"content-encoding", b"gzip")

NOT_JSON = (400, "bad_request", "invalid UTF-8 JSON")
NO_OBJECT = (400, "bad_request", "Request body must be a JSON object")
NO_DOCUMENT = (400, "bad_request", "Document must be a JSON object")
TOO_DEEP = (400, "bad_request", "JSON is nested more than 500 levels deep")
BAD_REV = (400, "bad_request", "Invalid rev format")
NO_TYPE = (415, "bad_content_type", "Content-Type must be application/json")
TOO_LARGE = (413, "too_large", "the request entity is too large")
NOT_GZIPPED = (400, "bad_request", "Request body is not properly gzipped.")
BAD_ESCAPE = (400, "bad_request", "invalid_url_encoding")
RESERVED = (400, "illegal_docid", "Only reserved document ids may start with underscore.")
NO_DATABASE = (404, "not_found", "Database does not exist.")
MISSING = (404, "not_found", "missing")
CONFLICT = (409, "conflict", "Document update conflict.")
NUL = (400, "bad_request", "The path must not hold a NUL character")
REV_OF_DATABASE = (
    "You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?"
)
BAD_HEARTBEAT = "Invalid heartbeat value. Expecting a positive integer value (in milliseconds)."
NOT_UTF8 = (400, "bad_request", "The path is not percent-encoded UTF-8")

Error = tuple[int, str, str]
Row = tuple[str, str, Any, Error]
"""Method, path and query, body (bytes as they are, anything else as JSON), what is answered."""


def illegal_name(name: str) -> Error:
    reason = (
        f"Name: '{name}'. Only lowercase characters (a-z), digits (0-9), and any of the characters"
        " _, $, (, ), +, -, and / are allowed. Must begin with a letter."
    )
    return (400, "illegal_database_name", reason)


def validation(reason: str) -> Error:
    return (400, "doc_validation", reason)


def bad(reason: str) -> Error:
    return (400, "bad_request", reason)


def query_error(reason: str) -> Error:
    return (400, "query_parse_error", reason)


def nested(levels: int) -> bytes:
    return b'{"a":' + b"[" * levels + b"]" * levels + b"}"


@functools.cache
def bomb(size: int) -> bytes:
    """`size` blanks, gzipped: a thousandth of that."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blank = b" " * MEGABYTE
    return b"".join(packer.compress(blank) for _ in range(size // MEGABYTE)) + packer.flush()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Application]:
    """A server with a database that has a bit of everything."""
    store: Store = await SqliteStore.open(tmp_path / "data")
    app = create_app(store, ServerConfig(access_log=False))
    await ask(app, "PUT", "/db")
    docs: list[dict[str, Any]] = [
        {"_id": "plain", "_rev": f"1-{A}", "n": 1},
        {"_id": "conflicted", "_rev": f"1-{A}"},
        {"_id": "conflicted", "_rev": f"1-{B}"},
        {"_id": "gone", "_rev": f"2-{A}", "_deleted": True},
        {"_id": "with", "_rev": f"1-{A}", "_attachments": {"a.txt": {"data": "aGVsbG8=", "revpos": 1}}},
        {"_id": "_design/d", "_rev": f"1-{A}", "language": "query"},
    ]
    body = json.dumps({"new_edits": False, "docs": docs}).encode()
    assert (await ask(app, "POST", "/db/_bulk_docs", body, JSON)).body == b"[]\n"
    await ask(app, "PUT", "/db/_local/note", b'{"a":1}')
    yield app
    await store.close()
    assert list(examine(tmp_path / "data")) == []


async def state(app: Application) -> list[Any]:
    """All that a client can see of the server's databases."""
    seen: list[Any] = [(await ask(app, "GET", "/_all_dbs")).json()]
    for path in (
        "/db",
        "/db/_changes?style=all_docs&include_docs=true",
        "/db/_local_docs?include_docs=true",
        "/db/_security",
        "/db/_revs_limit",
    ):
        value = (await ask(app, "GET", path)).json()
        if path == "/db":
            value = (value["update_seq"], value["doc_count"], value["doc_del_count"])
        seen.append(value)
    seen.append((await ask(app, "GET", "/db/with/a.txt")).body)
    return seen


def as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def name_of(value: Any) -> str | None:
    if isinstance(value, str):
        return value[:40].encode("unicode_escape").decode()
    if isinstance(value, bytes):
        return repr(value[:24])[2:-1]
    return None


# -- bodies that are no JSON -------------------------------------------------------------------------

NOT_JSON_AT_ALL = [
    b"", b"   ", b"{", b'{"a":1}}', b'{"a":1,}', b"{'a':1}", b'{"a":01}', b'{"a":+1}', b'{"a":.5}',
    b'{"a":1.}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e400}', b'{"a":-1e400}',
    b'{"a":"\\ud800"}', b'{"a":"\\udc00"}', b'{"a":"\\udc00\\ud800"}', b'{"\\uD800":1}', b'{"a":"\\x"}',
    b'{"a":"\xff\xfe"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xe2\x82"}',
    b'\xef\xbb\xbf{"a":1}', '{"a":1}'.encode("utf-16"), b'{"a":"\x01"}', b'{"a":"\n"}', b'{"a":1/**/}',
    b'{"a":' + b"7" * 5000 + b"}", b'{"a":[1,2',
]  # fmt: skip

TAKES_JSON = [
    ("PUT", "/db/new"),
    ("POST", "/db"),
    ("PUT", "/db/_local/new"),
    ("PUT", "/db/_design/new"),
    ("POST", "/db/_bulk_docs"),
    ("POST", "/db/_bulk_get"),
    ("POST", "/db/_revs_diff"),
    ("POST", "/db/_missing_revs"),
    ("POST", "/db/_all_docs"),
    ("POST", "/db/_all_docs/queries"),
    ("POST", "/db/_find"),
    ("POST", "/db/_explain"),
    ("POST", "/db/_index"),
    ("POST", "/db/_index/_bulk_delete"),
    ("POST", "/db/_purge"),
    ("PUT", "/db/_security"),
    ("PUT", "/db/_revs_limit"),
    ("POST", "/_session"),
    ("POST", "/_dbs_info"),
]


@pytest.mark.parametrize(("method", "path"), TAKES_JSON)
async def test_no_endpoint_takes_what_is_no_json(app: Application, method: str, path: str) -> None:
    before = await state(app)
    for body in NOT_JSON_AT_ALL:
        assert (await ask(app, method, path, body, JSON)).error == NOT_JSON, body[:40]
    for levels in (1000, 20_000):
        answer = await ask(app, method, path, nested(levels), JSON)
        # Where nothing is stored a thousand levels do no harm, and are no revisions either.
        assert answer.error == TOO_DEEP or (levels == 1000 and answer.status == 400)
    assert await state(app) == before


async def test_a_changes_body_may_be_empty_and_nothing_else_that_is_no_json(app: Application) -> None:
    assert (await ask(app, "POST", "/db/_changes", b"", JSON)).status == 200
    for body in NOT_JSON_AT_ALL[2:]:
        assert (await ask(app, "POST", "/db/_changes", body, JSON)).error == NOT_JSON, body[:40]


@pytest.mark.parametrize(("method", "path"), TAKES_JSON)
async def test_no_endpoint_takes_json_of_the_wrong_type(app: Application, method: str, path: str) -> None:
    expected = NO_OBJECT
    if path in ("/db/new", "/db", "/db/_local/new", "/db/_design/new"):
        expected = NO_DOCUMENT
    elif path == "/db/_revs_limit":
        expected = bad("`revs_limit` must be positive integer")
    before = await state(app)
    for body in (b"[]", b'"s"', b"1.5", b"null", b"true"):
        assert (await ask(app, method, path, body, JSON)).error == expected, body
    assert await state(app) == before


async def test_what_json_allows_is_kept(app: Application) -> None:
    """Of duplicate keys the last counts, integers have any length, NUL and noncharacters are characters."""
    for body, member in [
        (b'{"a":1,"a":2}', b'"a":2'),
        (b'{"_id":"x","_id":"new"}', b'"_id":"new"'),
        (b'{"a":' + b"7" * 100 + b"}", b'"a":' + b"7" * 100),
        (b'{"a":"\\u0000\\uffff\\ud83d\\ude00"}', '"a":"\\u0000\uffff\U0001f600"'.encode()),
        (b'{"":1}', b'"":1'),
    ]:
        found = await ask(app, "GET", "/db/new")
        rev = "" if found.status == 404 else f"?rev={found.json()['_rev']}"
        assert (await ask(app, "PUT", f"/db/new{rev}", body)).status == 201, body
        assert member in (await ask(app, "GET", "/db/new")).body


# -- content types, encodings, sizes -----------------------------------------------------------------


@pytest.mark.parametrize("path", [path for method, path in TAKES_JSON if method == "POST" and "/db" in path])
@pytest.mark.parametrize(
    "content_type", [b"text/plain", b"text/json", b"application/x-www-form-urlencoded", b""]
)
async def test_a_post_says_that_it_is_json(app: Application, path: str, content_type: bytes) -> None:
    if path.endswith("/queries"):
        return  # CouchDB does not ask here
    before = await state(app)
    answer = await ask(app, "POST", path, b"{}", (b"content-type", content_type))
    assert answer.error == NO_TYPE
    assert await state(app) == before


@pytest.mark.parametrize(
    ("encoding", "body", "error"),
    [
        (b"gzip", b"no gzip", NOT_GZIPPED),
        (b"gzip", gzip.compress(b"{}", mtime=0)[:-4], NOT_GZIPPED),
        (b"gzip", gzip.compress(b'{"a":1', mtime=0)[:8], NOT_GZIPPED),
        (b"gzip", b"", NOT_GZIPPED),
        (b"gzip", gzip.compress(b"{", mtime=0), NOT_JSON),
        (b"deflate", b"{}", (415, "bad_content_type", "deflate is not a supported content encoding.")),
        (b"br", b"{}", (415, "bad_content_type", "br is not a supported content encoding.")),
        (b"gzip, gzip", b"{}", (415, "bad_content_type", "gzip, gzip is not a supported content encoding.")),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("PUT", "/db/new"), ("POST", "/db/_bulk_docs")])
async def test_bad_compression(
    app: Application, method: str, path: str, encoding: bytes, body: bytes, error: Error
) -> None:
    before = await state(app)
    assert (await ask(app, method, path, body, JSON, (b"content-encoding", encoding))).error == error
    assert await state(app) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/db/new"), ("POST", "/db/_bulk_docs"), ("POST", "/db/_find")]
)
async def test_a_body_beyond_64_megabytes_is_refused_whatever_it_says(
    app: Application, method: str, path: str
) -> None:
    before = await state(app)
    length = (b"content-length", b"%d" % (64 * MEGABYTE + 1))
    assert (await ask(app, method, path, b"{", JSON, length)).error == TOO_LARGE
    huge = [b" " * MEGABYTE] * 65
    assert (await ask(app, method, path, huge, JSON)).error == TOO_LARGE
    assert (await ask(app, method, path, bomb(2000 * MEGABYTE), JSON, GZIP)).error == TOO_LARGE
    assert await state(app) == before


async def test_a_document_beyond_8_megabytes_is_refused(app: Application) -> None:
    before = await state(app)
    text = b'"' + b"x" * 8_000_000 + b'"'
    answer = await ask(app, "PUT", "/db/new", b'{"a":' + text + b"}")
    assert answer.error == (413, "document_too_large", "new")
    batch = b'{"docs":[{"_id":"small"},{"_id":"large","a":' + text + b"}]}"
    answer = await ask(app, "POST", "/db/_bulk_docs", batch, JSON)
    assert answer.error == (413, "document_too_large", "large")
    assert await state(app) == before


async def test_a_login_body_is_small(app: Application) -> None:
    body = b'{"name":"' + b"x" * 70_000 + b'"}'
    assert (await ask(app, "POST", "/_session", body, JSON)).error == TOO_LARGE


@pytest.mark.parametrize(("method", "path"), [*TAKES_JSON, ("PUT", "/db/new/file"), ("POST", "/db/_changes")])
async def test_a_client_that_leaves_in_the_middle_of_its_body_changes_nothing(
    app: Application, method: str, path: str
) -> None:
    before = await state(app)
    length = (b"content-length", b"1000")
    answer = await ask(app, method, path, [b'{"docs":[{"_id":"new"}', b"]}"], JSON, length)
    assert answer.status == 0
    assert await state(app) == before


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


async def refused(app: Application, method: str, target: str, body: Any, error: Error) -> Answer:
    before = await state(app)
    answer = await ask(app, method, target, as_bytes(body), JSON)
    assert answer.error == error
    assert dict(answer.headers)[b"content-type"] == b"application/json"
    assert await state(app) == before
    return answer


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

"""A server with a bit of everything, what it may answer to bad input, and whether that changed it."""

from __future__ import annotations

import functools
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


async def refused(app: Application, method: str, target: str, body: Any, error: Error) -> Answer:
    before = await state(app)
    answer = await ask(app, method, target, as_bytes(body), JSON)
    assert answer.error == error
    assert dict(answer.headers)[b"content-type"] == b"application/json"
    assert await state(app) == before
    return answer

"""Content types, compression and sizes of bodies that are refused, and bodies that break off."""

from __future__ import annotations

import gzip

import pytest

from replication.http import Application
from tests.replication.http.bad_input import (
    GZIP,
    MEGABYTE,
    NO_TYPE,
    NOT_GZIPPED,
    NOT_JSON,
    TAKES_JSON,
    TOO_LARGE,
    Error,
    app,
    bomb,
    state,
)
from tests.replication.http.raw import JSON, ask

__all__ = ["app"]


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

"""Bodies that are no JSON, or JSON of the wrong type, get an error that says so, and change nothing."""

from __future__ import annotations

import pytest

from replication.http import Application
from tests.replication.http.bad_input import (
    NO_DOCUMENT,
    NO_OBJECT,
    NOT_JSON,
    TAKES_JSON,
    TOO_DEEP,
    app,
    bad,
    nested,
    state,
)
from tests.replication.http.raw import JSON, ask

__all__ = ["app"]


NOT_JSON_AT_ALL = [
    b"", b"   ", b"{", b'{"a":1}}', b'{"a":1,}', b"{'a':1}", b'{"a":01}', b'{"a":+1}', b'{"a":.5}',
    b'{"a":1.}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e400}', b'{"a":-1e400}',
    b'{"a":"\\ud800"}', b'{"a":"\\udc00"}', b'{"a":"\\udc00\\ud800"}', b'{"\\uD800":1}', b'{"a":"\\x"}',
    b'{"a":"\xff\xfe"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xe2\x82"}',
    b'\xef\xbb\xbf{"a":1}', '{"a":1}'.encode("utf-16"), b'{"a":"\x01"}', b'{"a":"\n"}', b'{"a":1/**/}',
    b'{"a":' + b"7" * 5000 + b"}", b'{"a":[1,2',
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), TAKES_JSON)
async def test_no_endpoint_takes_what_is_no_json(app: Application, method: str, path: str) -> None:
    before = await state(app)
    for body in NOT_JSON_AT_ALL:
        assert (await ask(app, method, path, body, JSON)).error == NOT_JSON, body[:40]
    for levels in (1000, 20_000):
        answer = await ask(app, method, path, nested(levels), JSON)
        # Where nothing is stored a thousand levels do no harm: no revisions, or a member nobody reads.
        harmless = (200, 400) if path.endswith("_all_docs") else (400,)
        assert (levels == 1000 and answer.status in harmless) or answer.error == TOO_DEEP
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

"""Update functions: documents made of requests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from replication.http.app import Application
from tests.replication.http.designs import design, save

UPDATES = {
    "make": """function(doc, req) {
        return [doc ? null : {_id: req.id || req.uuid, made: 1}, 'hello ' + req.method]
    }""",
    "count": """function(doc, req) {
        doc.n = (doc.n || 0) + 1;
        return [doc, {code: 202, headers: {'X-Foo': 'b', 'Content-Type': 'text/x'}, body: 'done'}]
    }""",
    "delete": "function(doc) { doc._deleted = true; return [doc, 'gone'] }",
    "doc": "function(doc) { return [null, toJSON(doc)] }",
    "req": "function(doc, req) { return [null, {json: req}] }",
    "new": "function(doc, req) { return [{_id: req.id}, 'x'] }",
    "other": "function(doc, req) { return [{_id: 'other'}, 'x'] }",
    "local": "function(doc, req) { return [{_id: '_local/x'}, 'x'] }",
    "lib": "function() { return [null, require('lib/a').x + this.title] }",
    "bad": "function(",
}


@pytest.fixture
async def updates(client: httpx.AsyncClient, db: str) -> str:
    await save(client, {"_id": "a", "x": 1})
    path = await design(client, updates=UPDATES, lib={"a": "exports.x = 'X'"}, title="T")
    return path.replace("_view", "_update")


async def answered(client: httpx.AsyncClient, returned: str, **more: Any) -> httpx.Response:
    """What an update function that returns `returned` answers."""
    path = await design(client, "once", updates={"f": f"function(doc, req) {{ return {returned} }}"})
    return await client.post(f"{path.replace('_view', '_update')}/f", **more)


async def test_a_document_is_made_of_a_request(client: httpx.AsyncClient, updates: str) -> None:
    answer = await client.put(f"{updates}/make/new")
    assert (answer.status_code, answer.text) == (201, "hello PUT")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    found = (await client.get("/db/new")).json()
    assert found == {"_id": "new", "_rev": answer.headers["x-couch-update-newrev"], "made": 1}
    answer = await client.post(f"{updates}/make")
    assert answer.status_code == 201
    assert (await client.get("/db")).json()["doc_count"] == 4
    answer = await client.post(f"{updates}/make/a")
    assert (answer.status_code, answer.text) == (200, "hello POST")
    assert "x-couch-update-newrev" not in answer.headers
    assert (await client.delete(f"{updates}/make/by-delete")).text == "hello DELETE"


async def test_an_id_may_have_slashes(client: httpx.AsyncClient, updates: str) -> None:
    answer = await client.post(f"{updates}/new/a/b%2Fc")
    assert (answer.status_code, answer.headers["x-couch-id"]) == (201, "a%2Fb%2Fc")
    assert (await client.get("/db/a%2Fb%2Fc")).status_code == 200


async def test_a_document_is_changed(client: httpx.AsyncClient, updates: str) -> None:
    for n in (1, 2):
        answer = await client.post(f"{updates}/count/a", content=b"anything")
        assert (answer.status_code, answer.text) == (202, "done")
        assert (answer.headers["x-foo"], answer.headers["content-type"]) == ("b", "text/x")
        found = (await client.get("/db/a")).json()
        assert found["n"] == n
        assert found["_rev"] == answer.headers["x-couch-update-newrev"]
    assert (await client.post(f"{updates}/delete/a")).text == "gone"
    assert (await client.get("/db/a")).status_code == 404
    assert (await client.post(f"{updates}/doc/a")).text == "null"


async def test_attachments_stay(client: httpx.AsyncClient, updates: str) -> None:
    rev = (await client.get("/db/a")).json()["_rev"]
    await client.put(f"/db/a/t?rev={rev}", content=b"bytes")
    assert (await client.post(f"{updates}/count/a")).status_code == 202
    assert (await client.get("/db/a/t")).content == b"bytes"


async def test_what_the_function_sees(client: httpx.AsyncClient, updates: str) -> None:
    doc = (await client.post(f"{updates}/doc/a")).json()
    assert (doc["_id"], doc["x"], doc["_revisions"]["start"]) == ("a", 1, 1)
    assert (await client.post(f"{updates}/doc/none")).text == "null"
    assert (await client.post(f"{updates}/doc")).text == "null"
    assert (await client.post(f"{updates}/lib")).text == "XT"
    answer = await client.post(f"{updates}/req/a?q=%201", data={"foo": "b r"})
    assert answer.headers["content-type"] == "application/json"
    req = answer.json()
    assert (req["id"], req["method"], req["query"]) == ("a", "POST", {"q": " 1"})
    assert req["path"] == ["db", "_design", "d", "_update", "req", "a"]
    assert (req["body"], req["form"]) == ("foo=b+r", {"foo": "b r"})
    answer = await client.post(f"{updates}/req", content=b'{"a":1}')
    assert (answer.json()["body"], answer.json()["id"]) == ('{"a":1}', None)


@pytest.mark.parametrize(
    ("returned", "status", "media_type", "body"),
    [
        ("[null, 'text']", 200, "text/html; charset=utf-8", b"text"),
        ("[null, {body: 'text', code: 404}]", 404, "text/html; charset=utf-8", b"text"),
        ("[null, {json: {a: [1]}}]", 200, "application/json", b'{"a":[1]}'),
        ("[null, {base64: 'aGFsbG8=', headers: {'Content-Type': 'a/b'}}]", 200, "a/b", b"hallo"),
        ("[null, {}]", 200, "application/json", b""),
        ("[5, 'text']", 200, "text/html; charset=utf-8", b"text"),
        ("[{_id: 'n'}, {code: 500, body: 'x'}]", 500, "text/html; charset=utf-8", b"x"),
        ("[{_id: 'n'}, 'x', 1]", 201, "text/html; charset=utf-8", b"x"),
        ("[null, {code: 204, body: 'x'}]", 204, "text/html; charset=utf-8", b""),
        ("[null, {code: 304, body: 'x'}]", 304, "text/html; charset=utf-8", b""),
    ],
)
async def test_answers(
    client: httpx.AsyncClient, db: str, returned: str, status: int, media_type: str, body: bytes
) -> None:
    answer = await answered(client, returned)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (status, media_type, body)
    assert answer.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("'x'", "undefined response from update function"),
        ("null", "function raised error: TypeError: "),
        ("undefined", "function raised error: TypeError: "),
        ("[null]", "undefined response from update function"),
        ("[null, 5]", "undefined response from update function"),
        ("[{_id: 'n'}, null]", "undefined response from update function"),
        ("[null, {body: 5}]", "the body must be a text"),
        ("[null, {code: 'x', body: ''}]", "the code must be a number from 200 to 599"),
        ("[null, {code: 99, body: ''}]", "the code must be a number from 200 to 599"),
        ("[null, {base64: '*', body: ''}]", "`base64` does not hold base64"),
        ("[null, {headers: 5, body: ''}]", "the headers must be an object"),
        ("[null, {headers: {a: 'b\\r\\nc: d'}, body: ''}]", 'header "a" can\'t be sent'),
        ("[null, {headers: {'a b': 'c'}, body: ''}]", 'header "a b" can\'t be sent'),
        ("(() => { throw new Error('x') })()", "function raised error: Error: x"),
        ("(() => { throw {forbidden: 'x'} })()", "function raised error: forbidden: x"),
    ],
)
async def test_answers_that_can_not_be_sent(
    client: httpx.AsyncClient, db: str, returned: str, reason: str
) -> None:
    answer = await answered(client, returned)
    assert (answer.status_code, answer.json()["error"]) == (500, "render_error")
    assert answer.json()["reason"].startswith(reason)
    assert (await client.get("/db/n")).status_code == 404


async def test_headers_that_are_the_servers(client: httpx.AsyncClient, db: str) -> None:
    headers = {"Content-Length": "1", "Transfer-Encoding": "x", "X-Ok": "1"}
    answer = await answered(client, f"[null, {{headers: {json.dumps(headers)}, body: 'text'}}]")
    assert (answer.text, answer.headers["content-length"], answer.headers["x-ok"]) == ("text", "4", "1")
    assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("document", "status", "error"),
    [
        ("{a: 1}", 400, "illegal_docid"),
        ("{_id: 5}", 400, "illegal_docid"),
        ("{_id: '_x'}", 400, "illegal_docid"),
        ("{_id: 'a'}", 409, "conflict"),
        ("{_id: 'b', _rev: '1-aa'}", 409, "conflict"),
        ("{_id: 'b', _nope: 1}", 400, "doc_validation"),
    ],
)
async def test_documents_that_can_not_be_written(
    client: httpx.AsyncClient, updates: str, document: str, status: int, error: str
) -> None:
    answer = await answered(client, f"[{document}, 'x']")
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_what_is_written_is_validated(client: httpx.AsyncClient, updates: str) -> None:
    await design(client, "v", validate_doc_update="function(doc) { throw {forbidden: 'no'} }")
    answer = await client.post(f"{updates}/new/x")
    assert (answer.status_code, answer.json()) == (403, {"error": "forbidden", "reason": "no"})


async def test_local_documents(client: httpx.AsyncClient, updates: str) -> None:
    answer = await client.post(f"{updates}/local")
    assert (answer.status_code, answer.headers["x-couch-update-newrev"]) == (201, "0-1")
    assert (await client.get("/db/_local/x")).status_code == 200


async def test_what_is_not_there_or_not_allowed(client: httpx.AsyncClient, updates: str) -> None:
    for path, status, error, reason in (
        (f"{updates}/none", 404, "not_found", "missing json key: none"),
        ("/db/_design/none/_update/x", 404, "not_found", "missing"),
        (updates, 404, "update_error", "Invalid path."),
    ):
        answer = await client.post(path)
        assert (answer.status_code, answer.json()) == (status, {"error": error, "reason": reason})
    answer = await client.post(f"{updates}/bad")
    assert (answer.status_code, answer.json()["error"]) == (500, "compilation_error")
    answer = await client.get(f"{updates}/make")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST,PUT,DELETE")


async def test_a_hostile_function_is_stopped(
    client: httpx.AsyncClient, app: Application, updates: str
) -> None:
    app.server.javascript._call_seconds = 0.3
    answers = await asyncio.gather(
        answered(client, "(() => { for (;;); })()"), client.post(f"{updates}/doc/a")
    )
    assert [answer.status_code for answer in answers] == [500, 200]
    assert answers[0].json()["error"] == "os_process_error"

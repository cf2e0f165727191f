"""Writing and deleting attachments."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from replication.http import Application, attachments
from tests.replication.http.attachments import DATA, upload
from tests.replication.http.batches import A
from tests.replication.http.refusals import refused

# -- PUT ---------------------------------------------------------------------------------------


async def test_put_makes_the_document_and_answers_201_with_location(
    client: httpx.AsyncClient, db: str
) -> None:
    response = await upload(client, f"{db}/a/b%20c/d", content_type="text/plain; charset=utf-8")
    body = response.json()
    assert (response.status_code, body) == (201, {"ok": True, "id": "a", "rev": body["rev"]})
    assert response.headers["location"] == "http://server/db/a/b%20c%2Fd"
    assert "etag" not in response.headers
    assert (await client.get(f"{db}/a")).json()["_attachments"] == {
        "b c/d": {
            "content_type": "text/plain; charset=utf-8",
            "revpos": 1,
            "digest": "md5-iMaiC8wqiFlD2NjLTemvCQ==",
            "length": 5,
            "stub": True,
        }
    }


async def test_put_without_a_content_type_is_octet_stream(client: httpx.AsyncClient, db: str) -> None:
    await upload(client, f"{db}/a/f")
    assert (await client.get(f"{db}/a/f")).headers["content-type"] == "application/octet-stream"


async def test_put_keeps_the_body_and_the_other_attachments(client: httpx.AsyncClient, db: str) -> None:
    body = {"v": 1, "_attachments": {"one": {"data": "AQI="}}}
    rev = (await client.put(f"{db}/a", json=body)).json()["rev"]
    response = await upload(client, f"{db}/a/two?rev={rev}")
    assert response.json()["rev"].startswith("2-")
    found = (await client.get(f"{db}/a")).json()
    assert found["v"] == 1
    assert {name: entry["revpos"] for name, entry in found["_attachments"].items()} == {"one": 1, "two": 2}


async def test_put_replaces_an_attachment(client: httpx.AsyncClient, letters: str) -> None:
    rev = (await client.get("/db/a")).json()["_rev"]
    response = await upload(client, letters, b"new", If_Match=f'"{rev}"')
    assert response.status_code == 201
    assert (await client.get(letters)).content == b"new"
    assert (await client.get(f"{letters}?rev={rev}")).content.startswith(b"abc")


async def test_put_without_rev_on_a_deleted_document_begins_anew(client: httpx.AsyncClient, db: str) -> None:
    rev = (await client.put(f"{db}/a", json={"v": 1})).json()["rev"]
    await client.delete(f"{db}/a?rev={rev}")
    assert (await upload(client, f"{db}/a/f")).json()["rev"].startswith("3-")
    assert "v" not in (await client.get(f"{db}/a")).json()


async def test_put_conflicts_without_or_with_an_old_rev(client: httpx.AsyncClient, db: str) -> None:
    conflict = (409, "conflict", "Document update conflict.")
    first = (await client.put(f"{db}/a", json={})).json()["rev"]
    await client.put(f"{db}/a", json={"_rev": first})
    assert refused(await upload(client, f"{db}/a/f")) == conflict
    assert refused(await upload(client, f"{db}/a/f?rev={first}")) == conflict
    assert "_attachments" not in (await client.get(f"{db}/a")).json()


async def test_put_with_an_unknown_rev_is_409_missing_rev(client: httpx.AsyncClient, db: str) -> None:
    for path in (f"{db}/none/f", f"{db}/a/f"):
        assert refused(await upload(client, f"{path}?rev=3-{A}")) == (409, "not_found", "missing_rev")
        await client.put(f"{db}/a", json={})


async def test_put_into_design_documents(client: httpx.AsyncClient, db: str) -> None:
    response = await upload(client, f"{db}/_design/d/a/b")
    assert response.headers["location"] == "http://server/db/_design%2Fd/a%2Fb"
    for path in ("_design/d/a/b", "_design%2Fd/a/b", "_design/d/a%2Fb"):
        assert (await client.get(f"{db}/{path}")).content == b"hello"


@pytest.mark.parametrize(
    ("path", "status", "error", "reason"),
    [
        ("a/_f", 400, "bad_request", "Attachment name '_f' starts with prohibited character '_'"),
        ("_foo/f", 400, "illegal_docid", "Only reserved document ids may start with underscore."),
        ("a/f?rev=zz", 400, "bad_request", "Invalid rev format"),
        ("_local/a/f", 400, "bad_request", "_local documents do not accept attachments."),
    ],
)
async def test_put_refuses_bad_addresses(
    client: httpx.AsyncClient, db: str, path: str, status: int, error: str, reason: str
) -> None:
    assert refused(await upload(client, f"{db}/{path}")) == (status, error, reason)
    assert (await client.get(db)).json()["doc_count"] == 0


async def test_put_refuses_revisions_that_disagree(client: httpx.AsyncClient, db: str) -> None:
    response = await upload(client, f"{db}/a/f?rev=1-{A}", If_Match="1-b")
    assert refused(response) == (400, "bad_request", "Document rev and etag have different values")


async def test_put_takes_an_empty_attachment(client: httpx.AsyncClient, db: str) -> None:
    assert (await upload(client, f"{db}/a/f", b"")).status_code == 201
    response = await client.get(f"{db}/a/f")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["etag"] == '"1B2M2Y8AsgTpgAmY7PhCfg=="'


async def test_put_takes_chunked_uploads(client: httpx.AsyncClient, db: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(DATA), 70_000):
            yield DATA[start : start + 70_000]

    response = await client.put(f"{db}/a/f", content=pieces())
    assert response.status_code == 201
    assert (await client.get(f"{db}/a/f")).content == DATA


async def test_put_past_the_limit_is_413_and_stores_nothing(
    client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (attachments, __import__("replication.http.attachment_streams", fromlist=["x"])):
        monkeypatch.setattr(module, "MAX_ATTACHMENT_SIZE", 1000)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100

    too_large = (413, "attachment_too_large", "f")
    assert refused(await upload(client, f"{db}/a/f", b"x" * 1001)) == too_large
    assert refused(await client.put(f"{db}/a/f", content=endless())) == too_large
    bomb = gzip.compress(b"x" * 1001)
    assert refused(await upload(client, f"{db}/a/f", bomb, Content_Encoding="gzip")) == too_large
    assert (await client.get(f"{db}/a")).status_code == 404
    assert (await upload(client, f"{db}/a/f", b"x" * 1000)).status_code == 201


async def test_a_client_that_leaves_during_an_upload_stores_nothing(
    client: httpx.AsyncClient, app: Application, db: str
) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/db/a/f",
        "raw_path": b"/db/a/f",
        "query_string": b"",
        "headers": [(b"content-length", b"8")],
        "scheme": "http",
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    assert sent == []
    assert (await client.get(f"{db}/a")).status_code == 404


# -- DELETE ------------------------------------------------------------------------------------


async def test_delete_makes_a_revision_without_the_attachment(client: httpx.AsyncClient, db: str) -> None:
    body = {"v": 1, "_attachments": {"one": {"data": "AQI="}, "two": {"data": "AQI="}}}
    rev = (await client.put(f"{db}/a", json=body)).json()["rev"]
    response = await client.delete(f"{db}/a/one?rev={rev}")
    assert response.status_code == 200
    found = (await client.get(f"{db}/a")).json()
    assert response.json() == {"ok": True, "id": "a", "rev": found["_rev"]}
    assert (found["v"], list(found["_attachments"])) == (1, ["two"])


async def test_delete_looks_for_document_and_attachment_first(
    client: httpx.AsyncClient, letters: str
) -> None:
    rev = (await client.get("/db/a")).json()["_rev"]
    assert refused(await client.delete("/db/none/f")) == (404, "not_found", "missing")
    assert refused(await client.delete(f"/db/none/f?rev=3-{A}")) == (409, "not_found", "missing_rev")
    no_such = (404, "not_found", "Document is missing attachment")
    assert refused(await client.delete("/db/a/none")) == no_such
    assert refused(await client.delete(f"/db/a/none?rev={rev}")) == no_such
    assert refused(await client.delete(letters)) == (409, "conflict", "Document update conflict.")
    assert refused(await client.delete(f"{letters}?rev=zz")) == (400, "bad_request", "Invalid rev format")
    assert (await client.get("/db/a")).json()["_rev"] == rev


async def test_methods_an_attachment_has_not_are_405(client: httpx.AsyncClient, letters: str) -> None:
    response = await client.post(letters)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(",")) == {"DELETE", "GET", "HEAD", "PUT"}


async def test_inline_data_may_be_broken_into_lines(client: httpx.AsyncClient, db: str) -> None:
    body = {"_attachments": {"f": {"data": "aGVs\r\nbG8=\n"}}}
    assert (await client.put(f"{db}/a", json=body)).status_code == 201
    assert (await client.get(f"{db}/a/f")).content == b"hello"

"""COPY of single documents."""

from __future__ import annotations

import httpx
import pytest

from tests.replication.http.batches import A
from tests.replication.http.documents import CONFLICT, put
from tests.replication.http.refusals import refused


async def copy(client: httpx.AsyncClient, path: str, destination: str | None) -> httpx.Response:
    headers = {} if destination is None else {"Destination": destination}
    return await client.request("COPY", path, headers=headers)


async def test_copy_answers_201_with_etag_and_location(client: httpx.AsyncClient, db: str) -> None:
    await put(client, f"{db}/a", {"v": 1})
    response = await copy(client, f"{db}/a", "b%2Fc")
    body = response.json()
    assert (response.status_code, body) == (201, {"ok": True, "id": "b/c", "rev": body["rev"]})
    assert body["rev"].startswith("1-")
    assert response.headers["etag"] == f'"{body["rev"]}"'
    assert response.headers["location"] == "http://server/db/b%2Fc"
    assert (await client.get(f"{db}/b%2Fc")).json() == {"_id": "b/c", "_rev": body["rev"], "v": 1}


async def test_copy_over_a_document_needs_its_revision(client: httpx.AsyncClient, db: str) -> None:
    await put(client, f"{db}/a", {"v": 1})
    rev = await put(client, f"{db}/b", {"v": 2})
    assert refused(await copy(client, f"{db}/a", "b")) == CONFLICT
    assert (await copy(client, f"{db}/a", f"b?rev={rev}")).json()["rev"].startswith("2-")
    assert (await client.get(f"{db}/b")).json()["v"] == 1


async def test_copy_of_an_older_revision(client: httpx.AsyncClient, db: str) -> None:
    first = await put(client, f"{db}/a", {"v": 1})
    await put(client, f"{db}/a", {"_rev": first, "v": 2})
    await copy(client, f"{db}/a?rev={first}", "b")
    assert (await client.get(f"{db}/b")).json()["v"] == 1


async def test_copy_takes_attachments_along(client: httpx.AsyncClient, db: str) -> None:
    attachments = {"f": {"content_type": "text/plain", "data": "aGVsbG8="}}
    await put(client, f"{db}/a", {"v": 1, "_attachments": attachments})
    await copy(client, f"{db}/a", "b")
    found = await client.get(f"{db}/b/f")
    assert (found.content, found.headers["content-type"]) == (b"hello", "text/plain")
    assert (await client.get(f"{db}/b")).json()["_attachments"]["f"]["revpos"] == 1


async def test_copy_between_local_and_other_documents(client: httpx.AsyncClient, db: str) -> None:
    await put(client, f"{db}/a", {"v": 1})
    assert (await copy(client, f"{db}/a", "_local/a")).json()["rev"] == "0-1"
    assert (await copy(client, f"{db}/_local/a", "_local/b?rev=0-4")).json()["rev"] == "0-5"
    assert (await copy(client, f"{db}/_local/b", "b")).json()["rev"].startswith("1-")
    assert (await client.get(f"{db}/b")).json()["v"] == 1


@pytest.mark.parametrize(
    ("destination", "error", "reason"),
    [
        (None, "bad_request", "Destination header is mandatory for COPY."),
        ("http://server/db/b", "bad_request", "Destination URL must be relative."),
        ("https://server/db/b", "bad_request", "Destination URL must be relative."),
        ("", "illegal_docid", "Document id must not be empty"),
        ("_x", "illegal_docid", "Only reserved document ids may start with underscore."),
        ("%ff", "illegal_docid", "Document id must be valid UTF-8"),
        ("b?rev=abc", "bad_request", "Invalid rev format"),
        ("b?", "bad_request", "Invalid rev format"),
        ("_local/b?rev=1-abc", "bad_request", "Invalid rev format"),
    ],
)
async def test_copy_refuses_bad_destinations(
    client: httpx.AsyncClient, db: str, destination: str | None, error: str, reason: str
) -> None:
    await put(client, f"{db}/a")
    assert refused(await copy(client, f"{db}/a", destination)) == (400, error, reason)
    assert (await client.get(db)).json()["doc_count"] == 1


async def test_copy_of_what_is_not_there_is_404(client: httpx.AsyncClient, db: str) -> None:
    assert refused(await copy(client, f"{db}/a", "b")) == (404, "not_found", "missing")
    rev = await put(client, f"{db}/a")
    await client.delete(f"{db}/a?rev={rev}")
    assert refused(await copy(client, f"{db}/a", "b")) == (404, "not_found", "deleted")
    assert refused(await copy(client, f"{db}/a?rev=5-{A}", "b")) == (404, "not_found", "missing")

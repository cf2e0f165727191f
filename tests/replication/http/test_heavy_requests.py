"""Requests that ask for much: answered in pieces of bounded size, while others are served."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from replication.http import Application

pytestmark = pytest.mark.slow


async def pieces_of(app: Application, path: str, body: bytes) -> list[bytes]:
    """The answer to a POST as it is sent, piece by piece."""
    pieces: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if not pieces_asked:
            pieces_asked.append(True)
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            pieces.append(message["body"])

    pieces_asked: list[bool] = []
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "scheme": "http", "headers": [(b"content-type", b"application/json")], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await app(scope, receive, send)
    return pieces


async def test_a_bulk_get_of_more_than_memory_holds_is_sent_in_pieces(
    client: httpx.AsyncClient, app: Application, db: str
) -> None:
    text = "x" * 1_000_000
    assert (await client.put(f"{db}/large", json={"text": text})).status_code == 201
    body = b'{"docs":[' + b",".join([b'{"id":"large"}'] * 300) + b"]}"
    pieces = await pieces_of(app, f"{db}/_bulk_get", body)
    assert sum(map(len, pieces)) > 300_000_000
    # The first page is read without knowing how large the documents are.
    assert max(map(len, pieces[2:])) < 5_000_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("_bulk_get", {"docs": [{"id": f"{n}"} for n in range(40_000)]}),
        ("_revs_diff", {f"{n}": ["1-a"] for n in range(60_000)}),
        ("_all_docs", {"keys": [f"{n}" for n in range(60_000)]}),
        ("_find", {"selector": {"s": {"$regex": "^(x+x+)+$"}}}),
        ("_find", {"selector": {}, "fields": [f"f{n}.g" for n in range(3000)], "limit": 1000}),
    ],
)
async def test_others_are_served_beside_a_heavy_request(
    client: httpx.AsyncClient, db: str, path: str, body: dict[str, Any]
) -> None:
    docs = [{"_id": f"{n}", "s": "x" * 50 + "!"} for n in range(3000)]
    assert (await client.post(f"{db}/_bulk_docs", json={"docs": docs})).status_code == 201
    turns = 0
    heavy = asyncio.create_task(client.post(f"{db}/{path}", json=body))
    while not heavy.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await heavy).status_code == 200
    assert turns > 10

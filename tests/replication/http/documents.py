"""Single documents as tests write them."""

from __future__ import annotations

import httpx

CONFLICT = (409, "conflict", "Document update conflict.")


async def put(client: httpx.AsyncClient, path: str, body: object = None) -> str:
    response = await client.put(path, json={} if body is None else body)
    assert response.status_code in (200, 201), response.text
    rev: str = response.json()["rev"]
    return rev

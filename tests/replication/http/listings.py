"""Listings of documents as tests ask for them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from replication.protocol import jsontext

LISTED = ["Z", "_design/d", "_design/e", "a", "b", "c", "d", "e", "x", "z", "ä", "€", "𝄞"]
"""The ids in a database that is `filled`, in their order."""


def query(**parameters: Any) -> str:
    return "&".join(f"{name}={quote(jsontext.quote(value))}" for name, value in parameters.items())


async def listing(
    client: httpx.AsyncClient, db: str, text: str = "", body: Any = None, path: str = "_all_docs"
) -> Any:
    url = f"{db}/{path}?{text}"
    response = await client.get(url) if body is None else await client.post(url, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer["rows"]]


async def queries(
    client: httpx.AsyncClient, db: str, *asked: Any, text: str = "", path: str = "_all_docs"
) -> Any:
    response = await client.post(f"{db}/{path}/queries?{text}", json={"queries": asked})
    assert response.status_code == 200, response.text
    assert list(response.json()) == ["results"]
    return response.json()["results"]

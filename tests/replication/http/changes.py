"""The changes feed as tests ask for it."""

from __future__ import annotations

from typing import Any

import httpx

ALL = ["d0", "d1", "d2", "d3", "_design/d", "d4", "x"]
"""The ids of the fixture `feed`, in its order."""


async def changes(client: httpx.AsyncClient, db: str, query: str = "", body: Any = None) -> Any:
    """The answer as JSON; with a body it is a POST."""
    url = f"{db}/_changes?{query}"
    response = await client.get(url) if body is None else await client.post(url, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer["results"]]

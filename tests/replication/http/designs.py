"""Design documents and the documents their views are about."""

from __future__ import annotations

import json
from typing import Any

import httpx

Json = dict[str, Any]

DOCS: list[Json] = [
    {"_id": "a", "x": 1, "k": ["p", "q", 1]},
    {"_id": "b", "x": 2, "k": ["p", "q", 2]},
    {"_id": "c", "x": 3, "k": ["p", "r", 1]},
    {"_id": "d", "x": 4, "k": ["s"]},
    {"_id": "e", "k": "str"},
    {"_id": "f", "x": 1, "k": None},
]
BY_X = "function(doc) { if (doc.x) emit(doc.x, doc.k) }"
BY_K = "function(doc) { if (doc.x) emit(doc.k, doc.x) }"


async def save(client: httpx.AsyncClient, *docs: Json) -> None:
    answer = await client.post("/db/_bulk_docs", json={"docs": docs})
    assert all("ok" in row for row in answer.json()), answer.text


async def design(client: httpx.AsyncClient, name: str = "d", **value: Any) -> str:
    """Writes a design document; the path of its views."""
    old = await client.get(f"/db/_design/{name}")
    if old.status_code == 200:
        value["_rev"] = old.json()["_rev"]
    answer = await client.put(f"/db/_design/{name}", json=value)
    assert answer.status_code == 201, answer.text
    return f"/db/_design/{name}/_view"


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Json:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()}
    answer = await client.get(path, params=texts)
    assert answer.status_code == 200, answer.text
    value: Json = answer.json()
    return value


def ids(answer: Json) -> str:
    return "".join(row["id"] for row in answer["rows"])


def pairs(answer: Json) -> list[tuple[Any, Any]]:
    return [(row["key"], row["value"]) for row in answer["rows"]]

"""Documents and revisions in batches, for the tests of what is asked about many documents at once."""

from __future__ import annotations

from typing import Any

import httpx

A, B, C, D, E, F = (letter * 32 for letter in "abcdef")
HELLO = "aGVsbG8="
HELLO_DIGEST = "md5-XUFAKrxLKna5cZ2REBfFkg=="


async def bulk(client: httpx.AsyncClient, db: str, docs: Any, **members: Any) -> httpx.Response:
    return await client.post(f"{db}/_bulk_docs", json={"docs": docs, **members})


async def replicate(client: httpx.AsyncClient, db: str, *docs: dict[str, Any]) -> None:
    """Stores revisions as they are given, none of which is refused."""
    response = await bulk(client, db, list(docs), new_edits=False)
    assert (response.status_code, response.json()) == (201, [])


def revision(docid: str, start: int, ids: list[str], **members: Any) -> dict[str, Any]:
    return {"_id": docid, "_rev": f"{start}-{ids[0]}", "_revisions": {"start": start, "ids": ids}, **members}

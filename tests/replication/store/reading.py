"""What tests read of a store."""

from __future__ import annotations

import json

from replication.store.interface import Database


async def rows_of(db: Database, since: int = 0, **options: bool) -> list[dict[str, object]]:
    page = await db.changes(since, 1000, **options)
    found: list[dict[str, object]] = json.loads(b"[" + page.rows + b"]")
    assert len(found) == page.count
    return found

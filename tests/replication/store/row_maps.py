"""A map function for indexes that carry rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

from replication.store.values import IndexedDocument, IndexRow


async def rows_of_k(documents: Sequence[IndexedDocument]) -> list[list[IndexRow]]:
    """One for each of the texts in the member `k`."""
    mapped = []
    for document in documents:
        keys = json.loads(document.text).get("k", [])
        mapped.append([IndexRow(key.encode(), document.id, 0, b'"%b"' % key.encode(), b"1") for key in keys])
    return mapped

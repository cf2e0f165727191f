"""What partitioned databases are asked and answer, for the tests about them."""

from __future__ import annotations

import httpx

BAD_PARTITIONS = {
    "_x": "Partition must not start with an underscore",
    "x:y": "Partition must not contain a colon",
}
UNSUPPORTED = "`partition` parameter is not supported in this design doc"
BY_COLOR = "function(doc) { if (doc.color) emit(doc.color, doc.n) }"
VIEWS = {
    "map": {"map": BY_COLOR},
    "sum": {"map": BY_COLOR, "reduce": "_sum"},
    "js": {"map": BY_COLOR, "reduce": "function(keys, values, again) { return sum(values) }"},
}


def ids(answer: httpx.Response, member: str = "rows") -> list[str]:
    """Of the rows or, by `member`, the documents of an answer, in their order."""
    assert answer.status_code == 200, answer.text
    return [row.get("id") or row["_id"] for row in answer.json()[member]]

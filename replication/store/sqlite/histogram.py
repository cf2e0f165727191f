"""How many changes come after a sequence number, without counting them all.

Sequence numbers are counted in buckets; a question sums whole buckets in memory and leaves at most one
to be counted in the table. Reading it while a commit moves documents may be off by those.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

BUCKET_BITS = 11


class SequenceHistogram:
    """Numbers of rows of `changes` per 2,048 sequence numbers."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Goes through all changes once. `connection` is in a transaction of its own."""
        self._seq: Any = connection.execute("SELECT update_seq FROM counters").get
        rows: Any = connection.execute(
            "SELECT seq >> ?1, count(*) FROM changes GROUP BY seq >> ?1", (BUCKET_BITS,)
        )
        self._buckets: dict[int, int] = dict(rows)

    def move(self, update_seq: int, moves: Iterable[tuple[int, int]]) -> None:
        """Takes over a commit: (old, new) sequence numbers; 0 stands for none."""
        if update_seq <= self._seq:
            return
        buckets = self._buckets
        for old, new in moves:
            if old:
                buckets[old >> BUCKET_BITS] -= 1
            if new:
                at = new >> BUCKET_BITS
                buckets[at] = buckets.get(at, 0) + 1

    def after(self, connection: apsw.Connection, since: int) -> int:
        """Rows with a greater sequence number than `since`."""
        first = since >> BUCKET_BITS
        whole = sum(count for bucket, count in list(self._buckets.items()) if bucket > first)
        part = connection.execute(
            "SELECT count(*) FROM changes WHERE seq > ? AND seq < ?",
            (since, (first + 1) << BUCKET_BITS),
        ).get
        return whole + int(part)

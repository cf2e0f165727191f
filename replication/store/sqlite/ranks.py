"""How many live documents have a smaller id, without counting them all.

Every 512th id is kept in memory with the number of live documents from it up to the next one. A
question sums these and counts at most one such stretch in the table. Commits move the numbers; when a
stretch has grown too long, the ids are chosen anew by the next question.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import apsw

STRETCH = 512
_LONGEST = 8 * STRETCH


class IdRanks:
    """Ranks of ids among the live documents, in the order of their UTF-8 bytes."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Goes through all ids once. `connection` is in a transaction of its own."""
        self._lock = threading.Lock()
        self._seq: Any = connection.execute("SELECT update_seq FROM counters").get
        rows: Any = connection.execute(
            "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM docs WHERE NOT deleted)"
            " WHERE place % ? = 1",
            (STRETCH,),
        )
        self._starts: list[str] = ["", *(docid for (docid,) in rows)]
        live: Any = connection.execute("SELECT doc_count FROM counters").get
        self._counts = [0] + [STRETCH] * (len(self._starts) - 1)
        if live % STRETCH:
            self._counts[-1] = live % STRETCH
        self.is_uneven = False
        """Whether it is time for new ranks."""

    def move(self, update_seq: int, changes: Iterable[tuple[str, int]]) -> None:
        """Takes over a commit: (id, 1) for a document that appeared, (id, -1) for one that went."""
        if update_seq <= self._seq:
            return
        with self._lock:
            for docid, step in changes:
                at = bisect_right(self._starts, docid) - 1
                self._counts[at] += step
                if self._counts[at] > _LONGEST:
                    self.is_uneven = True

    def before(self, connection: apsw.Connection, docid: str) -> int:
        """Live documents with an id smaller than `docid`."""
        with self._lock:
            at = bisect_right(self._starts, docid) - 1
            whole = sum(self._counts[:at])
            start = self._starts[at]
        part: Any = connection.execute(
            "SELECT count(*) FROM docs WHERE NOT deleted AND id >= ? AND id < ?", (start, docid)
        ).get
        return whole + int(part)

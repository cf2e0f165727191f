"""How many changes and ids lie before a place: counted once, then kept with each commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from replication.store.sqlite.connections import Connections
from replication.store.sqlite.histogram import SequenceHistogram
from replication.store.sqlite.ranks import IdRanks
from replication.store.values import KeyRange


class Counts:
    """Nothing is counted before somebody asks."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._histogram: SequenceHistogram | None = None
        self._ranks: IdRanks | None = None
        self._counting = threading.Lock()
        """Held while counts are made, so that no commit is missed in between."""

    def committed(
        self, update_seq: int, moved: Sequence[tuple[int, int]], shown: Sequence[tuple[str, int]]
    ) -> None:
        """A commit has moved changes in the order, and shown (1) or hidden (-1) ids."""
        with self._counting:
            if self._histogram is not None:
                self._histogram.move(update_seq, moved)
            if self._ranks is not None:
                self._ranks.move(update_seq, shown)

    def forget(self) -> None:
        """What there was to count is gone: the next question counts anew."""
        with self._counting:
            self._histogram = None
            self._ranks = None

    async def ids_before(self, span: KeyRange) -> int:
        """How many live documents come before the start of the span, in its direction."""
        if span.start is None:
            return 0
        ranks = self._ranks
        if ranks is None or ranks.is_uneven:
            ranks = await asyncio.to_thread(self._rank_ids)
        with self._connections.snapshot() as connection:
            smaller = ranks.before(connection, span.start)
            if not span.descending:
                return smaller
            live = int(connection.execute("SELECT doc_count FROM counters").get)
            found = connection.execute("SELECT 1 FROM docs WHERE id = ? AND NOT deleted", (span.start,)).get
            return live - smaller - (found is not None)

    async def changes_after(self, since: int) -> int:
        histogram = self._histogram
        if histogram is None:
            histogram = await asyncio.to_thread(self._count_changes)
        with self._connections.reader() as connection:
            return histogram.after(connection, since)

    def _rank_ids(self) -> IdRanks:
        with self._counting, self._connections.snapshot() as connection:
            self._ranks = ranks = IdRanks(connection)
        return ranks

    def _count_changes(self) -> SequenceHistogram:
        with self._counting, self._connections.snapshot() as connection:
            self._histogram = histogram = SequenceHistogram(connection)
        return histogram

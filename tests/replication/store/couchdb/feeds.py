"""A feed like that of a CouchDB cluster with bad days: it reorders, repeats, restarts and lags behind.

Documents lie in shards, each with a count of its own; a `seq` is a place in every shard. Only the feed is
made up: what follows it is the real thing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from random import Random

from replication.protocol import errors
from replication.store.couchdb.feed import Rows
from replication.store.couchdb.ledger import Heard, Origin

SHARDS = 3


class Cluster:
    def __init__(self, random: Random) -> None:
        self._random = random
        self.docs: dict[str, tuple[str, ...]] = {}
        """The leaves of each document as they are."""
        self._before: dict[str, tuple[str, ...]] = {}
        """As they were before the last write."""
        self._places: list[dict[str, int]] = [{} for _ in range(SHARDS)]
        self._counts = [0] * SHARDS
        self._copies = [0] * SHARDS
        """Which copy of a shard answers: another one has another order."""
        self.created = 1
        self.purges = 0
        """As the copy that is asked has counted them."""
        self.lives = 4
        """Rows that a live feed brings before it ends or breaks."""

    # -- what happens to it --------------------------------------------------------------------

    def write(self, docid: str, revs: tuple[str, ...]) -> None:
        if docid in self.docs:
            self._before[docid] = self.docs[docid]
        self.docs[docid] = revs
        shard = self._shard(docid)
        self._counts[shard] += 1
        self._places[shard][docid] = self._counts[shard]

    def fail_over(self, shard: int) -> None:
        """Another copy answers for a shard: it has all, in its own order, and knows no place of ours."""
        docids = list(self._places[shard])
        self._random.shuffle(docids)
        self._copies[shard] += 1
        self._places[shard] = {docid: at for at, docid in enumerate(docids, 1)}
        self._counts[shard] = len(docids)

    def make_again(self) -> None:
        self.__init__(self._random)  # type: ignore[misc]
        self.created = self._random.randrange(2, 10**9)

    # -- what it tells -------------------------------------------------------------------------

    async def origin(self) -> Origin:
        return Origin(str(self.created), self.purges)

    async def page(self, since: str, limit: int) -> Rows:
        rows = self._rows(since)[: self._random.randint(1, 3)]
        return Rows([row for row, _ in rows], rows[-1][1] if rows else since)

    async def live(self, since: str) -> AsyncGenerator[Rows, None]:
        left = self._random.randint(0, self.lives)
        for row, at in self._rows(since)[:left]:
            yield Rows([row], at)
        if self._random.random() < 0.5:
            raise errors.unavailable("broken off")

    def _rows(self, since: str) -> list[tuple[Heard, str]]:
        """Rows behind a place, each with the place behind it."""
        places = self._read(since)
        todo = [
            sorted((at, docid) for docid, at in shard.items() if at > place)
            for shard, place in zip(self._places, places, strict=True)
        ]
        rows = []
        while any(todo):
            shard = self._random.choice([number for number, left in enumerate(todo) if left])
            at, docid = todo[shard][0]
            if docid in self._before and self._random.random() < 0.2:
                # A copy that lags behind; the newer row follows, for its place is not behind us.
                rows.append((_heard(docid, self._before[docid]), self._written(places)))
            else:
                del todo[shard][0]
                places[shard] = at
                rows.append((_heard(docid, self.docs[docid]), self._written(places)))
            if self._random.random() < 0.2:
                again = self._random.choice(rows)[0].id
                rows.append((_heard(again, self.docs[again]), self._written(places)))
        return rows

    def _written(self, places: list[int]) -> str:
        return json.dumps(list(zip(self._copies, places, strict=True)))

    def _read(self, since: str) -> list[int]:
        if since == "0":
            return [0] * SHARDS
        # A place in another copy says nothing: that shard begins from its start.
        return [
            at if copy == now else 0 for (copy, at), now in zip(json.loads(since), self._copies, strict=True)
        ]

    def _shard(self, docid: str) -> int:
        return ord(docid[-1]) % SHARDS


def _heard(docid: str, revs: tuple[str, ...]) -> Heard:
    return Heard(docid, revs, False)

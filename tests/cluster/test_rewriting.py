"""Files count as rewritten after compactions that have begun since, whatever else compacts and breaks off."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, cast
from zlib import crc32

import pytest

from kompass.cluster.mirror import rewriting
from kompass.cluster.mirror.places import NotYetError, Place, Places, State
from kompass.cluster.mirror.purging import Purger
from kompass.cluster.mirror.rewriting import Rewriting
from replication.protocol.revisions import Rev
from replication.store.couchdb.client import Client

SHARDS = [Place(f"/{node}/{span}", span, node) for span in ("0", "1") for node in ("a", "b", "c")]


class Copy:
    """A copy as CouchDB has it: one compaction at a time, which notes at its end how far it has come."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.updates = self.compacted = chance.randrange(5)
        self.began: int | None = chance.choice([None, -1])
        """When the compaction began that is under way."""
        self.left = -1 if chance.random() < 0.3 else None
        """The same of one that was broken off: the next one goes on with what it has copied."""
        self.latest = -2
        """When the one began that the file comes from."""

    def go_on(self) -> None:
        if self.began is None or self._chance.random() < 0.5:
            return
        if self._chance.random() < 0.8:
            self.compacted, self.latest = self.updates, self.began
            self.left = None
        else:
            self.left = self.began
        self.began = None

    def compact(self, now: int) -> None:
        if self.began is None and self._chance.random() < 0.8:
            self.began = now if self.left is None else self.left


class Nodes:
    """Stands for CouchDB's: clients, places and purges are asked of it."""

    path = "/db"

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.copies = {place: Copy(chance) for place in SHARDS}
        self.now = 0

    async def all(self) -> list[Place]:
        return [*self.copies]

    async def state(self, place: Place) -> State:
        self.now += 1
        copy = self.copies[place]
        copy.go_on()
        if self._chance.random() < 0.1:
            copy.compact(self.now)  # CouchDB does so by itself
        return State(copy.updates, copy.compacted, copy.began is not None)

    async def range_of(self, docid: str) -> str:
        return str(crc32(docid.encode()) % 2)

    async def compact(self, place: Place) -> None:
        self.copies[place].compact(self.now)

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        if method == "PUT":
            await self.write(path.removeprefix("/db/"))
            return {"rev": "1-a"}
        return {"rows": []}

    async def request(self, method: str, path: str, **options: Any) -> None:
        pass

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> None:
        for docid in asked:
            await self.write(docid)

    async def write(self, docid: str) -> None:
        span = await self.range_of(docid)
        for place, copy in self.copies.items():
            if place.range == span:
                copy.updates += 1


def of(nodes: Nodes) -> Rewriting:
    client = cast(Client, nodes)
    return Rewriting(client, client, cast(Purger, nodes), cast(Places, nodes))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "LOOK_SECONDS", 0.0)


@pytest.mark.parametrize("seed", range(20))
async def test_every_file_comes_from_a_compaction_that_has_begun_since(seed: int) -> None:
    nodes = Nodes(random.Random(seed))
    await of(nodes).all()
    assert all(copy.latest >= 0 for copy in nodes.copies.values())


async def test_what_never_ends_well_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = Nodes(random.Random(1))
    monkeypatch.setattr(Copy, "go_on", lambda self: setattr(self, "began", None))
    with pytest.raises(NotYetError, match="a of CouchDB doesn't finish"):
        await of(nodes).all()

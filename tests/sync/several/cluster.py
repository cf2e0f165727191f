"""The company of `tests.sync.promises` in a cluster: the journal in PostgreSQL, documents in CouchDB."""

from __future__ import annotations

import asyncio
import shutil

from kompass.cluster.member import SHOWN
from kompass.sync.serving import Sync
from replication.protocol.revisions import Rev
from replication.replicator import LocalPeer
from replication.replicator.peer import BEGINNING, Feed, Peer
from tests.cluster import over
from tests.sync.several.company import SeveralCompany


class ClusterCompany(SeveralCompany):
    """Whenever one was killed another one leads for a while: CouchDB gets what that one couldn't show it."""

    cluster: over.Cluster
    joined: list[over.Process]
    """In the order of `running`."""

    async def start(self) -> None:
        self.cluster = await over.cluster_of(self.directory)
        self.joined = []
        await super().start()

    async def _sync(self) -> Sync:
        process = await self.cluster.join()
        self.joined.append(process)
        return Sync(process.directory, texts=process.texts, opens=process.open_store, leads=False)

    async def _gone(self, number: int) -> None:
        process = self.joined.pop(number)
        await self.cluster.leave(process)
        await asyncio.to_thread(shutil.rmtree, process.directory)

    async def restart(self) -> None:
        await super().restart()
        await self._lead(self.random.randrange(len(self.joined)))

    async def stop(self) -> None:
        """Nothing is in CouchDB that isn't here, and nothing is missing there."""
        await self._lead(0)
        for name in SHOWN:
            there = self.joined[0].member.remote(name)
            assert there is not None
            assert await _leaves(LocalPeer(self.running[0][0], name)) == await _leaves(there), name
        await super().stop()
        while self.joined:
            await self._gone(len(self.joined) - 1)
        await asyncio.to_thread(self.directory.mkdir, exist_ok=True)
        over.forget_clusters()

    async def _lead(self, number: int) -> None:
        for name in SHOWN:
            keeper = self.joined[number].member.keeper(name)
            assert keeper is not None
            await keeper.look()
            assert keeper.strange.taken == 0, "it has written all of it itself"
            assert keeper.strange.refused == ()


async def _leaves(peer: Peer) -> dict[str, set[Rev]]:
    page = await peer.changes(Feed(), BEGINNING, 100_000)
    return {row.id: set(row.revs) for row in page.rows if not row.id.startswith("_design/")}

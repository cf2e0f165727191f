"""An erasure in one database of CouchDB: its leaves first, then its files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from kompass.cluster.mirror.agreeing import Agreement
from kompass.cluster.mirror.places import Places
from kompass.cluster.mirror.purging import Purger
from kompass.cluster.mirror.rewriting import Rewriting
from replication.replicator.peer import Peer
from replication.store.couchdb.client import Client
from replication.store.interface import Store


class Eraser:
    """Of one database."""

    def __init__(
        self,
        store: Store,
        name: str,
        remote: Peer,
        clients: tuple[Client, Client],
        database: str,
        replicate: Callable[[], Awaitable[None]],
    ) -> None:
        """`clients` log in as an administrator and as the service user; `database`: what it is called there.
        `replicate` brings CouchDB what it lacks, and has what is only there judged.
        """
        client, service = clients
        purger, places = Purger(client, database), Places(client, database)
        self._agreement = Agreement(store, name, remote, purger, places, replicate)
        self._rewriting = Rewriting(client, service, purger, places)

    async def erase(self, named: Collection[str]) -> None:
        """Returns when no file of CouchDB has anything that isn't here any more. `named`: documents of which
        it may not have other leaves than are here.

        Raises `NotYetError`, `ProtocolError`, `ReplicationError`: it may be begun again at any time.
        """
        await self._agreement.make(named)
        await self._rewriting.all()

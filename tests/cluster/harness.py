"""A cluster's PostgreSQL for tests, and stores that follow its journals."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

from kompass.cluster import schema
from kompass.cluster.catalogue import PostgresCatalogue
from kompass.cluster.connections import Connections
from kompass.cluster.listening import Listener
from kompass.readstore.embedded import Address
from replication.store.sqlite import Extension, SharedStore
from tests.readstore import harness


class Member:
    """What a process has of the cluster."""

    def __init__(self, dsn: str) -> None:
        self.connections = Connections(dsn)
        self.listener = Listener(self.connections)
        self.catalogue = PostgresCatalogue(self.connections, self.listener)
        self.listener.start()

    def close(self) -> None:
        self.listener.close()
        self.connections.close()


class Cluster:
    """A database of a PostgreSQL."""

    def __init__(self, dsn: str, *, prepare: bool = True) -> None:
        """Without `prepare` it has its tables."""
        self.dsn = dsn
        self.members: list[Member] = []
        if not prepare:
            return
        connections = Connections(dsn)
        with connections.use() as connection:
            schema.prepare(connection)
        connections.close()

    def member(self) -> Member:
        self.members.append(Member(self.dsn))
        return self.members[-1]

    async def open(
        self, directory: Path, *, extensions: Mapping[str, Extension] | None = None
    ) -> SharedStore:
        """A store as another process would have it."""
        catalogue = self.member().catalogue
        return await asyncio.to_thread(partial(SharedStore, directory, catalogue, extensions=extensions))

    def close(self) -> None:
        for member in self.members:
            member.close()


@cache
def _template() -> str:
    """A database that has the tables already."""
    address = harness.make_database(template="template1")
    Cluster(address.dsn)
    return address.database


def prepared_database() -> Address:
    """An empty cluster's, for `harness.drop_database`."""
    return harness.make_database(template=_template())


@contextmanager
def cluster() -> Iterator[Cluster]:
    """An empty one; gone afterwards."""
    address = prepared_database()
    made = Cluster(address.dsn, prepare=False)
    try:
        yield made
    finally:
        made.close()
        harness.drop_database(address)

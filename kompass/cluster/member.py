"""What a process of a cluster has of it: the journal, its copies, the way to CouchDB."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from kompass.cluster import schema
from kompass.cluster.catalogue import PostgresCatalogue
from kompass.cluster.connections import Connections
from kompass.cluster.errors import NoClusterError
from kompass.cluster.listening import Listener
from kompass.cluster.mirror.erasing import Eraser
from kompass.cluster.mirror.guarding import Guard
from kompass.cluster.mirror.keeping import Keeper
from kompass.cluster.mirror.purging import Purger
from kompass.cluster.mirror.showing import Mirror
from kompass.settings import Settings
from kompass.sync import quarantine
from kompass.sync.opening import DATABASE
from replication.replicator import connect
from replication.replicator.http_peer import HttpPeer
from replication.store.couchdb.client import Client
from replication.store.couchdb.endpoint import read_endpoint, read_login
from replication.store.interface import Store
from replication.store.sqlite import Extension, SharedStore, Witness

SHOWN = (DATABASE, quarantine.DATABASE)
"""The databases that CouchDB has."""


class Member:
    """From its making, which connects to nothing, to `leave`."""

    def __init__(
        self,
        journal_dsn: str,
        couchdb_url: str | None = None,
        *,
        name: str = "kompass",
        prefix: str = "",
        shown: Collection[str] = SHOWN,
        couchdb_admin: str | None = None,
    ) -> None:
        """`couchdb_url` with name and password of the service user; without it documents are in the journal
        and its copies only. `name`: as what PostgreSQL lists the process. `prefix`: what databases in
        CouchDB begin with; `shown`: which are there. `couchdb_admin`: login of an administrator there, which
        the leader needs, unless the service user is one. Raises `ValueError` for what can't be a login.
        """
        self._prefix = prefix
        self._shown = shown
        self.connections = Connections(journal_dsn, name)
        self._listener = Listener(self.connections)
        self.catalogue = PostgresCatalogue(self.connections, self._listener)
        self._couchdb_url = couchdb_url
        self._clients: tuple[Client, Client] | None = None
        """Of an administrator and of the service user."""
        if couchdb_url is not None:
            login = None if couchdb_admin is None else read_login(couchdb_admin)
            self._endpoints = read_endpoint(couchdb_url, login), read_endpoint(couchdb_url)
        self._peers: dict[str, HttpPeer] = {}
        self.mirrors: dict[str, Mirror] = {}
        """Of the databases that are open, by name."""
        self._store: SharedStore | None = None

    @classmethod
    def of(cls, settings: Settings, name: str) -> Member:
        """Raises `NoClusterError`."""
        if settings.journal_dsn is None:
            raise NoClusterError("Name the PostgreSQL of the cluster with KOMPASS_JOURNAL_DSN.")
        url = settings.couchdb_url.get_secret_value() if settings.couchdb_url else None
        admin = settings.couchdb_admin.get_secret_value() if settings.couchdb_admin else None
        try:
            return cls(
                settings.journal_dsn.get_secret_value(),
                url,
                name=name,
                prefix=settings.couchdb_prefix,
                couchdb_admin=admin,
            )
        except ValueError as error:
            raise NoClusterError(f"couchdb_url or couchdb_admin: {error}.") from error

    def join(self) -> None:
        """Begins to listen. Blocks. Raises `ClusterSchemaError`, and `ProtocolError`, 503."""
        with self.connections.use() as connection:
            schema.check(connection)
        self._listener.start()

    def join_early(self) -> None:
        """The same, also while the cluster's tables are of an earlier version: see `is_raised`."""
        self.is_raised()
        self._listener.start()

    def is_raised(self) -> bool:
        """Whether the cluster's tables have the version that this program knows; False for an earlier one.
        Blocks. Raises as `join`."""
        with self.connections.use() as connection:
            return schema.is_raised(connection)

    def raise_version(self) -> None:
        """The tables of all copies have changed. Blocks. Raises as `join`."""
        with self.connections.use() as connection:
            schema.raise_version(connection)

    async def open_store(self, directory: Path, extensions: Mapping[str, Extension]) -> SharedStore:
        """The copies, in a directory that no other process uses. Raises as `SharedStore` does."""
        self._store = await asyncio.to_thread(
            partial(
                SharedStore,
                directory,
                self.catalogue,
                extensions=extensions,
                witnesses=self._witness,
                tables=schema.VERSION,
            )
        )
        return self._store

    def remote(self, name: str) -> HttpPeer | None:
        """A database in CouchDB; None for one that has no place there: those of accounts and devices."""
        if self._couchdb_url is None or name not in self._shown:
            return None
        if name not in self._peers:
            self._peers[name] = connect(
                f"{self._couchdb_url.rstrip('/')}/{quote(self._prefix + name, safe='')}"
            )
            # Somebody may have written anything there: it mustn't keep the rest from being seen.
            self._peers[name].lenient = True
        return self._peers[name]

    def _witness(self, name: str) -> Witness | None:
        remote = self.remote(name)
        if remote is None:
            return None
        self.mirrors[name] = Mirror(self._opened, name, remote)
        return self.mirrors[name]

    def _opened(self) -> SharedStore:
        assert self._store is not None
        return self._store

    def keeper(self, name: str, store: Store | None = None) -> Keeper | None:
        """For the leader: what sees that a database and CouchDB's agree; None for one without. `store`: has
        the database, by default that of the copies.
        """
        remote = self.remote(name)
        if remote is None:
            return None
        administrator, service = self._logged_in()
        database = self._prefix + name
        user = unquote(urlsplit(self._couchdb_url or "").username or "")
        guard = Guard(service, database, user) if user else None
        return Keeper(store or self._opened(), name, remote, Purger(administrator, database), guard)

    def eraser(self, keeper: Keeper) -> Eraser:
        """For the leader: what brings erasures to the same database."""
        remote = self.remote(keeper.name)
        assert remote is not None
        database = self._prefix + keeper.name
        return Eraser(self._opened(), keeper.name, remote, self._logged_in(), database, keeper.look)

    def _logged_in(self) -> tuple[Client, Client]:
        if self._clients is None:
            administrator, service = self._endpoints
            self._clients = Client(administrator), Client(service)
        return self._clients

    async def leave(self) -> None:
        """After the store is closed."""
        for mirror in self.mirrors.values():
            await mirror.close()
        for peer in self._peers.values():
            await peer.close()
        for client in self._clients or ():
            await client.close()
        await asyncio.to_thread(self._listener.close)
        self.connections.close()

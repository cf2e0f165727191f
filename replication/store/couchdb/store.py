"""The databases of a CouchDB server as a store.

```
DIRECTORY/LOCK            held by the process that serves the store
DIRECTORY/server.json     {"uuid", "secret"}
DIRECTORY/settings.json   what was set while the server ran
DIRECTORY/NAME.ledger     order and indexes of a database; its name percent-encoded
```

Documents are all at the server. What is in the directory can be lost: clients then begin their feeds anew,
and people log in again. Without a directory it is a temporary one that goes with the process.

Which databases there are is asked at the start, whenever they are listed, and every few seconds. A service
user that may not list them is told their names.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError
from replication.replicator.options import Basic, Endpoint, Session
from replication.store.couchdb.client import HEARTBEAT, Client, database_path
from replication.store.couchdb.database import SERVED, CouchDatabase
from replication.store.couchdb.naming import check_prefix, local_name, remote_name
from replication.store.events import DatabaseEvents, EventKind
from replication.store.files import change_settings, identity, kept_settings
from replication.store.interface import Database, Store
from replication.store.sqlite.lock import lock_directory
from replication.store.sqlite.opened import OpenDatabase
from replication.store.sqlite.schema import create
from replication.store.sqlite.writer import storage_error
from replication.store.values import StoreCounts

LOOK_SECONDS = 10.0
"""How long a database may be there, or gone, before the store knows."""

_SUFFIX = ".ledger"
_THREADS = 4

log = logging.getLogger("replication.couchdb")


class CouchStore(Store):
    """Use `open`."""

    def __init__(
        self,
        client: Client,
        directory: Path,
        *,
        prefix: str,
        databases: Iterable[str] | None,
        service: str | None,
    ) -> None:
        self._client = client
        self._directory = directory
        self._prefix = check_prefix(prefix)
        self._named = None if databases is None else sorted(databases)
        self._service = service
        """Whom databases that are made here let in; None for server administrators only."""
        self._temporary = False
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = lock_directory(directory)
        try:
            known = identity(directory / "server.json")
        except BaseException:
            self._lock.close()
            raise
        self._uuid = known["uuid"]
        self._secret = bytes.fromhex(known["secret"])
        self._names: set[str] = set()
        self._open: dict[str, CouchDatabase] = {}
        self._events = DatabaseEvents([])
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="ledger")
        self._structure = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._forgetting: set[asyncio.Task[None]] = set()
        self._closed_counts = StoreCounts(0, 0, 0, 0)

    @classmethod
    async def open(
        cls,
        endpoint: Endpoint,
        directory: Path | None = None,
        *,
        prefix: str = "",
        databases: Iterable[str] | None = None,
        timeout: float = 30.0,
        heartbeat: float = HEARTBEAT,
    ) -> CouchStore:
        """Connects to the server at `endpoint`, which names no database.

        `prefix`: what the names of all databases begin with at the server. `databases`: which there are, if
        the service user may not list them. `timeout`: seconds that the server may be silent; `heartbeat`:
        those after which its feeds say that they are alive. Raises `ProtocolError` if the server can't be
        used, `DirectoryInUseError` if another process has the directory.
        """
        temporary = directory is None
        where = Path(tempfile.mkdtemp(prefix="ledgers-")) if directory is None else directory
        client = Client(endpoint, timeout=timeout, heartbeat=heartbeat)
        try:
            service = await _service_name(client, endpoint)
            store = cls(client, where, prefix=prefix, databases=databases, service=service)
        except BaseException:
            await client.close()
            if temporary:
                shutil.rmtree(where, ignore_errors=True)
            raise
        store._temporary = temporary
        try:
            await store._look()
        except BaseException:
            await store.close()
            raise
        store._looking = asyncio.create_task(store._keep_looking())
        return store

    @property
    def uuid(self) -> str:
        return self._uuid

    @property
    def secret(self) -> bytes:
        return self._secret

    @property
    def events(self) -> DatabaseEvents:
        return self._events

    def counts(self) -> StoreCounts:
        _, reads, writes, commits = self._closed_counts
        databases = list(self._open.values())
        return StoreCounts(
            len(databases),
            reads + sum(database.reads for database in databases),
            writes + sum(database.writes for database in databases),
            commits + sum(database.stored for database in databases),
        )

    async def settings(self) -> bytes:
        return await asyncio.to_thread(kept_settings, self._directory)

    async def change_settings(self, change: Callable[[bytes], bytes]) -> bytes:
        async with self._structure:
            try:
                return await asyncio.to_thread(change_settings, self._directory, change)
            except OSError as error:
                raise storage_error(error) from error

    # -- which there are -----------------------------------------------------------------------

    async def names(self) -> list[str]:
        await self._look()
        return sorted(self._names)

    async def _look(self) -> None:
        """Finds out which databases there are."""
        async with self._structure:
            if self._named is not None:
                known = self._names.union(self._named)
                present = {name for name in known if await self._is_there(name)}
            else:
                query = {}
                if self._prefix:
                    ends = (self._prefix, self._prefix + "\ufff0")
                    low, high = (jsontext.encode(end).decode() for end in ends)
                    query = {"startkey": low, "endkey": high}
                listed: Any = await self._client.ask("GET", "/_all_dbs", query=query)
                found = (local_name(self._prefix, str(name)) for name in listed)
                present = {name for name in found if name is not None}
            for name in present - self._names:
                self._events.record(EventKind.CREATED, name)
            gone = self._names - present
            self._names |= present
            for name in gone:
                await self._forget(name)

    async def _is_there(self, name: str) -> bool:
        try:
            await self._client.request("GET", self._path(name))
        except ProtocolError as error:
            if errors.is_database_missing(error):
                return False
            raise
        return True

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(ProtocolError):  # the next one will
                await self._look()

    def _path(self, name: str) -> str:
        return database_path(remote_name(self._prefix, name))

    # -- databases -----------------------------------------------------------------------------

    async def create(self, name: str, *, security: bytes = b"{}", partitioned: bool = False) -> Database:
        path = self._path(name)
        async with self._structure:
            query = {"partitioned": "true"} if partitioned else {}
            try:
                await self._client.request("PUT", path, query=query)
            except ProtocolError as error:
                if error.status == 412:
                    self._names.add(name)
                    raise errors.database_exists() from None
                raise
            # Until then only administrators get in: that is how CouchDB makes it.
            inside = {"names": [self._service] if self._service else [], "roles": ["_admin"]}
            value = {"admins": inside, "members": inside, SERVED: jsontext.decode(security)}
            await self._client.request("PUT", f"{path}/_security", json=value)
            await asyncio.to_thread(_remove_ledger, self._ledger(name))
            self._names.add(name)
            self._events.record(EventKind.CREATED, name)
        database = self._get(name)
        await database.open()
        return database

    def get(self, name: str) -> Database:
        return self._get(name)

    def _get(self, name: str) -> CouchDatabase:
        database = self._open.get(name)
        if database is None:
            if name not in self._names:
                raise errors.database_missing()
            ledger = self._ledger(name)
            try:
                if not ledger.exists():
                    _create_ledger(ledger)
                database = CouchDatabase(
                    name,
                    ledger,
                    self._pool,
                    partial(self._events.record, EventKind.UPDATED, name),
                    _ignore,
                    client=self._client,
                    path=self._path(name),
                    gone=partial(self._is_gone, name),
                )
            except (apsw.Error, OSError) as error:
                raise storage_error(error) from error
            self._open[name] = database
        return database

    def _ledger(self, name: str) -> Path:
        return self._directory / (quote(name, safe="") + _SUFFIX)

    def _is_gone(self, name: str) -> None:
        """The server no longer has a database that was followed."""
        database = self._open.get(name)

        async def forget() -> None:
            async with self._structure:
                # It may have been forgotten already, and made again.
                if database is not None and self._open.get(name) is database:
                    await self._forget(name)

        self._forgetting.add(task := asyncio.create_task(forget()))
        task.add_done_callback(self._forgetting.discard)

    async def delete(self, name: str) -> None:
        if name not in self._names:
            raise errors.database_missing()
        async with self._structure:
            await self._client.request("DELETE", self._path(name))
            await self._forget(name)

    async def _forget(self, name: str) -> None:
        """Takes leave of a database that is gone. `_structure` is held."""
        known = name in self._names
        self._names.discard(name)
        database = self._open.pop(name, None)
        if database is not None:
            await database.leave()
            _, reads, writes, commits = self._closed_counts
            self._closed_counts = StoreCounts(
                0, reads + database.reads, writes + database.writes, commits + database.stored
            )
        await asyncio.to_thread(_remove_ledger, self._ledger(name))
        if known:
            self._events.record(EventKind.DELETED, name)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        for database in list(self._open.values()):
            await database.leave()
        self._open.clear()
        await self._client.close()
        self._pool.shutdown()
        self._lock.close()
        if self._temporary:
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)


def _ignore(_: OpenDatabase) -> None:
    """Ledgers stay open: each has a feed that is followed."""


async def _service_name(client: Client, endpoint: Endpoint) -> str | None:
    """Who the server takes us for. None for somebody who may do everything."""
    if isinstance(endpoint.credentials, Basic | Session):
        name: str | None = endpoint.credentials.name
    else:
        name = None
    value = await client.ask("GET", "/_session")
    context = value.get("userCtx") if isinstance(value, dict) else None
    if not isinstance(context, dict):
        raise errors.internal("The database server doesn't say who is logged in: is it a CouchDB?")
    return context.get("name") or name


def _create_ledger(path: Path) -> None:
    """Whole or not at all: a crash must not leave half of one."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    connection = apsw.Connection(str(draft))
    try:
        create(connection, b"{}", partitioned=False)
    finally:
        connection.close()
    draft.replace(path)


def _remove_ledger(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)

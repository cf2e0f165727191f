"""A data directory: one file per database, and the server's own name and secret.

```
LOCK               held by the process that serves the directory
server.json        {"uuid", "secret"}, readable by its owner only
settings.json      what was set while the server ran; there once something was
NAME.sqlite        a database; its name percent-encoded
NAME.sqlite.gone-… a database that is being made or deleted; removed at the next start
```
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote

import apsw

from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.protocol.names import check_database_name
from replication.store.events import DatabaseEvents, EventKind
from replication.store.files import change_settings, identity, kept_settings, sync_directory
from replication.store.interface import Database, Store
from replication.store.sqlite.database import SqliteDatabase
from replication.store.sqlite.extension import Extension
from replication.store.sqlite.journal import Journal
from replication.store.sqlite.lock import check_no_copies, lock_directory
from replication.store.sqlite.opened import OpenDatabase
from replication.store.sqlite.schema import UnknownSchemaError, create
from replication.store.sqlite.witness import Witness
from replication.store.sqlite.writer import storage_error
from replication.store.values import StoreCounts

if sys.platform != "win32":
    import resource

SUFFIX = ".sqlite"
_GONE = ".gone-"
_MAX_FILE_NAME = 240
WRITER_THREADS = 4

_FILES_OF_A_DATABASE = 8
"""Handles of a database in use: its file, log and index of the log, for one writer and some readers."""
_MOST_AWAKE = 500


def _affordable() -> int:
    """How many databases may hold files open, with half of what the process may have left to connections."""
    if sys.platform == "win32":
        return _MOST_AWAKE
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(8, min(_MOST_AWAKE, allowed // 2 // _FILES_OF_A_DATABASE))


class SqliteStore(Store):
    """Databases in a directory that no other process serves."""

    def __init__(
        self,
        directory: Path,
        *,
        most_awake: int | None = None,
        extensions: Mapping[str, Extension] | None = None,
        journals: Callable[[str], Journal] | None = None,
        witnesses: Callable[[str], Witness | None] | None = None,
        tables: int = 1,
    ) -> None:
        """Opens the directory, making it if need be.

        `extensions`: by the name of the database that each one extends, whether it exists yet or not.
        `journals`: the databases are copies of what these say, each by its name, with `tables` of this
        version. `witnesses` have documents before anybody is answered, each those of a database by its name.

        `most_awake`: how many databases may hold files open when nobody uses them; by default as many as
        suit the number of files that the process may open. Raises `DirectoryInUseError` if another process
        has the directory, or if it has copies and nobody says of what; `OSError` if it can't be used.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._lock = lock_directory(directory)
        try:
            if journals is None:
                check_no_copies(directory)
            known = identity(directory / "server.json")
            self._uuid = known["uuid"]
            self._secret = bytes.fromhex(known["secret"])
            for left in directory.glob(f"*{_GONE}*"):
                left.unlink(missing_ok=True)
            self._names = {unquote(path.name.removesuffix(SUFFIX)) for path in directory.glob(f"*{SUFFIX}")}
        except BaseException:
            self._lock.close()
            raise
        self._extensions = dict(extensions or {})
        self._journals = journals
        self._witnesses = witnesses
        self._tables = tables
        self._events = DatabaseEvents(sorted(self._names))
        self._open: dict[str, SqliteDatabase] = {}
        self._closed_counts = StoreCounts(0, 0, 0, 0)
        """Of databases that were deleted."""
        self._awake: OrderedDict[str, OpenDatabase] = OrderedDict()
        """Databases that hold files open, the least recently used first."""
        self._awake_lock = threading.Lock()
        self._most_awake = most_awake or _affordable()
        self._pool = ThreadPoolExecutor(WRITER_THREADS, thread_name_prefix="writer")
        self._structure = asyncio.Lock()
        self._is_closed = False
        self._opening = threading.Lock()
        """Held while a database is opened or goes, so that none is opened of which the file goes."""

    @classmethod
    async def open(
        cls,
        directory: Path | str,
        *,
        most_awake: int | None = None,
        extensions: Mapping[str, Extension] | None = None,
        journals: Callable[[str], Journal] | None = None,
        witnesses: Callable[[str], Witness | None] | None = None,
        tables: int = 1,
    ) -> SqliteStore:
        """See `__init__`."""
        opened = partial(
            cls,
            Path(directory),
            most_awake=most_awake,
            extensions=extensions,
            journals=journals,
            witnesses=witnesses,
            tables=tables,
        )
        return await asyncio.to_thread(opened)

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
            len(self._awake),
            reads + sum(database.reads for database in databases),
            writes + sum(database.writes for database in databases),
            commits + sum(database.commits for database in databases),
        )

    async def settings(self) -> bytes:
        return await asyncio.to_thread(kept_settings, self.directory)

    async def change_settings(self, change: Callable[[bytes], bytes]) -> bytes:
        async with self._structure:
            try:
                return await asyncio.to_thread(change_settings, self.directory, change)
            except OSError as error:
                raise storage_error(error) from error

    async def names(self) -> list[str]:
        return sorted(self._names)

    def _path(self, name: str) -> Path:
        file = file_name(name)
        if len(file) > _MAX_FILE_NAME:
            raise errors.database_name_too_long(name)
        return self.directory / file

    async def create(self, name: str, *, security: bytes = b"{}", partitioned: bool = False) -> Database:
        check_database_name(name)
        path = self._path(name)
        async with self._structure:
            if name in self._names:
                raise errors.database_exists()
            try:
                await asyncio.to_thread(create_file, path, security, partitioned)
            except (apsw.Error, OSError) as error:
                raise storage_error(error) from error
            self.appear(name)
        return self.get(name)

    def get(self, name: str) -> Database:
        database = self._open.get(name)
        if database is None:
            with self._opening:
                if self._is_closed:
                    raise errors.unavailable("This server is about to end. Try again.")
                if name not in self._names:
                    raise errors.database_missing()
                database = self._open[name] = self._opened(name)
        self._note_use(database)
        return database

    async def fresh(self) -> None:
        if self._journals is not None:
            heads = await self._heads()
            await asyncio.gather(
                *(_freshened(database, heads.get(name)) for name, database in list(self._open.items()))
            )

    async def _heads(self) -> Mapping[str, int]:
        """The journals' last entries, as far as they can be told more cheaply than by each journal."""
        return {}

    def _opened(self, name: str) -> SqliteDatabase:
        try:
            return SqliteDatabase(
                name,
                self._path(name),
                self._pool,
                partial(self._events.record, EventKind.UPDATED, name),
                self._note_use,
                self._extensions.get(name),
                self._journals(name) if self._journals else None,
                self._witnesses(name) if self._witnesses else None,
                self._tables,
            )
        except apsw.Error as error:
            raise storage_error(error) from error
        except UnknownSchemaError as error:
            raise errors.internal(f"Database {name} can't be opened: {error}.") from error

    def _note_use(self, database: OpenDatabase) -> None:
        """A database may have opened files: the one that was left alone for longest closes its own."""
        resting = []
        with self._awake_lock:
            self._awake[database.name] = database
            self._awake.move_to_end(database.name)
            while len(self._awake) > self._most_awake:
                resting.append(self._awake.popitem(last=False)[1])
        for one in resting:
            one.rest()

    async def delete(self, name: str) -> None:
        await self.check_drop(name)
        async with self._structure:
            if name not in self._names:
                raise errors.database_missing()
            await asyncio.to_thread(self.disappear, name)

    async def check_drop(self, name: str) -> None:
        """Raises `forbidden` for a database that has to be kept."""
        extension = self._extensions.get(name)
        refusal = None if extension is None else extension.check_drop()
        if extension is not None and refusal is not None:
            there = self.get(name)
            assert isinstance(there, SqliteDatabase)
            await there.transact(lambda writing: extension.drop_refused(writing, refusal))
            raise refusal

    def appear(self, name: str) -> None:
        """A database's file is there now."""
        if name not in self._names:
            self._names.add(name)
            self._events.record(EventKind.CREATED, name)

    def disappear(self, name: str) -> None:
        """Closes a database and removes its files. It may take a while, so not in the event loop's thread."""
        with self._opening:
            self._names.discard(name)
            database = self._open.pop(name, None)
        with self._awake_lock:
            self._awake.pop(name, None)
        self._delete_files(name, database)
        if database is not None:
            _, reads, writes, commits = self._closed_counts
            self._closed_counts = StoreCounts(
                0, reads + database.reads, writes + database.writes, commits + database.commits
            )
        self._events.record(EventKind.DELETED, name)

    def _delete_files(self, name: str, database: SqliteDatabase | None) -> None:
        if database is not None:
            database.close()
        path = self._path(name)
        gone = path.with_name(f"{path.name}{_GONE}{secrets.token_hex(4)}")
        path.rename(gone)
        sync_directory(self.directory)
        remove_file(path)
        gone.unlink(missing_ok=True)

    async def close(self) -> None:
        with self._opening:
            self._is_closed = (
                True  # whoever is late opens nothing in a directory that may be another's by then
            )
        for database in list(self._open.values()):
            await asyncio.to_thread(database.close)
        self._open.clear()
        self._pool.shutdown()
        self._lock.close()


async def _freshened(database: OpenDatabase, head: int | None) -> None:
    try:
        await database.fresh(head)
    except ProtocolError as error:
        if error.status != 404:  # it was deleted, here or by another process
            raise


def create_file(path: Path, security: bytes, partitioned: bool) -> None:
    """Makes the file whole under another name first: a crash leaves no half database.

    A log beside a file that isn't there is what a crash left while a database of that name was being deleted.
    SQLite would play it into the new one.
    """
    draft = path.with_name(f"{path.name}{_GONE}{secrets.token_hex(4)}")
    try:
        connection = apsw.Connection(str(draft))
        try:
            create(connection, security, partitioned=partitioned)
        finally:
            connection.close()
        remove_file(path)
        draft.rename(path)
    except BaseException:
        remove_file(draft)
        raise
    sync_directory(path.parent)


def file_name(name: str) -> str:
    """Of a database, in its directory."""
    return quote(name, safe="") + SUFFIX


def remove_file(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            Path(f"{path}{suffix}").unlink(missing_ok=True)

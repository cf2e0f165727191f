"""A store of copies: several processes serve the same databases, each from a directory of its own.

What they have in common is behind a `Catalogue`: which databases there are, each one's journal, and a file
that a new copy begins with. The directory is no more than a cache. What in it doesn't belong to the
catalogue's databases, or can't follow their journals, is dropped at the next start and fetched anew.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import apsw
import orjson

from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.protocol.names import check_database_name
from replication.store.files import replace_file
from replication.store.interface import Database
from replication.store.sqlite import copies
from replication.store.sqlite.database import SqliteDatabase
from replication.store.sqlite.extension import Extension
from replication.store.sqlite.following import Question
from replication.store.sqlite.journal import (
    Journal,
    JournalForkedError,
    JournalGapError,
    TablesAheadError,
    check_same,
)
from replication.store.sqlite.lock import ORIGIN
from replication.store.sqlite.opened import known_tables
from replication.store.sqlite.schema import configure
from replication.store.sqlite.store import SUFFIX, SqliteStore, create_file, remove_file
from replication.store.sqlite.witness import Witness
from replication.store.sqlite.writer import storage_error


class Entered(NamedTuple):
    """A database as the catalogue has it."""

    name: str
    lineage: str
    """Another one whenever its journal begins anew: copies of before can't follow. What stands before a dot
    stays the same as long as it is the same database.
    """
    kept: int
    """A copy that has this entry can follow."""
    head: int
    """The number of the last entry."""


class Catalogue(ABC):
    """Methods block; they are called in any thread, and raise `ProtocolError`, 503, if they can't answer."""

    @abstractmethod
    def identity(self, made: bytes) -> bytes:
        """The name and secret of the server, JSON: `made` if there is none yet."""

    @abstractmethod
    def settings(self) -> bytes:
        """See `Store.settings`."""

    @abstractmethod
    def change_settings(self, change: Callable[[bytes], bytes]) -> bytes:
        """See `Store.change_settings`."""

    @abstractmethod
    def databases(self) -> Mapping[str, Entered]: ...

    @abstractmethod
    def heads(self) -> Mapping[str, int]:
        """The number of the last entry of each database's journal. Asked once for each request."""

    @abstractmethod
    def journal(self, name: str) -> Journal: ...

    @abstractmethod
    def add(self, name: str, file: Path) -> Entered:
        """A new database, whose copies begin with this file. Raises `database_exists`."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Raises `database_missing`."""

    @abstractmethod
    def fetch(self, name: str, path: Path) -> Entered:
        """Writes the file that a copy begins with, whole or not at all. Raises `database_missing`."""

    @abstractmethod
    def tell_forked(self, name: str, lineage: str) -> None:
        """A copy here had entries that the journal of this lineage has lost: whoever read them has to learn
        that its numbers stand for something else now.
        """

    @abstractmethod
    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        """`heard` is called, in any thread, when databases may have come or gone. Returns what ends it."""


class SharedStore(SqliteStore):
    """Databases of a catalogue, as copies in a directory that no other process uses."""

    def __init__(
        self,
        directory: Path,
        catalogue: Catalogue,
        *,
        extensions: Mapping[str, Extension] | None = None,
        witnesses: Callable[[str], Witness | None] | None = None,
        tables: int = 1,
    ) -> None:
        """`tables`: the version of those that this program knows. Fetches what is missing. Raises as
        `SqliteStore` does, and `ProtocolError`, 503, if the catalogue can't be reached.
        """
        self.catalogue = catalogue
        directory.mkdir(parents=True, exist_ok=True)
        for left in (*directory.glob("*.draft*"), *directory.glob("*.new")):
            left.unlink(missing_ok=True)
        made = orjson.dumps({"uuid": secrets.token_hex(16), "secret": secrets.token_hex(32)})
        replace_file(directory / "server.json", catalogue.identity(made))
        super().__init__(
            directory,
            extensions=extensions,
            journals=catalogue.journal,
            witnesses=witnesses,
            tables=tables,
        )
        self._entered: dict[str, str] = {}
        """The lineage of each database that is here."""
        self._begun_anew: set[str] = set()
        self._looking = threading.Lock()
        self._newest = Question(catalogue.heads)
        try:
            self._look()
        except BaseException:
            self._lock.close()
            raise
        self._end = catalogue.listen(self._heard)

    # -- following the catalogue ---------------------------------------------------------------

    def _heard(self) -> None:
        """In a thread of the catalogue's, which mustn't wait."""
        threading.Thread(target=self._look_again, name="databases", daemon=True).start()

    def _look_again(self) -> None:
        with suppress(ProtocolError):  # it is told again when it can be reached
            self._look()

    def _look(self) -> None:
        """Fetches databases that have come, and drops those that have gone."""
        with self._looking:
            entered = self.catalogue.databases()
            for name in list(self._names):
                known = self._entered.get(name, "")
                if name in entered and known in ("", entered[name].lineage):
                    continue
                if name in entered and _same_database(known, entered[name].lineage):
                    self._begun_anew.add(name)
                else:
                    self._drop(name)
            for name, one in entered.items():
                if name not in self._entered:
                    self._take(name, one)

    def _take(self, name: str, entered: Entered) -> None:
        path = self._path(name)
        if not self._fits(name, entered):
            remove_file(path)
            with suppress(ProtocolError):  # gone meanwhile
                self._enter(name, self.catalogue.fetch(name, path))
        else:
            self._enter(name, entered)

    def _fits(self, name: str, entered: Entered) -> bool:
        """Whether the file that is here can go on."""
        path = self._path(name)
        try:
            if _origin(path).read_text("ascii") != entered.lineage:
                return False
            num, mark = copies.place_of(path)
            check_same(num, mark, entered.head, "")
            if num < entered.kept:
                return False
            for entry in self.catalogue.journal(name).since(num, mark):
                check_same(num, mark, num, entry.after)
                break
        except JournalForkedError:
            self.catalogue.tell_forked(name, entered.lineage)
            return False
        except (OSError, apsw.Error, JournalGapError):
            return False
        return True

    def _enter(self, name: str, entered: Entered) -> None:
        enter(self._path(name), entered)
        self._entered[name] = entered.lineage
        self.appear(name)

    def _drop(self, name: str) -> None:
        self._entered.pop(name, None)
        self.disappear(name)
        remove_copy(self._path(name))

    # -- tables of another version -------------------------------------------------------------

    def play_closed(self) -> None:
        """Brings copies up to date of which none is open, through entries that change tables as well.
        Blocks. Raises as `copies.play` does, and `ProtocolError`."""
        self._look()
        for name in sorted(self._names):
            with self._closed(name) as (connection, tables):
                for _ in copies.play(connection, self.catalogue.journal(name).since, tables):
                    pass

    def change_tables(self, name: str) -> bool:
        """Makes the tables of all copies of a database, which isn't open here, those that this program knows:
        other programs neither write nor read what is fresh from then on. False if they are. Blocks. Raises as
        `play_closed`."""
        with self._closed(name) as (connection, tables):
            return copies.change_tables(connection, self.catalogue.journal(name), tables)

    @contextmanager
    def _closed(self, name: str) -> Iterator[tuple[apsw.Connection, copies.Tables]]:
        tables = known_tables(self._tables, self._extensions.get(name))
        with self._looking:
            connection = apsw.Connection(str(self._path(name)), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                configure(connection)
                copies.prepare(connection, tables)
                yield connection, tables
            except apsw.Error as error:
                raise storage_error(error) from error
            finally:
                connection.close()

    # -- the store -----------------------------------------------------------------------------

    async def _heads(self) -> Mapping[str, int]:
        heads = await self._newest.answer()
        if heads.keys() != self._entered.keys():
            await asyncio.to_thread(self._look)
        return heads

    async def settings(self) -> bytes:
        return await asyncio.to_thread(self.catalogue.settings)

    async def change_settings(self, change: Callable[[bytes], bytes]) -> bytes:
        return await asyncio.to_thread(self.catalogue.change_settings, change)

    async def create(self, name: str, *, security: bytes = b"{}", partitioned: bool = False) -> Database:
        check_database_name(name)
        await asyncio.to_thread(self._create, name, security, partitioned)
        return self.get(name)

    def _create(self, name: str, security: bytes, partitioned: bool) -> None:
        with self._looking:
            if name in self._names or name in self.catalogue.databases():
                raise errors.database_exists()
            path = self._path(name)
            draft = path.with_name(f"{secrets.token_hex(8)}.draft")
            try:
                create_file(draft, security, partitioned)
                # The tables of extensions are in the file that all copies begin with.
                SqliteDatabase(
                    name, draft, self._pool, lambda: None, lambda _: None, self._extensions.get(name)
                ).close()
                copies.begin(draft, self._tables)
                entered = self.catalogue.add(name, draft)
                remove_file(path)
                draft.replace(path)
            except (apsw.Error, OSError) as error:
                raise storage_error(error) from error
            finally:
                remove_file(draft)
            self._enter(name, entered)

    async def delete(self, name: str) -> None:
        await self.check_drop(name)
        await asyncio.to_thread(self.catalogue.remove, name)
        await asyncio.to_thread(self._look)

    def end_copy(self, name: str) -> None:
        """Makes a file a database of its own again, once the store is closed."""
        copies.end(self._path(name))
        _origin(self._path(name)).unlink(missing_ok=True)

    def lost(self) -> Mapping[str, Exception]:
        """Databases whose copy can't follow any more, and why: the process has to begin anew."""
        anew = {name: JournalGapError("the journal has begun anew") for name in list(self._begun_anew)}
        return anew | {name: one.lost for name, one in self._open.items() if one.lost is not None}

    async def close(self) -> None:
        end, self._end = self._end, lambda: None
        end()
        lost = self.lost()
        await super().close()
        for name, why in lost.items():
            # Nothing is wrong with the copy, or the next start finds out by itself what is.
            if not isinstance(why, TablesAheadError | JournalForkedError):
                replace_file(_origin(self._path(name)), b"")


def _same_database(one: str, other: str) -> bool:
    return one.partition(".")[0] == other.partition(".")[0]


def _origin(path: Path) -> Path:
    """What has the lineage that a copy belongs to."""
    return path.with_name(path.name.removesuffix(SUFFIX) + ORIGIN)


def enter(path: Path, entered: Entered) -> None:
    """Notes down beside a copy where it comes from."""
    replace_file(_origin(path), entered.lineage.encode("ascii"))


def remove_copy(path: Path) -> None:
    """A copy, what SQLite has beside it, and the note of where it came from."""
    remove_file(path)
    _origin(path).unlink(missing_ok=True)


def is_copy(path: Path) -> bool:
    """Whether a file was fetched to follow a journal."""
    return _origin(path).exists()


def follows(path: Path, entered: Entered) -> bool:
    """Whether a file is a copy that can go on where it stands."""
    try:
        if _origin(path).read_text("ascii") != entered.lineage:
            return False
        return entered.kept <= copies.position_of(path) <= entered.head
    except (OSError, apsw.Error):
        return False

"""Copies go on to tables of another version at one entry of their journal, and older programs don't."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import apsw
import pytest

from replication.protocol.errors import ProtocolError
from replication.store.sqlite import (
    ChangedDocument,
    Entry,
    Extension,
    JournalGapError,
    SqliteDatabase,
    SqliteStore,
    TablesAheadError,
    Writing,
)
from replication.store.sqlite import copies as engine
from replication.store.sqlite.opened import known_tables
from tests.replication.store.copied import tables
from tests.replication.store.journals import MemoryJournal
from tests.replication.store.writes import doc, edit


class Words(Extension):
    """Of version 1 a table of ids; of 2 another column, and what it says of documents that were there."""

    def __init__(self, version: int) -> None:
        self._version = version

    def make_tables(self, connection: apsw.Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS words (id TEXT PRIMARY KEY)")
        columns = connection.execute("SELECT name FROM pragma_table_info('words')").fetchall()
        if self._version == 2 and ("size",) not in columns:
            connection.execute("ALTER TABLE words ADD COLUMN size INTEGER")

    def prepare(self, writing: Writing) -> None:
        if self._version == 2:
            writing.connection.execute("UPDATE words SET size = length(id) WHERE size IS NULL")

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for document in documents:
            writing.connection.execute("INSERT OR IGNORE INTO words (id) VALUES (?)", (document.id,))
        self.prepare(writing)

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        return


class World:
    """Copies in directories, of programs with a version each."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = MemoryJournal()
        self._stores: list[SqliteStore] = []

    async def open(self, name: str, version: int) -> SqliteDatabase:
        store = await SqliteStore.open(
            self.directory / name,
            extensions={"db": Words(version)},
            journals=lambda _: self.journal,
            tables=version,
        )
        self._stores.append(store)
        if "db" not in await store.names():
            await store.create("db")
        database = store.get("db")
        assert isinstance(database, SqliteDatabase)
        return database

    async def copy(self, database: SqliteDatabase, name: str) -> None:
        (self.directory / name).mkdir()
        await database.save(self.directory / name / "db.sqlite")

    def connection(self, name: str) -> apsw.Connection:
        return apsw.Connection(str(self.directory / name / "db.sqlite"))

    def change(self, name: str, version: int = 2) -> bool:
        """As `kompass upgrade` does, with a copy that nobody has open."""
        connection = self.connection(name)
        try:
            return engine.change_tables(connection, self.journal, known_tables(version, Words(version)))
        finally:
            connection.close()

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.close()


async def test_an_older_program_stops_where_newer_tables_begin(world: World) -> None:
    old = await world.open("old", 1)
    await edit(old, "a")
    await world.copy(old, "new")
    await edit(old, "b")
    assert world.change("new")
    assert not world.change("new"), "once"
    before = tables(old)
    for attempt in (old.fresh(), old.write([doc("c")])):
        with pytest.raises(ProtocolError) as caught:
            await attempt
        assert caught.value.status == 503
        assert "newer version of the program" in caught.value.reason
    assert isinstance(old.lost, TablesAheadError)
    assert tables(old) == before, "nothing of its copy has changed"
    new = await world.open("new", 2)
    await edit(new, "ccc")
    with new.reading() as reading:
        rows = reading.connection.execute("SELECT id, size FROM words ORDER BY id").fetchall()
    assert rows == [("a", 1), ("b", 1), ("ccc", 3)]
    assert await old.winner("b") is not None, "what is there can be read"
    with pytest.raises(ProtocolError):
        await old.fresh()
    assert tables(old) == before


async def test_a_copy_of_before_changes_its_tables_where_all_do(world: World) -> None:
    first = await world.open("first", 1)
    await edit(first, "a")
    await world.copy(first, "waiting")
    await world.copy(first, "changing")
    world.change("changing")
    changed = await world.open("changing", 2)
    await edit(changed, "b")
    waiting = await world.open("waiting", 2)
    await changed.fresh()
    assert tables(waiting) == tables(changed)
    await edit(waiting, "c")
    await changed.fresh()
    assert tables(waiting) == tables(changed)


async def test_whoever_dies_between_journal_and_file_gets_it_from_the_journal(world: World) -> None:
    first = await world.open("first", 1)
    await edit(first, "a")
    await world.copy(first, "new")
    world.journal.answers = False
    with pytest.raises(ProtocolError):
        world.change("new")
    world.journal.answers = True
    connection = world.connection("new")
    assert engine.version(connection) == 1
    connection.close()
    assert not world.change("new"), "it is there: it is played"
    new = await world.open("new", 2)
    await edit(new, "b")
    assert len([entry for entry in world.journal.entries if b'"tables":2' in entry.told]) == 1


async def test_a_program_opens_no_copy_whose_tables_are_not_its_own(world: World) -> None:
    old = await world.open("old", 1)
    await edit(old, "a")
    for name, version in (("early", 2), ("late", 1)):
        await world.copy(old, name)
        if name == "late":
            world.change("late")
        with pytest.raises(ProtocolError) as caught:
            await world.open(name, version)
        assert caught.value.status == 503
    shutil.rmtree(world.directory / "late")
    await world.copy(old, "past")
    connection = world.connection("past")
    with pytest.raises(JournalGapError, match="past"):
        list(engine.play(connection, world.journal.since, known_tables(3, Words(2))))
    connection.close()


async def test_an_entry_that_says_something_unknown_is_not_played(world: World) -> None:
    old = await world.open("old", 1)
    await edit(old, "a")
    before = tables(old)
    world.journal.add(Entry(world.journal.head() + 1, b"", b'{"sung":true}'))
    with pytest.raises(ProtocolError, match="newer version"):
        await old.fresh()
    assert tables(old) == before

"""Copies of a database that follow one journal, what is in them, and random writes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from replication.protocol.revisions import Path as History
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import ChangedDocument, Extension, SqliteDatabase, SqliteStore, Writing
from replication.store.sqlite.copies import OWN_TABLES
from tests.replication.store.journals import MemoryJournal
from tests.replication.store.row_maps import rows_of_k
from tests.replication.store.writes import branch, doc


class Heard(Extension):
    """Keeps ids in a table, and what it hears of commits."""

    def __init__(self) -> None:
        self.committed_notes: list[object] = []
        self.played_notes: list[str | None] = []

    def prepare(self, writing: Writing) -> None:
        writing.connection.execute("CREATE TABLE IF NOT EXISTS heard (seq INTEGER PRIMARY KEY, id TEXT)")

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for document in documents:
            writing.connection.execute("DELETE FROM heard WHERE seq = ?", (document.old_seq,))
            if document.seq:
                writing.connection.execute("INSERT INTO heard VALUES (?, ?)", (document.seq, document.id))
            writing.tell(document.id)

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        self.committed_notes += notes

    def shared(self, notes: Sequence[object]) -> str | None:
        return ",".join(map(str, notes)) or None

    def played(self, update_seq: int, shared: str | None) -> None:
        self.played_notes.append(shared)


class Copies:
    """The same database in several stores."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = MemoryJournal()
        self.stores: list[SqliteStore] = []
        self.heard: list[Heard] = []

    async def add(self) -> SqliteDatabase:
        directory = self.directory / f"copy{len(self.stores)}"
        if self.stores:
            directory.mkdir()
            await self[0].save(directory / "db.sqlite")
        heard = Heard()
        store = await SqliteStore.open(
            directory, extensions={"db": heard}, journals=lambda name: self.journal
        )
        if not self.stores:
            await store.create("db")
        self.stores.append(store)
        self.heard.append(heard)
        return self[-1]

    def __getitem__(self, number: int) -> SqliteDatabase:
        database = self.stores[number].get("db")
        assert isinstance(database, SqliteDatabase)
        return database

    async def contents(self) -> list[dict[str, Any]]:
        """All rows that all must have, of each copy."""
        found = []
        for number in range(len(self.stores)):
            await self[number].fresh()
            found.append(tables(self[number]))
        return found

    async def close(self) -> None:
        for store in self.stores:
            await store.close()


def tables(database: SqliteDatabase) -> dict[str, Any]:
    with database.reading() as reading:
        names: Any = reading.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {
            name: sorted(reading.connection.execute(f'SELECT * FROM "{name}"'), key=repr)
            for (name,) in names.fetchall()
            if name not in OWN_TABLES
        }


async def same(copies: Copies) -> dict[str, Any]:
    first, *others = await copies.contents()
    for other in others:
        assert other == first
    return first


async def step(source: random.Random, database: SqliteDatabase) -> None:
    docid = f"d{source.randrange(12)}"
    found = await database.winner(docid)
    choice = source.random()
    if choice < 0.4:
        parent = None if found is None or found.deleted else found.rev
        await database.write([doc(docid, parent, k=[source.choice("xyz")], _deleted=source.random() < 0.2)])
    elif choice < 0.6:
        ids = [source.choice("abc") * 32 for _ in range(source.randrange(1, 4))]
        write = branch(docid, len(ids), *ids, k=[source.choice("xyz")], deleted=source.random() < 0.3)
        write.path = History(len(ids), ids)
        await database.write([write], replicated=True)
    elif choice < 0.7 and found is not None:
        await database.purge({docid: [parse_rev(one.rev) for one in await database.leaves(docid)]})
    elif choice < 0.8:
        await database.put_local(docid, source.randrange(5), b'{"n":1}')
    elif choice < 0.85:
        await database.delete_local(docid)
    elif choice < 0.9:
        await database.refresh_rows("v", rows_of_k)
    elif choice < 0.95:

        def forget(writing: Writing) -> None:
            writing.forget(docid)

        await database.transact(forget)
    else:
        await database.compact()

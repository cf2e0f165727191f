"""Tables of somebody else in a database's file: in step with the documents, whichever way they came."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from replication.protocol import errors
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import ChangedDocument, Extension, SqliteDatabase, SqliteStore, Writing


class Names(Extension):
    """Keeps (id, seq) of every document, refuses `bad`, and writes `copy-of-x` beside `x`."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, list[object]]] = []

    def prepare(self, writing: Writing) -> None:
        writing.connection.execute(
            "CREATE TABLE IF NOT EXISTS names_seen (num INTEGER PRIMARY KEY, id TEXT, seq INTEGER)"
        )

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for document in documents:
            if document.id == "bad":
                raise errors.forbidden("not this one")
            if document.seq == 0:
                writing.connection.execute("DELETE FROM names_seen WHERE num = ?", (document.num,))
                continue
            writing.connection.execute(
                "INSERT OR REPLACE INTO names_seen VALUES (?, ?, ?)",
                (document.num, document.id, document.seq),
            )
            writing.tell(document.id)
            if document.id == "x" and writing.winner("copy-of-x") is None:
                writing.write([DocumentWrite("copy-of-x", False, b'{"copied":true}')])

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        self.commits.append((update_seq, list(notes)))


def seen(database: SqliteDatabase) -> dict[str, int]:
    with database.reading() as reading:
        return dict(reading.connection.execute("SELECT id, seq FROM names_seen"))


async def open_database(directory: Path, names: Names) -> tuple[SqliteStore, SqliteDatabase]:
    store = await SqliteStore.open(directory, extensions={"watched": names})
    if "watched" not in await store.names():
        await store.create("watched")
    database = store.get("watched")
    assert isinstance(database, SqliteDatabase)
    return store, database


async def test_every_change_is_told_in_its_transaction(tmp_path: Path) -> None:
    names = Names()
    store, database = await open_database(tmp_path, names)
    try:
        await database.write([DocumentWrite("a", False, b"{}"), DocumentWrite("x", False, b"{}")])
        assert seen(database) == {"a": 1, "x": 2, "copy-of-x": 3}
        assert names.commits[-1] == (3, ["a", "x", "copy-of-x"])
        found = await database.winner("a")
        assert found is not None
        await database.purge({"a": [parse_rev(found.rev)]})
        assert set(seen(database)) == {"x", "copy-of-x"}
    finally:
        await store.close()


async def test_what_is_refused_leaves_no_trace_beside_others(tmp_path: Path) -> None:
    names = Names()
    store, database = await open_database(tmp_path, names)
    try:
        outcomes = await asyncio.gather(
            database.write([DocumentWrite("good", False, b"{}")]),
            database.write([DocumentWrite("fine", False, b"{}"), DocumentWrite("bad", False, b"{}")]),
            database.write([DocumentWrite("also good", False, b"{}")]),
            return_exceptions=True,
        )
        assert isinstance(outcomes[1], ProtocolError)
        assert outcomes[1].reason == "not this one"
        assert set(seen(database)) == {"good", "also good"}
        assert await database.winner("fine") is None
        assert database.update_seq == 2
        assert [note for _, notes in names.commits for note in notes] == ["good", "also good"]
    finally:
        await store.close()


async def test_a_transaction_reads_what_it_wrote_and_is_undone_as_a_whole(tmp_path: Path) -> None:
    names = Names()
    store, database = await open_database(tmp_path, names)
    try:

        def both(writing: Writing) -> list[int]:
            writing.write([DocumentWrite("a", False, b'{"n":1}')])
            inside = writing.winner("a")
            assert inside is not None
            assert b'"n":1' in inside.text
            first = writing.update_seq
            return [first, writing.next_seq()]

        assert await database.transact(both) == [1, 2]
        assert database.update_seq == 2

        def half(writing: Writing) -> None:
            writing.write([DocumentWrite("b", False, b"{}")])
            raise errors.forbidden("changed my mind")

        with pytest.raises(ProtocolError):
            await database.transact(half)
        assert await database.winner("b") is None
        assert seen(database) == {"a": 1}
    finally:
        await store.close()


async def test_it_is_there_again_after_a_restart(tmp_path: Path) -> None:
    store, database = await open_database(tmp_path, Names())
    await database.write([DocumentWrite("a", False, b"{}")])
    await store.close()
    store, database = await open_database(tmp_path, Names())
    try:
        await database.write([DocumentWrite("b", False, b"{}")])
        assert seen(database) == {"a": 1, "b": 2}
    finally:
        await store.close()


async def test_a_job_sees_what_follows_from_its_own_writes_once_it_settles(tmp_path: Path) -> None:
    names = Names()
    store, database = await open_database(tmp_path, names)

    def run(writing: Writing) -> list[object]:
        def told() -> object:
            return writing.connection.execute("SELECT count(*) FROM names_seen").get

        writing.write([DocumentWrite("a", False, b"{}")])
        before = told()
        writing.settle()
        between = told()
        writing.write([DocumentWrite("x", False, b"{}")])
        return [before, between]

    try:
        assert await database.transact(run) == [0, 1]
        assert seen(database) == {"a": 1, "x": 2, "copy-of-x": 3}
    finally:
        await store.close()

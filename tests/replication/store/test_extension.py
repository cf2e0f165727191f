"""Tables of somebody else in a database's file: in step with the documents, whichever way they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from replication.protocol import errors
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path as History
from replication.protocol.revisions import Rev, parse_rev
from replication.store.sqlite import (
    Ancestor,
    ChangedDocument,
    Extension,
    Reading,
    Several,
    SqliteDatabase,
    SqliteStore,
    Writing,
    WrittenRevision,
)
from replication.store.values import Document


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


ASKING: ContextVar[str] = ContextVar("asking", default="nobody")


class Judge(Extension):
    """Refuses what says so, keeps what was written and by whom, and what was refused."""

    def __init__(self) -> None:
        self.written: list[tuple[str, WrittenRevision]] = []
        self.purged: list[tuple[str, list[str], bool]] = []
        self.by: list[str] = []
        self.winners: list[tuple[str, str | None]] = []

    def prepare(self, writing: Writing) -> None:
        writing.connection.execute("CREATE TABLE IF NOT EXISTS judge_refused (id TEXT, is_purge INTEGER)")

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for document in documents:
            self.by.append(ASKING.get())
            self.written += [(document.id, one) for one in document.written]
            if document.purged:
                self.purged.append((document.id, list(document.purged), document.seq == 0))

    def check(self, writing: Writing, write: DocumentWrite, winner: Document | None) -> ProtocolError | None:
        self.winners.append((write.id, None if winner is None else winner.rev))
        return errors.forbidden("no") if b"bad" in write.body else None

    def check_purge(self, writing: Writing, docid: str, revs: Sequence[Rev]) -> ProtocolError | None:
        return errors.forbidden("kept") if docid == "kept" else None

    def check_refused(
        self,
        writing: Writing,
        docid: str,
        write: DocumentWrite | None,
        error: ProtocolError,
        by: str = "door",
    ) -> None:
        writing.connection.execute("INSERT INTO judge_refused VALUES (?, ?)", (docid, write is None))

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        pass

    @staticmethod
    def refused(database: SqliteDatabase) -> list[tuple[str, int]]:
        with database.reading() as reading:
            rows: Any = reading.connection.execute("SELECT id, is_purge FROM judge_refused ORDER BY rowid")
            return list(rows)


@pytest.fixture
async def judged(tmp_path: Path) -> AsyncIterator[tuple[SqliteDatabase, Judge]]:
    judge = Judge()
    store = await SqliteStore.open(tmp_path, extensions={"judged": Several(judge)})
    database = await store.create("judged")
    assert isinstance(database, SqliteDatabase)
    try:
        yield database, judge
    finally:
        await store.close()


async def test_a_job_knows_what_its_caller_has_said_about_himself(
    judged: tuple[SqliteDatabase, Judge],
) -> None:
    database, judge = judged

    async def as_somebody(name: str) -> None:
        ASKING.set(name)
        await database.write([DocumentWrite(f"of {name}", False, b"{}")])

    await asyncio.gather(*(asyncio.create_task(as_somebody(f"person {n}")) for n in range(20)))
    assert sorted(judge.by) == sorted(f"person {n}" for n in range(20))
    await database.write([DocumentWrite("of nobody", False, b"{}")])
    assert judge.by[-1] == "nobody"


async def test_what_is_refused_at_the_door_is_forbidden_and_heard_of(
    judged: tuple[SqliteDatabase, Judge],
) -> None:
    database, judge = judged
    bad = b'{"bad":true}'
    first, refused = await database.write([DocumentWrite("a", False, b"{}"), DocumentWrite("b", False, bad)])
    assert isinstance(first, str)
    assert isinstance(refused, ProtocolError)
    assert (refused.status, refused.reason) == (403, "no")
    path = History(2, ["f" * 32, first.partition("-")[2]])
    outcomes = await database.write([DocumentWrite("a", False, bad, path=path)], replicated=True)
    assert [getattr(one, "status", None) for one in outcomes] == [403]
    assert judge.winners == [("a", None), ("b", None), ("a", first)]
    assert await database.winner("b") is None
    assert judge.refused(database) == [("b", 0), ("a", 0)]

    def own(writing: Writing) -> object:
        return writing.write([DocumentWrite("b", False, bad)])[0]

    assert isinstance(await database.transact(own), str), "what a job writes has its own judges"


async def test_the_judge_of_a_caller_is_heard_of_too(judged: tuple[SqliteDatabase, Judge]) -> None:
    database, judge = judged

    def check(write: DocumentWrite, winner: Document | None) -> None:
        raise errors.forbidden("not mine") if write.id == "b" else errors.conflict()

    docs = [DocumentWrite("a", False, b"{}"), DocumentWrite("b", False, b"{}")]
    outcomes = await database.write(docs, check=check)
    assert [getattr(one, "status", None) for one in outcomes] == [409, 403]
    assert judge.refused(database) == [("b", 0), ("a", 0)]


async def test_a_refused_purge_purges_nothing_and_is_heard_of(judged: tuple[SqliteDatabase, Judge]) -> None:
    database, judge = judged
    revs = await database.write([DocumentWrite("free", False, b"{}"), DocumentWrite("kept", False, b"{}")])
    free, kept = (parse_rev(str(rev)) for rev in revs)
    with pytest.raises(ProtocolError, match="kept"):
        await database.purge({"free": [free], "kept": [kept]})
    assert await database.winner("free") is not None
    assert judge.refused(database) == [("kept", 1)]
    assert await database.purge({"free": [free]}) == {"free": [str(revs[0])]}
    assert judge.purged == [("free", [str(revs[0])], True)]


async def test_every_revision_is_told_with_what_it_replaced(judged: tuple[SqliteDatabase, Judge]) -> None:
    database, judge = judged
    one, two, three, branch = ("1" * 32, "2" * 32, "3" * 32, "b" * 32)
    await database.write(
        [
            DocumentWrite("a", False, b'{"n":1}', path=History(1, [one])),
            DocumentWrite("a", False, b'{"n":2}', path=History(2, [two, one]), note="second"),
            DocumentWrite("a", False, b'{"n":0}', path=History(2, [branch, one]), note="branch"),
            DocumentWrite("a", True, b"{}", path=History(4, [three, "c" * 32, two, one])),
        ],
        replicated=True,
    )
    told = [(docid, w.rev, w.parent, w.deleted, w.note) for docid, w in judge.written]
    assert told == [
        ("a", f"1-{one}", None, False, None),
        ("a", f"2-{two}", f"1-{one}", False, "second"),
        ("a", f"2-{branch}", f"1-{one}", False, "branch"),
        ("a", f"4-{three}", f"2-{two}", True, None),
    ]
    with database.reading() as reading:
        before = [reading.body(w.parent_body) for _, w in judge.written[1:]]
    assert [b'"n":%d' % n in (text or b"") for n, text in zip((1, 1, 2), before, strict=True)] == [True] * 3


async def test_compaction_leaves_what_an_extension_needs(tmp_path: Path) -> None:
    class Keeper(Names):
        def keeps(self, reading: Reading, ancestors: Sequence[Ancestor]) -> set[int]:
            assert reading.update_seq > 0
            return {one.body for one in ancestors if one.rev.startswith("2-")}

    store = await SqliteStore.open(tmp_path, extensions={"watched": Several(Names(), Keeper())})
    await store.create("watched")
    database = store.get("watched")
    assert isinstance(database, SqliteDatabase)
    try:
        revs: list[str] = []
        for number in range(4):
            parent = parse_rev(revs[-1]) if revs else None
            (rev,) = await database.write([DocumentWrite("a", False, b'{"n":%d}' % number, parent)])
            assert isinstance(rev, str)
            revs.append(rev)
        await database.compact()
        stored = [bool(await database.revision("a", parse_rev(rev))) for rev in revs]
        assert stored == [False, True, False, True]
    finally:
        await store.close()

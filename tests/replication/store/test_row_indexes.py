"""What every driver must do for indexes that carry rows, and for noticing changed design documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from replication.protocol.revisions import parse_rev
from replication.store.interface import Database, IndexBehindError
from replication.store.sqlite import SqliteStore
from replication.store.values import IndexedDocument, IndexRow, PartialReduction, RowSpan
from tests.replication.store.row_maps import rows_of_k
from tests.replication.store.writes import doc, edit

EVERYTHING = RowSpan()


async def _row_ids(db: Database, span: RowSpan = EVERYTHING, **options: Any) -> list[str]:
    return [row.shown.decode()[1:-1] + row.id for row in await db.scan_rows("v", span, **options)]


async def test_an_index_with_rows_follows_the_documents(db: Database) -> None:
    assert await db.index_state("v") is None
    rev = await edit(db, "a", k=["y", "x"])
    await db.write([doc("b", k=["x"]), doc("c"), doc("d", k=["z"])])
    await db.refresh_rows("v", rows_of_k)
    assert await _row_ids(db) == ["xa", "xb", "ya", "zd"]
    state = await db.index_state("v", sized=True)
    assert state is not None
    assert (state.seq, state.entries) == (db.update_seq, 4)
    assert state.size > 8
    rev = await edit(db, "a", rev, k=["q"])
    found = await db.winner("b")
    assert found is not None
    await edit(db, "b", found.rev, _deleted=True)
    await db.refresh_rows("v", rows_of_k)
    assert await _row_ids(db) == ["qa", "zd"]
    assert await db.purge({"a": [parse_rev(rev)]}) == {"a": [rev]}
    state = await db.index_state("v")
    assert state is not None
    assert state.entries == 1
    await db.refresh_rows("v", rows_of_k)
    # The body of the revision before is still there: it has become the winner.
    assert set(await _row_ids(db)) <= {"xa", "ya", "zd"}
    await db.drop_indexes([])
    assert await _row_ids(db) == []
    assert await db.index_state("v") is None


async def test_scanning_rows_by_span_and_page(db: Database) -> None:
    await db.write([doc(name, k=["x", "y"]) for name in "abc"])
    await db.refresh_rows("v", rows_of_k)
    assert await _row_ids(db, skip=1, limit=2) == ["xb", "xc"]
    assert await _row_ids(db, descending=True, limit=2) == ["yc", "yb"]
    span = RowSpan((b"x", "b", 0), (b"y", "b", 0))
    assert await _row_ids(db, span) == ["xb", "xc", "ya"]
    assert await _row_ids(db, span, descending=True) == ["ya", "xc", "xb"]
    assert await db.count_rows("v", span) == 3
    assert await db.count_rows("v", RowSpan()) == 6
    assert await db.count_rows("none", RowSpan()) == 0


async def test_who_knows_how_far_an_index_was_is_told_that_it_was_dropped(db: Database) -> None:
    await db.write([doc("a", k=["x"])])
    await db.refresh_rows("v", rows_of_k)
    seq = db.update_seq
    assert len(await db.scan_rows("v", EVERYTHING, seq=seq)) == 1
    assert await db.count_rows("v", EVERYTHING, seq=seq) == 1
    await db.drop_indexes([])
    with pytest.raises(IndexBehindError):
        await db.scan_rows("v", EVERYTHING, seq=seq)
    with pytest.raises(IndexBehindError):
        await db.count_rows("v", EVERYTHING, seq=seq)
    with pytest.raises(IndexBehindError):
        await db.scan_index("v", b"", None, seq=seq)


def _kept(low: str, high: str, value: str = "1") -> PartialReduction:
    ends = [(f"{end}".encode(), "", 0) for end in (low, high)]
    return PartialReduction(ends[0], ends[1], 1, b"f", b"1", b"l", b"2", value.encode())


async def _kept_names(db: Database, span: RowSpan = EVERYTHING, **options: Any) -> list[str]:
    found = await db.partial_reductions("v", "r", span, **options)
    return [f"{kept.low[0].decode()}{kept.high[0].decode()}" for kept in found]


async def test_kept_reductions_by_span_and_direction(db: Database) -> None:
    await db.write([doc(name, k=[name]) for name in "abcdefgh"])
    assert await db.index_version("v") is None
    await db.refresh_rows("v", rows_of_k)
    version = await db.index_version("v")
    assert version is not None
    assert await db.keep_reductions("v", "r", version, [_kept("a", "c"), _kept("c", "d"), _kept("f", "h")])
    assert await _kept_names(db) == ["ac", "cd", "fh"]
    assert await _kept_names(db, descending=True) == ["fh", "cd", "ac"]
    assert await _kept_names(db, limit=2) == ["ac", "cd"]
    inside = RowSpan((b"b", "", 0), (b"g", "", 0))
    assert await _kept_names(db, inside) == ["ac", "cd", "fh"]
    assert await _kept_names(db, inside, descending=True) == ["fh", "cd", "ac"]
    assert await _kept_names(db, RowSpan((b"c", "", 0), (b"f", "", 0))) == ["cd"]
    assert await _kept_names(db, RowSpan((b"d", "", 0), (b"f", "", 0))) == []
    assert await db.partial_reductions("v", "other", EVERYTHING) == []
    # What overlaps takes the place of what was there.
    assert await db.keep_reductions("v", "r", version, [_kept("b", "cc")])
    assert await _kept_names(db) == ["bcc", "fh"]
    assert await db.partial_reductions("v", "r", EVERYTHING, limit=1) == [_kept("b", "cc")]


async def test_kept_reductions_go_when_a_row_of_theirs_changes(db: Database) -> None:
    revs = {name: await edit(db, name, k=[name]) for name in "abcdefgh"}
    await db.refresh_rows("v", rows_of_k)
    every = [_kept("a", "c"), _kept("c", "d"), _kept("d", "f"), _kept("f", "h")]

    async def keep() -> None:
        version = await db.index_version("v")
        assert version is not None
        for reducer in ("q", "r"):
            assert await db.keep_reductions("v", reducer, version, every)

    await keep()
    revs["b"] = await edit(db, "b", revs["b"], k=["b"])
    await edit(db, "e", revs["e"], _deleted=True)
    await edit(db, "new", k=["i"])
    assert await _kept_names(db) == ["ac", "cd", "df", "fh"]
    await db.refresh_rows("v", rows_of_k)
    assert await _kept_names(db) == ["cd", "fh"]
    assert len(await db.partial_reductions("v", "q", EVERYTHING)) == 2
    await keep()
    # A row that moves changes where it was and where it is.
    revs["c"] = await edit(db, "c", revs["c"], k=["g"])
    await db.refresh_rows("v", rows_of_k)
    assert await _kept_names(db) == ["ac", "df"]
    await keep()
    await db.purge({"d": [parse_rev(revs["d"])]})
    assert await _kept_names(db) == ["ac", "cd", "fh"]
    await db.drop_indexes([])
    await db.refresh_rows("v", rows_of_k)
    assert await _kept_names(db) == []


async def test_reductions_of_rows_that_have_changed_are_not_kept(db: Database) -> None:
    rev = await edit(db, "a", k=["a"])
    await db.refresh_rows("v", rows_of_k)
    version = await db.index_version("v")
    assert version is not None
    await edit(db, "b", k=["b"])
    assert await db.keep_reductions("v", "r", version, [_kept("a", "c")])  # the index has not read it yet
    await db.refresh_rows("v", rows_of_k)
    assert await _kept_names(db) == []
    assert not await db.keep_reductions("v", "r", version, [_kept("a", "c")])
    version = await db.index_version("v")
    assert version is not None
    await db.purge({"a": [parse_rev(rev)]})
    assert not await db.keep_reductions("v", "r", version, [_kept("a", "c")])
    await db.drop_indexes([])
    assert not await db.keep_reductions("v", "r", version, [_kept("a", "c")])


async def test_few_reducers_of_a_view_are_kept(db: Database) -> None:
    await edit(db, "a", k=["a"])
    await db.refresh_rows("v", rows_of_k)
    version = await db.index_version("v")
    assert version is not None
    for number in range(20):
        assert await db.keep_reductions("v", f"{number}", version, [_kept("a", "c")])
    kept = [await db.partial_reductions("v", f"{number}", EVERYTHING) for number in range(20)]
    assert len(kept[19]) == 1
    assert sum(map(len, kept)) <= 8


async def test_large_rows_come_a_few_at_a_time(db: Database) -> None:
    async def mapper(documents: Sequence[IndexedDocument]) -> list[list[IndexRow]]:
        return [[IndexRow(b"k", document.id, 0, b'"k"', b"1" * 1_000_000)] for document in documents]

    await db.write([doc(f"{n:02}") for n in range(12)])
    await db.refresh_rows("v", mapper)
    first = await db.scan_rows("v", EVERYTHING)
    assert 0 < len(first) < 12
    rest = await db.scan_rows("v", RowSpan((b"k", first[-1].id, 1)), limit=100)
    assert rest[0].id == f"{len(first):02}"


async def test_rows_are_read_again_when_something_is_purged_meanwhile(db: Database) -> None:
    rev = await edit(db, "a", k=["x"])
    await db.write([doc("b", k=["x"])])
    purged = False

    async def mapper(documents: Sequence[IndexedDocument]) -> list[list[IndexRow]]:
        nonlocal purged
        if not purged:
            purged = True
            await db.purge({"a": [parse_rev(rev)]})
        return await rows_of_k(documents)

    await db.refresh_rows("v", mapper)
    assert await _row_ids(db) == ["xb"]


async def test_rows_that_two_refresh_at_once_are_there_once(db: Database) -> None:
    await db.write([doc(f"{n:04}", k=["x"]) for n in range(1200)])

    async def mapper(documents: Sequence[IndexedDocument]) -> list[list[IndexRow]]:
        await asyncio.sleep(0.001)
        return await rows_of_k(documents)

    await asyncio.gather(*(db.refresh_rows("v", mapper) for _ in range(3)))
    assert len(await _row_ids(db, limit=5000)) == 1200
    state = await db.index_state("v")
    assert state is not None
    assert state.entries == 1200


async def test_rows_of_an_index_that_was_dropped_do_not_end_up_in_the_next_one(db: Database) -> None:
    await db.write([doc("a", k=["x"])])
    began, first_is_done = asyncio.Event(), asyncio.Event()

    async def other(documents: Sequence[IndexedDocument]) -> list[list[IndexRow]]:
        began.set()
        await first_is_done.wait()
        return [[IndexRow(b"y", document.id, 0, b'"y"', b"1")] for document in documents]

    async def mapper(documents: Sequence[IndexedDocument]) -> list[list[IndexRow]]:
        await db.drop_indexes([])
        tasks.append(asyncio.create_task(db.refresh_rows("w", other)))
        await began.wait()
        return await rows_of_k(documents)

    tasks: list[asyncio.Task[None]] = []
    await db.refresh_rows("v", mapper)
    first_is_done.set()
    await asyncio.gather(*tasks)
    assert [row.key for row in await db.scan_rows("w", EVERYTHING)] == [b"y"]


async def test_a_mapper_that_fails_leaves_what_was_before(db: Database) -> None:
    await db.write([doc("a", k=["x"])])
    await db.refresh_rows("v", rows_of_k)
    await db.write([doc("b", k=["x"])])

    async def mapper(documents: Sequence[IndexedDocument]) -> list[list[IndexRow]]:
        raise LookupError

    with pytest.raises(LookupError):
        await db.refresh_rows("v", mapper)
    assert await _row_ids(db) == ["xa"]
    await db.refresh_rows("v", rows_of_k)
    assert await _row_ids(db) == ["xa", "xb"]


async def test_the_design_version_tells_of_changed_design_documents(db: Database) -> None:
    before = db.design_version
    await edit(db, "a")
    await db.put_local("x", 0, b"{}")
    assert db.design_version == before
    rev = await edit(db, "_design/d")
    after = db.design_version
    assert after != before
    rev = await edit(db, "_design/d", rev, n=1)
    assert db.design_version != after
    after = db.design_version
    await db.purge({"_design/d": [parse_rev(rev)]})
    assert db.design_version != after


async def test_a_file_of_the_first_version_gets_its_indexes_anew(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await store.create("db")
    await db.write([doc("a", k=["x"])])
    await store.close()
    connection = apsw.Connection(str(tmp_path / "db.sqlite"))
    connection.execute(
        "DROP TABLE index_entries; DROP TABLE indexes;"
        "CREATE TABLE indexes (num INTEGER PRIMARY KEY, signature TEXT NOT NULL UNIQUE,"
        " seq INTEGER NOT NULL);"
        "CREATE TABLE index_entries (index_num INTEGER NOT NULL, key BLOB NOT NULL, id TEXT NOT NULL,"
        " PRIMARY KEY (index_num, key, id)) WITHOUT ROWID;"
        "CREATE INDEX index_entries_by_id ON index_entries (id, index_num);"
        "INSERT INTO indexes VALUES (1, 'v', 1); INSERT INTO index_entries VALUES (1, x'00', 'a');"
        "DROP TABLE row_partials; DROP TABLE purges;"
        "DELETE FROM meta WHERE name = 'purge_requests_limit'; PRAGMA user_version = 1"
    )
    connection.close()
    store = await SqliteStore.open(tmp_path)
    db = store.get("db")
    assert await db.index_state("v") is None
    await db.refresh_rows("v", rows_of_k)
    assert await _row_ids(db) == ["xa"]
    await store.close()

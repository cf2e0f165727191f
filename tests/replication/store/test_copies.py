"""Copies of a database that follow one journal are the same, whichever of them wrote."""

from __future__ import annotations

import asyncio
import random
import threading
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from replication.protocol.attachments import InlineAttachment, digest_of
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import SqliteDatabase, Writing
from replication.store.sqlite import copies as entries
from replication.store.values import KeyRange, RowSpan
from tests.replication.store.copied import Copies, same, step, tables
from tests.replication.store.row_maps import rows_of_k
from tests.replication.store.writes import branch, doc, edit, replicate


@pytest.fixture
async def copies(tmp_path: Path) -> AsyncIterator[Copies]:
    made = Copies(tmp_path)
    await made.add()
    await edit(made[0], "before")
    await made.add()
    yield made
    await made.close()


async def test_what_one_copy_writes_is_in_the_other(copies: Copies) -> None:
    rev = await edit(copies[0], "a", n=1)
    await copies[1].fresh()
    found = await copies[1].winner("a")
    assert found is not None
    assert found.rev == rev
    await edit(copies[1], "a", rev, n=2)
    assert await copies[1].write([doc("a", rev)]) != await copies[0].write([doc("b")])
    both = await same(copies)
    assert both["counters"][0][1] == copies[0].update_seq == copies[1].update_seq == 4


async def test_a_writer_sees_what_another_has_written_first(copies: Copies) -> None:
    copies.journal.silent = True
    rev = await edit(copies[0], "a")
    (again,) = await copies[1].write([doc("a")])
    assert isinstance(again, ProtocolError)
    assert again.error == "conflict"
    assert isinstance((await copies[1].write([doc("a", rev)]))[0], str)


async def test_feeds_of_other_copies_wake(copies: Copies) -> None:
    since = copies[1].update_seq
    waiting = asyncio.create_task(copies[1].wait_for_change(since))
    await asyncio.sleep(0)
    await edit(copies[0], "a")
    await asyncio.wait_for(waiting, 10)
    rows = await copies[1].change_rows(since, 10)
    assert [row.id for row in rows] == ["a"]
    assert await copies[1].pending(0) == 2
    assert await copies[1].count_before(KeyRange(start="b")) == 1


async def test_extensions_hear_what_others_said(copies: Copies) -> None:
    await edit(copies[0], "a")
    await copies[1].write([doc("b"), doc("c")])
    await same(copies)
    assert copies.heard[0].committed_notes[-1] == "a"
    assert copies.heard[1].played_notes[-1] == "a"
    assert copies.heard[0].played_notes == ["b,c"]


async def test_settings_follow(copies: Copies) -> None:
    await copies[0].set_security(b'{"admins":{"names":["x"]}}')
    await copies[0].set_revs_limit(7)
    await copies[0].set_purge_requests_limit(3)
    await copies[1].fresh()
    assert await copies[1].security() == b'{"admins":{"names":["x"]}}'
    assert await copies[1].revs_limit() == 7
    assert await copies[1].purge_requests_limit() == 3


async def test_each_copy_makes_its_indexes_and_purges_reach_all(copies: Copies) -> None:
    rev = await edit(copies[0], "a", k=["x"])
    await replicate(copies[0], branch("a", 2, "f" * 32, rev.partition("-")[2], k=["y"]))
    await same(copies)
    before = len(copies.journal.entries)
    for copy in (copies[0], copies[1]):
        await copy.refresh_rows("v", rows_of_k)
        assert [row.id for row in await copy.scan_rows("v", RowSpan())] == ["a"]
    assert len(copies.journal.entries) == before, "an index is nobody else's business"
    await copies[0].purge({"a": [(2, "f" * 32)]})
    await same(copies)
    assert await copies[1].scan_rows("v", RowSpan()) == []
    state = await copies[1].index_state("v")
    assert state is not None
    assert state.entries == 0


async def test_attachments_follow(copies: Copies) -> None:
    data = random.Random(1).randbytes(700_000)
    attached = InlineAttachment("x/y", data, digest_of(data))
    (rev,) = await copies[0].write([DocumentWrite("a", False, b"{}", None, attachments={"f": attached})])
    assert isinstance(rev, str)
    await copies[1].fresh()
    info = (await copies[1].attachments("a", parse_rev(rev)))["f"]
    assert b"".join([piece async for piece in copies[1].read_attachment(info)]) == data


async def test_what_is_forgotten_is_forgotten_in_every_file(copies: Copies) -> None:
    rev = await edit(copies[0], "a", text="Rike-Behn-0815")
    await edit(copies[0], "a", rev, text="nobody")

    def run(writing: Writing) -> None:
        with writing.overwriting():
            writing.forget("a")

    await same(copies)
    await copies[0].transact(run)
    assert await copies[0].scrub()
    await same(copies)
    for number in range(2):
        files = [path for path in (copies.directory / f"copy{number}").rglob("*") if path.is_file()]
        assert files
        assert not any(b"Rike-Behn-0815" in path.read_bytes() for path in files), number


async def test_an_unreachable_journal_refuses_writes_and_changes_nothing(copies: Copies) -> None:
    before = tables(copies[0])
    copies.journal.reachable = False
    with pytest.raises(ProtocolError) as caught:
        await copies[0].write([doc("a")])
    assert caught.value.status == 503
    with pytest.raises(ProtocolError) as caught:
        await copies[0].fresh()
    assert caught.value.status == 503
    assert tables(copies[0]) == before
    assert await copies[0].winner("before") is not None, "reading what is there goes on"
    copies.journal.reachable = True
    await edit(copies[0], "a")
    await same(copies)


async def test_an_append_whose_answer_is_lost_is_found_by_the_next_turn(copies: Copies) -> None:
    copies.journal.answers = False
    with pytest.raises(ProtocolError) as caught:
        await copies[0].write([doc("a")])
    assert caught.value.status == 503
    copies.journal.answers = True
    (again,) = await copies[0].write([doc("a")])
    assert isinstance(again, ProtocolError)
    assert again.error == "conflict", "it was written"
    await same(copies)


async def test_one_of_several_jobs_that_fails_leaves_no_trace(copies: Copies) -> None:
    def fail(writing: Writing) -> None:
        writing.write([doc("gone")])
        raise ValueError("no")

    done = await asyncio.gather(
        copies[0].write([doc("a")]),
        copies[0].transact(fail),
        copies[0].write([doc("b")]),
        return_exceptions=True,
    )
    assert isinstance(done[1], ValueError)
    found = await same(copies)
    assert [row[0] for row in found["docs"]] == ["a", "b", "before"]


async def at_rest(database: SqliteDatabase) -> None:
    """Nothing is played any more because of what was heard before."""
    follower = database._follower
    assert follower is not None
    await database.fresh()
    if follower._playing is not None:
        await follower._playing


async def test_a_copy_that_is_too_old_says_so(copies: Copies) -> None:
    copies.journal.silent = True
    await at_rest(copies[1])
    for number in range(4):
        await edit(copies[0], f"d{number}")
    copies.journal.forget(3)
    with pytest.raises(ProtocolError) as caught:
        await copies[1].write([doc("a")])
    assert caught.value.status == 503
    assert copies[1].lost is not None


async def test_a_copy_that_was_changed_behind_the_journal_says_so(copies: Copies) -> None:
    copies.journal.silent = True
    rev = await edit(copies[0], "a")
    await copies[1].fresh()
    await edit(copies[0], "a", rev, n=1)
    await copies[1]._write_own(  # as nobody should
        lambda transaction: transaction.connection.execute("UPDATE docs SET rev = '1-x' WHERE id = 'a'")
    )
    with pytest.raises(ProtocolError):
        await copies[1].fresh()
    assert "docs" in str(copies[1].lost)


@pytest.mark.slow
async def test_others_get_their_turn_while_a_large_entry_is_played(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[int] = []
    unpacked: list[int] = []
    during: list[int] = []
    apply, unpack = entries._apply, zlib.decompress

    def counted_from_here(packed: bytes) -> bytes:
        changes = unpack(packed)
        unpacked.append(len(turns))
        return changes

    def counted(*given: Any) -> None:
        apply(*given)
        during.append(len(turns) - unpacked[-1])

    def take_turns() -> None:
        while not done.wait(0.001):
            turns.append(1)

    done = threading.Event()
    other = threading.Thread(target=take_turns)
    other.start()
    try:
        monkeypatch.setattr(entries, "_apply", counted)
        monkeypatch.setattr(zlib, "decompress", counted_from_here)
        await copies[0].write([doc(f"large-{number}", text="x" * 6000) for number in range(3000)])
        await same(copies)
    finally:
        done.set()
        other.join()
    assert max(during) > 6


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_written_where_copies_are_the_same(copies: Copies, seed: int) -> None:
    source = random.Random(seed)
    await copies.add()
    for number in range(120):
        copies.journal.silent = source.random() < 0.5
        copies.journal.answers = source.random() > 0.05
        jobs = [step(source, copies[source.randrange(3)]) for _ in range(source.randrange(1, 4))]
        for result in await asyncio.gather(*jobs, return_exceptions=True):
            assert result is None or (isinstance(result, ProtocolError) and result.status == 503), result
        copies.journal.answers = True
        if number % 20 == 19:
            await same(copies)
    answers = []
    for number in range(3):
        await copies[number].fresh()
        await copies[number].refresh_rows("v", rows_of_k)
        rows = [(row.key, row.id) for row in await copies[number].scan_rows("v", RowSpan())]
        await copies[number].drop_indexes([])
        await copies[number].refresh_rows("v", rows_of_k)
        made_anew = [(row.key, row.id) for row in await copies[number].scan_rows("v", RowSpan())]
        assert rows == made_anew
        answers.append(
            (rows, await copies[number].pending(0), await copies[number].count_before(KeyRange(start="d5")))
        )
    assert answers[0] == answers[1] == answers[2]


async def test_a_copy_without_room_says_so_and_goes_on_when_there_is_some(
    copies: Copies, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = copies[0], copies[1]
    await b.fresh()
    writing = b._writer._connection  # the test plays the disk
    assert writing is not None
    writing.execute(f"PRAGMA max_page_count = {writing.pragma('page_count') + 2}")
    await edit(a, "big", text="x" * 100_000)
    for what in (b.fresh(), b.fresh(), edit(b, "c"), edit(b, "d")):
        with pytest.raises(ProtocolError) as caught:
            await what
        assert caught.value.status == 503
    told = [one for one in caplog.records if "can't take" in one.getMessage()]
    assert len(told) == 1, "not with every request"
    writing.execute("PRAGMA max_page_count = 1000000")
    await edit(b, "after")
    one, other = await copies.contents()
    assert one == other
    assert "Task exception" not in caplog.text


def damage(file: Path) -> None:
    """All but the first page."""
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xde\xad" * ((file.stat().st_size - 4096) // 2))


async def test_a_damaged_copy_is_lost(copies: Copies) -> None:
    a, b = copies[0], copies[1]
    for number in range(50):
        await edit(b, f"d{number:03}", text="x" * 500)
    writing = b._writer._connection  # the test plays the disk
    assert writing is not None
    writing.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    writing.execute("PRAGMA cache_size = 0")
    damage(Path(writing.filename))
    await edit(a, "after")
    with pytest.raises(ProtocolError) as caught:
        await b.fresh()
    assert caught.value.status == 503
    assert isinstance(b.lost, apsw.CorruptError)

"""What every driver of the store interface must do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from random import Random

import pytest

from replication.protocol import errors
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.interface import Database, Store
from replication.store.values import Document, IndexEntry, KeyRange, PartitionInfo
from tests.replication.store.writes import branch, doc, edit, replicate, status


async def _rows(db: Database, since: int = 0, **options: bool) -> list[dict[str, object]]:
    page = await db.changes(since, 1000, **options)
    rows: list[dict[str, object]] = json.loads(b"[" + page.rows + b"]")
    assert len(rows) == page.count
    return rows


# -- databases ---------------------------------------------------------------------------------


async def test_databases_are_listed_sorted(store: Store) -> None:
    for name in ("zoo", "a/b+c", "_users", "m"):
        await store.create(name)
    assert await store.names() == ["_users", "a/b+c", "m", "zoo"]


async def test_creating_twice_is_refused(store: Store) -> None:
    await store.create("one")
    with pytest.raises(ProtocolError) as caught:
        await store.create("one")
    assert caught.value.status == 412


@pytest.mark.parametrize("name", ["", "A", "1a", "_x", "a b", "ä", "../x", "a" * 239])
async def test_bad_database_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        await store.create(name)
    assert caught.value.status == 400
    assert await store.names() == []


async def test_unknown_database(store: Store) -> None:
    with pytest.raises(ProtocolError) as caught:
        store.get("nothing")
    assert caught.value.status == 404
    with pytest.raises(ProtocolError):
        await store.delete("nothing")


async def test_deleted_database_is_gone_and_comes_back_empty(store: Store) -> None:
    db = await store.create("one")
    await edit(db, "a")
    old_epoch = db.epochs.current
    await store.delete("one")
    with pytest.raises(ProtocolError) as caught:
        await db.winner("a")
    assert caught.value.status == 404
    again = await store.create("one")
    assert await again.winner("a") is None
    assert again.epochs.current != old_epoch


async def test_info_counts_documents_and_deletions(db: Database) -> None:
    rev = await edit(db, "a")
    await edit(db, "b")
    await edit(db, "a", rev, _deleted=True)
    info = await db.info()
    assert (info.doc_count, info.deleted_count, info.update_seq) == (1, 1, 3)


# -- partitions --------------------------------------------------------------------------------


async def test_a_database_is_partitioned_or_not_from_its_beginning(store: Store) -> None:
    assert not (await store.create("flat")).partitioned
    assert (await store.create("part", partitioned=True)).partitioned
    assert store.get("part").partitioned


async def test_a_partitioned_database_refuses_ids_without_a_partition(store: Store) -> None:
    db = await store.create("part", partitioned=True)
    outcomes = await db.write([doc("x"), doc("p:1"), doc(":1"), doc("p:"), doc("p:_1"), doc("_design/x")])
    assert [isinstance(outcome, str) for outcome in outcomes] == [False, True, False, False, False, True]
    (outcome,) = await db.write([branch("x", 1, "a")], replicated=True)
    assert status(outcome) == (400, "illegal_docid")
    assert await db.put_local("x", 0, b"{}") == "0-1"
    assert [change["id"] for change in await _rows(db)] == ["p:1", "_design/x"]


async def test_facts_of_a_partition_are_those_of_its_documents(store: Store) -> None:
    db = await store.create("part", partitioned=True)
    nothing = PartitionInfo(0, 0, 0, 0)
    assert await db.partition_info("p") == nothing
    rev = await edit(db, "p:1")
    await edit(db, "p:2", text="x" * 1000)
    for docid in ("p", "p!:1", "p;:1", "q:1", "o:1", "P:1"):
        await db.write([doc(docid)])
    await edit(db, "p:1", rev, _deleted=True)
    await replicate(db, branch("p:2", 1, "other", text="y" * 500))
    found = await db.partition_info("p")
    assert (found.doc_count, found.deleted_count) == (1, 1)
    assert 1500 < found.external_size < found.active_size < 2000
    assert (await db.partition_info("q")).doc_count == 1
    assert await db.partition_info("none") == nothing


# -- new edits ---------------------------------------------------------------------------------


async def test_a_new_document_starts_at_generation_one(db: Database) -> None:
    rev = await edit(db, "a", x=1)
    assert rev.startswith("1-")
    found = await db.winner("a")
    assert found is not None
    assert json.loads(found.text) == {"_id": "a", "_rev": rev, "x": 1}
    assert json.loads(found.revisions) == {"start": 1, "ids": [rev[2:]]}


async def test_an_edit_must_name_the_leaf(db: Database) -> None:
    first = await edit(db, "a", x=1)
    second = await edit(db, "a", first, x=2)
    assert second.startswith("2-")
    for bad in (None, first, "1-abc", "3-abc"):
        [result] = await db.write([doc("a", bad, x=3)])
        assert status(result) == (409, "conflict")
    found = await db.winner("a")
    assert found is not None
    assert found.rev == second


async def test_an_edit_of_an_unknown_document_with_a_revision_conflicts(db: Database) -> None:
    [result] = await db.write([doc("a", "1-abc")])
    assert status(result) == (409, "conflict")
    assert await db.winner("a") is None


async def test_a_document_without_revision_follows_the_tombstone(db: Database) -> None:
    first = await edit(db, "a")
    second = await edit(db, "a", first, _deleted=True)
    third = await edit(db, "a", x=1)
    assert third.startswith("3-")
    found = await db.winner("a")
    assert found is not None
    assert json.loads(found.revisions)["ids"] == [third[2:], second[2:], first[2:]]
    info = await db.info()
    assert (info.doc_count, info.deleted_count) == (1, 0)


async def test_a_deleted_document_is_not_edited_by_its_tombstone(db: Database) -> None:
    first = await edit(db, "a")
    second = await edit(db, "a", first, _deleted=True)
    for write in (doc("a", second, x=1), doc("a", first, x=1), doc("a", _deleted=True)):
        [result] = await db.write([write])
        assert status(result) == (409, "conflict")
    found = await db.winner("a")
    assert found is not None
    assert found.rev == second


async def test_the_second_of_two_writes_of_one_document_in_a_batch_conflicts(db: Database) -> None:
    one, two = await db.write([doc("a", x=1), doc("a", x=2)])
    assert isinstance(one, str)
    assert status(two) == (409, "conflict")


async def test_one_refused_document_leaves_the_others(db: Database) -> None:
    await edit(db, "a")
    results = await db.write([doc("b"), doc("a"), doc("c")])
    assert [isinstance(result, str) for result in results] == [True, False, True]
    assert (await db.info()).doc_count == 3


async def test_the_check_sees_the_winner_and_may_refuse(db: Database) -> None:
    rev = await edit(db, "a", x=1)
    seen: list[tuple[str, bytes | None]] = []

    def check(write: DocumentWrite, winner: Document | None) -> None:
        seen.append((write.id, None if winner is None else winner.text))
        if write.id == "b":
            raise errors.forbidden("no b")

    results = await db.write([doc("a", rev, x=2), doc("b")], check=check)
    assert isinstance(results[0], str)
    assert status(results[1]) == (403, "forbidden")
    assert seen[0][0] == "a"
    assert json.loads(seen[0][1] or b"")["x"] == 1
    assert seen[1] == ("b", None)
    assert await db.winner("b") is None


async def test_many_writers_at_once_all_get_their_answers(db: Database) -> None:
    results = await asyncio.gather(*(db.write([doc(f"d{i}"), doc("same", n=i)]) for i in range(60)))
    assert sum(isinstance(second, str) for _, second in results) == 1
    assert all(isinstance(first, str) for first, _ in results)
    info = await db.info()
    assert (info.doc_count, info.update_seq) == (61, 61)


# -- replicated writes -------------------------------------------------------------------------


async def test_a_replicated_revision_keeps_its_id_and_history(db: Database) -> None:
    await replicate(db, branch("a", 3, "c", "b", "a", x=1))
    found = await db.winner("a")
    assert found is not None
    assert found.rev == "3-c"
    assert json.loads(found.revisions) == {"start": 3, "ids": ["c", "b", "a"]}


async def test_a_known_revision_is_no_change(db: Database) -> None:
    await replicate(db, branch("a", 3, "c", "b", "a"))
    seq = db.update_seq
    await replicate(db, branch("a", 3, "c", "b", "a", x="other"), branch("a", 2, "b", "a"))
    assert db.update_seq == seq


async def test_a_branch_makes_a_conflict_with_the_same_winner_in_any_order(store: Store) -> None:
    one, two = await store.create("one"), await store.create("two")
    first, second = branch("a", 2, "x", "r", n=1), branch("a", 2, "y", "r", n=2)
    await replicate(one, first, second)
    await replicate(two, second)
    await replicate(two, first)
    for db in (one, two):
        leaves = await db.leaves("a")
        assert [leaf.rev for leaf in leaves] == ["2-y", "2-x"]
        assert [json.loads(leaf.text)["n"] for leaf in leaves] == [2, 1]
        assert json.loads(leaves[1].revisions) == {"start": 2, "ids": ["x", "r"]}
        assert leaves[0].conflicted


async def test_an_extension_of_the_losing_branch_may_win(db: Database) -> None:
    await replicate(db, branch("a", 2, "y", "r", n=2), branch("a", 2, "x", "r", n=1))
    await replicate(db, branch("a", 3, "z", "x", "r", n=3))
    assert [leaf.rev for leaf in await db.leaves("a")] == ["3-z", "2-y"]
    [old] = await db.revision("a", (2, "x"))
    assert json.loads(old.text)["n"] == 1


async def test_deleting_the_winner_shows_the_other_leaf(db: Database) -> None:
    await replicate(db, branch("a", 2, "y", "r", n=2), branch("a", 2, "x", "r", n=1))
    await edit(db, "a", "2-y", _deleted=True)
    found = await db.winner("a")
    assert found is not None
    assert found.rev == "2-x"
    info = await db.info()
    assert (info.doc_count, info.deleted_count) == (1, 0)
    await edit(db, "a", "2-x", _deleted=True)
    info = await db.info()
    assert (info.doc_count, info.deleted_count) == (0, 1)


async def test_new_edits_may_extend_any_leaf(db: Database) -> None:
    await replicate(db, branch("a", 2, "y", "r"), branch("a", 2, "x", "r"))
    rev = await edit(db, "a", "2-x", n=5)
    assert rev.startswith("3-")
    found = await db.winner("a")
    assert found is not None
    assert found.rev == rev


async def test_revisions_beyond_the_limit_are_forgotten(db: Database) -> None:
    await db.set_revs_limit(3)
    rev = None
    revs = []
    for n in range(6):
        rev = await edit(db, "a", rev, n=n)
        revs.append(rev)
    found = await db.winner("a")
    assert found is not None
    assert json.loads(found.revisions) == {"start": 6, "ids": [r[2:] for r in revs[:2:-1]]}
    assert await db.revision("a", parse_rev(revs[0])) == []
    await replicate(db, branch("b", 6, "f", "e", "d", "c", "b", "a"))
    other = await db.winner("b")
    assert other is not None
    assert json.loads(other.revisions) == {"start": 6, "ids": ["f", "e", "d"]}


async def test_a_history_longer_than_the_limit_still_says_what_it_follows(db: Database) -> None:
    await db.set_revs_limit(2)
    await replicate(db, branch("a", 1, "a"), branch("b", 1, "a"), branch("b", 1, "z"))
    await replicate(db, branch("a", 4, "d", "c", "b", "a"), branch("b", 4, "d", "c", "b", "a"))
    assert [leaf.rev for leaf in await db.leaves("a")] == ["4-d"]
    assert [leaf.rev for leaf in await db.leaves("b")] == ["4-d", "1-z"]
    for name in "ab":
        found = await db.winner(name)
        assert found is not None
        assert json.loads(found.revisions) == {"start": 4, "ids": ["d", "c"]}


async def test_missing_revisions(db: Database) -> None:
    await replicate(db, branch("a", 3, "c", "b", "a"), branch("a", 2, "x", "a"))
    answer = await db.missing_revisions(
        {
            "a": [(3, "c"), (2, "b"), (1, "a")],
            "b": [(1, "q")],
            "c": [],
        }
    )
    assert {docid: tuple(missing) for docid, missing in answer.items()} == {"b": (["1-q"], [])}
    answer = await db.missing_revisions({"a": [(3, "d"), (2, "b")]})
    assert tuple(answer["a"]) == (["3-d"], ["2-x"])
    answer = await db.missing_revisions({"a": [(4, "d")]})
    assert tuple(answer["a"]) == (["4-d"], ["3-c", "2-x"])


async def test_bulk_get_answers_in_order(db: Database) -> None:
    await replicate(
        db,
        branch("a", 2, "y", "r"),
        branch("a", 2, "x", "r"),
        branch("a", 3, "z", "x", "r"),
        branch("b", 1, "q"),
    )
    answers = await db.bulk_get(
        [
            ("b", None),
            ("a", (2, "y")),
            ("none", None),
            ("none", (1, "x")),
            ("a", None),
            ("a", (2, "x")),
            ("a", (9, "x")),
        ]
    )
    assert [[found.rev for found in answer] for answer in answers] == [
        ["1-q"],
        ["2-y"],
        [],
        ["1-x"],
        ["3-z", "2-y"],
        ["2-x"],
        ["9-x"],
    ]
    assert not isinstance(answers[6][0], Document)
    [latest] = await db.bulk_get([("a", (1, "r"))], latest=True)
    assert [found.rev for found in latest] == ["3-z", "2-y"]


# -- the feed ----------------------------------------------------------------------------------


async def test_the_feed_has_one_row_per_document_at_its_latest_change(db: Database) -> None:
    rev = await edit(db, "a")
    await edit(db, "b")
    rev = await edit(db, "a", rev, x=1)
    rows = await _rows(db)
    assert [(row["seq"], row["id"]) for row in rows] == [
        (db.epochs.format(2), "b"),
        (db.epochs.format(3), "a"),
    ]
    assert rows[1]["changes"] == [{"rev": rev}]
    assert [row["id"] for row in await _rows(db, 2)] == ["a"]
    assert await _rows(db, 3) == []


async def test_the_feed_marks_deletions_and_lists_all_leaves(db: Database) -> None:
    await replicate(db, branch("a", 2, "y", "r"), branch("a", 2, "x", "r"))
    await edit(db, "b", _deleted=True)
    first, *_ = await _rows(db)
    assert first["changes"] == [{"rev": "2-y"}]
    rows = await _rows(db, all_leaves=True)
    assert rows[0]["changes"] == [{"rev": "2-y"}, {"rev": "2-x"}]
    assert "deleted" not in rows[0]
    assert rows[1]["deleted"] is True
    changes = await db.change_rows(0, 10, all_leaves=True)
    assert changes[0].revs == ("2-y", "2-x")
    assert changes[1].deleted


async def test_the_feed_backwards_and_with_documents(db: Database) -> None:
    for name in "abc":
        await edit(db, name, n=name)
    page = await db.changes(db.update_seq + 1, 2, descending=True, include_docs=True)
    rows = json.loads(b"[" + page.rows + b"]")
    assert [row["doc"]["n"] for row in rows] == ["c", "b"]
    assert page.last_seq == 2


async def test_the_feed_of_chosen_documents(db: Database) -> None:
    for name in "abcd":
        await edit(db, name)
    changes = await db.change_rows(1, 10, docids=["d", "b", "nope", "a", "b"], include_docs=True)
    assert [(change.seq, change.id) for change in changes] == [(2, "b"), (4, "d")]
    assert changes[0].doc is not None


async def test_odd_ids_come_out_as_they_went_in(db: Database) -> None:
    ids = ['"', "\\", "a/b", "ä€😀", "\x01", "a+b", '","changes":[{"rev":"9-x"}]', "\u2028", " "]
    for name in ids:
        await edit(db, name)
    assert [row["id"] for row in await _rows(db)] == ids
    assert [change.id for change in await db.change_rows(0, 100)] == ids
    assert all(change.revs[0].startswith("1-") for change in await db.change_rows(0, 100))
    listed = json.loads(b"[" + (await db.all_docs(KeyRange())).rows + b"]")
    assert [row["id"] for row in listed] == sorted(ids, key=lambda text: text.encode())


async def test_pending_counts_what_comes_after(db: Database) -> None:
    await db.write([doc(f"d{i}") for i in range(5000)])
    assert await db.pending(0) == 5000
    assert await db.pending(2999) == 2001
    found = await db.winner("d0")
    assert found is not None
    await edit(db, "d0", found.rev, x=1)
    assert await db.pending(0) == 5000
    assert await db.pending(1) == 5000
    assert await db.pending(4999) == 2
    assert await db.pending(db.update_seq) == 0


async def test_waiting_ends_with_a_change(db: Database) -> None:
    waiter = asyncio.create_task(db.wait_for_change(0))
    await asyncio.sleep(0.01)
    assert not waiter.done()
    await edit(db, "a")
    await asyncio.wait_for(waiter, 5)
    await asyncio.wait_for(db.wait_for_change(0), 5)


async def test_waiting_ends_with_the_database(store: Store) -> None:
    db = await store.create("gone")
    waiter = asyncio.create_task(db.wait_for_change(0))
    await asyncio.sleep(0.01)
    await store.delete("gone")
    await asyncio.wait_for(waiter, 5)


async def test_a_local_document_wakes_nobody(db: Database) -> None:
    waiter = asyncio.create_task(db.wait_for_change(0))
    await db.put_local("x", 0, b"{}")
    await asyncio.sleep(0.02)
    assert not waiter.done()
    waiter.cancel()


async def test_a_reader_that_goes_on_misses_nothing(db: Database) -> None:
    """Writers and a reader that pages at the same time: at the end he has seen every last change."""
    seen: dict[str, str] = {}
    done = False

    async def read() -> None:
        since = 0
        while True:
            finished = done
            rows = await db.change_rows(since, 7)
            for change in rows:
                assert change.seq > since
                since = change.seq
                seen[change.id] = change.revs[0]
            if not rows:
                if finished:
                    return
                await asyncio.sleep(0)

    async def write(worker: int) -> None:
        revs: dict[str, str] = {}
        for n in range(60):
            name = f"{worker}-{n % 7}"
            revs[name] = await edit(db, name, revs.get(name), n=n)

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write(worker) for worker in range(4)))
    done = True
    await reader
    for name, rev in seen.items():
        found = await db.winner(name)
        assert found is not None
        assert found.rev == rev
    assert len(seen) == 28


# -- listings ----------------------------------------------------------------------------------


async def test_all_docs_in_order_of_bytes_without_deleted_ones(db: Database) -> None:
    for name in ("b", "a", "ä", "B", "_design/x", "c"):
        await edit(db, name)
    found = await db.winner("c")
    assert found is not None
    await edit(db, "c", found.rev, _deleted=True)
    page = await db.all_docs(KeyRange())
    assert [row["id"] for row in json.loads(b"[" + page.rows + b"]")] == ["B", "_design/x", "a", "b", "ä"]
    assert page.last_id == "ä"


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (KeyRange("b", "d"), "bcd"),
        (KeyRange("b", "d", inclusive_end=False), "bc"),
        (KeyRange("d", "b", descending=True), "dcb"),
        (KeyRange("d", "b", inclusive_end=False, descending=True), "dc"),
        (KeyRange(None, "b"), "ab"),
        (KeyRange("d", None), "de"),
        (KeyRange(None, None, descending=True), "edcba"),
        (KeyRange("d", "b"), ""),
    ],
)
async def test_ranges(db: Database, span: KeyRange, expected: str) -> None:
    await db.write([doc(name) for name in "edcba"])
    page = await db.all_docs(span, include_docs=True)
    rows = json.loads(b"[" + page.rows + b"]")
    assert "".join(row["doc"]["_id"] for row in rows) == expected
    assert page.count == len(expected)
    assert "".join(found.id for found in await db.documents(span)) == expected
    assert "".join(found.id for found in await db.documents(span, skip=1, limit=2)) == expected[1:3]


async def test_count_before_a_range(db: Database) -> None:
    await db.write([doc(name) for name in "abcde"])
    assert await db.count_before(KeyRange("c")) == 2
    assert await db.count_before(KeyRange("c", descending=True)) == 2
    assert await db.count_before(KeyRange("bb")) == 2
    assert await db.count_before(KeyRange("bb", descending=True)) == 3
    assert await db.count_before(KeyRange()) == 0


async def test_count_before_follows_every_change(db: Database) -> None:
    random = Random(5)
    live: set[str] = set()
    for step in range(30):
        names = [f"{random.randrange(10**6):06d}" for _ in range(400 if step % 10 else 3000)]
        for name, result in zip(names, await db.write([doc(name) for name in names]), strict=True):
            if isinstance(result, str):
                live.add(name)
        for name in random.sample(sorted(live), 20):
            found = await db.winner(name)
            assert found is not None
            if random.random() < 0.5:
                await edit(db, name, found.rev, _deleted=True)
            else:
                await db.purge({name: [parse_rev(found.rev)]})
            live.discard(name)
        probe = f"{random.randrange(10**6):06d}"
        assert await db.count_before(KeyRange(probe)) == sum(name < probe for name in live)
        assert await db.count_before(KeyRange(probe, descending=True)) == sum(name > probe for name in live)
    assert (await db.info()).doc_count == len(live)


# -- local documents ---------------------------------------------------------------------------


async def test_local_documents_count_by_one_and_are_not_in_the_feed(db: Database) -> None:
    assert await db.local("x") is None
    assert await db.put_local("x", 0, b'{"a":1}') == "0-1"
    assert await db.put_local("x", 1, b'{"a":2}') == "0-2"
    found = await db.local("x")
    assert found is not None
    assert json.loads(found.text) == {"_id": "_local/x", "_rev": "0-2", "a": 2}
    assert [one.id for one in await db.local_documents(KeyRange())] == ["x"]
    assert db.update_seq == 0
    assert await db.delete_local("x")
    assert not await db.delete_local("x")


# -- attachments -------------------------------------------------------------------------------


async def _read(
    db: Database, docid: str, rev: str, name: str, start: int = 0, end: int | None = None
) -> bytes:
    info = (await db.attachments(docid, parse_rev(rev)))[name]
    return b"".join([piece async for piece in db.read_attachment(info, start, end)])


async def test_an_attachment_lives_on_as_a_stub(db: Database) -> None:
    rev = await edit(db, "a", _attachments={"t": {"data": "aGVsbG8=", "content_type": "text/plain"}})
    rev = await edit(db, "a", rev, n=1, _attachments={"t": {"stub": True}})
    found = await db.winner("a")
    assert found is not None
    assert json.loads(found.text)["_attachments"]["t"] == {
        "content_type": "text/plain",
        "revpos": 1,
        "digest": "md5-XUFAKrxLKna5cZ2REBfFkg==",
        "length": 5,
        "stub": True,
    }
    assert await _read(db, "a", rev, "t") == b"hello"
    assert await _read(db, "a", rev, "t", 1, 3) == b"el"
    rev = await edit(db, "a", rev, n=2)
    assert await db.attachments("a", parse_rev(rev)) == {}


@pytest.mark.parametrize(
    "stub", [{"stub": True}, {"stub": True, "digest": "md5-AAAA"}, {"stub": True, "revpos": 7}]
)
async def test_a_stub_without_its_data_is_refused(db: Database, stub: dict[str, object]) -> None:
    [result] = await db.write([doc("new", _attachments={"t": stub})])
    assert status(result) == (412, "missing_stub")
    rev = await edit(db, "a", _attachments={"u" if len(stub) == 1 else "t": {"data": "aGVsbG8="}})
    [result] = await db.write([doc("a", rev, _attachments={"t": stub})])
    assert status(result) == (412, "missing_stub")
    assert db.update_seq == 1


async def test_a_stub_does_not_reach_into_other_documents(db: Database) -> None:
    await edit(db, "a", _attachments={"t": {"data": "aGVsbG8="}})
    digest = "md5-XUFAKrxLKna5cZ2REBfFkg=="
    [result] = await db.write([doc("b", _attachments={"t": {"stub": True, "digest": digest}})])
    assert status(result) == (412, "missing_stub")


async def test_staged_bytes_become_an_attachment(db: Database) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for n in range(40):
            yield bytes([n]) * 25_000

    staged = await db.stage_attachment(chunks(), content_type="application/x-test")
    assert staged.length == 1_000_000
    write = doc("a")
    write.attachments = {"big": staged}
    [rev] = await db.write([write])
    assert isinstance(rev, str)
    data = await _read(db, "a", rev, "big")
    assert data == b"".join(bytes([n]) * 25_000 for n in range(40))
    assert await _read(db, "a", rev, "big", 262_000, 262_500) == data[262_000:262_500]
    await db.compact()
    assert await _read(db, "a", rev, "big") == data


async def test_an_upload_that_breaks_off_leaves_nothing(db: Database) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await db.stage_attachment(chunks(), content_type="x/y")
    await db.compact()
    assert (await db.info()).active_size < 300_000


async def test_discarded_bytes_are_gone_unless_a_document_has_them(db: Database) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 600_000

    kept = await db.stage_attachment(chunks(), content_type="x/y")
    dropped = await db.stage_attachment(chunks(), content_type="x/y")
    write = doc("a")
    write.attachments = {"f": kept}
    [rev] = await db.write([write])
    assert isinstance(rev, str)
    before = (await db.info()).active_size
    await db.discard_attachments([kept, dropped])
    assert before - (await db.info()).active_size > 500_000
    assert await _read(db, "a", rev, "f") == b"x" * 600_000


# -- purge and compaction ----------------------------------------------------------------------


async def test_a_purged_document_leaves_no_trace(db: Database) -> None:
    rev = await edit(db, "a", _attachments={"t": {"data": "aGVsbG8="}})
    await edit(db, "b")
    assert await db.purge({"a": [parse_rev(rev)], "nope": [(1, "x")]}) == {"a": [rev], "nope": []}
    assert await db.winner("a") is None
    assert [row["id"] for row in await _rows(db)] == ["b"]
    info = await db.info()
    assert (info.doc_count, info.purge_seq) == (1, 1)
    assert await db.pending(0) == 1
    assert (await edit(db, "a")).startswith("1-")


async def test_purging_one_leaf_shows_the_document_again(db: Database) -> None:
    await replicate(db, branch("a", 2, "y", "r", n=2), branch("a", 2, "x", "r", n=1))
    await edit(db, "b")
    assert await db.purge({"a": [(2, "y"), (1, "r")]}) == {"a": ["2-y"]}
    assert [row["id"] for row in await _rows(db)] == ["b", "a"]
    [leaf] = await db.leaves("a")
    assert leaf.rev == "2-x"
    assert json.loads(leaf.revisions) == {"start": 2, "ids": ["x", "r"]}


async def test_waiting_at_the_end_goes_on_after_a_purge(db: Database) -> None:
    rev = await edit(db, "a")
    await db.purge({"a": [parse_rev(rev)]})
    waiter = asyncio.create_task(db.wait_for_change(1))
    await asyncio.sleep(0.02)
    assert not waiter.done()
    await edit(db, "b")
    await asyncio.wait_for(waiter, 5)


async def test_compaction_keeps_leaves_and_drops_ancestors(db: Database) -> None:
    rev = first = await edit(db, "a", blob="x" * 1000)
    for n in range(200):
        rev = await edit(db, "a", rev, n=n, blob="y" * 5000)
    await replicate(db, branch("c", 2, "y", "r", n=2), branch("c", 2, "x", "r", n=1))
    assert await db.revision("a", parse_rev(first)) != []
    before = await db.info()
    await db.compact()
    after = await db.info()
    assert after.file_size < before.file_size / 2
    assert after.external_size < before.external_size / 10
    assert await db.revision("a", parse_rev(first)) == []
    assert await db.missing_revisions({"a": [parse_rev(first)]}) == {}
    found = await db.winner("a")
    assert found is not None
    assert found.rev == rev
    assert len(await db.leaves("c")) == 2


# -- indexes -----------------------------------------------------------------------------------


async def _scan(
    db: Database, low: bytes = b"", high: bytes | None = None, **options: object
) -> list[IndexEntry]:
    return await db.scan_index("s", low, high, **options)  # type: ignore[arg-type]


async def test_an_index_follows_the_documents(db: Database) -> None:
    def mapper(value: object) -> list[bytes]:
        assert isinstance(value, dict)
        return [b"%04d" % value["n"]] if "n" in value else []

    rev = await edit(db, "a", n=3)
    await db.write([doc("b", n=1), doc("c", x=1), doc("d", n=2)])
    await db.refresh_index("s", mapper)
    assert [entry.id for entry in await _scan(db)] == ["b", "d", "a"]
    rev = await edit(db, "a", rev, n=0)
    found = await db.winner("b")
    assert found is not None
    await edit(db, "b", found.rev, _deleted=True)
    await db.refresh_index("s", mapper)
    assert [entry.id for entry in await _scan(db)] == ["a", "d"]
    await db.purge({"a": [parse_rev(rev)]})
    await db.refresh_index("s", mapper)
    assert [entry.id for entry in await _scan(db)] == ["d"]
    await db.drop_indexes([])
    assert await _scan(db) == []


async def test_scanning_an_index_by_range_and_page(db: Database) -> None:
    await db.write([doc(f"d{n:03d}", n=n // 2) for n in range(20)])
    await db.refresh_index("s", lambda value: [b"%04d" % value["n"]])
    entries = await _scan(db, b"0002", b"0005")
    assert [entry.id for entry in entries] == ["d004", "d005", "d006", "d007", "d008", "d009"]
    assert await _scan(db, b"0002", b"0005", after=entries[2]) == entries[3:]
    backwards = await _scan(db, b"0002", b"0005", descending=True)
    assert backwards == entries[::-1]
    assert await _scan(db, b"0002", b"0005", descending=True, after=backwards[1], limit=2) == backwards[2:4]
    assert await _scan(db, b"0002", b"0005", skip=1, limit=1) == entries[1:2]


# -- keeping -----------------------------------------------------------------------------------


async def test_security_and_limits_are_kept(db: Database) -> None:
    await db.set_security(b'{"admins":{"names":["x"]}}')
    await db.set_revs_limit(7)
    assert await db.security() == b'{"admins":{"names":["x"]}}'
    assert await db.revs_limit() == 7


async def test_requests_to_purge_are_remembered_up_to_a_limit(store: Store) -> None:
    db = await store.create("db")
    rev = parse_rev("1-" + "a" * 32)
    await db.purge({"one": [rev]})
    await db.purge({"two": [rev], "three": [rev]})
    await db.purge({"one": [rev]})
    assert [request.id for request in await db.purge_requests()] == ["two", "three", "one"]
    assert (await db.purge_requests())[0].revs == ["1-" + "a" * 32]
    assert await db.purge_requests_limit() == 1000
    await db.set_purge_requests_limit(1)
    assert [request.id for request in await db.purge_requests()] == ["one"]
    await db.purge({"four": [rev]})
    assert [request.id for request in await db.purge_requests()] == ["four"]

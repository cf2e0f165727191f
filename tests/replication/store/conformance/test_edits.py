"""What every driver does: new edits of documents."""

from __future__ import annotations

import asyncio
import json

from replication.protocol import errors
from replication.protocol.documents import DocumentWrite
from replication.store.interface import Database
from replication.store.values import Document
from tests.replication.store.writes import doc, edit, status


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

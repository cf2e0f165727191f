"""What every driver does: revisions that come from elsewhere, with their history."""

from __future__ import annotations

import json

from replication.protocol.revisions import parse_rev
from replication.store.interface import Database, Store
from replication.store.values import Document
from tests.replication.store.writes import branch, edit, replicate


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


async def test_which_revisions_have_bodies_and_which_are_deletions(db: Database) -> None:
    first = await edit(db, "a", n=1)
    second = await edit(db, "a", first, _deleted=True)
    one, two = parse_rev(first), parse_rev(second)
    assert await db.available("a") == {one: False, two: True}
    third = await edit(db, "a", n=3)
    await replicate(db, branch("a", 2, "x", one[1]), branch("a", 7, "z", "y", "w", deleted=True))
    assert await db.available("a") == {
        one: False,
        two: True,
        parse_rev(third): False,
        (2, "x"): False,
        (7, "z"): True,
    }
    assert await db.available("none") == {}

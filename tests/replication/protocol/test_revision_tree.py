"""The revision tree as a set that only grows: laws of merging, the winner, stemming, storage."""

from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.protocol.errors import ProtocolError
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import (
    Path,
    Rev,
    format_rev,
    new_revision_hash,
    parse_rev,
    parse_revisions,
)
from tests.examples import examples

Branch = tuple[Path, bool]


@st.composite
def branches(draw: st.DrawFn) -> list[Branch]:
    """Branches of one true history: each revision has one parent, some histories are cut short."""
    size = draw(st.integers(1, 12))
    parent_of: dict[Rev, Rev | None] = {}
    nodes: list[Rev] = []
    for index in range(size):
        parent = draw(st.sampled_from([None, *nodes]))
        node = ((parent[0] if parent else 0) + 1, f"{index:x}")
        parent_of[node] = parent
        nodes.append(node)
    gone = {node: draw(st.booleans()) for node in nodes}
    found: list[Branch] = []
    for node in draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=8)):
        ids, at = [node[1]], parent_of[node]
        keep = draw(st.integers(1, size))
        while at is not None and len(ids) < keep:
            ids.append(at[1])
            at = parent_of[at]
        found.append((Path(node[0], ids), gone[node]))
    return found


def tree_of(items: list[Branch]) -> RevisionTree:
    tree = RevisionTree.of(*items[0])
    for path, deleted in items[1:]:
        tree.merge(RevisionTree.of(path, deleted))
    return tree


def merged(*trees: RevisionTree) -> RevisionTree:
    result = trees[0].copy()
    for other in trees[1:]:
        result.merge(other)
    return result


@given(branches(), branches())
def test_merge_is_commutative(a: list[Branch], b: list[Branch]) -> None:
    assert merged(tree_of(a), tree_of(b)) == merged(tree_of(b), tree_of(a))


@given(branches(), branches(), branches())
def test_merge_is_associative(a: list[Branch], b: list[Branch], c: list[Branch]) -> None:
    x, y, z = tree_of(a), tree_of(b), tree_of(c)
    assert merged(merged(x, y), z) == merged(x, merged(y, z))


@given(branches())
def test_merge_is_idempotent(a: list[Branch]) -> None:
    tree = tree_of(a)
    assert merged(tree, tree) == tree


@given(branches(), st.randoms(use_true_random=False))
def test_winner_does_not_depend_on_the_order_of_arrival(items: list[Branch], random: Random) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)
    assert tree_of(items).leaves() == tree_of(shuffled).leaves()


@given(branches(), st.integers(1, 6))
def test_stemming_keeps_leaves_and_winner(items: list[Branch], limit: int) -> None:
    tree = tree_of(items)
    leaves, winner = tree.leaves(), tree.winner()
    size = len(tree)
    gone = tree.stem(limit)
    assert tree.leaves() == leaves
    assert tree.winner() == winner
    assert len(tree) + len(gone) == size
    assert all(len(tree.path(leaf).ids) <= limit for leaf in leaves) or len(leaves) > 1


@given(branches(), st.integers(1, 6))
def test_stemming_leaves_the_last_revisions_of_every_branch(items: list[Branch], limit: int) -> None:
    tree = tree_of(items)
    before = {leaf: tree.path(leaf).ids[:limit] for leaf in tree.leaves()}
    tree.stem(limit)
    for leaf, ids in before.items():
        assert list(tree.path(leaf).ids[: len(ids)]) == list(ids)


@given(branches())
def test_stored_form_gives_the_tree_back(items: list[Branch]) -> None:
    tree = tree_of(items)
    assert RevisionTree.from_json(tree.to_json()) == tree


@given(
    st.integers(2, 4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.integers(0, 9)), max_size=25),
)
@settings(max_examples=examples(200))
def test_replicas_with_random_edits_and_partial_replications_converge(
    count: int, steps: list[tuple[int, int, bool, int]]
) -> None:
    first = RevisionTree.of(Path(1, ["0"]), False)
    replicas = [first.copy() for _ in range(count)]
    for number, (at, to, deleted, pick) in enumerate(steps):
        here, there = replicas[at % count], replicas[to % count]
        leaves = here.leaves()
        if pick < 5:
            parent = leaves[pick % len(leaves)]
            path = here.path(parent)
            here.add(Path(parent[0] + 1, [f"{number:x}e", *path.ids]), deleted)
        else:
            leaf = leaves[pick % len(leaves)]
            there.add(here.path(leaf), here.is_deleted(leaf))
    for here in replicas:
        for there in replicas:
            for leaf in here.leaves():
                there.add(here.path(leaf), here.is_deleted(leaf))
    for here in replicas[1:]:
        assert here.leaves() == replicas[0].leaves()
        assert here.winner() == replicas[0].winner()
        assert here == replicas[0]


def test_a_live_leaf_wins_over_a_deleted_one_of_a_higher_generation() -> None:
    tree = RevisionTree.of(Path(2, ["a", "r"]), False)
    tree.add(Path(5, ["z", "y", "x", "b", "r"]), True)
    assert tree.winner() == (2, "a")
    assert tree.leaves() == [(2, "a"), (5, "z")]


def test_generations_compare_as_numbers() -> None:
    tree = RevisionTree.of(Path(9, ["f"]), False)
    tree.add(Path(10, ["a"]), False)
    assert tree.winner() == (10, "a")


def test_contradicting_parents_make_no_leaf_of_either() -> None:
    tree = RevisionTree.of(Path(3, ["c", "b", "a"]), False)
    tree.merge(RevisionTree.of(Path(3, ["c", "x", "a"]), False))
    assert tree.leaves() == [(3, "c")]
    assert not tree.is_linear()
    assert RevisionTree.from_json(tree.to_json()) == tree


def test_known_revision_changes_nothing() -> None:
    tree = RevisionTree.of(Path(2, ["b", "a"]), False)
    before = tree.copy()
    assert not tree.add(Path(1, ["a"]), True)
    assert not tree.add(Path(2, ["b", "a"]), True)
    assert tree == before


def test_purging_a_leaf_removes_its_own_branch_only() -> None:
    tree = RevisionTree.of(Path(3, ["c", "b", "a"]), False)
    tree.add(Path(3, ["d", "x", "a"]), False)
    assert tree.remove_leaves([(3, "d"), (2, "b")]) == [(3, "d")]
    assert set(tree) == {(3, "c"), (2, "b"), (1, "a")}


def test_leaves_below_a_revision() -> None:
    tree = RevisionTree.of(Path(3, ["c", "b", "a"]), False)
    tree.add(Path(2, ["x", "a"]), False)
    assert tree.leaves_below((1, "a")) == [(3, "c"), (2, "x")]
    assert tree.leaves_below((2, "b")) == [(3, "c")]
    assert tree.leaves_below((2, "x")) == [(2, "x")]
    tree.add(Path(4, ["d", "c", "b", "a"]), True)
    assert tree.leaves_below((1, "a")) == [(2, "x"), (4, "d")]


def test_leaves_below_each_of_thousands_take_no_quadratic_time() -> None:
    """A peer that pulled a document with 5,000 conflicts stopped the server for half a minute."""
    tree = RevisionTree.of(Path(1, ["root"]), False)
    for n in range(5000):
        tree.add(Path(2, [f"{n:032x}", "root"]), False)
    started = time.perf_counter()
    for n in range(5000):
        assert tree.leaves_below((2, f"{n:032x}")) == [(2, f"{n:032x}")]
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "text",
    ["", "1", "-", "0-", "-a", "0-a", "x-a", "1-a b", '1-"', "1-\\", "01a-b", "1" * 16 + "-a", 5, None],
)
def test_bad_revision_ids_are_refused(text: object) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_rev(text)
    assert (caught.value.status, caught.value.reason) == (400, "Invalid rev format")


def test_a_hash_may_be_empty() -> None:
    assert parse_rev("1-") == (1, "")
    assert format_rev((1, "")) == "1-"


def test_32_hex_digits_are_lowered() -> None:
    assert format_rev(parse_rev("2-" + "AB" * 16)) == "2-" + "ab" * 16
    assert format_rev(parse_rev("2-ABC")) == "2-ABC"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"start": 1},
        {"start": "1", "ids": ["a"]},
        {"start": True, "ids": ["a"]},
        {"start": 1, "ids": []},
        {"start": 1, "ids": ["a", "b"]},
        {"start": 1, "ids": [1]},
        {"start": 1, "ids": "a"},
    ],
)
def test_bad_revision_lists_are_refused(value: object) -> None:
    with pytest.raises(ProtocolError):
        parse_revisions(value)


def test_same_edit_of_the_same_parent_has_the_same_revision() -> None:
    one = new_revision_hash((1, "a"), False, b'{"x":1}', [("n", "t", "d"), ("m", "t", "e")])
    two = new_revision_hash((1, "a"), False, b'{"x":1}', [("m", "t", "e"), ("n", "t", "d")])
    assert one == two
    others = {
        one,
        new_revision_hash((1, "b"), False, b'{"x":1}'),
        new_revision_hash((1, "a"), True, b'{"x":1}'),
        new_revision_hash((1, "a"), False, b'{"x":2}'),
        new_revision_hash(None, False, b'{"x":1}'),
    }
    assert len(others) == 5

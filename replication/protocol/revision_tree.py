"""The revision tree of one document: a grow-only graph with a deterministic winner.

A tree is a set of revisions, what each is a child of, and which of them are deletions. Merging
two trees is the union of these sets, and that is all: union is commutative, associative and
idempotent, so replicas that have seen the same revisions hold the same tree, whatever the order
of arrival. A revision whose parent is not known (its history was stemmed away) simply has none;
when somebody brings the missing link later, union adds it.

Two peers may even disagree about the parent of a revision (hashes are chosen by clients). Then
both links are kept, so that neither parent turns into a leaf without a body. The history that is
told to peers follows the greater one.

A *leaf* is a revision that is nobody's parent. Whether a revision is a deletion is told of leaves
only, and only there it matters. The *winner* is the greatest leaf by (not deleted, generation,
hash), so every replica shows the same one without talking to another. A document is deleted when
its winner is, which is when all its leaves are.

*Stemming* keeps, of every branch, the last `limit` revisions. It never removes a leaf, so the
winner stays. Two replicas that stemmed away their common ancestor see a conflict where there was
none; CouchDB has the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from replication.protocol.revisions import Path, Rev

DEFAULT_REVS_LIMIT = 1000


def winner_key(rev: Rev, deleted: bool) -> tuple[bool, int, str]:
    """Leaves sort by this; the greatest wins."""
    return (not deleted, rev[0], rev[1])


class RevisionTree:
    """All known revisions of one document. Mutable; a leaf's flags are set when it is added."""

    __slots__ = ("_children", "_deleted", "_parents")

    def __init__(self) -> None:
        self._parents: dict[Rev, tuple[Rev, ...]] = {}
        self._children: dict[Rev, list[Rev]] | None = None
        """`_parents` turned round, made when it is asked for and dropped when they change."""
        self._deleted: set[Rev] = set()

    @classmethod
    def of(cls, path: Path, deleted: bool) -> RevisionTree:
        """The tree of a single branch."""
        tree = cls()
        tree.add(path, deleted)
        return tree

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RevisionTree):
            return NotImplemented
        return self._parents == other._parents and self._deleted_leaves() == other._deleted_leaves()

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, rev: Rev) -> bool:
        return rev in self._parents

    def __len__(self) -> int:
        return len(self._parents)

    def __iter__(self) -> Iterator[Rev]:
        return iter(self._parents)

    def copy(self) -> RevisionTree:
        twin = RevisionTree()
        twin._parents = dict(self._parents)
        twin._deleted = set(self._deleted)
        return twin

    def _links_down(self) -> dict[Rev, list[Rev]]:
        if self._children is None:
            self._children = {}
            for child, parents in self._parents.items():
                for parent in parents:
                    self._children.setdefault(parent, []).append(child)
        return self._children

    def _link(self, child: Rev, parent: Rev | None) -> None:
        self._children = None
        known = self._parents.get(child)
        if known is None:
            self._parents[child] = () if parent is None else (parent,)
        elif parent is not None and parent not in known:
            self._parents[child] = tuple(sorted((*known, parent), reverse=True))

    def add(self, path: Path, deleted: bool) -> bool:
        """Adds a branch. False, and nothing changed, if its first revision was known already.

        A known revision's ancestors are not extended either: a peer that repeats what is there
        must not make a new change. Use `merge` to unite whole trees.
        """
        revs = path.revisions()
        if revs[0] in self._parents:
            return False
        if deleted:
            self._deleted.add(revs[0])
        for child, parent in zip(revs, [*revs[1:], None], strict=True):
            self._link(child, parent)
        return True

    def merge(self, other: RevisionTree) -> None:
        """Makes this tree the union of both."""
        for child, parents in other._parents.items():
            self._link(child, None)
            for parent in parents:
                self._link(child, parent)
        self._deleted |= other._deleted

    def _deleted_leaves(self) -> set[Rev]:
        return self._deleted.intersection(self.leaves())

    def is_deleted(self, rev: Rev) -> bool:
        return rev in self._deleted

    def leaves(self) -> list[Rev]:
        """Leaves, the winner first."""
        interior = {parent for parents in self._parents.values() for parent in parents}
        ends = [rev for rev in self._parents if rev not in interior]
        ends.sort(key=lambda rev: winner_key(rev, rev in self._deleted), reverse=True)
        return ends

    def winner(self) -> Rev:
        return self.leaves()[0]

    def children(self, rev: Rev) -> list[Rev]:
        return list(self._links_down().get(rev, ()))

    def leaves_below(self, rev: Rev) -> list[Rev]:
        """The leaves that descend from `rev`, which is known, or are it, in order of winning."""
        children = self._links_down()
        ends, seen, todo = [], {rev}, [rev]
        while todo:
            at = todo.pop()
            below = [child for child in children.get(at, ()) if child not in seen]
            if at not in children:
                ends.append(at)
            seen.update(below)
            todo += below
        ends.sort(key=lambda end: winner_key(end, end in self._deleted), reverse=True)
        return ends

    def ancestors(self, rev: Rev) -> set[Rev]:
        """Everything that `rev` descends from over any link."""
        seen: set[Rev] = set()
        todo = list(self._parents[rev])
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo.extend(self._parents[at])
        return seen

    def path(self, rev: Rev) -> Path:
        """`rev` and its history, newest first."""
        ids = [rev[1]]
        parents = self._parents[rev]
        while parents:
            ids.append(parents[0][1])
            parents = self._parents[parents[0]]
        return Path(rev[0], ids)

    def stem(self, limit: int) -> set[Rev]:
        """Keeps the last `limit` (at least 1) revisions of each branch. Returns what went."""
        kept: set[Rev] = set()
        ring = set(self.leaves())
        for _ in range(limit):
            kept |= ring
            ring = {parent for rev in ring for parent in self._parents[rev] if parent not in kept}
            if not ring:
                break
        gone = self._parents.keys() - kept
        if gone:
            self._children = None
            self._parents = {
                rev: tuple(p for p in parents if p in kept)
                for rev, parents in self._parents.items()
                if rev in kept
            }
            self._deleted &= kept
        return gone

    def remove_leaves(self, revs: Iterable[Rev]) -> list[Rev]:
        """Purges branches: each leaf in `revs` goes, with ancestors that no other leaf shares.

        Revisions that are no leaves are left alone. Returns the leaves that went.
        """
        leaves = self.leaves()
        going = [leaf for leaf in leaves if leaf in set(revs)]
        keep: set[Rev] = set()
        for leaf in leaves:
            if leaf not in going:
                keep.add(leaf)
                keep |= self.ancestors(leaf)
        self._children = None
        self._parents = {rev: parents for rev, parents in self._parents.items() if rev in keep}
        self._deleted &= keep
        return going

    def is_linear(self) -> bool:
        """One leaf, and no revision with two parents: the tree is its winner's path."""
        return len(self.leaves()) == 1 and all(len(p) < 2 for p in self._parents.values())

    def to_json(self) -> list[dict[str, object]]:
        """Branches for storage: the winner's whole, the others down to where they meet a written one.

        Each is `{"start", "ids", "deleted"?}`; `"link": true` marks a surplus parent link.
        """
        written: set[Rev] = set()
        branches: list[dict[str, object]] = []
        leaves = self.leaves()
        for leaf in leaves:
            ids = [leaf[1]]
            written.add(leaf)
            parents = self._parents[leaf]
            while parents:
                parent = parents[0]
                ids.append(parent[1])
                if parent in written:
                    break
                written.add(parent)
                parents = self._parents[parent]
            branch: dict[str, object] = {"start": leaf[0], "ids": ids}
            if leaf in self._deleted:
                branch["deleted"] = True
            branches.append(branch)
        surplus = [(child, parent) for child, parents in self._parents.items() for parent in parents[1:]]
        unwritten = {parent for _, parent in surplus} - written
        branches.extend(
            {"start": root[0], "ids": list(self.path(root).ids), "link": True}
            for root in sorted(unwritten, reverse=True)
        )
        branches.extend(
            {"start": child[0], "ids": [child[1], parent[1]], "link": True} for child, parent in surplus
        )
        return branches

    @classmethod
    def from_json(cls, branches: Iterable[dict[str, object]]) -> RevisionTree:
        """The tree that `to_json` wrote."""
        tree = cls()
        for branch in branches:
            path = Path(branch["start"], branch["ids"])  # type: ignore[arg-type]
            revs = path.revisions()
            for child, parent in itertools.pairwise(revs):
                tree._link(child, parent)
            tree._link(revs[-1], None)
            if branch.get("deleted"):
                tree._deleted.add(revs[0])
        return tree

"""What a database knows of one document while a transaction works on it.

Nearly every document has one branch, and for that the tree is the very text of `_revisions`: a new
edit only puts its id in front. An `Entry` keeps to that form as long as it can and turns to a real
`RevisionTree` when a branch arrives.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from replication.protocol.documents import revisions_member
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev

ROW = "id, num, seq, rev, deleted, body, leaves, attached, tree"
"""The columns of `docs` in the order of `Entry.from_row`."""


class StoredBody(NamedTuple):
    """Where a revision's text lies."""

    body: int
    deleted: bool
    attached: bool


class Entry:
    """A row of `docs`."""

    __slots__ = (
        "_linear",
        "_tree",
        "attached",
        "body",
        "deleted",
        "id",
        "leaves",
        "num",
        "rev",
        "seq",
        "text",
    )

    def __init__(
        self,
        docid: str,
        num: int,
        seq: int,
        rev: str,
        deleted: int,
        body: int,
        leaves: int,
        attached: int,
        text: bytes,
    ) -> None:
        self.id = docid
        self.num = num
        self.seq = seq
        self.rev = rev
        self.deleted = deleted
        self.body = body
        self.leaves = leaves
        self.attached = attached
        self.text = text
        """The column `tree`."""
        self._linear: Path | None = None
        self._tree: RevisionTree | None = None

    def row(self) -> tuple[str, int, int, str, int, int, int, int, bytes]:
        return (
            self.id,
            self.num,
            self.seq,
            self.rev,
            self.deleted,
            self.body,
            self.leaves,
            self.attached,
            self.text,
        )

    @property
    def is_linear(self) -> bool:
        return self.text[:1] == b"{"

    @property
    def linear(self) -> Path:
        """The only branch; the caller has seen `is_linear`."""
        if self._linear is None:
            self._linear = linear_path(self.text)
        return self._linear

    @property
    def tree(self) -> RevisionTree:
        if self._tree is None:
            self._tree = parse_tree(self.text, bool(self.deleted))
        return self._tree

    @property
    def winner(self) -> Rev:
        return parse_rev(self.rev)

    def knows(self, rev: Rev) -> bool:
        """Whether the revision is in the tree."""
        if self.is_linear:
            return path_knows(self.linear, rev)
        return rev in self.tree

    def set_linear(self, path: Path) -> None:
        self.text = revisions_member(path)
        self._linear = path
        self._tree = None

    def push_linear(self, generation: int, digest: str, limit: int) -> None:
        """Puts a child of the only leaf in front."""
        if generation > limit:
            ids = self.linear.ids
            self.set_linear(Path(generation, [digest, *ids[: limit - 1]]))
            return
        head = f'{{"start":{generation},"ids":["{digest}",'.encode()
        self.text = head + self.text[self.text.index(b"[") + 1 :]
        self._linear = None
        self._tree = None

    def open_tree(self) -> RevisionTree:
        """A tree to add branches to. Until `set_tree` is called, only `tree` and `knows` are right."""
        if self.text:
            self._tree = self.tree.copy()
            self._linear = None
            self.text = b""
        return self.tree

    def set_tree(self, tree: RevisionTree) -> None:
        self._tree = tree
        self._linear = None
        if tree.is_linear():
            self.text = revisions_member(tree.path(tree.winner()))
        else:
            self.text = orjson.dumps(tree.to_json())

    def path(self, rev: Rev) -> Path:
        """`rev`, which is known, with its history."""
        if self.is_linear:
            start, ids = self.linear
            return Path(rev[0], ids[start - rev[0] :])
        return self.tree.path(rev)

    def revisions(self, rev: str) -> bytes:
        """The value of `_revisions` for one revision of the tree."""
        if self.is_linear and rev == self.rev:
            return self.text
        return revisions_member(self.path(parse_rev(rev)))


def linear_path(text: bytes) -> Path:
    value = orjson.loads(text)
    return Path(value["start"], value["ids"])


def parse_tree(text: bytes, deleted: bool) -> RevisionTree:
    """The column `tree`; `deleted` is the winner's, which the short form does not say."""
    if text[:1] == b"{":
        return RevisionTree.of(linear_path(text), deleted)
    return RevisionTree.from_json(orjson.loads(text))


def path_knows(path: Path, rev: Rev) -> bool:
    """Whether a branch has the revision."""
    at = path.start - rev[0]
    return 0 <= at < len(path.ids) and path.ids[at] == rev[1]


def tree_knows(text: bytes, deleted: bool, rev: Rev) -> bool:
    """Whether the tree of the column `tree` has the revision."""
    if text[:1] == b"{":
        return path_knows(linear_path(text), rev)
    return rev in parse_tree(text, deleted)


def revisions_text(text: bytes, deleted: bool, rev: str) -> bytes:
    """`Entry.revisions` for whoever has only the column `tree`."""
    if text[:1] == b"{":
        path = linear_path(text)
        wanted = parse_rev(rev)
        if path.leaf == wanted:
            return text
        return revisions_member(Path(wanted[0], path.ids[path.start - wanted[0] :]))
    first = orjson.loads(text)[0]
    if f"{first['start']}-{first['ids'][0]}" == rev:  # the winner's branch is first, and whole
        return revisions_member(Path(first["start"], first["ids"]))
    return revisions_member(parse_tree(text, deleted).path(parse_rev(rev)))


def change_text(seq: str, quoted_id: str, revs: list[str], deleted: bool) -> bytes:
    """A row of the feed without its closing brace."""
    changes = '"},{"rev":"'.join(revs)
    tail = ',"deleted":true' if deleted else ""
    return f'{{"seq":"{seq}","id":{quoted_id},"changes":[{{"rev":"{changes}"}}]{tail}'.encode()


def leaves_text(seq: str, entry: Entry, quoted_id: str) -> bytes | None:
    """The row that lists all leaves, if it says more than the winner's."""
    if entry.leaves == 1:
        return None
    revs = [format_rev(leaf) for leaf in entry.tree.leaves()]
    return change_text(seq, quoted_id, revs, bool(entry.deleted))

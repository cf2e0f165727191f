"""A document as it is stored, for whoever wants to change it, and the forms in which it is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson

from kompass.domain.upcasting import today
from kompass.domain.versions import ATTACHMENT
from kompass.sync.gate import attachments, records
from kompass.sync.gate.ports import Index
from replication.protocol import jsontext
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Path, Rev, parse_rev, parse_revisions
from replication.store.sqlite import Reading, Writing
from replication.store.values import Document


class Stored:
    """A document as it is stored, for whoever wants to change it."""

    def __init__(
        self, writing: Writing, document: Document, visible: bool, held: Collection[Rev] = ()
    ) -> None:
        """`held`: the revisions that the writer may know of a document he doesn't see."""
        self._writing = writing
        self.document = document
        self.visible = visible
        self._held = held
        self.winner: Rev = parse_rev(document.rev)
        self._tree: RevisionTree | None = None

    @property
    def tree(self) -> RevisionTree:
        if self._tree is None:
            found = self._writing.revisions(self.document.id)
            assert found is not None
            self._tree = found.tree
        return self._tree

    def knows(self, rev: Rev) -> bool:
        """Whether a revision is stored, as far as that is the writer's business."""
        if not self.visible:
            return rev in self._held and rev in self.tree
        if rev == self.winner:
            return True
        if rev[0] > self.winner[0] and not self.document.conflicted:
            return False
        return rev in self.tree

    @property
    def lineage(self) -> set[Rev]:
        """The winner and all it comes from."""
        return {self.winner} | self.tree.ancestors(self.winner)

    @property
    def path(self) -> Path:
        """The winner's."""
        return parse_revisions(orjson.loads(self.document.revisions))

    def history(self, rev: Rev) -> Path:
        """A known revision and all it comes from, as everybody is told."""
        return self.path if rev == self.winner else self.tree.path(rev)

    def body(self) -> dict[str, Any]:
        """The winner's members with `_id`, for a judgement."""
        return bare(self.document)


def known_of_hidden(
    reading: Reading, index: Index, user: str, docids: Collection[str]
) -> dict[str, set[Rev]]:
    """The revisions somebody may know of stored documents that he doesn't see.

    A device makes the id of a revision from its text: who could ask for others would learn whether a text is
    the one he guesses.
    """
    held = index.may_hold(reading, user, docids)
    for docid, revs in records.sent(reading, user, docids).items():
        held[docid] |= revs
    return held


def known_of_purged(
    reading: Reading, index: Index, user: str, docids: Collection[str]
) -> dict[str, set[Rev]]:
    """The purged revisions that somebody may hold: he was sent them, or has sent them.

    A device offers them again as long as it holds them. What was erased must not come back, nor lie in
    quarantine; and who never held them gets the answers of an id that never was.
    """
    purged = index.purged(reading, docids)
    if not purged:
        return {}
    held = known_of_hidden(reading, index, user, list(purged))
    return {docid: revs & held[docid] for docid, revs in purged.items()}


def bare(document: Document, *, exact: bool = False) -> dict[str, Any]:
    """A stored body with `_id` and, if it has any, the digests of its attachments."""
    value: dict[str, Any] = (
        jsontext.decode(document.text) if exact else jsontext.decode_request(document.text)
    )
    attached = attachments.stored_digests(value) if document.has_attachments else None
    for name in ("_rev", "_deleted", "_attachments"):
        value.pop(name, None)
    if attached:
        value["_attachments"] = attached
    return value


def form_of(body: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """A body as merging reads it."""
    members = {name: value for name, value in body.items() if name[:1] != "_"}
    members.update((ATTACHMENT + name, digest) for name, digest in digests.items())
    return members


def members_of(document: Document) -> dict[str, Any]:
    """A stored version as merging reads it."""
    value = bare(document, exact=True)
    return form_of(value, value.get("_attachments") or {})


def members_today(document: Document) -> dict[str, Any]:
    """The same in today's form, whatever app wrote it."""
    return dict(today(members_of(document)))


def policy_form(docid: str, merged: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"_id": docid}
    attached = {}
    for name, value in merged.items():
        if name.startswith(ATTACHMENT):
            attached[name.removeprefix(ATTACHMENT)] = value
        else:
            body[name] = value
    if attached:
        body["_attachments"] = attached
    return body

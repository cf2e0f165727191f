"""Judging a batch, inside the transaction that writes what is accepted.

For every document, in this order: Is it one of our synthetic tombstones, or known already? Was it refused
before? Does it look like a document of the business? What does its writer see under this id?

- Nothing (unknown, invisible, deleted, purged): it is judged as a new document, and only at the end of that
  a taken id shows, as one and the same refusal. Whoever names a revision that he was sent when he saw the
  document, gets that refusal at once; naming any other is guessing.
- The winner is his revision's ancestor: a plain edit, judged against the winner.
- He has changed an older version: a branch. It is stored and closed in one go, what it changed is put onto
  the winner, and where nobody can do that but a person, a `conflict` document has both texts.

What is accepted is written by one call for each group of documents that don't refer to one another. A branch,
its end, the merge and the conflict are in one call, so nobody ever sees the branch win.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from kompass.access import Action, Matrix, Parents, Principal, Relation, decide
from kompass.access.policy import ABSENT
from kompass.access.table import LIMITS
from kompass.domain.changes import Change, Facts
from kompass.domain.refusals import Refusal
from kompass.sync.gate import ancestry, attachments, records, references, shape
from kompass.sync.gate.merging import ATTACHMENT, Merge, applied, clashes, differs
from kompass.sync.gate.ports import Business, Index
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, Refused, Waits
from kompass.sync.gate.records import Origin, Record
from kompass.sync.notices import conflict_notice
from kompass.sync.refusals import DELETED, NO_SUCH_DOCUMENT, NOT_A_MEMBER, of_decision
from replication.protocol import errors, jsontext
from replication.protocol.attachments import (
    AttachmentWrite,
    InlineAttachment,
    StagedAttachment,
    StubAttachment,
)
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev, parse_revisions
from replication.store.interface import AttachmentInfo, Document
from replication.store.sqlite import Reading, Writing

_TIMED = {
    doctype for (doctype, _), limits in LIMITS.items() if any(one and one.within for one in limits.values())
}
"""Types with rights that end a while after the document came."""

_NOTHING: Mapping[str, AttachmentInfo] = {}


class Remembered(NamedTuple):
    """A revision of this writer's that was held back before."""

    waits: bool
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Terms:
    """What the judgement of one batch depends on."""

    principal: Principal
    now: datetime
    index: Index
    business: Business
    merge: Merge
    remembered: Mapping[tuple[str, str], Remembered]
    """(id, revision) -> what became of it."""


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


class _Facts(NamedTuple):
    """What the access rules are asked with. The documents of a group don't change it for one another."""

    relations: AbstractSet[Relation]
    parents: Parents
    matrix: Matrix
    others: Facts
    """For the rules of the business."""


class Judgement:
    """One batch of one writer. `run` once."""

    def __init__(self, writing: Writing, terms: Terms, pushed: Sequence[Pushed]) -> None:
        self._writing = writing
        self._terms = terms
        self._pushed = pushed
        self._outcomes: list[Outcome | None] = [None] * len(pushed)
        self._writes: list[DocumentWrite] = []
        self._records: list[Record] = []
        self._merges: list[tuple[str, Rev, Rev]] = []

    def run(self) -> list[Outcome]:
        """An outcome for each document, in order. Raises what concerns the request as a whole.

        Roles count as the record has them now: since the request began somebody may have taken them.
        """
        principal = self._terms.principal
        roles = self._terms.index.roles(self._writing, principal.name)
        if roles is None:
            raise errors.forbidden(NOT_A_MEMBER)
        self._terms = replace(self._terms, principal=replace(principal, roles=principal.roles & roles))
        groups = references.levels([(one.doc.id, one.body) for one in self._pushed])
        for number, group in enumerate(groups):
            if number:
                self._writing.settle()
            self._judge_group([self._pushed[place] for place in group], group)
        return [outcome for outcome in self._outcomes if outcome is not None]

    def _judge_group(self, pushed: Sequence[Pushed], places: Sequence[int]) -> None:
        writing, index, user = self._writing, self._terms.index, self._terms.principal.name
        ids = [one.doc.id for one in pushed]
        winners = writing.winners(ids)
        self._conflicts = records.conflicts(writing, user, winners) if winners else {}
        visible = index.sees(writing, user, winners) if winners else set()
        hidden = [docid for docid in winners if docid not in visible]
        held = known_of_hidden(writing, index, user, hidden) if hidden else {}
        unknown = [docid for docid in ids if docid not in winners]
        self._once_known = index.knew(writing, unknown) if unknown else set()
        self._facts = _Facts(
            index.relations(writing, user),
            index.parents(writing),
            index.matrix(writing),
            self._terms.business.facts(writing),
        )
        for place, one in zip(places, pushed, strict=True):
            document = winners.get(one.doc.id)
            stored = None
            if document is not None:
                docid = one.doc.id
                stored = Stored(writing, document, docid in visible, held.get(docid, ()))
            self._outcomes[place] = self._judge(one, stored)
        self._write()

    def _write(self) -> None:
        if not self._writes:
            return
        for result in self._writing.write(self._writes, replicated=True):
            if isinstance(result, ProtocolError):
                raise result
        records.keep(self._writing, self._records)
        for merge in self._merges:
            records.keep_merge(self._writing, *merge)
        self._writes, self._records, self._merges = [], [], []

    # -- one document --------------------------------------------------------------------------

    def _judge(self, pushed: Pushed, stored: Stored | None) -> Outcome:
        docid = pushed.doc.id
        if pushed.origin is Origin.EDITED:
            error = self._make_revision(pushed, stored)
            if error is not None:
                return error
        rev = pushed.path.leaf
        if pushed.origin is not Origin.EDITED:
            # The revision of an edit follows from its text: to answer that it is known would tell the text.
            if docid.startswith(DESIGN_PREFIX) or self._terms.index.knows_tombstone(docid, rev):
                return Accepted(pushed.rev)
            if stored is not None and stored.knows(rev):
                return Accepted(pushed.rev)
        remembered = self._terms.remembered.get((docid, pushed.rev))
        if remembered is not None:
            return Waits((), remembered.refusal) if remembered.waits else Refused(remembered.refusal)
        wrong = pushed.unfit or ancestry.contradiction(pushed.doc)
        if wrong is not None:
            return Refused(wrong)
        joined = None if stored is None else ancestry.joins(pushed.path, stored.knows)
        if stored is not None and joined is not None:
            # What comes before a known revision is known better here. Believed, a made-up history would
            # become everybody's, and devices with the real one could never tell that it has gone on.
            path = ancestry.continued(pushed.path, joined, stored.history)
            pushed.doc = replace(pushed.doc, path=path)
        if pushed.doc.deleted:
            return self._judge_deletion(pushed, stored, joined)
        if stored is None:
            return self._judge_new(pushed, taken=docid in self._once_known)
        if joined is None:
            if stored.visible and not stored.document.deleted:
                return Refused(ancestry.UNCONNECTED)
            return self._judge_new(pushed, taken=True)
        if not stored.visible:
            return Refused(NO_SUCH_DOCUMENT)
        if stored.document.deleted:
            return Refused(DELETED)
        if ancestry.place(pushed.path, stored.winner) is not None:
            return self._judge_edit(pushed, stored)
        return self._judge_branch(pushed, stored)

    def _make_revision(self, pushed: Pushed, stored: Stored | None) -> ProtocolError | None:
        """Gives an online edit its history. What can't be seen answers as what isn't there does."""
        doc = pushed.doc
        if doc.id.startswith(DESIGN_PREFIX):
            return errors.forbidden("Design documents are written by administrators.")
        live = stored is not None and stored.visible and not stored.document.deleted
        if doc.parent is None:
            if live:
                return errors.conflict()
            if doc.deleted:
                return errors.missing()
        elif not live or stored is None or doc.parent != stored.winner:
            return errors.conflict()
        given = attachments.unnumbered(doc.attachments)
        above = None
        if stored is not None and live:
            above = stored.path
            winner = self._writing.attachments(doc.id, stored.winner) if given else _NOTHING
            given = attachments.pinned(doc.id, given, winner, {})
        elif given:
            given = attachments.pinned(doc.id, given, _NOTHING, {})
        path = self._next(doc.id, above, b"" if doc.deleted else doc.body, given)
        pushed.doc = DocumentWrite(doc.id, doc.deleted, doc.body, None, path, given)
        return None

    def _judge_new(self, pushed: Pushed, *, taken: bool) -> Outcome:
        """`taken`: there is or was such a document, which the writer must not learn."""
        if not ancestry.is_whole(pushed.path):
            return Refused(ancestry.BEGINNING_MISSING)
        wrong = shape.misnamed(pushed.doc.id, pushed.body)
        if wrong is not None:
            return Refused(wrong)
        given = attachments.pinned(pushed.doc.id, pushed.doc.attachments, _NOTHING, {})
        body = _judged(pushed, given)
        if pushed.author is not None:
            body = {**body, "createdBy": self._terms.principal.name}
        decision = self._decide(Action.CREATE, body, None)
        if not decision.allowed:
            refusal = of_decision(decision)
            parents = _named(body, decision.fields) if decision.rule == ABSENT else ()
            if parents:
                return Waits(parents, refusal)
            return Refused(refusal)
        wrong = self._check(_judged(pushed, given), None)
        if wrong is not None:
            return Refused(wrong)
        if taken:
            return Refused(NO_SUCH_DOCUMENT)
        return self._accept(pushed, given)

    def _judge_edit(self, pushed: Pushed, stored: Stored) -> Outcome:
        given = self._attachments(pushed, stored)
        before = stored.body()
        body = _judged(pushed, given)
        decision = self._decide(Action.UPDATE, body, before)
        if not decision.allowed:
            return Refused(of_decision(decision))
        wrong = self._check(body, before)
        if wrong is not None:
            return Refused(wrong)
        return self._accept(pushed, given)

    def _accept(self, pushed: Pushed, given: Mapping[str, AttachmentWrite]) -> Accepted:
        doc = pushed.doc
        self._writes.append(DocumentWrite(doc.id, False, doc.body, path=doc.path, attachments=given))
        self._settle_conflicts(pushed)
        self._record(doc.id, pushed.rev, pushed.origin)
        return Accepted(pushed.rev, True)

    # -- deletions -----------------------------------------------------------------------------

    def _judge_deletion(self, pushed: Pushed, stored: Stored | None, joined: int | None) -> Outcome:
        """A deletion is judged on the winner, whatever its body says.

        What was made and deleted on the device alone concerns nobody else, whoever has a document of that id.
        """
        if stored is None or joined is None:
            return Accepted(pushed.rev)
        if not stored.visible:
            return Refused(NO_SUCH_DOCUMENT)
        path = pushed.path
        is_plain = ancestry.place(path, stored.winner) is not None
        if stored.document.deleted or not (is_plain or self._is_current(path, joined, stored)):
            return Accepted(pushed.rev)
        before = stored.body()
        decision = self._decide(Action.DELETE, before, before)
        if not decision.allowed:
            return Refused(of_decision(decision))
        wrong = self._check(None, before)
        if wrong is not None:
            return Refused(wrong)
        self._accept_deletion(pushed)
        if not is_plain:
            base = self._base(path, stored)
            if base is not None and not differs(members_of(base), members_of(stored.document)):
                # Nothing has changed since but the revision: what he deleted is what is there.
                self._close(stored.path, pushed.doc.id)
            else:
                self._conflict(pushed, stored, base, [])
        return Accepted(pushed.rev, True)

    def _is_current(self, path: Path, joined: int, stored: Stored) -> bool:
        """Whether a deletion means what the winner comes from, and not a branch that has its end already."""
        known = (path.start - joined, path.ids[joined])
        lineage = stored.lineage
        return known in lineage or records.merges(self._writing, stored.document.id).get(known) in lineage

    def _accept_deletion(self, pushed: Pushed) -> None:
        self._writes.append(DocumentWrite(pushed.doc.id, True, b"{}", path=pushed.doc.path))
        self._settle_conflicts(pushed)
        self._record(pushed.doc.id, pushed.rev, pushed.origin)

    # -- branches ------------------------------------------------------------------------------

    def _judge_branch(self, pushed: Pushed, stored: Stored) -> Outcome:
        docid, path = pushed.doc.id, pushed.path
        given = self._attachments(pushed, stored)
        base = self._base(path, stored)
        mine = form_of(jsontext.decode(pushed.doc.body), attachments.digests(given))
        theirs = members_of(stored.document)
        before = stored.body()
        if base is None:
            wanted = dict(mine)
        else:
            wanted = applied(members_of(base), mine, theirs)
            if "modifiedBy" in mine:
                wanted["modifiedBy"] = mine["modifiedBy"]
        decision = self._decide(Action.UPDATE, _policy_form(docid, wanted), before)
        if not decision.allowed:
            return Refused(of_decision(decision))
        merged: dict[str, Any] | None
        if not differs(mine, theirs):
            merged = theirs
        else:
            merged = None if base is None else self._terms.merge(members_of(base), mine, theirs)
        if merged is not None and differs(merged, theirs):
            form = _policy_form(docid, merged)
            decision = self._decide(Action.UPDATE, form, before)
            wrong = None if decision.allowed else of_decision(decision)
            wrong = wrong or self._check(form, before)
            if wrong is not None:
                return Refused(wrong)
        self._accept(pushed, given)
        self._close(path, docid)
        if merged is None:
            fields = clashes(members_of(base), mine, theirs) if base else differs(mine, theirs)
            self._conflict(pushed, stored, base, fields)
        elif differs(merged, theirs):
            made = self._write_merge(stored, merged, given)
            self._merges.append((docid, path.leaf, made))
        else:
            self._merges.append((docid, path.leaf, stored.winner))
        return Accepted(pushed.rev, True)

    def _base(self, path: Path, stored: Stored) -> Document | None:
        """The latest version that both come from and whose body is stored."""
        docid = stored.document.id
        lineage = stored.lineage
        merged = records.merges(self._writing, docid)
        for rev in path.revisions()[1:]:
            if rev not in lineage and merged.get(rev) not in lineage:
                continue
            found = self._writing.revision(docid, rev)
            if found is not None and not found.deleted:
                return found
        return None

    def _write_merge(
        self, stored: Stored, merged: Mapping[str, Any], given: Mapping[str, AttachmentWrite]
    ) -> Rev:
        """A child of the winner that has both sides' changes."""
        docid = stored.document.id
        kept: dict[str, AttachmentWrite] = {}
        theirs = self._writing.attachments(docid, stored.winner)
        mine = attachments.numbered(given, self._infos(docid, given))
        for member, digest in merged.items():
            if member.startswith(ATTACHMENT):
                name = member.removeprefix(ATTACHMENT)
                ours = theirs.get(name)
                kept[name] = attachments.stub(ours) if ours and ours.digest == digest else mine[name]
        body = jsontext.encode({k: v for k, v in merged.items() if not k.startswith(ATTACHMENT)})
        path = self._next(docid, stored.path, body, kept)
        self._writes.append(DocumentWrite(docid, False, body, path=path, attachments=kept))
        self._record(docid, format_rev(path.leaf), Origin.MERGED)
        return path.leaf

    def _infos(self, docid: str, given: Mapping[str, AttachmentWrite]) -> dict[str, AttachmentInfo]:
        """What pinned stubs stand for."""
        wanted = {name: one.digest for name, one in given.items() if isinstance(one, StubAttachment)}
        found: dict[str, AttachmentInfo] = {}
        if wanted:
            state = self._writing.revisions(docid)
            assert state is not None
            for rev in state.tree:
                known = self._writing.attachments(docid, rev)
                found.update((name, info) for name, info in known.items() if wanted.get(name) == info.digest)
        return found

    def _close(self, path: Path, docid: str) -> None:
        """Ends the branch that `path` tells."""
        name = self._terms.index.keyed_revision(docid, path.leaf, b"")
        self._writes.append(DocumentWrite(docid, True, b"{}", path=Path(path.start + 1, [name, *path.ids])))
        self._record(docid, f"{path.start + 1}-{name}", Origin.CLOSED)

    def _next(self, docid: str, path: Path | None, body: bytes, kept: Mapping[str, AttachmentWrite]) -> Path:
        """The history of a revision that the server makes, a child of `path`'s leaf or a first one."""
        names = orjson.dumps(sorted(attachments.digests(kept).items())) if kept else b""
        above = None if path is None else path.leaf
        name = self._terms.index.keyed_revision(docid, above, body + names)
        return Path(1, [name]) if path is None else Path(path.start + 1, [name, *path.ids])

    def _conflict(self, pushed: Pushed, stored: Stored, base: Document | None, fields: Sequence[str]) -> None:
        """Gives the writer both texts, and the one they come from if he may read it."""
        shown_base = None
        if base is not None:
            shown_base = bare(base, exact=True)
            if not self._decide(Action.READ, shown_base, None).allowed:
                shown_base = None
        theirs = bare(stored.document, exact=True)
        mine = None
        if not pushed.doc.deleted:
            mine = {"_id": pushed.doc.id, **jsontext.decode(pushed.doc.body)}
        notice = conflict_notice(
            self._terms.principal.name,
            pushed.doc.id,
            branch=pushed.rev,
            winner=stored.document.rev,
            base=shown_base,
            mine=mine,
            theirs=theirs,
            fields=[name.removeprefix(ATTACHMENT) for name in fields],
            now=self._terms.now,
        )
        if self._writing.winner(notice.id) is None:
            open_conflict = records.OpenConflict(pushed.doc.id, notice.id, stored.winner)
            records.keep_conflict(self._writing, self._terms.principal.name, open_conflict)
            # The branch is closed, and bytes of closed branches go when the database is compacted.
            lost = {
                name: given
                for name, given in pushed.doc.attachments.items()
                if ATTACHMENT + name in fields and isinstance(given, InlineAttachment | StagedAttachment)
            }
            path = self._next(notice.id, None, notice.body, lost)
            self._writes.append(DocumentWrite(notice.id, False, notice.body, path=path, attachments=lost))

    def _settle_conflicts(self, pushed: Pushed) -> None:
        """Whoever writes a version that follows the one that stayed has decided."""
        for conflict in self._conflicts.get(pushed.doc.id, ()):
            if ancestry.place(pushed.path, conflict.winner) is None:
                continue
            notice = self._writing.winner(conflict.notice)
            if notice is not None and not notice.deleted:
                self._close(parse_revisions(orjson.loads(notice.revisions)), conflict.notice)
            records.drop_conflict(self._writing, self._terms.principal.name, conflict)

    # -- what all share ------------------------------------------------------------------------

    def _decide(self, action: Action, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> Any:
        terms, facts = self._terms, self._facts
        received = None
        if before is not None and before.get("type") in _TIMED:
            received = records.first_received(self._writing, before["_id"])
        return decide(
            terms.principal,
            action,
            body,
            before=before,
            relations=facts.relations,
            parents=facts.parents,
            matrix=facts.matrix,
            now=terms.now,
            received=received,
        )

    def _check(self, body: Mapping[str, Any] | None, before: Mapping[str, Any] | None) -> Refusal | None:
        """What the business has against it."""
        change = Change(body, before, self._terms.principal, self._terms.now)
        return self._terms.business.check(change, self._facts.others)

    def _attachments(self, pushed: Pushed, stored: Stored) -> dict[str, AttachmentWrite]:
        given = pushed.doc.attachments
        if not given or not attachments.stub_names(given):
            return dict(given)
        docid = pushed.doc.id
        older: dict[str, Mapping[str, AttachmentInfo]] = {}
        for rev in pushed.path.revisions()[1:]:
            if rev == stored.winner or not stored.knows(rev):
                continue
            found = self._writing.revision(docid, rev)
            if found is None or not found.has_attachments:
                continue
            if self._decide(Action.READ, bare(found), None).allowed:
                older[found.rev] = self._writing.attachments(docid, rev)
        # Of a branch the winner is no ancestor: it can't mean the winner's bytes.
        is_branch = ancestry.place(pushed.path, stored.winner) is None
        winner = _NOTHING if is_branch else self._writing.attachments(docid, stored.winner)
        return attachments.pinned(docid, given, winner, older)

    def _record(self, docid: str, rev: str, origin: Origin) -> None:
        who = self._terms.principal
        self._records.append(Record(docid, rev, who.name, who.device, self._terms.now, origin))


def _judged(pushed: Pushed, given: Mapping[str, AttachmentWrite]) -> dict[str, Any]:
    """The body as the access rules read it."""
    if not given:
        return pushed.body
    return {**pushed.body, "_attachments": attachments.digests(given)}


def form_of(body: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """A body as merging reads it."""
    members = {name: value for name, value in body.items() if name[:1] != "_"}
    members.update((ATTACHMENT + name, digest) for name, digest in digests.items())
    return members


def members_of(document: Document) -> dict[str, Any]:
    """A stored version as merging reads it."""
    value = bare(document, exact=True)
    return form_of(value, value.get("_attachments") or {})


def _policy_form(docid: str, merged: Mapping[str, Any]) -> dict[str, Any]:
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


def _named(body: Mapping[str, Any], fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(value for name in fields if isinstance(value := body.get(name), str))

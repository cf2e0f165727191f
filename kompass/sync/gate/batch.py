"""What the judgements of one batch share: the transaction, its terms, and what is to be written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from kompass.access import Action, Matrix, Parents, Principal, Relation, Role, decide
from kompass.access.companions import CARDS, companion_id
from kompass.access.table import LIMITS
from kompass.audit import Cause
from kompass.business.server_made import raise_refusals
from kompass.domain import references
from kompass.domain.changes import Body, Change
from kompass.domain.overlay import Overlay
from kompass.domain.refusals import Refusal
from kompass.domain.upcasting import today
from kompass.sync.conflicts import store
from kompass.sync.conflicts.keeping import Keeping, next_path
from kompass.sync.conflicts.record import MANAGEMENT, Conflict
from kompass.sync.gate import ancestry, attachments, records
from kompass.sync.gate.ports import Business, Index
from kompass.sync.gate.pushed import Accepted, Pushed
from kompass.sync.gate.records import Origin, Record
from kompass.sync.gate.stored import Stored, bare
from kompass.sync.notices import NOTICE
from replication.protocol.attachments import AttachmentWrite
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path, Rev, format_rev
from replication.store.sqlite import Writing
from replication.store.values import AttachmentInfo

_TIMED = {
    doctype for (doctype, _), limits in LIMITS.items() if any(one and one.within for one in limits.values())
}
"""Types with rights that end a while after the document came."""

NOTHING: Mapping[str, AttachmentInfo] = {}


class Resolution(NamedTuple):
    """A write that settles a conflict."""

    conflict: str
    strategy: str
    choices: Any


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
    remembered: Mapping[tuple[str, str], Remembered]
    """(id, revision) -> what became of it."""
    resolution: Resolution | None = None


class Known(NamedTuple):
    """What the access rules are asked with. The documents of a group don't change it for one another."""

    relations: AbstractSet[Relation]
    parents: Parents
    matrix: Matrix
    others: Overlay
    """For the rules of the business: with what has been accepted in this group."""


class Batch:
    """The documents of one writer, in one transaction. They are judged in groups; see `begin` and `write`."""

    def __init__(self, writing: Writing, terms: Terms) -> None:
        self.writing = writing
        self.terms = terms
        self.facts: Known
        self.coming: Mapping[str, Body] = {}
        """What the same push brings, by id."""
        self.keeping = Keeping(writing, terms.index)
        self.conflicts: Mapping[str, list[Conflict]] = {}
        """Open ones about the group's documents."""
        self.writes: list[DocumentWrite] = []
        self.records: list[Record] = []
        self.merges: list[tuple[str, Rev, Rev]] = []
        self._allowed: dict[str, str] = {}
        """Document -> the rule that allows what is done to it."""

    def begin(self, docids: Collection[str]) -> None:
        """A new group, with these stored documents: what is known is asked anew."""
        writing, index = self.writing, self.terms.index
        self.conflicts = store.open_about(writing, docids) if docids else {}
        self.facts = Known(
            index.relations(writing, self.terms.principal.name),
            index.parents(writing),
            index.matrix(writing),
            Overlay(self.terms.business.facts(writing), self.coming),
        )

    def write(self) -> None:
        """Stores the group."""
        if not self.writes:
            return
        self._say_why()
        raise_refusals(self.writing.write(self.writes + self.keeping.writes, replicated=True))
        records.keep(self.writing, self.records)
        for merge in self.merges:
            records.keep_merge(self.writing, *merge)
        self.writes, self.records, self.merges, self.keeping.writes = [], [], [], []

    def _say_why(self) -> None:
        """Tells the chain of writes where each revision comes from and what allows it."""
        origins = {(record.docid, record.rev): record.origin for record in self.records}
        for write in self.writes:
            assert write.path is not None
            origin = origins.get((write.id, format_rev(write.path.leaf)))
            write.note = NOTICE if origin is None else Cause(origin.value, self._allowed.get(write.id))

    # -- judging -------------------------------------------------------------------------------

    def decide(self, action: Action, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> Any:
        terms, facts = self.terms, self.facts
        body, before = today(body), None if before is None else today(before)
        received = None
        if before is not None and before.get("type") in _TIMED:
            received = records.first_received(self.writing, before["_id"])
        decision = decide(
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
        if action is not Action.READ:
            self._allowed[body["_id"]] = decision.rule
        return decision

    def check(
        self,
        body: Mapping[str, Any] | None,
        before: Mapping[str, Any] | None,
        *,
        returns: bool = False,
        prints: bool = False,
    ) -> Refusal | None:
        """What the business has against it. `returns`: it was deleted, and `before` is what it said last.
        `prints`: the server adds its print.
        """
        terms = self.terms
        change = Change(body, before, terms.principal, terms.now, returns=returns, prints=prints)
        named = references.written(change)
        if named:
            change = replace(change, unseen=self._unseen(named))
        return self.terms.business.check(change, self.facts.others)

    def _unseen(self, docids: Collection[str]) -> AbstractSet[str]:
        """Those that are there, and that the writer sees neither whole nor as a card."""
        ids = {docid: [docid] for docid in docids if not self.facts.others.notes(docid)}
        for docid, either in ids.items():
            body = self.facts.others.document(docid)
            card = None if body is None else CARDS.get(str(body.get("type")))
            if card is not None:
                either.append(companion_id(card.type, docid))
        asked = [one for either in ids.values() for one in either]
        seen = self.terms.index.sees(self.writing, self.terms.principal.name, asked) if asked else set()
        return {docid for docid, either in ids.items() if seen.isdisjoint(either)}

    def expect(self, docid: str, body: Body | None) -> None:
        """What is accepted counts for the rest of the group, None being a deletion."""
        self.facts.others.note(docid, body)

    def attachments(self, pushed: Pushed, stored: Stored) -> dict[str, AttachmentWrite]:
        given = pushed.doc.attachments
        if not given or not attachments.stub_names(given):
            return dict(given)
        docid = pushed.doc.id
        older: dict[str, Mapping[str, AttachmentInfo]] = {}
        for rev in pushed.path.revisions()[1:]:
            if rev == stored.winner or not stored.knows(rev):
                continue
            found = self.writing.revision(docid, rev)
            if found is None or not found.has_attachments:
                continue
            if self.decide(Action.READ, bare(found), None).allowed:
                older[found.rev] = self.writing.attachments(docid, rev)
        # Of a branch the winner is no ancestor: it can't mean the winner's bytes.
        is_branch = ancestry.place(pushed.path, stored.winner) is None
        winner = NOTHING if is_branch else self.writing.attachments(docid, stored.winner)
        return attachments.pinned(docid, given, winner, older)

    # -- writing -------------------------------------------------------------------------------

    def accept(self, pushed: Pushed, given: Mapping[str, AttachmentWrite]) -> Accepted:
        doc = pushed.doc
        self.writes.append(DocumentWrite(doc.id, False, doc.body, path=doc.path, attachments=given))
        self.record(doc.id, pushed.rev, pushed.origin)
        return Accepted(pushed.rev, True)

    def close(self, path: Path, docid: str) -> None:
        """Ends the branch that `path` tells."""
        name = self.terms.index.keyed_revision(docid, path.leaf, b"")
        self.writes.append(DocumentWrite(docid, True, b"{}", path=Path(path.start + 1, [name, *path.ids])))
        self.record(docid, f"{path.start + 1}-{name}", Origin.CLOSED)

    def next(self, docid: str, path: Path | None, body: bytes, kept: Mapping[str, AttachmentWrite]) -> Path:
        """The history of a revision that the server makes, a child of `path`'s leaf or a first one."""
        return next_path(self.terms.index, docid, path, body, kept)

    def settle_conflicts(self, pushed: Pushed, changed: Collection[str] | None) -> None:
        """Whoever is told of a conflict and changes what it is about, in a version that follows the one that
        stayed, has decided. `changed`: top-level fields; None for a deletion.
        """
        terms = self.terms
        for conflict in self.conflicts.get(pushed.doc.id, ()):
            if terms.resolution is not None and terms.resolution.conflict == conflict.id:
                strategy, choices = terms.resolution.strategy, terms.resolution.choices
            elif self._decides(conflict, pushed, changed):
                strategy, choices = "edit", None
            else:
                continue
            self.keeping.settle(
                conflict,
                by=terms.principal.name,
                at=terms.now,
                strategy=strategy,
                choices=choices,
                rev=pushed.rev,
            )

    def _decides(self, conflict: Conflict, pushed: Pushed, changed: Collection[str] | None) -> bool:
        if ancestry.place(pushed.path, conflict.stayed) is None:
            return False
        who = self.terms.principal
        told = store.readers(self.writing, conflict.id)
        if MANAGEMENT in told and Role.GF not in who.roles:
            return False
        if who.name not in told and not (MANAGEMENT in told and Role.GF in who.roles):
            return False
        if changed is None or conflict.deleted:
            return True
        # A version that says the same again leaves what stayed: that is a decision as well.
        return not changed or any(one.name in changed for one in conflict.fields)

    def record(self, docid: str, rev: str, origin: Origin) -> None:
        who = self.terms.principal
        self.records.append(Record(docid, rev, who.name, who.device, self.terms.now, origin))

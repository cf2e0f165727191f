"""Judging a batch, inside the transaction that writes what is accepted.

For every document, in this order: Is it one of our synthetic tombstones, or known already? Was it refused
before? Does it look like a document of the business? What does its writer see under this id?

- Nothing (unknown, invisible, deleted, purged): it is judged as a new document, and only at the end of that
  a taken id shows, as one and the same refusal. Whoever names a revision that he was sent when he saw the
  document, gets that refusal at once; naming any other is guessing.
- The winner is his revision's ancestor: a plain edit, judged against the winner.
- It was deleted meanwhile: he is asked, and the document stays deleted until he says so.
- He has changed an older version: a branch. It is stored and closed in one go, what it changed is put onto
  the winner, and where nobody can do that but a person, a `conflict` document has both texts.

What is accepted is written by one call for each group of documents that don't refer to one another. A branch,
its end, the merge and the conflict are in one call, so nobody ever sees the branch win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kompass.access import Action, Decision
from kompass.business.lookups import references as named_in
from kompass.domain.checks import MAY_PASS_LATER
from kompass.domain.upcasting import alike
from kompass.domain.versions import differs
from kompass.privacy import erasures
from kompass.sync import notices
from kompass.sync.gate import ancestry, attachments, lost, records, references, shape
from kompass.sync.gate.batch import NOTHING, Batch, Terms
from kompass.sync.gate.branches import Branches
from kompass.sync.gate.edits import Edits
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, Refused, Waits, not_allowed
from kompass.sync.gate.records import Origin
from kompass.sync.gate.returns import Returns
from kompass.sync.gate.stored import (
    Stored,
    form_of,
    known_of_hidden,
    known_of_purged,
    members_of,
)
from kompass.sync.refusals import (
    ERASED,
    NAMES_ERASED,
    NO_SUCH_DOCUMENT,
    NOT_A_MEMBER,
    of_decision,
)
from replication.protocol import errors
from replication.protocol.attachments import AttachmentWrite
from replication.protocol.documents import DocumentWrite
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Path
from replication.store.sqlite import Writing


class Judgement:
    """One batch of one writer. `run` once."""

    def __init__(self, writing: Writing, terms: Terms, pushed: Sequence[Pushed]) -> None:
        self._batch = Batch(writing, terms)
        self._batch.coming = {one.doc.id: one.body for one in pushed if not one.doc.deleted}
        self._branches = Branches(self._batch)
        self._edits = Edits(self._batch)
        self._returns = Returns(self._batch)
        self._pushed = pushed
        self._outcomes: list[Outcome | None] = [None] * len(pushed)
        self._made: dict[str, Path] = {}
        """New documents that a device has."""

    def run(self) -> list[Outcome]:
        """An outcome for each document, in order. Raises what concerns the request as a whole.

        Roles count as the record has them now: since the request began somebody may have taken them.
        """
        batch, terms = self._batch, self._batch.terms
        roles = terms.index.roles(batch.writing, terms.principal.name)
        if roles is None:
            raise errors.forbidden(NOT_A_MEMBER)
        principal = replace(terms.principal, roles=terms.principal.roles & roles)
        batch.terms = replace(terms, principal=principal)
        groups = references.levels([(one.doc.id, one.body) for one in self._pushed])
        for number, group in enumerate(groups):
            if number:
                batch.writing.settle()
            self._judge_group([self._pushed[place] for place in group], group)
        self._judge_again()
        self._end_what_is_hidden()
        self._name_what_followed()
        return [outcome for outcome in self._outcomes if outcome is not None]

    def _judge_group(self, pushed: Sequence[Pushed], places: Sequence[int]) -> None:
        batch = self._batch
        writing, index, user = batch.writing, batch.terms.index, batch.terms.principal.name
        ids = [one.doc.id for one in pushed]
        winners = writing.winners(ids)
        visible = index.sees(writing, user, winners) if winners else set()
        hidden = [docid for docid in winners if docid not in visible]
        held = known_of_hidden(writing, index, user, hidden) if hidden else {}
        unknown = [docid for docid in ids if docid not in winners]
        self._once_known = index.knew(writing, unknown) if unknown else set()
        self._gone = known_of_purged(writing, index, user, ids)
        self._clean = erasures.rewritten(writing, ids)
        batch.begin(winners.keys())
        for place, one in zip(places, pushed, strict=True):
            document = winners.get(one.doc.id)
            stored = None
            if document is not None:
                docid = one.doc.id
                stored = Stored(writing, document, docid in visible, held.get(docid, ()))
            outcome = self._judge(one, stored)
            if isinstance(outcome, Refused) and outcome.refusal.rule == ERASED.rule:
                outcome = replace(outcome, drops_text=True)
            self._outcomes[place] = outcome
        batch.write()

    def _judge_again(self) -> None:
        """What others in the same push may have made possible meanwhile: the tour is over now that its
        meetings are. What names something absent and can't wait, because its sender sees the answer, is
        looked at once more, too.
        """
        if not any(isinstance(one, Accepted) and one.is_new for one in self._outcomes):
            return
        for place, (one, outcome) in enumerate(zip(self._pushed, self._outcomes, strict=True)):
            if isinstance(outcome, Waits):
                possible = one.origin is Origin.EDITED
            else:
                possible = isinstance(outcome, Refused) and outcome.refusal.rule in MAY_PASS_LATER
            if not possible or (one.doc.id, one.rev) in self._batch.terms.remembered:
                continue
            self._batch.writing.settle()
            self._judge_group([one], [place])

    def _end_what_is_hidden(self) -> None:
        """Somebody may make a document for another and not see it: then it ends on his device.

        The index knows of no such revision: he was never sent one.
        """
        if not self._made:
            return
        self._batch.writing.settle()
        index, user = self._batch.terms.index, self._batch.terms.principal.name
        visible = index.sees(self._batch.writing, user, self._made)
        for docid, path in self._made.items():
            if docid not in visible:
                index.refuse(self._batch.writing, user, docid, path)

    def _name_what_followed(self) -> None:
        """Whoever edits online goes on from what the server has made of his edit."""
        places = {
            one.doc.id: place
            for place, one in enumerate(self._pushed)
            if one.origin is Origin.EDITED and not one.doc.deleted and self._is_new(place)
        }
        if not places:
            return
        self._batch.writing.settle()
        for docid, winner in self._batch.writing.winners(places).items():
            if not winner.deleted:
                self._outcomes[places[docid]] = Accepted(winner.rev, True)

    def _is_new(self, place: int) -> bool:
        outcome = self._outcomes[place]
        return isinstance(outcome, Accepted) and outcome.is_new

    # -- one document --------------------------------------------------------------------------

    def _judge(self, pushed: Pushed, stored: Stored | None) -> Outcome:
        docid = pushed.doc.id
        if pushed.origin is Origin.EDITED:
            error = self._edits.make_revision(pushed, stored)
            if error is not None:
                return error
        rev = pushed.path.leaf
        if pushed.origin is not Origin.EDITED:
            # The revision of an edit follows from its text: to answer that it is known would tell the text.
            if docid.startswith(DESIGN_PREFIX) or self._batch.terms.index.knows_tombstone(docid, rev):
                return Accepted(pushed.rev)
            if (stored is not None and stored.knows(rev)) or rev in self._gone.get(docid, ()):
                return Accepted(pushed.rev)
            clean = self._clean.get(docid)
            if clean is not None and not pushed.doc.deleted and ancestry.place(pushed.path, clean) is None:
                visible = stored is not None and stored.visible
                return Refused(ERASED if visible else NO_SUCH_DOCUMENT, drops_text=True)
        remembered = self._batch.terms.remembered.get((docid, pushed.rev))
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
            return self._returns.judge(pushed, stored)
        if ancestry.place(pushed.path, stored.winner) is not None:
            return self._judge_edit(pushed, stored)
        return self._branches.judge(pushed, stored)

    def _judge_new(self, pushed: Pushed, *, taken: bool) -> Outcome:
        """`taken`: there is or was such a document, which the writer must not learn."""
        if not ancestry.is_whole(pushed.path):
            return Refused(ancestry.BEGINNING_MISSING)
        wrong = shape.misnamed(pushed.doc.id, pushed.body)
        if wrong is not None:
            return Refused(wrong)
        given = attachments.pinned(pushed.doc.id, pushed.doc.attachments, NOTHING, {})
        body = _judged(pushed, given)
        if pushed.author is not None:
            body = {**body, "createdBy": self._batch.terms.principal.name}
        decision = self._batch.decide(Action.CREATE, body, None)
        if not decision.allowed and not self._made_here(pushed, decision):
            return not_allowed(body, of_decision(decision))
        wrong = self._batch.check(_judged(pushed, given), None)
        if wrong is not None:
            return not_allowed(body, wrong)
        if taken:
            return Refused(NO_SUCH_DOCUMENT)
        if erasures.subjects_among(self._batch.writing, {target for _, target in named_in(body)}):
            return Refused(NAMES_ERASED)
        self._batch.expect(pushed.doc.id, _judged(pushed, given))
        if pushed.origin is not Origin.EDITED:
            self._made[pushed.doc.id] = pushed.path
        return self._batch.accept(pushed, given)

    def _judge_edit(self, pushed: Pushed, stored: Stored) -> Outcome:
        given = self._batch.attachments(pushed, stored)
        before = stored.body()
        body = _judged(pushed, given)
        decision = self._batch.decide(Action.UPDATE, body, before)
        if not decision.allowed and not self._made_here(pushed, decision):
            return not_allowed(body, of_decision(decision))
        wrong = self._batch.check(body, before, prints=pushed.prints)
        if wrong is not None:
            return not_allowed(body, wrong)
        self._batch.expect(pushed.doc.id, body)
        if pushed.doc.id in self._batch.conflicts:
            self._batch.settle_conflicts(pushed, _changed(body, before))
        return self._batch.accept(pushed, given)

    def _made_here(self, pushed: Pushed, decision: Decision) -> bool:
        """Whether what he may not write is the server's own, who has lost it."""
        if decision.rule not in lost.OF_THE_SERVER:
            return False
        return lost.made_here(self._batch.writing, self._batch.terms.index, pushed)

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
        decision = self._batch.decide(Action.DELETE, before, before)
        if not decision.allowed:
            return Refused(of_decision(decision))
        wrong = self._batch.check(None, before)
        if wrong is not None:
            return Refused(wrong)
        self._accept_deletion(pushed)
        if is_plain:
            self._batch.expect(pushed.doc.id, None)
            self._batch.settle_conflicts(pushed, None)
        else:
            base = self._branches.base(path, stored)
            if base is not None and not differs(*alike(members_of(base), members_of(stored.document))):
                # Nothing has changed since but the revision: what he deleted is what is there.
                self._batch.close(stored.path, pushed.doc.id)
            else:
                self._branches.deletion(pushed, stored, base)
        return Accepted(pushed.rev, True, notices.entry_of(before))

    def _is_current(self, path: Path, joined: int, stored: Stored) -> bool:
        """Whether a deletion means what the winner comes from, and not a branch that has its end already."""
        known = (path.start - joined, path.ids[joined])
        lineage = stored.lineage
        return (
            known in lineage or records.merges(self._batch.writing, stored.document.id).get(known) in lineage
        )

    def _accept_deletion(self, pushed: Pushed) -> None:
        self._batch.writes.append(DocumentWrite(pushed.doc.id, True, b"{}", path=pushed.doc.path))
        self._batch.record(pushed.doc.id, pushed.rev, pushed.origin)


def _changed(body: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Fields, as merging names them, that an edit changes."""
    return differs(*alike(*(form_of(side, side.get("_attachments") or {}) for side in (body, before))))


def _judged(pushed: Pushed, given: Mapping[str, AttachmentWrite]) -> dict[str, Any]:
    """The body as the access rules read it."""
    if not given:
        return pushed.body
    return {**pushed.body, "_attachments": attachments.digests(given)}

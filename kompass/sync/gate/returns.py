"""Documents that were deleted while somebody changed them: he is asked, and they may come back.

A device can't bring a document back. What it sends is stored and ended in one go, as any branch is, its
author gets a conflict, and only who decides for his text, online and with the rights to that, writes the
document again, as something that follows the deletion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kompass.access import Action
from kompass.business.lookups import references as named_in
from kompass.domain.merge_results import FieldConflict
from kompass.domain.merge_rules import ESCALATION
from kompass.domain.merging import involved
from kompass.domain.paths import ABSENT
from kompass.domain.server_fields import ALWAYS
from kompass.domain.stamps import moment
from kompass.domain.upcasting import alike
from kompass.domain.versions import applied, differs
from kompass.privacy import erasures
from kompass.sync.conflicts.record import DELETED as KIND
from kompass.sync.conflicts.record import Conflict, State, conflict_id
from kompass.sync.gate import ancestry, attachments, records
from kompass.sync.gate.batch import Batch
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, Refused, not_allowed
from kompass.sync.gate.records import Origin
from kompass.sync.gate.stored import Stored, bare, form_of, members_of, policy_form
from kompass.sync.gate.times import Times
from kompass.sync.refusals import DELETED, ERASED, NAMES_ERASED, of_decision
from replication.protocol import jsontext
from replication.protocol.attachments import AttachmentWrite, InlineAttachment, StagedAttachment
from replication.protocol.revisions import Rev, format_rev
from replication.store.values import Document


class End(NamedTuple):
    """The deletion that counts: not one by which the server has ended a branch."""

    rev: Rev
    lineage: set[Rev]
    """What was deleted."""
    last: Document
    """The latest of it whose text is stored."""


class Returns:
    """Judges the changes of deleted documents in one batch. Their writers have held them."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def judge(self, pushed: Pushed, stored: Stored) -> Outcome:
        end = self._end(stored)
        if end is None:
            erased = erasures.subjects_among(self._batch.writing, [pushed.doc.id])
            return Refused(ERASED if erased else DELETED)
        if pushed.origin is Origin.EDITED:
            return self._restore(pushed, stored, end)
        if ancestry.place(pushed.path, end.rev) is not None:
            return Refused(DELETED)  # he knew
        return self._ask(pushed, stored, end)

    def _end(self, stored: Stored) -> End | None:
        """None if the text is gone of all that it could be."""
        writing, docid = self._batch.writing, stored.document.id
        for leaf in stored.tree.leaves():
            record = records.of_revision(writing, docid, leaf)
            if record is not None and record.origin is Origin.CLOSED:
                continue
            for rev in stored.tree.path(leaf).revisions()[1:]:
                found = writing.revision(docid, rev)
                if found is not None and not found.deleted:
                    return End(leaf, stored.tree.ancestors(leaf), found)
        return None

    # -- what a device sends -------------------------------------------------------------------

    def _ask(self, pushed: Pushed, stored: Stored, end: End) -> Outcome:
        batch, docid = self._batch, pushed.doc.id
        given = batch.attachments(pushed, stored)
        base = self._base(pushed, docid, end)
        sent = form_of(jsontext.decode(pushed.doc.body), attachments.digests(given))
        mine, last, *old = alike(sent, members_of(end.last), *([members_of(base)] if base else ()))
        before = bare(end.last)
        wanted = policy_form(docid, applied(old[0], mine, last) if old else mine)
        decision = batch.decide(Action.UPDATE, wanted, before)
        if not decision.allowed:
            return not_allowed(wanted, of_decision(decision))
        wrong = batch.check(wanted, before)
        if wrong is not None:
            return not_allowed(wanted, wrong)
        batch.accept(pushed, given)
        batch.close(pushed.path, docid)
        if not old or differs(old[0], mine):
            great = max(involved(str(last.get("type")), side) for side in (mine, last)) >= ESCALATION
            self._keep(pushed, stored, end, base, mine, old[0] if old else None, escalated=great)
        return Accepted(pushed.rev, True)

    def _base(self, pushed: Pushed, docid: str, end: End) -> Document | None:
        """The latest stored version that both he and the deletion come from."""
        for rev in pushed.path.revisions()[1:]:
            found = self._batch.writing.revision(docid, rev) if rev in end.lineage else None
            if found is not None and not found.deleted:
                return found
        return None

    def _keep(
        self,
        pushed: Pushed,
        stored: Stored,
        end: End,
        base: Document | None,
        mine: Mapping[str, Any],
        old: Mapping[str, Any] | None,
        *,
        escalated: bool,
    ) -> None:
        batch, terms, docid = self._batch, self._batch.terms, pushed.doc.id
        times = Times(batch.writing, terms.now, stored, base, mine)
        newer = "mine" if times.mine("") > times.latest else "theirs"
        for older in batch.conflicts.get(docid, ()):
            if format_rev(pushed.path.leaf) != older.branch and older.branch in _revs(pushed):
                batch.keeping.settle(
                    older, by=terms.principal.name, at=terms.now, strategy="continued", rev=pushed.rev
                )
        asked = FieldConflict(
            (), ABSENT if old is None else dict(old), ABSENT, ABSENT, KIND, "theirs", 0.5, newer
        )
        conflict = Conflict(
            number=0,
            id=conflict_id(docid, pushed.rev),
            docid=docid,
            doctype=str(bare(end.last).get("type")),
            state=State.OPEN,
            escalated=escalated,
            author=terms.principal.name,
            device=terms.principal.device,
            other=records.author_of(batch.writing, docid, end.rev) or "",
            base=None if base is None else base.rev,
            branch=pushed.rev,
            server=end.last.rev,
            stayed=end.rev,
            opened=terms.now,
            mine_at=moment(times.mine("")),
            theirs_at=moment(times.latest),
            fields=(asked,),
            decided=(),
            deleted=False,
            text=jsontext.decode(pushed.doc.body),
        )
        # The branch is closed, and bytes of closed branches go when the database is compacted.
        lost = {
            name: given
            for name, given in pushed.doc.attachments.items()
            if isinstance(given, InlineAttachment | StagedAttachment)
        }
        batch.keeping.open(conflict, bare(end.last, exact=True), lost)

    # -- what somebody decides -----------------------------------------------------------------

    def _restore(self, pushed: Pushed, stored: Stored, end: End) -> Outcome:
        """He may make such a document, and may change the one that it was."""
        batch, docid = self._batch, pushed.doc.id
        given: Mapping[str, AttachmentWrite] = pushed.doc.attachments
        body: dict[str, Any] = dict(pushed.body)
        if given:
            body["_attachments"] = attachments.digests(given)
        before = bare(end.last)
        mine = {name: value for name, value in body.items() if name not in ALWAYS.get(body["type"], ())}
        made = batch.decide(Action.CREATE, {**mine, "createdBy": batch.terms.principal.name}, None)
        decision = batch.decide(Action.UPDATE, body, before) if made.allowed else made
        if not decision.allowed:
            return Refused(of_decision(decision))
        wrong = batch.check(body, before, returns=True)
        if wrong is not None:
            return Refused(wrong)
        if erasures.subjects_among(batch.writing, {target for _, target in named_in(body)}):
            return Refused(NAMES_ERASED)
        batch.expect(docid, body)
        batch.settle_conflicts(pushed, ["_deleted"])  # what others are asked about it is open still
        return batch.accept(pushed, given)


def _revs(pushed: Pushed) -> set[str]:
    return {format_rev(rev) for rev in pushed.path.revisions()}

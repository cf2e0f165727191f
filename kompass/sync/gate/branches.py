"""Two versions of a document that know nothing of each other: uniting them, or asking a person.

What goes together by the rules (`kompass.domain.merging`) is written on top of the winner at once; the rest
is a conflict, and the winner's values stay until somebody decides. A branch, its end, the merge and what is
told are written by one call, so nobody ever sees the branch win.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kompass.access import Action
from kompass.access.policy import ABSENT as WAITS_FOR
from kompass.domain import merging
from kompass.domain.changes import Change
from kompass.domain.merge_results import FieldConflict, Merged
from kompass.domain.merge_rules import ESCALATION, is_final
from kompass.domain.paths import ABSENT, changed_at, value_at
from kompass.domain.refusals import Refusal
from kompass.domain.stamps import moment
from kompass.domain.upcasting import alike
from kompass.domain.versions import ATTACHMENT, applied, differs, equal, signed
from kompass.sync.conflicts.record import Conflict, State, conflict_id, decisions
from kompass.sync.gate import ancestry, attachments, records
from kompass.sync.gate.batch import Batch
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, not_allowed
from kompass.sync.gate.records import Origin
from kompass.sync.gate.stored import Stored, bare, form_of, members_of, members_today, policy_form
from kompass.sync.gate.times import Times
from kompass.sync.refusals import of_decision
from replication.protocol import jsontext
from replication.protocol.attachments import (
    AttachmentWrite,
    InlineAttachment,
    StagedAttachment,
    StubAttachment,
)
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev
from replication.store.values import AttachmentInfo, Document


class Branches:
    """Judges branches of one batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def judge(self, pushed: Pushed, stored: Stored) -> Outcome:
        batch, docid, path = self._batch, pushed.doc.id, pushed.path
        given = batch.attachments(pushed, stored)
        base = self.base(path, stored)
        sent = form_of(jsontext.decode(pushed.doc.body), attachments.digests(given))
        # One of the three may have been written by an older app.
        mine, theirs, *old = alike(sent, members_of(stored.document), *([members_of(base)] if base else ()))
        before = stored.body()
        wanted = applied(old[0], mine, theirs) if old else dict(mine)
        if "modifiedBy" in mine:
            wanted["modifiedBy"] = mine["modifiedBy"]
        decision = batch.decide(Action.UPDATE, policy_form(docid, wanted), before)
        if not decision.allowed:
            return not_allowed(wanted, of_decision(decision))
        times = Times(batch.writing, batch.terms.now, stored, base, mine)
        united = self._united(stored, old[0] if old else None, mine, theirs, times)
        if isinstance(united, Refusal):
            return not_allowed(mine, united)
        batch.accept(pushed, given)
        batch.close(path, docid)
        stayed = stored.winner
        if differs(united.body, theirs):
            batch.expect(docid, policy_form(docid, united.body))
            stayed = self._write_merge(stored, united.body, given)
        if base is not None:
            # What is open stays with the conflict; what the branch said is known to have come from it.
            batch.merges.append((docid, path.leaf, stayed))
        self._carry(pushed, united, mine)
        self._keep(pushed, stored, base, united, stayed, times)
        return Accepted(pushed.rev, True)

    def base(self, path: Path, stored: Stored) -> Document | None:
        """The latest version that both come from and whose body is stored."""
        docid = stored.document.id
        lineage = stored.lineage
        merged = records.merges(self._batch.writing, docid)
        for rev in path.revisions()[1:]:
            if rev not in lineage and merged.get(rev) not in lineage:
                continue
            found = self._batch.writing.revision(docid, rev)
            if found is not None and not found.deleted:
                return found
        return None

    # -- uniting -------------------------------------------------------------------------------

    def _united(
        self,
        stored: Stored,
        old: dict[str, Any] | None,
        mine: dict[str, Any],
        theirs: dict[str, Any],
        times: Times,
    ) -> Merged | Refusal:
        """What both make together, or why the branch is refused. `old` is what both come from, if known."""
        doctype = str(theirs.get("type"))
        if old is None:
            return merging.undecided(doctype, mine, theirs)
        united = merging.merge(doctype, old, mine, theirs, times.mine, times.theirs)
        wrong = self._wrong(stored, united.body, theirs)
        if wrong is not None:
            if is_final(wrong.rule) or wrong.rule == WAITS_FOR or not self._is_sound(stored, old, mine):
                return wrong
            # Each of both is right by itself: only a person knows what shall become of them.
            united = merging.together(doctype, old, mine, theirs, times.mine, times.theirs)
        for one in united.open:
            if one.kind == "status":
                chosen = signed(changed_at(united.body, one.steps, one.mine), mine, theirs)
                wrong = self._wrong(stored, chosen, theirs)
                if wrong is not None:
                    return wrong
        return united

    def _wrong(self, stored: Stored, body: Mapping[str, Any], theirs: Mapping[str, Any]) -> Refusal | None:
        """Why such a version may not follow the winner."""
        if not differs(body, theirs):
            return None
        form, before = policy_form(stored.document.id, body), stored.body()
        decision = self._batch.decide(Action.UPDATE, form, before)
        return self._batch.check(form, before) if decision.allowed else of_decision(decision)

    def _is_sound(self, stored: Stored, base: Mapping[str, Any], mine: Mapping[str, Any]) -> bool:
        """Whether the business had nothing against the branch when its author made it."""
        terms, docid = self._batch.terms, stored.document.id
        change = Change(policy_form(docid, mine), policy_form(docid, base), terms.principal, terms.now)
        return terms.business.check(change, self._batch.facts.others) is None

    def _write_merge(
        self, stored: Stored, merged: Mapping[str, Any], given: Mapping[str, AttachmentWrite]
    ) -> Rev:
        """A child of the winner that has both sides' changes."""
        docid = stored.document.id
        kept: dict[str, AttachmentWrite] = {}
        theirs = self._batch.writing.attachments(docid, stored.winner)
        mine = attachments.numbered(given, self._infos(docid, given))
        for member, digest in merged.items():
            if member.startswith(ATTACHMENT):
                name = member.removeprefix(ATTACHMENT)
                ours = theirs.get(name)
                kept[name] = attachments.stub(ours) if ours and ours.digest == digest else mine[name]
        body = jsontext.encode({k: v for k, v in merged.items() if not k.startswith(ATTACHMENT)})
        path = self._batch.next(docid, stored.path, body, kept)
        self._batch.writes.append(DocumentWrite(docid, False, body, path=path, attachments=kept))
        self._batch.record(docid, format_rev(path.leaf), Origin.MERGED)
        return path.leaf

    def _infos(self, docid: str, given: Mapping[str, AttachmentWrite]) -> dict[str, AttachmentInfo]:
        """What pinned stubs stand for."""
        wanted = {name: one.digest for name, one in given.items() if isinstance(one, StubAttachment)}
        found: dict[str, AttachmentInfo] = {}
        if wanted:
            state = self._batch.writing.revisions(docid)
            assert state is not None
            for rev in state.tree:
                known = self._batch.writing.attachments(docid, rev)
                found.update((name, info) for name, info in known.items() if wanted.get(name) == info.digest)
        return found

    # -- what is left to a person ----------------------------------------------------------------

    def deletion(self, pushed: Pushed, stored: Stored, base: Document | None) -> None:
        """Somebody has deleted what others have changed meanwhile: the document stays, and he is asked."""
        theirs = members_of(stored.document)
        times = Times(self._batch.writing, self._batch.terms.now, stored, base, {})
        doctype = str(theirs.get("type"))
        old = {} if base is None else members_today(base)
        great = max(merging.involved(doctype, side) for side in (old, theirs)) >= ESCALATION
        asked = FieldConflict((), ABSENT, ABSENT, ABSENT, "deleted", "theirs", 0.5, "theirs")
        united = Merged(theirs, [asked], [], great)
        self._carry(pushed, united, {})
        self._keep(pushed, stored, base, united, stored.winner, times)

    def _carry(self, pushed: Pushed, united: Merged, mine: Mapping[str, Any]) -> None:
        """His branch goes on: what was open about its older part is open about this one, or decided."""
        batch = self._batch
        for older in batch.conflicts.get(pushed.doc.id, ()):
            if ancestry.place(pushed.path, parse_rev(older.branch)) is None:
                continue
            asked = {one.steps for one in united.open}
            for one in older.fields if not pushed.doc.deleted else ():
                ours, stored = value_at(mine, one.steps), value_at(united.body, one.steps)
                if one.steps and one.steps not in asked and not equal(ours, stored):
                    united.open.append(replace(one, mine=ours, theirs=stored))
                    united.escalated = united.escalated or older.escalated
            batch.keeping.settle(
                older, by=batch.terms.principal.name, at=batch.terms.now, strategy="continued", rev=pushed.rev
            )

    def _keep(
        self, pushed: Pushed, stored: Stored, base: Document | None, united: Merged, stayed: Rev, times: Times
    ) -> None:
        """Keeps the conflict, and what rules have decided against somebody."""
        decided = decisions(united.decided)
        if not united.open and not any("lost" in one for one in decided):
            return
        terms, theirs = self._batch.terms, bare(stored.document, exact=True)
        text = None if pushed.doc.deleted else jsontext.decode(pushed.doc.body)
        of_winner = records.author_of(self._batch.writing, pushed.doc.id, stored.winner)
        conflict = Conflict(
            number=0,
            id=conflict_id(pushed.doc.id, pushed.rev),
            docid=pushed.doc.id,
            doctype=str(theirs.get("type")),
            state=State.OPEN if united.open else State.MERGED,
            escalated=united.escalated,
            author=terms.principal.name,
            device=terms.principal.device,
            other=of_winner or str(theirs.get("modifiedBy") or ""),
            base=None if base is None else base.rev,
            branch=pushed.rev,
            server=stored.document.rev,
            stayed=stayed,
            opened=terms.now,
            mine_at=moment(times.mine("")),
            theirs_at=moment(times.latest),
            fields=tuple(united.open),
            decided=decided,
            deleted=pushed.doc.deleted,
            text=text,
        )
        # The branch is closed, and bytes of closed branches go when the database is compacted.
        asked = {one.name for one in united.open}
        lost = {
            name: given
            for name, given in pushed.doc.attachments.items()
            if ATTACHMENT + name in asked and isinstance(given, InlineAttachment | StagedAttachment)
        }
        self._batch.keeping.open(conflict, theirs, lost)

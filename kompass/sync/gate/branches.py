"""Two versions of a document that know nothing of each other: uniting them, or asking a person.

A branch, its end, the merge and the conflict are written by one call, so nobody ever sees the branch win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kompass.access import Action
from kompass.sync.gate import attachments, records
from kompass.sync.gate.batch import Batch
from kompass.sync.gate.merging import ATTACHMENT, applied, clashes, differs
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, Refused
from kompass.sync.gate.records import Origin
from kompass.sync.gate.stored import Stored, bare, form_of, members_of, policy_form
from kompass.sync.notices import conflict_notice
from kompass.sync.refusals import of_decision
from replication.protocol import jsontext
from replication.protocol.attachments import (
    AttachmentWrite,
    InlineAttachment,
    StagedAttachment,
    StubAttachment,
)
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path, Rev, format_rev
from replication.store.interface import AttachmentInfo, Document


class Branches:
    """Judges branches of one batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def judge(self, pushed: Pushed, stored: Stored) -> Outcome:
        docid, path = pushed.doc.id, pushed.path
        given = self._batch.attachments(pushed, stored)
        base = self.base(path, stored)
        mine = form_of(jsontext.decode(pushed.doc.body), attachments.digests(given))
        theirs = members_of(stored.document)
        before = stored.body()
        if base is None:
            wanted = dict(mine)
        else:
            wanted = applied(members_of(base), mine, theirs)
            if "modifiedBy" in mine:
                wanted["modifiedBy"] = mine["modifiedBy"]
        decision = self._batch.decide(Action.UPDATE, policy_form(docid, wanted), before)
        if not decision.allowed:
            return Refused(of_decision(decision))
        merged: dict[str, Any] | None
        if not differs(mine, theirs):
            merged = theirs
        else:
            merged = None if base is None else self._batch.terms.merge(members_of(base), mine, theirs)
        if merged is not None and differs(merged, theirs):
            form = policy_form(docid, merged)
            decision = self._batch.decide(Action.UPDATE, form, before)
            wrong = None if decision.allowed else of_decision(decision)
            wrong = wrong or self._batch.check(form, before)
            if wrong is not None:
                return Refused(wrong)
            self._batch.expect(docid, form)
        self._batch.accept(pushed, given)
        self._batch.close(path, docid)
        if merged is None:
            fields = clashes(members_of(base), mine, theirs) if base else differs(mine, theirs)
            self.conflict(pushed, stored, base, fields)
        elif differs(merged, theirs):
            made = self._write_merge(stored, merged, given)
            self._batch.merges.append((docid, path.leaf, made))
        else:
            self._batch.merges.append((docid, path.leaf, stored.winner))
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

    def conflict(self, pushed: Pushed, stored: Stored, base: Document | None, fields: Sequence[str]) -> None:
        """Gives the writer both texts, and the one they come from if he may read it."""
        shown_base = None
        if base is not None:
            shown_base = bare(base, exact=True)
            if not self._batch.decide(Action.READ, shown_base, None).allowed:
                shown_base = None
        theirs = bare(stored.document, exact=True)
        mine = None
        if not pushed.doc.deleted:
            mine = {"_id": pushed.doc.id, **jsontext.decode(pushed.doc.body)}
        notice = conflict_notice(
            self._batch.terms.principal.name,
            pushed.doc.id,
            branch=pushed.rev,
            winner=stored.document.rev,
            base=shown_base,
            mine=mine,
            theirs=theirs,
            fields=[name.removeprefix(ATTACHMENT) for name in fields],
            now=self._batch.terms.now,
        )
        if self._batch.writing.winner(notice.id) is None:
            open_conflict = records.OpenConflict(pushed.doc.id, notice.id, stored.winner)
            records.keep_conflict(self._batch.writing, self._batch.terms.principal.name, open_conflict)
            # The branch is closed, and bytes of closed branches go when the database is compacted.
            lost = {
                name: given
                for name, given in pushed.doc.attachments.items()
                if ATTACHMENT + name in fields and isinstance(given, InlineAttachment | StagedAttachment)
            }
            path = self._batch.next(notice.id, None, notice.body, lost)
            self._batch.writes.append(
                DocumentWrite(notice.id, False, notice.body, path=path, attachments=lost)
            )

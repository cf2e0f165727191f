"""Telling authors what became of what they sent and wasn't stored.

A refused revision ends on its author's devices, and a `rejected_change` there has his text and the reason.
When he, or somebody else, has done with it, that goes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from kompass.audit import Door, acting, of_principal
from kompass.business.server_made import raise_refusals, server_made
from kompass.domain.refusals import Refusal
from kompass.privacy import interrupting
from kompass.sync import notices
from kompass.sync.gate import answers, records
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, read
from kompass.sync.gate.site import Site
from kompass.sync.quarantine.entries import SETTLED, Entry, State
from replication.protocol import jsontext
from replication.protocol.attachments import AttachmentWrite, StubAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path
from replication.store.sqlite import Writing

_PAGE = 500


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A refused document whose text is in quarantine, on its way to its author's feed."""

    pushed: Pushed
    entry: str
    refusal: Refusal


class Telling:
    """For one gate."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.all_told = False
        """Whether everything in quarantine is known to have been told; see `tell_the_rest`."""

    async def tell(self, user: str, refused: Sequence[HeldBack]) -> None:
        """Ends refused revisions on the author's devices and tells him why, in one transaction."""
        now = self._site.now()

        def run(writing: Writing) -> None:
            interrupting.check(writing)
            written = []
            entered = []
            told = writing.winners(
                [notices.rejected_id(user, one.pushed.doc.id, one.pushed.rev) for one in refused]
            )
            for one in refused:
                doc = one.pushed.doc
                if notices.rejected_id(user, doc.id, one.pushed.rev) in told:
                    continue  # he was told before, and both is done at once
                self._site.index.refuse(writing, user, doc.id, one.pushed.path)
                entered.append(answers.refusing(one.pushed, one.refusal))
                notice = notices.rejected_notice(
                    user,
                    doc.id,
                    one.pushed.rev,
                    entry=one.entry,
                    text=None if doc.deleted else jsontext.decode(doc.body),
                    deleted=doc.deleted,
                    attachments=list(doc.attachments),
                    rule=one.refusal.rule,
                    reason=one.refusal.reason,
                    grund=one.refusal.grund,
                    fields=one.refusal.fields,
                    now=now,
                )
                name = self._site.index.keyed_revision(notice.id, None, notice.body)
                path = Path(1, [name])
                written.append(DocumentWrite(notice.id, False, notice.body, path=path, note=notices.NOTICE))
            if entered:
                self._site.audit.refused(writing, entered)
            raise_refusals(writing.write(written, replicated=True))

        try:
            with acting(of_principal(self._site.principal(user), Door.REPLICATION)):
                await self._site.database.transact(run)
        except BaseException:
            self.all_told = False
            raise

    async def tell_the_rest(self) -> None:
        """Tells what broke off before it was told: at a crash, or because something failed.

        Of what lies in quarantine its author's devices get the end, and he the reason; what he was told of
        something that is settled by now goes, and what he has done with is settled.
        """
        self.all_told = True  # unless somebody fails to be told meanwhile
        after = 0
        while page := self._site.quarantine.all(_PAGE, after):
            after = page[-1][0]
            about = {notices.rejected_id(one.user, one.docid, one.rev): one for _, one in page}
            with self._site.database.reading() as reading:
                told = reading.winners(list(about))
            for notice, one in about.items():
                winner = told.get(notice)
                if one.state is State.QUARANTINED and winner is None:
                    entry = await self._site.quarantine.get(one.id)
                    if entry is not None and entry.state is State.QUARANTINED:
                        await self.tell(
                            entry.user, [HeldBack(await self.text_of(entry), entry.id, entry.refusal)]
                        )
                elif one.state is State.QUARANTINED and winner is not None and winner.deleted:
                    await self._done_with(one.id)
                elif one.state in SETTLED and winner is not None and not winner.deleted:
                    await self.close_notice(one.user, one.docid, one.rev)
            await asyncio.sleep(0)

    async def text_of(self, entry: Entry) -> Pushed:
        """What the author had sent, with the names of its attachments."""
        attached: dict[str, AttachmentWrite] = {
            name: StubAttachment(info.digest, info.revpos)
            for name, info in (await self._site.quarantine.attachments(entry)).items()
        }
        return read(
            DocumentWrite(entry.docid, entry.deleted, entry.body, path=entry.path, attachments=attached)
        )

    async def close_notice(self, user: str, docid: str, rev: str) -> None:
        """What somebody was told of a refused revision is settled: the `rejected_change` goes."""
        notice = notices.rejected_id(user, docid, rev)

        def run(writing: Writing) -> None:
            ended = server_made(writing, notice, b"{}", self._site.index.keyed_revision, deleted=True)
            if ended is not None:
                ended.note = notices.NOTICE
                raise_refusals(writing.write([ended], replicated=True))

        await self._site.database.transact(run)

    async def dismiss(self, outcomes: Sequence[Outcome]) -> None:
        """Settles what its authors have done with."""
        for outcome in outcomes:
            if isinstance(outcome, Accepted) and outcome.dismissed is not None:
                try:
                    await self._done_with(outcome.dismissed)
                except BaseException:
                    self.all_told = False
                    raise

    async def _done_with(self, number: str) -> None:
        """An author has deleted what told him of this entry: he has corrected it or doesn't need it."""
        entry = await self._site.quarantine.get(number)
        if entry is None or entry.state is not State.QUARANTINED:
            return
        with self._site.database.reading() as reading:
            corrected = records.wrote_since(reading, entry.user, entry.docid, entry.received)
        state = State.CORRECTED if corrected else State.DISCARDED
        await self._site.quarantine.change(number, state, by=entry.user, now=self._site.now())

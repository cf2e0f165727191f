"""What people do with work that lies in quarantine: look at it, release it, correct it, throw it away.

Whoever asks needs an active record in the database, and has the roles that both it and his login have.

Its author always sees his own text. Somebody of the office sees an entry if he may read what it says and,
where the document exists, the document. Whatever is written from here is a new revision on the current
winner, made by the server and judged as any other write of the one who causes it; the refused revision itself
never gets in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kompass.access import Principal, Role
from kompass.domain.stamps import timestamp
from kompass.domain.upcasting import alike
from kompass.domain.versions import ATTACHMENT, applied, clashes, differs
from kompass.sync.admitting import admitted
from kompass.sync.gate import attachments
from kompass.sync.gate.gate import Gate
from kompass.sync.gate.stored import form_of, members_of
from kompass.sync.quarantine.entries import SETTLED, Entry, State
from kompass.sync.quarantine.store import copied
from replication.protocol import jsontext
from replication.protocol.attachments import AttachmentWrite
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Rev, parse_rev
from replication.store.values import AttachmentInfo, Document

OFFICE = frozenset({Role.INNEN, Role.GF})
"""Who looks at other people's entries."""


class DeskError(Exception):
    """What was asked can't be done with this entry. The text is for a person."""


class SettledError(DeskError):
    """Somebody has dealt with it already."""


class ClashError(DeskError):
    """The document has changed in the same fields since; `fields` names them."""

    def __init__(self, text: str, fields: Sequence[str], rev: str | None) -> None:
        super().__init__(text)
        self.fields = tuple(fields)
        self.rev = rev
        """The document's current revision, None if there is none."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as somebody may see it."""

    entry: Entry
    winner: Document | None
    """The document as it is now, if he may read it and it lives."""
    attachments: Mapping[str, AttachmentInfo]


class Desk:
    """The quarantine of one gate, for people."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._quarantine = gate.quarantine

    # -- looking -------------------------------------------------------------------------------

    async def page(
        self, principal: Principal, *, everybody: bool, state: State | None, limit: int, before: int | None
    ) -> tuple[list[Entry], int | None]:
        """At most `limit` entries, the latest first, and where to go on; None at the end.

        `everybody`: also those of others, for the office; for anybody else it changes nothing. A page may
        have fewer entries than asked for and not be the last.
        """
        principal = self._admitted(principal)
        of_all = everybody and not OFFICE.isdisjoint(principal.roles)
        listed = self._quarantine.listed(
            user=None if of_all else principal.name, state=state, limit=limit, before=before
        )
        found = []
        for _, number in listed:
            entry = await self._quarantine.get(number)
            if entry is not None and self._may_see(principal, entry):
                found.append(entry)
        return found, listed[-1][0] if len(listed) == limit else None

    async def find(self, principal: Principal, number: str) -> Shown | None:
        """One entry. None if there is none that he may see."""
        principal = self._admitted(principal)
        entry = await self._quarantine.get(number)
        if entry is None or not self._may_see(principal, entry):
            return None
        winner = self._winner(principal, entry.docid)
        return Shown(entry, winner, await self._quarantine.attachments(entry))

    def read_attachment(self, info: AttachmentInfo) -> AsyncIterator[bytes]:
        """The bytes, as they are stored."""
        return self._quarantine.database.read_attachment(info)

    def _admitted(self, principal: Principal) -> Principal:
        with self._gate.database.reading() as reading:
            return admitted(self._gate.index, reading, principal)

    def _may_see(self, principal: Principal, entry: Entry) -> bool:
        if entry.user == principal.name:
            return True
        if OFFICE.isdisjoint(principal.roles):
            return False
        index = self._gate.index
        with self._gate.database.reading() as reading:
            if reading.winner(entry.docid) is not None:
                if not index.sees(reading, principal.name, [entry.docid]):
                    return False
            elif entry.deleted:
                return False
            document = {**entry.document, "_id": entry.docid}
            return entry.deleted or index.reads_text(reading, principal, document)

    def _winner(self, principal: Principal, docid: str) -> Document | None:
        index = self._gate.index
        with self._gate.database.reading() as reading:
            winner = index.readable(reading, principal.name, [docid]).get(docid)
            return None if winner is None or winner.deleted else winner

    # -- deciding ------------------------------------------------------------------------------

    async def release(self, principal: Principal, shown: Shown, *, overwrite: bool = False) -> str:
        """Writes what was refused onto the document as it is now, and returns the revision.

        What has changed since stays as far as it goes together with it. Raises `ClashError` if it doesn't,
        unless `overwrite`; `forbidden` if the one who releases may not write it; `SettledError`.
        """
        principal = self._admitted(principal)
        entry, winner = shown.entry, shown.winner
        _check(entry.state is State.QUARANTINED, entry)
        if entry.deleted:
            if winner is None:
                raise ClashError("The document is gone already: discard the entry.", (), None)
            doc = DocumentWrite(entry.docid, True, b"{}", parse_rev(winner.rev))
        else:
            doc = await self._merged(principal, shown, overwrite)
        rev = await self._write(principal, doc, author=entry.user if doc.parent is None else None)
        await self._settle(entry, State.RELEASED, principal)
        return rev

    async def correct(
        self, principal: Principal, shown: Shown, document: Mapping[str, Any], rev: str | None
    ) -> str:
        """Writes something better in its author's name, and returns the revision.

        `document` has no members of the protocol; `rev` is the revision of the document that he has seen,
        None if there was none. Attachments stay, and those that were refused with it come along. Raises
        `ClashError` if the document has changed since he saw it, `forbidden`, `SettledError`.
        """
        principal = self._admitted(principal)
        entry, winner = shown.entry, shown.winner
        _check(entry.state is State.QUARANTINED, entry)
        if principal.name != entry.user:
            raise DeskError("Only its author corrects an entry; the office releases or discards it.")
        current = None if winner is None else winner.rev
        if rev != current:
            raise ClashError("The document has changed since you saw it.", (), current)
        kept: dict[str, AttachmentWrite] = {}
        parent: Rev | None = None
        if winner is not None:
            parent = parse_rev(winner.rev)
            known = await self._gate.database.attachments(entry.docid, parent)
            kept.update((name, attachments.stub(info)) for name, info in known.items())
        for name, info in shown.attachments.items():
            kept[name] = await self._brought(info)
        doc = DocumentWrite(entry.docid, False, jsontext.encode(dict(document)), parent, attachments=kept)
        written = await self._write(principal, doc)
        await self._settle(entry, State.CORRECTED, principal)
        return written

    async def discard(self, principal: Principal, shown: Shown) -> None:
        """Nobody needs it. Raises `SettledError`."""
        principal = self._admitted(principal)
        entry = shown.entry
        _check(entry.state not in SETTLED, entry)
        if entry.state is State.WAITING:
            await self._gate.give_up(entry)
        await self._settle(entry, State.DISCARDED, principal)

    async def _settle(self, entry: Entry, state: State, principal: Principal) -> None:
        await self._quarantine.change(entry.id, state, by=principal.name, now=self._gate.now())
        await self._gate.close_notice(entry.user, entry.docid, entry.document_rev)

    async def _write(self, principal: Principal, doc: DocumentWrite, author: str | None = None) -> str:
        try:
            return await self._gate.write_as(principal, doc, author=author, restores=doc.parent is not None)
        except BaseException:
            await self._gate.discard_staged(doc)
            raise

    async def _brought(self, info: AttachmentInfo) -> AttachmentWrite:
        """The bytes of an entry's attachment, in the documents' database."""
        staged = await copied(self._quarantine.database, self._gate.database, info)
        return replace(staged, revpos=None)

    async def _merged(self, principal: Principal, shown: Shown, overwrite: bool) -> DocumentWrite:
        entry, winner = shown.entry, shown.winner
        digests = {**entry.stubs, **{name: info.digest for name, info in shown.attachments.items()}}
        mine = form_of(entry.document, digests)
        merged = mine
        known: Mapping[str, AttachmentInfo] = {}
        parent: Rev | None = None
        if winner is not None:
            parent = parse_rev(winner.rev)
            known = await self._gate.database.attachments(entry.docid, parent)
            base = self._base(entry, winner)
            theirs = members_of(winner)
            mine, theirs, *old = alike(mine, theirs, *([] if base is None else [base]))
            base = old[0] if old else None
            fields = differs(mine, theirs) if base is None else clashes(base, mine, theirs)
            if fields and not overwrite:
                shown_fields = [name.removeprefix(ATTACHMENT) for name in fields]
                text = f"The document has changed since in the same fields: {', '.join(shown_fields)}."
                raise ClashError(text, shown_fields, winner.rev)
            merged = mine if base is None or fields else applied(base, mine, theirs)
        kept: dict[str, AttachmentWrite] = {}
        for member, digest in merged.items():
            if member.startswith(ATTACHMENT):
                name = member.removeprefix(ATTACHMENT)
                stored = known.get(name)
                if stored is not None and digest in (stored.digest, ""):
                    kept[name] = attachments.stub(stored)
                elif name in shown.attachments:
                    kept[name] = await self._brought(shown.attachments[name])
        body = {name: value for name, value in merged.items() if not name.startswith(ATTACHMENT)}
        body |= _signed(principal, self._gate.now())
        if winner is None:
            parent = self._end(principal, entry.docid)
            if parent is None:
                body["createdBy"] = entry.user
        return DocumentWrite(entry.docid, False, jsontext.encode(body), parent, attachments=kept)

    def _end(self, principal: Principal, docid: str) -> Rev | None:
        """The deletion of a document that he held."""
        with self._gate.database.reading() as reading:
            winner = reading.winner(docid)
            if winner is None or docid not in self._gate.index.sees(reading, principal.name, [docid]):
                return None
            return parse_rev(winner.rev) if winner.deleted else None

    def _base(self, entry: Entry, winner: Document) -> dict[str, Any] | None:
        """What the refused text and the document as it is now come from."""
        with self._gate.database.reading() as reading:
            state = reading.revisions(entry.docid)
            assert state is not None
            lineage = {state.winner} | state.tree.ancestors(state.winner)
            for rev in entry.path.revisions()[1:]:
                found = reading.revision(entry.docid, rev) if rev in lineage else None
                if found is not None and not found.deleted:
                    return members_of(found)
        return None


def _check(possible: bool, entry: Entry) -> None:
    if not possible:
        raise SettledError(f"This entry is {entry.state.value}: nothing more can be done with it here.")


def _signed(principal: Principal, now: datetime) -> dict[str, Any]:
    return {"modifiedBy": principal.name, "modifiedAt": timestamp(now)}

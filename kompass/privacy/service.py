"""Erasing people in a running server, with everything that isn't in one transaction: the quarantine, files.

The quarantine is cleaned before the erasure, so that a crash leaves nothing that nobody would look for again,
and once more after it, for what devices have sent meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from kompass.domain.personal import pseudonym
from kompass.privacy import register
from kompass.privacy.erasing import Done, Order, Rewriter, Rewriting, erase, held
from kompass.privacy.finding import Found, find
from kompass.privacy.journal import Journal
from kompass.privacy.register import Erasure
from kompass.sync.gate.gate import Gate
from kompass.sync.opening import chain_in
from replication.protocol import jsontext
from replication.protocol.attachments import StubAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import SqliteDatabase, Writing

_PAGE = 500
_TRIES = 20
_PAUSE = 0.25

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Preview:
    """What an erasure would do."""

    subjects: Mapping[str, str]
    """Id -> the pseudonym it would get, as things are."""
    rewritten: tuple[Rewriting, ...]
    held: tuple[str, ...]
    """Documents under a legal hold: as long as there are any, nothing is erased."""
    shared: Mapping[str, str]
    """Values that stay where they are somebody else's as well -> whose record that is."""
    documents: int
    """Documents of which earlier texts would go."""
    entries: int
    """Entries of the chain of writes whose values would go."""


class Privacy:
    """Of one gate's database."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._database = gate.database
        self._audit = chain_in(gate.database)

    async def preview(self, subject: str) -> Preview:
        """What `erase` would do now; nothing is changed. Raises `UnknownSubjectError`."""

        def look() -> Preview:
            with self._database.reading() as reading:
                found = find(reading, subject)
                numbers = dict.fromkeys(found.subjects, 0)
                rewriter = Rewriter(reading, found, numbers, 0, self._gate.now())
                winners = reading.winners(found.documents | found.near)
                rewritten = [
                    one
                    for docid, winner in sorted(winners.items())
                    if docid not in found.notices
                    and not winner.deleted
                    and (one := rewriter.rewriting(winner)) is not None
                ]
                return Preview(
                    {docid: pseudonym(kind, 0).removesuffix("0") for docid, kind in found.subjects.items()},
                    tuple(rewritten),
                    tuple(held(reading, found)),
                    found.shared,
                    len(found.documents),
                    len(found.entries),
                )

        return await asyncio.to_thread(look)

    async def erase(self, subject: str, *, by: str, reason: str, again: Erasure | None = None) -> Done:
        """Erases somebody, in the name of whoever is at work.

        Raises `UnknownSubjectError`, `AlreadyErasedError` and `HeldError`. When it returns, no file of the
        two databases has a byte of what was erased, unless readers were in the way; that is logged.
        """
        order = Order(subject, by, reason, self._gate.now(), again)

        def look() -> tuple[Found, Rewriter]:
            with self._database.reading() as reading:
                found = find(reading, subject)
                numbers = dict.fromkeys(found.subjects, 0)
                return found, Rewriter(reading, found, numbers, 0, order.now)

        found, provisional = await asyncio.to_thread(look)
        with self._database.reading() as reading:
            refused = bool(held(reading, found)) or bool(register.subjects_among(reading, [subject]))
        if not refused or again is not None:
            await self._clean_quarantine(found, provisional)

        def run(writing: Writing) -> Done:
            return erase(writing, order, found, self._audit, self._gate.index.keyed_revision)

        done = await self._database.transact(run)
        await self._clean_quarantine(done.found, done.replacer)
        for database in (self._database, self._gate.quarantine.database):
            await self._scrub(database)
        return done

    async def replay(self, journal: Journal) -> list[Erasure]:
        """Does again what the log of erasures has and the database hasn't, as after a restore.

        Returns what was done. What the log lacks and the database has is added to the log. Raises
        `JournalError`.
        """
        with self._database.reading() as reading:
            known = {one.num: one for one in register.erasures(reading)}
        logged = {one.num for one in journal.erasures()}
        for one in known.values():
            if one.num not in logged:
                journal.write(one)
        repeated = []
        for one in journal.erasures():
            if one.num in known:
                continue
            with self._database.reading() as reading:
                winner = reading.winner(one.subject)
            if winner is None or winner.deleted:
                # He came after the backup, or went before: the number is used up all the same.
                await self._database.transact(partial(register.keep, erasure=one, documents={}))
                continue
            await self.erase(one.subject, by=one.by, reason=one.reason, again=one)
            repeated.append(one)
        return repeated

    async def _scrub(self, database: SqliteDatabase) -> None:
        for _ in range(_TRIES):
            if await database.scrub():
                return
            await asyncio.sleep(_PAUSE)
        log.error("erased bytes may still be in the write-ahead log: readers were in the way")

    # -- the quarantine ------------------------------------------------------------------------

    async def _clean_quarantine(self, found: Found, rewriter: Rewriter) -> None:
        quarantine = self._gate.quarantine
        after = 0
        touched = []
        while page := quarantine.all(_PAGE, after):
            after = page[-1][0]
            for _, one in page:
                if one.docid in found.subjects:
                    await quarantine.remove(one.id)
                    await self._gate.close_notice(one.user, one.docid, one.rev)
                elif await self._rewrite_entry(one.id, one.docid, rewriter):
                    touched.append(one.id)

        def forget(writing: Writing) -> None:
            with writing.overwriting():
                for number in touched:
                    writing.forget(number)

        if touched:
            await quarantine.database.transact(forget)

    async def _rewrite_entry(self, number: str, docid: str, rewriter: Rewriter) -> bool:
        """Whether what somebody sent of another document says something about him."""
        database = self._gate.quarantine.database
        document = await database.winner(number)
        if document is None or document.deleted:
            return False
        value: dict[str, Any] = jsontext.decode(document.text)
        body = {name: member for name, member in value.items() if name[:1] != "_"}
        replacer = rewriter.near(docid)
        after = {**body, "reason": replacer.text(body["reason"]), "grund": replacer.text(body["grund"])}
        sent = body.get("document")
        if isinstance(sent, str):
            decoded = jsontext.decode(sent.encode())
            replaced = replacer.value(decoded)
            if replaced != decoded:
                after["document"] = jsontext.encode(replaced).decode()
        if after == body:
            return False
        rev = parse_rev(document.rev)
        stubs = {
            name: StubAttachment(info.digest, info.revpos)
            for name, info in (await database.attachments(number, rev)).items()
        }
        write = DocumentWrite(number, False, jsontext.encode(after), rev, attachments=stubs)
        (outcome,) = await database.write([write])
        if isinstance(outcome, ProtocolError):
            raise outcome
        return True

"""Erasing people in a running server, with everything that isn't in one transaction: the quarantine, files.

The transaction notes what has to follow it, with the values that are to be looked for. Then the quarantine
is cleaned, the note loses the values, the files are rewritten, and the note goes. `resume` goes on from
wherever a crash has cut that off. From the transaction until the quarantine is clean nobody writes at the
gate: what was judged before and is kept afterwards would be missed.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from kompass.domain.personal import pseudonym
from kompass.finishing import to_the_end
from kompass.privacy import erasures, interrupting, pending
from kompass.privacy.accounts import Account, Accounts, ActiveUserError, identity_digest
from kompass.privacy.erasing import (
    AlreadyErasedError,
    Done,
    HeldError,
    Order,
    Rewriter,
    Rewriting,
    erase,
    held,
    winners,
)
from kompass.privacy.erasures import Erasure, Subject
from kompass.privacy.finding import Found, UnknownSubjectError, find, is_unknown, known_pseudonym
from kompass.privacy.journal import Journal
from kompass.privacy.sweep import Sweep, login_of, shallow
from kompass.sync.gate.gate import Gate
from kompass.sync.opening import chain_in
from replication.protocol import jsontext
from replication.protocol.attachments import AttachmentWrite, StubAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import SqliteDatabase, Writing

PATIENCE = timedelta(minutes=1)
"""How long an erasure that was done on another server waits for the rest of its documents."""
_PAGE = 500
_REPLICATION, _ELSEWHERE = "replication", "Erased on another server"
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
    account: Account | None
    """Of a user: what he has besides; while it is active nothing is erased."""
    refused: int
    """Of a user: what he has sent and lies in quarantine. It goes."""


class Privacy:
    """Of one gate's database, and the accounts beside it."""

    def __init__(self, gate: Gate, accounts: Accounts) -> None:
        self._gate = gate
        self._accounts = accounts
        self._database = gate.database
        self._audit = chain_in(gate.database)

    async def preview(self, subject: str) -> Preview:
        """What `erase` would do now; nothing is changed. Raises `UnknownSubjectError`."""

        def look() -> Preview:
            with self._database.reading() as reading:
                found = find(reading, subject)
                numbers = dict.fromkeys(found.subjects, 0)
                rewriter = Rewriter(reading, found, numbers, 0, self._gate.now())
                rewritten = [
                    one.outline()
                    for winner in winners(reading, (found.documents | found.near) - found.notices)
                    if (one := rewriter.rewriting(winner)) is not None
                ]
                return Preview(
                    {docid: pseudonym(kind, 0).removesuffix("0") for docid, kind in found.subjects.items()},
                    tuple(rewritten),
                    tuple(held(reading, found)),
                    found.shared,
                    len(found.documents),
                    len(found.entries),
                    account,
                    refused,
                )

        account = await self._account(subject)
        refused = 0 if account is None else self._gate.quarantine.count(account.name)
        return await asyncio.to_thread(look)

    async def erase(self, subject: str, *, by: str, reason: str, again: Erasure | None = None) -> Done:
        """Erases somebody, in the name of whoever is at work.

        Raises `UnknownSubjectError`, `AlreadyErasedError`, `HeldError` and `ActiveUserError`: then nothing
        has happened. When it returns, no file of the databases has a byte of what was erased, unless
        something was in the way (`Done.is_clean`): then `resume` goes on. What was begun is finished even if
        the caller is cancelled.
        """
        return await to_the_end(self._erase(Order(subject, by, reason, self._gate.now(), again)))

    async def _erase(self, order: Order) -> Done:
        def look() -> Found:
            with self._database.reading() as reading:
                if order.again is None and erasures.subjects_among(reading, [order.subject]):
                    raise AlreadyErasedError(order.subject)
                return find(reading, order.subject)

        found = await asyncio.to_thread(look)

        def run(writing: Writing) -> Done:
            return erase(writing, order, found, self._audit, self._gate.index.keyed_revision)

        account = await self._account(order.subject)
        async with self._gate.turns.alone():
            if account is not None and order.again is None:
                account = await self._accounts.of(account.name)
                if account.record is not None and account.record.active:
                    raise ActiveUserError(account.name)
            done = replace(await self._database.transact(run), account=account)
            is_swept = await self._tried(self._sweep_all)
        return replace(done, is_clean=is_swept and await self._tried(self._rewrite_files))

    async def resume(self) -> bool:
        """Goes on with erasures that were interrupted after their transaction. True if nothing is left.

        Run it before anything is served, and from time to time. What fails is logged, and tried again.
        """
        with self._database.reading() as reading:
            unfinished = pending.listed(reading)
        if not unfinished:
            return True
        async with self._gate.turns.alone():
            is_swept = await self._tried(self._sweep_all)
        return is_swept and await self._tried(self._rewrite_files)

    async def follow(self) -> list[str]:
        """Erases here who was erased on another server, as its documents say that have come by a replication.

        Waits a while for all of them: what comes later is another version beside the one that is made here.
        Returns who was erased. Whoever can still log in, or is under a legal hold, waits; that is logged.
        """
        before = self._gate.now() - PATIENCE
        with self._database.reading() as reading:
            subjects = erasures.due(reading, before)
        done = []
        for subject in subjects:
            try:
                if not await self._take_over(subject):
                    await self.erase(subject, by=_REPLICATION, reason=_ELSEWHERE)
                done.append(subject)
            except (UnknownSubjectError, AlreadyErasedError):
                await self._database.transact(partial(erasures.not_due, subjects=[subject]))
            except (HeldError, ActiveUserError) as error:
                log.warning("an erasure of another server waits", subject=subject, why=str(error))
        return done

    async def _take_over(self, subject: str) -> bool:
        """Notes that somebody was erased of whom this server never had anything else, unless it may have."""
        if login_of(subject) is not None or not await asyncio.to_thread(self._is_unknown, subject):
            return False

        def run(writing: Writing) -> None:
            winner = writing.winner(subject)
            if winner is None or erasures.subjects_among(writing, [subject]):
                erasures.not_due(writing, [subject])
                return
            num, kind, number = erasures.next_erasure(writing), *known_pseudonym(winner)
            erasure = Erasure(
                num, subject, self._gate.now(), _REPLICATION, _ELSEWHERE, (Subject(subject, kind, number),)
            )
            erasures.keep(writing, erasure, {subject: winner.rev})
            writing.tell(erasure)

        await self._database.transact(run)
        return True

    def _is_unknown(self, subject: str) -> bool:
        with self._database.reading() as reading:
            return is_unknown(reading, subject)

    async def _account(self, subject: str) -> Account | None:
        """What a user has, None for whoever is none."""
        name = login_of(subject)
        return None if name is None else await self._accounts.of(name)

    async def _tried(self, step: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await step()
        except Exception as error:
            log.error("an erasure isn't finished: it is gone on with", **outline(error))
            return False

    async def replay(self, journal: Journal) -> list[Erasure]:
        """Does again what the log of erasures has and the database hasn't, as after a restore.

        Returns what was done. What the log lacks and the database has is added to the log. Raises
        `JournalError`.
        """
        with self._database.reading() as reading:
            known = {one.num: one for one in erasures.listed(reading)}
        logged = {one.num for one in journal.erasures()}
        for one in known.values():
            if one.num not in logged:
                journal.write(one)
        try:
            journal.rewrite(known.values())
        except OSError:
            log.exception("the log of erasures could not be rewritten")
        repeated = []
        for one in journal.erasures():
            if one.num in known:
                continue
            try:
                await self.erase(one.subject, by=one.by, reason=one.reason, again=one)
            except UnknownSubjectError:
                # He came after the backup, or went before: the number is used up all the same.
                await self._database.transact(partial(erasures.keep, erasure=one, documents={}))
                name = login_of(one.subject)
                if name is not None:
                    await self._erase_account(one.num, name)
                continue
            repeated.append(one)
        return repeated

    # -- what follows the transaction ----------------------------------------------------------

    async def _sweep_all(self) -> bool:
        with self._database.reading() as reading:
            unfinished = pending.listed(reading)
        for num, sweep in unfinished.items():
            if sweep is not None:
                await interrupting.sweep(self._gate.quarantine.database)
                await self._clean_quarantine(sweep)
                if sweep.login is not None:
                    await self._erase_account(sweep.erasure, sweep.login)
                await self._database.transact(partial(pending.swept, erasure=num))
        return True

    async def _erase_account(self, erasure: int, name: str) -> None:
        account = await self._accounts.of(name)
        if account.record is not None and account.record.subject is not None:
            digest = identity_digest(account.record.subject)
            await self._database.transact(partial(erasures.note_identity, digest=digest, erasure=erasure))
        await self._accounts.erase(name)

    async def _rewrite_files(self) -> bool:
        with self._database.reading() as reading:
            unfinished = pending.listed(reading)
        others = await self._accounts.databases()
        for database in (*others, self._gate.quarantine.database, self._database):
            if not await self._scrub(database):
                log.error("erased bytes may still be in the write-ahead log: readers were in the way")
                return False
        await self._database.transact(partial(pending.finish, erasures=list(unfinished)))
        return True

    async def _scrub(self, database: SqliteDatabase) -> bool:
        await database.drop_leftovers()
        for _ in range(_TRIES):
            if await database.scrub():
                return True
            await asyncio.sleep(_PAUSE)
        return False

    # -- the quarantine ------------------------------------------------------------------------

    async def _clean_quarantine(self, sweep: Sweep) -> None:
        quarantine = self._gate.quarantine
        after = 0
        touched = []
        while page := quarantine.all(_PAGE, after):
            after = page[-1][0]
            for _, one in page:
                if one.docid in sweep.subjects or one.user == sweep.login or sweep.names(one.docid):
                    await quarantine.remove(one.id)
                elif await self._rewrite_entry(one.id, one.docid, sweep):
                    touched.append(one.id)
                await asyncio.sleep(0)

        def forget(writing: Writing) -> None:
            with writing.overwriting():
                for number in touched:
                    writing.forget(number)

        if touched:
            await quarantine.database.transact(forget)

    async def _rewrite_entry(self, number: str, docid: str, sweep: Sweep) -> bool:
        """Whether what somebody sent of another document says something about him."""
        database = self._gate.quarantine.database
        while True:
            document = await database.winner(number)
            if document is None or document.deleted:
                return False
            value: dict[str, Any] = jsontext.decode(document.text)
            body = {name: member for name, member in value.items() if name[:1] != "_"}
            replacer = sweep.replacer(docid)
            after = {**body, "reason": replacer.text(body["reason"]), "grund": replacer.text(body["grund"])}
            drops = False
            sent = body.get("document")
            if isinstance(sent, str):
                decoded, deep = shallow(jsontext.decode(sent.encode()))
                replaced, drops = sweep.sent(docid, decoded)
                if deep or replaced != decoded:
                    after["document"] = jsontext.encode(replaced).decode()
            rev = parse_rev(document.rev)
            attached = await database.attachments(number, rev)
            drops = drops and bool(attached)
            if isinstance(body.get("stubs"), dict):
                after["stubs"] = {name: one for name, one in body["stubs"].items() if not sweep.names(name)}
            if after == body and not drops and not any(map(sweep.names, attached)):
                return False
            stubs: dict[str, AttachmentWrite] = {
                name: StubAttachment(info.digest, info.revpos)
                for name, info in ({} if drops else attached).items()
                if not sweep.names(name)
            }
            write = DocumentWrite(number, False, jsontext.encode(after), rev, attachments=stubs)
            (outcome,) = await database.write([write])
            if not isinstance(outcome, ProtocolError):
                return True
            if outcome.status != 409:  # somebody else was quicker: once more
                raise outcome


def outline(error: Exception) -> dict[str, str]:
    """What may be logged of an error while somebody is erased: its text may have what was worked on."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return {"error": type(error).__name__, "where": f"{place.filename}:{place.lineno}"}

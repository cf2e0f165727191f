"""The way by which everything is written that people send: judged, stored, or held back with nothing lost.

One batch goes through these steps, and a crash between two of them only means that the device sends it again:

1. Everything is judged and what is accepted is stored, in one transaction.
2. What is refused, or waits for something, is stored in quarantine, with its bytes.
3. In a second transaction the device's feed gets the end of every refused revision, and its author a
   `rejected_change` that tells him why.
4. What others were waiting for and is there now lets them be judged again.
5. Only then there is an answer: nothing for what was stored or waits, `forbidden` for what was refused.

If there is no room left in somebody's quarantine the whole request is answered 503. A device must not be told
`forbidden` then: it would not send the document again, and nobody else would have it. As it is it tries
again, and what was stored the first time is no change the second time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog

from kompass.access import Action, Principal, decide
from kompass.access.policy import ABSENT
from kompass.audit import SYSTEM, Door, acting, acting_as, actor, of_principal
from kompass.audit import Refused as Refusing
from kompass.domain.refusals import Refusal
from kompass.privacy import register
from kompass.sync import notices
from kompass.sync.gate import records, references
from kompass.sync.gate.batch import Remembered, Resolution, Terms
from kompass.sync.gate.judging import Judgement
from kompass.sync.gate.ports import Audit, Business, Index, NoAudit, NoBusiness
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, Refused, Waits, read, without_text
from kompass.sync.gate.records import Origin
from kompass.sync.gate.stored import known_of_hidden, known_of_purged
from kompass.sync.quarantine.entries import SETTLED, Entry, State
from kompass.sync.quarantine.store import Known, Quarantine, QuarantineFullError, copied
from replication.protocol import errors, jsontext
from replication.protocol.attachments import AttachmentWrite, StagedAttachment, StubAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev, parse_revisions
from replication.store.interface import Missing
from replication.store.sqlite import SqliteDatabase, Writing

CHUNK = 500
"""Documents that are judged in one transaction: others wait meanwhile."""
MOST_OF_ONE = 20
"""Revisions of one document among them: each has to wait for the one before it."""
PATIENCE = timedelta(days=7)
"""How long a document waits for what it belongs to."""
_PAGE = 500
_ROUNDS = 20
"""How often what was stored may let something else be stored, at one go."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _HeldBack:
    """A refused document whose text is in quarantine, on its way to its author's feed."""

    pushed: Pushed
    entry: str
    refusal: Refusal


class Gate:
    """The gate of one database. Methods are safe to call from any number of tasks of one event loop."""

    def __init__(
        self,
        database: SqliteDatabase,
        index: Index,
        quarantine: Quarantine,
        *,
        business: Business | None = None,
        audit: Audit | None = None,
        pass_time: Callable[[Writing], bool] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`index` is the database's extension. `business` has the rules that every document keeps; `audit`
        hears of what is refused. `pass_time` writes what time alone makes true, a part at a time, and says
        whether there may be more.
        """
        self.database = database
        self.index = index
        self.quarantine = quarantine
        self._business = business or NoBusiness()
        self._audit = audit or NoAudit()
        self._pass_time = pass_time
        self.now = now
        self._all_told = False
        """Whether everything in quarantine is known to have been told; see `tell_the_rest`."""

    def of(self, database: SqliteDatabase) -> Gate:
        """The same gate of another database, which has the tables already."""
        return Gate(
            database,
            self.index,
            self.quarantine,
            business=self._business,
            audit=self._audit,
            pass_time=self._pass_time,
            now=self.now,
        )

    async def prepare(self) -> None:
        """Makes the gate's tables. Call it before anything else."""
        await self.database.transact(records.prepare)
        await self.database.transact(register.prepare)

    # -- what devices ask before they push -------------------------------------------------------

    async def missing_revisions(
        self, principal: Principal, asked: Mapping[str, Sequence[Rev]]
    ) -> dict[str, Missing]:
        """`Database.missing_revisions` for somebody.

        Not missing are stored revisions of documents he sees, and of others, as of purged ones, those that he
        may have been sent or has sent himself; synthetic tombstones; design documents; and what he has sent
        before and lies in quarantine or waits. What lies there and he was not told of is missing: its push
        broke off, and its device sends it again. The ancestors are those of documents he sees.
        """
        with self.database.reading() as reading:
            found = reading.missing_revisions(asked)
            visible = self.index.sees(reading, principal.name, asked)
            hidden = [
                docid
                for docid, revs in asked.items()
                if docid not in visible and (docid not in found or len(found[docid].missing) < len(revs))
            ]
            may_know = known_of_hidden(reading, self.index, principal.name, hidden) if hidden else {}
            purged = known_of_purged(reading, self.index, principal.name, found)
        for docid in hidden:
            revs = [format_rev(rev) for rev in asked[docid] if rev not in may_know[docid]]
            found[docid] = Missing(revs, [])
        found = {docid: missing for docid, missing in found.items() if missing.missing}
        if not found:
            return {}
        held = self._held(principal.name, found)
        answer: dict[str, Missing] = {}
        for docid, missing in found.items():
            if docid.startswith(DESIGN_PREFIX):
                continue
            gone = purged.get(docid, ())
            revs = [
                rev
                for rev in missing.missing
                if (docid, rev) not in held
                and parse_rev(rev) not in gone
                and not self.index.knows_tombstone(docid, parse_rev(rev))
            ]
            if revs:
                highest = max(parse_rev(rev)[0] for rev in revs)
                ancestors = [rev for rev in missing.possible_ancestors if parse_rev(rev)[0] < highest]
                answer[docid] = Missing(revs, ancestors if docid in visible else [])
        return answer

    def _held(self, user: str, docids: Iterable[str]) -> set[tuple[str, str]]:
        """What he has sent of these documents and knows what became of: (id, revision)."""
        known = self.quarantine.known(user, docids)
        if not known:
            return set()
        with self.database.reading() as reading:
            told = reading.winners([notices.rejected_id(user, docid, rev) for docid, rev in known])
        return {
            (docid, rev)
            for (docid, rev), entry in known.items()
            if entry.state is not State.QUARANTINED or notices.rejected_id(user, docid, rev) in told
        }

    # -- writing -------------------------------------------------------------------------------

    async def write(
        self, principal: Principal, docs: Sequence[DocumentWrite], *, replicated: bool
    ) -> list[str | ProtocolError]:
        """Writes for somebody; per document, in order, its revision or why it was refused.

        `replicated`: revisions of a device with their history. What can't be stored is kept in quarantine,
        and the only error of a document is `forbidden`. Otherwise edits of somebody who sees the answer:
        `conflict` and `not_found` are answers as well, what he may not see is answered like what isn't there,
        and nothing is kept.

        Raises `service_unavailable` if his quarantine is full, and 412 `missing_stub` for an attachment that
        the client must send again with its bytes.
        """
        with acting(of_principal(principal, _door(replicated=replicated))):
            if replicated:
                return await _to_the_end(self._push(principal, docs))
            results: list[str | ProtocolError] = []
            for start in range(0, len(docs), CHUNK):
                pushed = [read(doc, online=True) for doc in docs[start : start + CHUNK]]
                results += await _to_the_end(self._edit(principal, pushed))
            return results

    async def write_as(self, principal: Principal, doc: DocumentWrite, *, author: str | None = None) -> str:
        """An online edit of one document. A new one has this author. Raises why it is refused."""
        with acting(of_principal(principal, _door(replicated=False))):
            (result,) = await _to_the_end(self._edit(principal, [read(doc, online=True, author=author)]))
        if isinstance(result, ProtocolError):
            raise result
        return result

    async def resolve(self, principal: Principal, doc: DocumentWrite, resolution: Resolution) -> str:
        """An online edit that settles a conflict. Raises why it is refused: then nothing is settled."""
        with acting(of_principal(principal, _door(replicated=False))):
            (result,) = await _to_the_end(self._edit(principal, [read(doc, online=True)], resolution))
        if isinstance(result, ProtocolError):
            raise result
        return result

    async def _edit(
        self, principal: Principal, pushed: list[Pushed], resolution: Resolution | None = None
    ) -> list[str | ProtocolError]:
        outcomes = await self._judge(principal, pushed, {}, resolution)
        await self._dismiss(outcomes)
        await self._let_in(pushed, outcomes)
        return [_answer_online(outcome) for outcome in outcomes]

    async def _push(self, principal: Principal, docs: Sequence[DocumentWrite]) -> list[str | ProtocolError]:
        pushed = []
        for doc in docs:
            pushed.append(read(doc))
            if len(pushed) % CHUNK == 0:
                await asyncio.sleep(0)
        chunks = _chunks(range(len(pushed)), pushed)
        if len(chunks) > 1:
            groups = references.levels([(one.doc.id, one.body) for one in pushed])
            chunks = _chunks([place for group in groups for place in group], pushed)
        results: dict[int, str | ProtocolError] = {}
        full: QuarantineFullError | None = None
        for places in chunks:
            some = [pushed[place] for place in places]
            known = self.quarantine.known(principal.name, {one.doc.id for one in some})
            outcomes = await self._judge(principal, some, known)
            try:
                await self._hold_back(principal, some, outcomes, known)
            except QuarantineFullError as error:
                full = error
            await self._supersede(principal, some, outcomes, known, all_kept=full is None)
            await self._dismiss(outcomes)
            await self._let_in(some, outcomes)
            await self._discard(some, outcomes)
            for place, outcome in zip(places, outcomes, strict=True):
                results[place] = _answer(pushed[place], outcome)
        if full is not None:
            log.warning("quarantine full", user=principal.name, why=str(full))
            raise errors.unavailable(str(full))
        return [results[place] for place in range(len(pushed))]

    async def _judge(
        self,
        principal: Principal,
        pushed: Sequence[Pushed],
        known: Mapping[tuple[str, str], Known],
        resolution: Resolution | None = None,
    ) -> list[Outcome]:
        terms = Terms(
            principal,
            self.now(),
            self.index,
            self._business,
            {key: Remembered(entry.state is State.WAITING, entry.refusal) for key, entry in known.items()},
            resolution,
        )

        dropped: list[DocumentWrite] = []

        def run(writing: Writing) -> list[Outcome]:
            outcomes = Judgement(writing, terms, pushed).run()
            for one, outcome in zip(pushed, outcomes, strict=True):
                if isinstance(outcome, Refused) and outcome.drops_text:
                    dropped.append(one.doc)
                    without_text(one)
            # What a device sent is entered when its author is told: it may be judged again before.
            refused = [
                _refusing(one, outcome)
                for one, outcome in zip(pushed, outcomes, strict=True)
                if one.origin is Origin.EDITED and _is_refused(outcome)
            ]
            if refused:
                self._audit.refused(writing, refused)
            return outcomes

        outcomes = await self.database.transact(run)
        for doc in dropped:
            await self.discard_staged(doc)
        self.database.taken_up(
            [one.doc for one, outcome in zip(pushed, outcomes, strict=True) if _is_new(outcome)]
        )
        return outcomes

    def _principal(self, user: str) -> Principal:
        """Somebody as his record has him."""
        with self.database.reading() as reading:
            return Principal(user, self.index.roles(reading, user) or frozenset())

    # -- what is not stored --------------------------------------------------------------------

    async def _hold_back(
        self,
        principal: Principal,
        pushed: Sequence[Pushed],
        outcomes: Sequence[Outcome],
        known: Mapping[tuple[str, str], Known],
    ) -> None:
        """Puts what was refused, or waits, into quarantine; then the author's feed learns of it."""
        refused = []
        full: QuarantineFullError | None = None
        for one, outcome in zip(pushed, outcomes, strict=True):
            if not isinstance(outcome, Refused | Waits):
                continue
            before = known.get((one.doc.id, one.rev))
            if before is not None:
                # Kept before; but whether its author was told isn't known if that broke off.
                if before.state is State.QUARANTINED and isinstance(outcome, Refused):
                    refused.append(_HeldBack(one, before.id, outcome.refusal))
                continue
            try:
                entry = await self._keep(principal, one, outcome)
            except QuarantineFullError as error:
                full = error
                continue
            if isinstance(outcome, Refused):
                refused.append(_HeldBack(one, entry, outcome.refusal))
        if refused:
            await self._tell(principal.name, refused)
        if full is not None:
            raise full

    async def _keep(self, principal: Principal, pushed: Pushed, outcome: Refused | Waits) -> str:
        waits = isinstance(outcome, Waits)
        return await self.quarantine.keep(
            self.database,
            principal.name,
            principal.device,
            pushed.doc,
            State.WAITING if waits else State.QUARANTINED,
            outcome.refusal,
            now=self.now(),
            parents=outcome.parents if isinstance(outcome, Waits) else (),
        )

    async def _tell(self, user: str, refused: Sequence[_HeldBack]) -> None:
        """Ends refused revisions on the author's devices and tells him why, in one transaction."""
        now = self.now()

        def run(writing: Writing) -> None:
            written = []
            entered = []
            for one in refused:
                doc = one.pushed.doc
                if writing.winner(notices.rejected_id(user, doc.id, one.pushed.rev)) is not None:
                    continue  # he was told before, and both is done at once
                self.index.refuse(writing, user, doc.id, one.pushed.path)
                entered.append(_refusing(one.pushed, Refused(one.refusal)))
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
                name = self.index.keyed_revision(notice.id, None, notice.body)
                path = Path(1, [name])
                written.append(DocumentWrite(notice.id, False, notice.body, path=path, note=notices.NOTICE))
            if entered:
                self._audit.refused(writing, entered)
            _stored(writing.write(written, replicated=True))

        try:
            with acting(of_principal(self._principal(user), Door.REPLICATION)):
                await self.database.transact(run)
        except BaseException:
            self._all_told = False
            raise

    async def tell_the_rest(self) -> None:
        """Tells what broke off before it was told: at a crash, or because something failed.

        Of what lies in quarantine its author's devices get the end, and he the reason; what he was told of
        something that is settled by now goes, and what he has done with is settled.
        """
        self._all_told = True  # unless somebody fails to be told meanwhile
        after = 0
        while page := self.quarantine.all(_PAGE, after):
            after = page[-1][0]
            about = {notices.rejected_id(one.user, one.docid, one.rev): one for _, one in page}
            with self.database.reading() as reading:
                told = reading.winners(list(about))
            for notice, one in about.items():
                winner = told.get(notice)
                if one.state is State.QUARANTINED and winner is None:
                    entry = await self.quarantine.get(one.id)
                    if entry is not None and entry.state is State.QUARANTINED:
                        await self._tell(
                            entry.user, [_HeldBack(await self._text_of(entry), entry.id, entry.refusal)]
                        )
                elif one.state is State.QUARANTINED and winner is not None and winner.deleted:
                    await self._done_with(one.id)
                elif one.state in SETTLED and winner is not None and not winner.deleted:
                    await self.close_notice(one.user, one.docid, one.rev)
            await asyncio.sleep(0)

    async def _text_of(self, entry: Entry) -> Pushed:
        """What the author had sent, with the names of its attachments."""
        attached: dict[str, AttachmentWrite] = {
            name: StubAttachment(info.digest, info.revpos)
            for name, info in (await self.quarantine.attachments(entry)).items()
        }
        return read(
            DocumentWrite(entry.docid, entry.deleted, entry.body, path=entry.path, attachments=attached)
        )

    async def close_notice(self, user: str, docid: str, rev: str) -> None:
        """What somebody was told of a refused revision is settled: the `rejected_change` goes."""
        notice = notices.rejected_id(user, docid, rev)

        def run(writing: Writing) -> None:
            winner = writing.winner(notice)
            if winner is None or winner.deleted:
                return
            path = parse_revisions(jsontext.decode(winner.revisions))
            name = self.index.keyed_revision(notice, path.leaf, b"")
            path = Path(path.start + 1, [name, *path.ids])
            ended = DocumentWrite(notice, True, b"{}", path=path, note=notices.NOTICE)
            _stored(writing.write([ended], replicated=True))

        await self.database.transact(run)

    async def _supersede(
        self,
        principal: Principal,
        pushed: Sequence[Pushed],
        outcomes: Sequence[Outcome],
        known: Mapping[tuple[str, str], Known],
        *,
        all_kept: bool,
    ) -> None:
        """What waits goes when its author has sent a later version, and a refused one is settled when that is
        stored.
        """
        if not known:
            return
        for one, outcome in zip(pushed, outcomes, strict=True):
            if not all_kept and not isinstance(outcome, Accepted):
                continue
            for rev in one.path.revisions()[1:]:
                entry = known.get((one.doc.id, format_rev(rev)))
                if entry is None:
                    continue
                if entry.state is State.WAITING:
                    await self.quarantine.remove(entry.id)
                elif entry.state is State.QUARANTINED and _is_new(outcome):
                    await self.quarantine.change(entry.id, State.CORRECTED, by=principal.name, now=self.now())
                    await self.close_notice(principal.name, one.doc.id, format_rev(rev))

    async def _dismiss(self, outcomes: Sequence[Outcome]) -> None:
        """Settles what its authors have done with."""
        for outcome in outcomes:
            if isinstance(outcome, Accepted) and outcome.dismissed is not None:
                try:
                    await self._done_with(outcome.dismissed)
                except BaseException:
                    self._all_told = False
                    raise

    async def _done_with(self, number: str) -> None:
        """An author has deleted what told him of this entry: he has corrected it or doesn't need it."""
        entry = await self.quarantine.get(number)
        if entry is None or entry.state is not State.QUARANTINED:
            return
        with self.database.reading() as reading:
            corrected = records.wrote_since(reading, entry.user, entry.docid, entry.received)
        state = State.CORRECTED if corrected else State.DISCARDED
        await self.quarantine.change(number, state, by=entry.user, now=self.now())

    async def _discard(self, pushed: Sequence[Pushed], outcomes: Sequence[Outcome]) -> None:
        """Bytes that were uploaded for documents that aren't stored. Whoever is told of an error discards his
        own.
        """
        idle = [
            attachment
            for one, outcome in zip(pushed, outcomes, strict=True)
            if one.doc.attachments
            and (isinstance(outcome, Waits) or (isinstance(outcome, Accepted) and not outcome.is_new))
            for attachment in one.doc.attachments.values()
            if isinstance(attachment, StagedAttachment)
        ]
        if idle:
            await self.database.discard_attachments(idle)

    # -- what waits ----------------------------------------------------------------------------

    async def _let_in(self, pushed: Sequence[Pushed], outcomes: Sequence[Outcome]) -> None:
        """Judges again what was waiting for these documents, and for those that are stored thereby."""
        await self._let_follow(
            [one.doc.id for one, outcome in zip(pushed, outcomes, strict=True) if _is_new(outcome)]
        )

    async def _let_follow(self, arrived: Sequence[str]) -> None:
        """The same for documents with these ids, which are stored."""
        for _ in range(_ROUNDS):
            if not arrived:
                return
            waiting = self.quarantine.awaiting(arrived)
            if not waiting:
                return
            arrived = await self._judge_again(waiting)

    async def _judge_again(self, waiting: Sequence[str]) -> list[str]:
        """Judges waiting entries, as their authors are now. Returns the ids of documents that were stored.

        What fails is looked at again another time, and keeps nobody else waiting.
        """
        arrived = []
        for number in waiting:
            try:
                entry = await self.quarantine.get(number)
                if entry is not None and await self._let_entry_in(entry):
                    arrived.append(entry.docid)
            except Exception:
                log.exception("what waits could not be judged", entry=number)
        return arrived

    async def _let_entry_in(self, entry: Entry) -> bool:
        """Whether it is stored now."""
        if entry.state is not State.WAITING:
            return False
        with self.database.reading() as reading:
            roles = self.index.roles(reading, entry.user)
        if roles is None:
            return False
        principal = Principal(entry.user, roles, entry.device)
        if self._waits_still(principal, entry):
            return False
        pushed = read(await self._sent(entry))
        try:
            with acting(of_principal(principal, Door.REPLICATION)):
                (outcome,) = await self._judge(principal, [pushed], {})
        except ProtocolError:
            await self.discard_staged(pushed.doc)
            raise
        if not _is_new(outcome):
            await self.discard_staged(pushed.doc)
        if isinstance(outcome, Refused):
            await self._quarantine(entry, outcome.refusal, pushed)
        elif isinstance(outcome, Accepted):
            await self.quarantine.remove(entry.id)
        elif isinstance(outcome, Waits) and set(outcome.parents) != set(entry.parents):
            # What it waited for is there, and it names others that aren't.
            await self.quarantine.change(
                entry.id,
                State.WAITING,
                by=entry.user,
                now=self.now(),
                refusal=outcome.refusal,
                parents=outcome.parents,
            )
        return _is_new(outcome)

    def _waits_still(self, principal: Principal, entry: Entry) -> bool:
        """Whether what it belongs to is still out of its author's sight: then its bytes needn't be copied."""
        with self.database.reading() as reading:
            if reading.winner(entry.docid) is not None:
                return False
            decision = decide(
                principal,
                Action.CREATE,
                {**entry.document, "_id": entry.docid},
                relations=self.index.relations(reading, principal.name),
                parents=self.index.parents(reading),
                matrix=self.index.matrix(reading),
            )
        return decision.rule == ABSENT

    async def _sent(self, entry: Entry) -> DocumentWrite:
        """What the author had sent, its bytes uploaded to the documents' database."""
        attached: dict[str, AttachmentWrite] = {
            name: await copied(self.quarantine.database, self.database, info)
            for name, info in (await self.quarantine.attachments(entry)).items()
        }
        return DocumentWrite(entry.docid, entry.deleted, entry.body, path=entry.path, attachments=attached)

    async def discard_staged(self, doc: DocumentWrite) -> None:
        """Bytes that were uploaded for a document that isn't stored."""
        staged = [one for one in doc.attachments.values() if isinstance(one, StagedAttachment)]
        if staged:
            await self.database.discard_attachments(staged)

    async def _quarantine(self, entry: Entry, refusal: Refusal, pushed: Pushed) -> None:
        await self.quarantine.change(
            entry.id, State.QUARANTINED, by=entry.user, now=self.now(), refusal=refusal
        )
        await self._tell(entry.user, [_HeldBack(pushed, entry.id, refusal)])

    async def housekeep(self) -> None:
        """Writes what time has made true. Then judges again all that waits, for what it waits for may have
        come on other ways or become visible; what has waited too long is refused.
        """
        while self._pass_time is not None and await self.database.transact(self._pass_time):
            pass
        after = 0
        expired = self.now() - PATIENCE
        while page := self.quarantine.waiting(100, after):
            after = page[-1][0]
            await self._let_follow(await self._judge_again([number for _, number, _ in page]))
            for _, number, received in page:
                entry = await self.quarantine.get(number) if received < expired else None
                if entry is not None and entry.state is State.WAITING:
                    await self.give_up(entry)

    async def give_up(self, entry: Entry) -> None:
        """Refuses what waits."""
        await self._quarantine(entry, entry.refusal, await self._text_of(entry))

    async def keep_house(self, interval: float = 60.0) -> None:
        """`housekeep` every `interval` seconds, until it is cancelled. First, what broke off is told."""
        acting_as(SYSTEM)
        while True:
            try:
                if not self._all_told:
                    await self.tell_the_rest()
            except Exception:
                self._all_told = False
                log.exception("what broke off could not be told")
            await asyncio.sleep(interval)
            try:
                await self.housekeep()
            except Exception:
                log.exception("what waits, or is due, could not be looked at")


def _chunks(order: Iterable[int], pushed: Sequence[Pushed]) -> list[list[int]]:
    """Places, cut into what is judged in one transaction each."""
    chunks: list[list[int]] = [[]]
    times: Counter[str] = Counter()
    for place in order:
        docid = pushed[place].doc.id
        if len(chunks[-1]) == CHUNK or times[docid] == MOST_OF_ONE:
            chunks.append([])
            times.clear()
        chunks[-1].append(place)
        times[docid] += 1
    return chunks


def _answer(pushed: Pushed, outcome: Outcome) -> str | ProtocolError:
    if isinstance(outcome, Refused):
        return errors.forbidden(outcome.refusal.reason)
    return outcome if isinstance(outcome, ProtocolError) else pushed.rev


def _answer_online(outcome: Outcome) -> str | ProtocolError:
    if isinstance(outcome, Accepted):
        return outcome.rev
    return outcome if isinstance(outcome, ProtocolError) else errors.forbidden(outcome.refusal.reason)


def _door(*, replicated: bool) -> Door:
    """The way by which the gate is asked now."""
    if replicated:
        return Door.REPLICATION
    asked = actor().door
    return asked if asked in (Door.REST, Door.IMPORT, Door.CLI) else Door.EDIT


def _is_refused(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) or (isinstance(outcome, ProtocolError) and outcome.status == 403)


def _refusing(pushed: Pushed, outcome: Outcome) -> Refusing:
    """A refusal as the chain wants it."""
    doc = pushed.doc
    rev = format_rev(doc.path.leaf) if doc.path is not None else None
    if isinstance(outcome, Refused):
        return Refusing(doc.id, rev, doc.body, doc.deleted, outcome.refusal.rule, outcome.refusal.reason)
    assert isinstance(outcome, ProtocolError)
    return Refusing(doc.id, rev, doc.body, doc.deleted, outcome.error, outcome.reason)


def _is_new(outcome: Outcome) -> bool:
    return isinstance(outcome, Accepted) and outcome.is_new


def _stored(results: Sequence[str | ProtocolError]) -> None:
    for result in results:
        if isinstance(result, ProtocolError):
            raise result


async def _to_the_end(work: Awaitable[T]) -> T:
    """What was begun is finished even if nobody waits for it any more."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):
            await task
        raise

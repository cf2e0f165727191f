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

`receiving` goes through the steps for a push. Each has its file: `transaction` is the first, with `judging`
and `branches`, `holding` the second, `telling` the third, `waiting` the fourth. `offers` answers what devices
ask before they push.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import structlog

from kompass.access import Principal
from kompass.audit import SYSTEM, Door, acting, acting_as, actor, of_principal
from kompass.domain.changes import Facts
from kompass.domain.refusals import Refusal
from kompass.finishing import to_the_end
from kompass.privacy import interrupting, schema
from kompass.sync.gate import answers, mirroring, offers, records, services
from kompass.sync.gate.batch import Resolution
from kompass.sync.gate.mirroring import Mirrored
from kompass.sync.gate.ports import Audit, Business, Index, NoAudit, NoBusiness
from kompass.sync.gate.pushed import Pushed, read
from kompass.sync.gate.receiving import CHUNK, Receiving
from kompass.sync.gate.site import Site
from kompass.sync.gate.telling import Telling
from kompass.sync.gate.transaction import judge, rehearse
from kompass.sync.gate.turns import Turns
from kompass.sync.gate.waiting import Waiting
from kompass.sync.quarantine.entries import Entry
from kompass.sync.quarantine.store import Quarantine
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev
from replication.store.sqlite import Reading, SqliteDatabase, Writing
from replication.store.values import Missing

T = TypeVar("T")

log = structlog.get_logger(__name__)


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
        self.now = now
        self.turns = Turns()
        """Everything that people send, and what is judged again, is written in one of them."""
        self._site = Site(database, index, quarantine, business or NoBusiness(), audit or NoAudit(), now)
        self._pass_time = pass_time
        self.telling = Telling(self._site)
        self._waiting = Waiting(self._site, self.telling)
        self._receiving = Receiving(self._site, self.telling, self._waiting)

    def of(self, database: SqliteDatabase) -> Gate:
        """The same gate of another database, which has the tables already."""
        return Gate(
            database,
            self.index,
            self.quarantine,
            business=self._site.business,
            audit=self._site.audit,
            pass_time=self._pass_time,
            now=self.now,
        )

    def facts(self, reading: Reading) -> Facts:
        """What the rules know of other documents in this state."""
        return self._site.business.facts(reading)

    async def prepare(self) -> None:
        """Makes the gate's tables. Call it before anything else."""
        await self.database.transact(_make_tables)

    async def missing_revisions(
        self, principal: Principal, asked: Mapping[str, Sequence[Rev]]
    ) -> dict[str, Missing]:
        """What devices ask before they push: `Database.missing_revisions` for somebody; see `offers`."""
        missing, closed = offers.missing_revisions(self._site, principal, asked)
        if closed and len(self.database.epochs.all) > 1:
            # The database was restored: what closed these was lost, and they are his again.
            await self.database.transact(partial(self.index.reopen, user=principal.name, closed=closed))
        return missing

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
                return await self._in_turn(self._receiving.receive(principal, docs))
            results: list[str | ProtocolError] = []
            for start in range(0, len(docs), CHUNK):
                pushed = [read(doc, online=True) for doc in docs[start : start + CHUNK]]
                results += await self._in_turn(self._edit(principal, pushed))
            return results

    async def rehearse(
        self, principal: Principal, docs: Sequence[DocumentWrite]
    ) -> list[str | ProtocolError]:
        """What `write` would answer to edits of somebody online. Nothing is stored; no document is told what
        others of these would bring.
        """
        results: list[str | ProtocolError] = []
        for start in range(0, len(docs), CHUNK):
            pushed = [read(doc, online=True) for doc in docs[start : start + CHUNK]]
            outcomes = await self._in_turn(rehearse(self._site, principal, pushed))
            results += [answers.online(outcome) for outcome in outcomes]
        return results

    async def write_as(
        self,
        principal: Principal,
        doc: DocumentWrite,
        *,
        author: str | None = None,
        restores: bool = False,
        prints: bool = False,
    ) -> str:
        """An online edit of one document. A new one has this author. `restores`: it may follow a deletion.
        `prints`: it adds a print that the server has made. Raises why it is refused.
        """
        with acting(of_principal(principal, _door(replicated=False))):
            (result,) = await self._in_turn(
                self._edit(
                    principal, [read(doc, online=True, author=author, restores=restores, prints=prints)]
                )
            )
        if isinstance(result, ProtocolError):
            raise result
        return result

    async def exported(
        self, principal: Principal, what: str, since: str, until: str, files: Sequence[str] = ()
    ) -> None:
        """Enters into the chain of writes that somebody took out files about the days from `since` to
        `until`; `files`: their names with their digests.
        """

        def enter(writing: Writing) -> None:
            self._site.audit.exported(writing, what, since, until, files)

        with acting(of_principal(principal, _door(replicated=False))):
            await to_the_end(self.database.transact(enter))

    async def settled(self, what: str, nums: Sequence[int]) -> None:
        """Enters into the chain of writes that whoever is at work has settled errors with these numbers;
        `what` says how.
        """

        def enter(writing: Writing) -> None:
            self._site.audit.settled(writing, what, nums)

        await to_the_end(self.database.transact(enter))

    async def create_as_service(self, docid: str, body: Mapping[str, Any]) -> bool:
        """A document that the service makes which does jobs: see `services`. False: it was there already.
        Raises why it is refused.
        """
        return await self._in_turn(services.create(self._site, docid, body))

    async def mirror(self, groups: Sequence[Sequence[Mirrored]]) -> list[Refusal | None]:
        """What Lexware says of invoices, in the name of whoever is at work: see `mirroring`."""
        return await self._in_turn(mirroring.mirror(self._site, groups))

    async def resolve(
        self, principal: Principal, doc: DocumentWrite, resolution: Resolution, *, restores: bool = False
    ) -> str:
        """An online edit that settles a conflict. `restores`: it may follow a deletion. Raises why it is
        refused: then nothing is settled.
        """
        with acting(of_principal(principal, _door(replicated=False))):
            (result,) = await self._in_turn(
                self._edit(principal, [read(doc, online=True, restores=restores)], resolution)
            )
        if isinstance(result, ProtocolError):
            raise result
        return result

    async def _in_turn(self, work: Awaitable[T]) -> T:

        async def run() -> T:
            async with self.turns.beside_others():
                self._begin()
                return await work

        return await to_the_end(run())

    def _begin(self) -> None:
        if self.database.is_shared:  # in one process alone turns are enough
            interrupting.begin(self.database, self.quarantine.database)

    async def _edit(
        self, principal: Principal, pushed: list[Pushed], resolution: Resolution | None = None
    ) -> list[str | ProtocolError]:
        outcomes = await judge(self._site, principal, pushed, {}, resolution)
        await self.telling.dismiss(outcomes)
        await self._waiting.let_in(pushed, outcomes)
        return [answers.online(outcome) for outcome in outcomes]

    async def discard_staged(self, doc: DocumentWrite) -> None:
        """Bytes that were uploaded for a document that isn't stored."""
        await self._site.discard_staged([doc])

    # -- what lies in quarantine ---------------------------------------------------------------

    async def tell_the_rest(self) -> None:
        """Tells what broke off before it was told: at a crash, or because something failed."""
        await self.telling.tell_the_rest()

    async def close_notice(self, user: str, docid: str, rev: str) -> None:
        """What somebody was told of a refused revision is settled: the `rejected_change` goes."""
        await self.telling.close_notice(user, docid, rev)

    async def give_up(self, entry: Entry) -> None:
        """Refuses what waits."""
        await self._waiting.give_up(entry)

    # -- in the background ---------------------------------------------------------------------

    async def housekeep(self) -> None:
        """Writes what time has made true. Then judges again all that waits, and refuses what has waited too
        long.
        """
        while self._pass_time is not None and await self.database.transact(self._pass_time):
            pass
        await self._waiting.look_again()

    async def keep_house(self, interval: float = 60.0) -> None:
        """`housekeep` every `interval` seconds, until it is cancelled. First, what broke off is told, here or
        in another process, of which nobody knows how it ended.
        """
        acting_as(SYSTEM)
        played = 0
        while True:
            try:
                before, played = played, self.database.played + self.quarantine.database.played
                if played != before:
                    self.telling.all_told = False
                if not self.telling.all_told:
                    async with self.turns.beside_others():
                        self._begin()
                        await self.telling.tell_the_rest()
            except Exception:
                self.telling.all_told = False
                log.exception("what broke off could not be told")
            await asyncio.sleep(interval)
            try:
                async with self.turns.beside_others():
                    self._begin()
                    await self.housekeep()
            except Exception:
                log.exception("what waits, or is due, could not be looked at")


def _door(*, replicated: bool) -> Door:
    """The way by which the gate is asked now."""
    if replicated:
        return Door.REPLICATION
    asked = actor().door
    return asked if asked in (Door.REST, Door.IMPORT, Door.CLI) else Door.EDIT


def _make_tables(writing: Writing) -> None:
    records.make_tables(writing.connection)
    schema.make_tables(writing.connection)

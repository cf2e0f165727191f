"""What waits for what it belongs to: judged again when that may be there, and refused if it never comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog

from kompass.access import Action, Principal, decide
from kompass.access.policy import ABSENT
from kompass.audit import Door, acting, of_principal
from kompass.domain.refusals import Refusal
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, Refused, Waits, is_new, read
from kompass.sync.gate.site import Site
from kompass.sync.gate.telling import HeldBack, Telling
from kompass.sync.gate.transaction import judge
from kompass.sync.quarantine.entries import Entry, State
from kompass.sync.quarantine.store import copied
from replication.protocol.attachments import AttachmentWrite
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError

PATIENCE = timedelta(days=7)
"""How long a document waits for what it belongs to."""
_ROUNDS = 20
"""How often what was stored may let something else be stored, at one go."""

log = structlog.get_logger(__name__)


class Waiting:
    """For one gate."""

    def __init__(self, site: Site, telling: Telling) -> None:
        self._site = site
        self._telling = telling

    async def let_in(self, pushed: Sequence[Pushed], outcomes: Sequence[Outcome]) -> None:
        """Judges again what was waiting for these documents, and for those that are stored thereby."""
        await self._let_follow(
            [one.doc.id for one, outcome in zip(pushed, outcomes, strict=True) if is_new(outcome)]
        )

    async def _let_follow(self, arrived: Sequence[str]) -> None:
        """The same for documents with these ids, which are stored."""
        for _ in range(_ROUNDS):
            if not arrived:
                return
            waiting = self._site.quarantine.awaiting(arrived)
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
                entry = await self._site.quarantine.get(number)
                if entry is not None and await self._let_entry_in(entry):
                    arrived.append(entry.docid)
            except Exception:
                log.exception("what waits could not be judged", entry=number)
        return arrived

    async def _let_entry_in(self, entry: Entry) -> bool:
        """Whether it is stored now."""
        if entry.state is not State.WAITING:
            return False
        with self._site.database.reading() as reading:
            roles = self._site.index.roles(reading, entry.user)
        if roles is None:
            return False
        principal = Principal(entry.user, roles, entry.device)
        if self._waits_still(principal, entry):
            return False
        pushed = read(await self._sent(entry))
        try:
            with acting(of_principal(principal, Door.REPLICATION)):
                (outcome,) = await judge(self._site, principal, [pushed], {})
        except ProtocolError:
            await self._site.discard_staged([pushed.doc])
            raise
        if not is_new(outcome):
            await self._site.discard_staged([pushed.doc])
        if isinstance(outcome, Refused):
            await self._refuse(entry, outcome.refusal, pushed)
        elif isinstance(outcome, Accepted):
            await self._site.quarantine.remove(entry.id)
        elif isinstance(outcome, Waits) and set(outcome.parents) != set(entry.parents):
            # What it waited for is there, and it names others that aren't.
            await self._site.quarantine.change(
                entry.id,
                State.WAITING,
                by=entry.user,
                now=self._site.now(),
                refusal=outcome.refusal,
                parents=outcome.parents,
            )
        return is_new(outcome)

    def _waits_still(self, principal: Principal, entry: Entry) -> bool:
        """Whether what it belongs to is still out of its author's sight: then its bytes needn't be copied."""
        with self._site.database.reading() as reading:
            if reading.winner(entry.docid) is not None:
                there = reading.winners(entry.parents).values()
                return bool(entry.parents) and all(one.deleted for one in there)
            decision = decide(
                principal,
                Action.CREATE,
                {**entry.document, "_id": entry.docid},
                relations=self._site.index.relations(reading, principal.name),
                parents=self._site.index.parents(reading),
                matrix=self._site.index.matrix(reading),
            )
        return decision.rule == ABSENT

    async def _sent(self, entry: Entry) -> DocumentWrite:
        """What the author had sent, its bytes uploaded to the documents' database."""
        attached: dict[str, AttachmentWrite] = {
            name: await copied(self._site.quarantine.database, self._site.database, info)
            for name, info in (await self._site.quarantine.attachments(entry)).items()
        }
        return DocumentWrite(entry.docid, entry.deleted, entry.body, path=entry.path, attachments=attached)

    async def _refuse(self, entry: Entry, refusal: Refusal, pushed: Pushed) -> None:
        await self._site.quarantine.change(
            entry.id, State.QUARANTINED, by=entry.user, now=self._site.now(), refusal=refusal
        )
        await self._telling.tell(entry.user, [HeldBack(pushed, entry.id, refusal)])

    async def look_again(self) -> None:
        """Judges again all that waits, for what it waits for may have come on other ways or become visible;
        what has waited too long is refused.
        """
        after = 0
        expired = self._site.now() - PATIENCE
        while page := self._site.quarantine.waiting(100, after):
            after = page[-1][0]
            await self._let_follow(await self._judge_again([number for _, number, _ in page]))
            for _, number, received in page:
                entry = await self._site.quarantine.get(number) if received < expired else None
                if entry is not None and entry.state is State.WAITING:
                    await self.give_up(entry)

    async def give_up(self, entry: Entry) -> None:
        """Refuses what waits."""
        await self._refuse(entry, entry.refusal, await self._telling.text_of(entry))

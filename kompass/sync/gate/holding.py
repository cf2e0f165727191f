"""What of a push is not stored: kept in quarantine, and superseded there by what its author sends later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from kompass.access import Principal
from kompass.sync.gate.pushed import Accepted, Outcome, Pushed, Refused, Waits, is_new
from kompass.sync.gate.site import Site
from kompass.sync.gate.telling import HeldBack, Telling
from kompass.sync.quarantine.entries import State
from kompass.sync.quarantine.store import Known, QuarantineFullError
from replication.protocol.attachments import StagedAttachment
from replication.protocol.revisions import format_rev


class Holding:
    """For one gate."""

    def __init__(self, site: Site, telling: Telling) -> None:
        self._site = site
        self._telling = telling

    async def hold_back(
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
                    refused.append(HeldBack(one, before.id, outcome.refusal))
                continue
            try:
                entry = await self._keep(principal, one, outcome)
            except QuarantineFullError as error:
                full = error
                await asyncio.sleep(0)  # nothing was written: nobody else has had his turn
                continue
            if isinstance(outcome, Refused):
                refused.append(HeldBack(one, entry, outcome.refusal))
        if refused:
            await self._telling.tell(principal.name, refused)
        if full is not None:
            raise full

    async def _keep(self, principal: Principal, pushed: Pushed, outcome: Refused | Waits) -> str:
        waits = isinstance(outcome, Waits)
        return await self._site.quarantine.keep(
            self._site.database,
            principal.name,
            principal.device,
            pushed.doc,
            State.WAITING if waits else State.QUARANTINED,
            outcome.refusal,
            now=self._site.now(),
            parents=outcome.parents if isinstance(outcome, Waits) else (),
        )

    async def supersede(
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
                    await self._site.quarantine.remove(entry.id)
                elif entry.state is State.QUARANTINED and is_new(outcome):
                    await self._site.quarantine.change(
                        entry.id, State.CORRECTED, by=principal.name, now=self._site.now()
                    )
                    await self._telling.close_notice(principal.name, one.doc.id, format_rev(rev))

    async def discard(self, pushed: Sequence[Pushed], outcomes: Sequence[Outcome]) -> None:
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
            await self._site.database.discard_attachments(idle)

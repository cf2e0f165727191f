"""Erasures reach CouchDB: the leader is a consumer of tickets, and confirms one when nothing of it is there.

It has no memory of its own. What is left to do is what isn't confirmed; whatever was cut off is begun again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import structlog

from kompass.cluster.mirror.erasing import Eraser
from kompass.cluster.mirror.places import NotYetError
from kompass.cluster.mirror.showing import LONGEST_SECONDS
from kompass.privacy import pending
from kompass.privacy.consumers import Consumers
from kompass.privacy.desk import Hindrance
from kompass.privacy.tickets import Kind, Ticket
from kompass.sync.gate.gate import Gate
from kompass.sync.opening import DATABASE
from replication.protocol.errors import ProtocolError
from replication.replicator import ReplicationError

CONSUMER = "couchdb"
EVERY_SECONDS = 10.0
"""How often is looked for tickets."""
SETTLE_SECONDS = LONGEST_SECONDS + 30.0
"""After that no process still sends CouchDB what it had read before an erasure."""

log = structlog.get_logger(__name__)


class CouchdbConsumer:
    """The leader's, for all databases that CouchDB has."""

    def __init__(
        self,
        gate: Gate,
        erasers: Mapping[str, Eraser],
        hindrance: Hindrance,
        *,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        """`erasers` by database, which may come later. `hindrance` tells other processes what is in the way.
        `settle`: seconds for which a ticket rests first.
        """
        self._gate = gate
        self._erasers = erasers
        self._hindrance = hindrance
        self._settle = settle
        self._consumers = Consumers(gate)
        self._seen: dict[int, float] = {}

    async def keep(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.look()
            except (NotYetError, ProtocolError, ReplicationError) as error:
                await self._hindered(error)
            except Exception as error:
                log.exception("an erasure can't be brought to CouchDB")
                await self._hindered(error)
            await asyncio.sleep(EVERY_SECONDS)

    async def _hindered(self, error: Exception) -> None:
        known = isinstance(error, NotYetError | ProtocolError | ReplicationError)
        why = str(error) if known else "The leader failed: see its log."
        if await asyncio.to_thread(self._hindrance.tell, CONSUMER, why):
            log.warning("an erasure doesn't get through to CouchDB at the moment", why=why)

    async def look(self) -> bool:
        """Works off the tickets that are due, and confirms them. False if some have to rest first.

        Raises `NotYetError`, `ProtocolError`, `ReplicationError`.
        """
        if self._consumers.find(CONSUMER) is None:
            await self._consumers.enrol(CONSUMER)
        await self._gate.database.fresh()
        tickets = self._consumers.tickets(CONSUMER)
        now = time.monotonic()
        self._seen = {one.num: self._seen.get(one.num, now) for one in tickets}
        due = [one for one in tickets if now - self._seen[one.num] >= self._settle]
        if not tickets or not due:
            await asyncio.to_thread(self._hindrance.tell, CONSUMER, None)
            return not tickets
        await self._work_off(due)
        await self._consumers.confirm(CONSUMER, [one.num for one in due])
        await asyncio.to_thread(self._hindrance.tell, CONSUMER, None)
        log.info("CouchDB has nothing any more of what was erased", tickets=len(due))
        return len(due) == len(tickets)

    async def _work_off(self, tickets: list[Ticket]) -> None:
        erasures = [one for one in tickets if one.kind is Kind.ERASURE]
        if not erasures:
            return  # nothing in CouchDB is there for a purpose alone
        with self._gate.database.reading() as reading:
            if pending.listed(reading):
                raise NotYetError("The databases' own files aren't rewritten yet")
        named = {docid for one in erasures for docid in one.documents}
        for name, eraser in list(self._erasers.items()):
            await eraser.erase(named if name == DATABASE else ())

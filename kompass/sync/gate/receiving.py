"""A push of a device, from its first document to its answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

import structlog

from kompass.access import Principal
from kompass.sync.gate import answers, references
from kompass.sync.gate.holding import Holding
from kompass.sync.gate.pushed import Pushed, read
from kompass.sync.gate.site import Site
from kompass.sync.gate.telling import Telling
from kompass.sync.gate.transaction import judge
from kompass.sync.gate.waiting import Waiting
from kompass.sync.quarantine.store import QuarantineFullError
from replication.protocol import errors
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError

CHUNK = 500
"""Documents that are judged in one transaction: others wait meanwhile."""
READ = 1024 * 1024
"""Bytes of documents that are read in one go."""
MOST_OF_ONE = 20
"""Revisions of one document among them: each has to wait for the one before it."""

log = structlog.get_logger(__name__)


class Receiving:
    """For one gate. The order of steps is explained in `kompass.sync.gate.gate`."""

    def __init__(self, site: Site, telling: Telling, waiting: Waiting) -> None:
        self._site = site
        self._holding = Holding(site, telling)
        self._telling = telling
        self._waiting = waiting

    async def receive(self, principal: Principal, docs: Sequence[DocumentWrite]) -> list[str | ProtocolError]:
        """What each document is answered, in order."""
        pushed = []
        size = 0
        for doc in docs:
            pushed.append(read(doc))
            size += len(doc.body)
            if len(pushed) % CHUNK == 0 or size > READ:
                await asyncio.sleep(0)
                size = 0
        results: dict[int, str | ProtocolError] = {}
        full: QuarantineFullError | None = None
        for places in ordered(pushed):
            some = [pushed[place] for place in places]
            known = self._site.quarantine.known(principal.name, {one.doc.id for one in some})
            outcomes = await judge(self._site, principal, some, known)
            try:
                await self._holding.hold_back(principal, some, outcomes, known)
            except QuarantineFullError as error:
                full = error
            await self._holding.supersede(principal, some, outcomes, known, all_kept=full is None)
            await self._telling.dismiss(outcomes)
            await self._waiting.let_in(some, outcomes)
            await self._holding.discard(some, outcomes)
            for place, outcome in zip(places, outcomes, strict=True):
                results[place] = answers.to_device(pushed[place], outcome)
        if full is not None:
            log.warning("quarantine full", user=principal.name, why=str(full))
            raise errors.unavailable(str(full))
        return [results[place] for place in range(len(pushed))]


def ordered(pushed: Sequence[Pushed]) -> list[list[int]]:
    """The places of documents, cut into what is judged in one transaction each. Parents come first."""
    chunks = _chunks(range(len(pushed)), pushed)
    if len(chunks) == 1:
        return chunks
    groups = references.levels([(one.doc.id, one.body) for one in pushed])
    return _chunks([place for group in groups for place in group], pushed)


def _chunks(order: Iterable[int], pushed: Sequence[Pushed]) -> list[list[int]]:
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

"""Consumers of the feed: whatever keeps something that was made of documents, and has to remove it.

A search index, a read store, vectors, jobs with texts in them. Each has a name and goes through three steps,
in this process with `Consumers`, from elsewhere with `/api/v1/privacy/consumers`:

1. `enrol`, once; again does no harm. From then on every ticket waits for it.
2. `tickets`, from the last number it has worked off. Each names documents with the revision from which on
   they are clean; whoever has read the feed up to the sequence `seq` has been given nothing else since. A
   withdrawal names the customer and the purpose: what was made for that purpose goes.
3. `confirm`, when nothing of it is left there. Whatever was confirmed stays so; again does no harm.

All of it is in the operational database's own file: it survives whatever the documents survive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kompass.privacy import enrolments, tickets
from kompass.privacy.enrolments import Enrolment
from kompass.privacy.tickets import Ticket
from kompass.sync.gate.gate import Gate
from replication.store.sqlite import Writing

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MOST = 500
"""Tickets of one page, and of one confirmation."""


class UnknownConsumerError(Exception):
    """It isn't enrolled, or was taken off the list."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a consumer is."""

    name: str
    since: datetime
    """When it was enrolled."""
    after: int
    """Tickets up to this number concern it not."""
    open: int
    """Tickets that wait for it."""
    oldest: datetime | None
    """Since when the first of them does."""


class Consumers:
    """Those of one gate's database. Methods that read don't wait."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def enrol(self, name: str, *, after: int = 0) -> Standing:
        """From now on tickets wait for it, those of before as well unless `after` is the number of the last
        one that doesn't concern it: whoever begins empty has nothing to remove. Only the first time counts.

        Raises `ValueError` for a name that isn't `NAME`, and for a ticket that isn't there yet.
        """
        if NAME.fullmatch(name) is None:
            raise ValueError("A consumer's name is of lower-case letters, digits, dots, hyphens; 64 at most.")

        def run(writing: Writing) -> None:
            if not 0 <= after <= tickets.latest(writing):
                raise ValueError(f"There is no ticket {after}.")
            enrolments.add(writing, name, self._gate.now(), after)

        await self._gate.database.transact(run)
        standing = self.find(name)
        assert standing is not None
        return standing

    async def dismiss(self, name: str) -> bool:
        """It is there no more, and nothing waits for it. What it has confirmed stays. False if it wasn't."""
        return await self._gate.database.transact(lambda writing: enrolments.remove(writing, name))

    def all(self) -> list[Standing]:
        """By name."""
        with self._gate.database.reading() as reading:
            return [_standing(reading, one) for one in enrolments.listed(reading)]

    def find(self, name: str) -> Standing | None:
        with self._gate.database.reading() as reading:
            return next((_standing(reading, one) for one in enrolments.listed(reading, name)), None)

    def tickets(self, name: str, *, after: int = 0, limit: int = MOST) -> list[Ticket]:
        """Those that wait for it, from a number on, the first one first. Raises `UnknownConsumerError`."""
        with self._gate.database.reading() as reading:
            for one in enrolments.listed(reading, name):
                after = max(after, one.after)
                return tickets.listed(reading, after=after, limit=min(limit, MOST), unseen_by=name)
        raise UnknownConsumerError(name)

    async def confirm(self, name: str, numbers: Iterable[int]) -> list[int]:
        """It has removed what these tickets name: durable when this returns. The first time counts. Returns
        the numbers of tickets that don't exist. Raises `UnknownConsumerError`.
        """
        wanted = list(numbers)

        def run(writing: Writing) -> list[int] | None:
            if not enrolments.listed(writing, name):
                return None
            now = self._gate.now()
            return [one for one in wanted if not tickets.acknowledge(writing, one, name, now)]

        unknown = await self._gate.database.transact(run)
        if unknown is None:
            raise UnknownConsumerError(name)
        return unknown


def _standing(reading: Any, one: Enrolment) -> Standing:
    count, oldest = enrolments.waiting(reading, one)
    return Standing(one.name, one.since, one.after, count, oldest)

"""Confirms erasures and withdrawals once a sink has what they wrote.

They reach a sink as any change does: the documents in their new, clean versions. Of erasures the sink then
takes earlier versions off its files (`kompass.feed.sink.Forgetting`); until then nothing is confirmed. So
does a sink that is there for one purpose, of withdrawals for it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import structlog

from kompass.feed.sink import SinkUnavailableError
from kompass.feed.source import Source, SourceUnavailableError, Tickets

TICKETS_SECONDS = 20.0
"""How often it is asked for tickets."""

AGAIN_SECONDS = 5.0
"""How long it is waited after a confirmation that failed."""

log = structlog.get_logger(__name__)


class Confirming:
    """For one sink. `forget`: takes earlier versions off its files."""

    def __init__(
        self, sink: str, source: Source, forget: Callable[[], Awaitable[None]], purpose: str = ""
    ) -> None:
        """`purpose`: see `kompass.feed.registry.Registered`."""
        self.consumer = f"feed-{sink}"
        self._source = source
        self._forget = forget
        self._purpose = purpose
        self._forgotten = False
        """Whether the sink has forgotten what those that wait have erased."""
        self._not_before = 0.0
        self._enrolled = False
        self._looked = -TICKETS_SECONDS
        self._waiting: Tickets | None = None
        """Those that can be confirmed as soon as the sink is where the database was then."""

    async def look(self, position: int) -> None:
        """`position` of the sink. What fails is left for the next time: the documents go first."""
        try:
            if self._waiting is not None and position >= self._waiting.upto:
                if time.monotonic() < self._not_before:
                    return
                removes = self._waiting.erases or self._purpose in self._waiting.withdrawn
                if removes and not self._forgotten:
                    await self._forget()
                    self._forgotten = True
                await self._source.confirm(self.consumer, self._waiting.open)
                self._waiting, self._forgotten = None, False
            if self._waiting is None and time.monotonic() - self._looked >= TICKETS_SECONDS:
                self._looked = time.monotonic()
                if not self._enrolled:
                    await self._source.enrol(self.consumer)
                    self._enrolled = True
                found = await self._source.tickets(self.consumer)
                self._waiting = found if found.open else None
        except (SourceUnavailableError, SinkUnavailableError) as error:
            self._not_before = time.monotonic() + AGAIN_SECONDS
            log.warning("tickets can't be confirmed", consumer=self.consumer, why=str(error))
            if isinstance(error, SourceUnavailableError) and error.status == 404:
                # The server lost its end, or somebody has removed it: nothing waits for it until it is back.
                self._enrolled = False

    def forget_waiting(self) -> None:
        """Begins anew: the database is another one, whose tickets have the same numbers."""
        self._waiting, self._forgotten, self._enrolled = None, False, False
        self._looked = -TICKETS_SECONDS

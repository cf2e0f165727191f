"""Keeps one sink up to date for as long as it runs, whatever fails.

A follower has its own walk along the feed, so a sink that is slow, or down, holds up no other. It reads a
page only when the one before is stored. Another generation is built beside the sink by a second walk, while
the first goes on, and takes its place when it has caught up; what another database has is never mixed with
what the sink has of the one before.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from contextlib import suppress

import structlog

from kompass.feed.confirming import Confirming
from kompass.feed.ledger import Ledger, LedgerError, State, Status
from kompass.feed.registry import SINKS
from kompass.feed.sink import Forgetting, Sink, SinkUnavailableError
from kompass.feed.source import Source, SourceUnavailableError
from kompass.feed.steady import SteadySink
from kompass.feed.walker import AnotherDatabaseError, Walker, outline
from replication.replicator.backoff import pause

LINGER = 0.04
"""Seconds in which changes gather before a page is read: each costs requests, and a commit of the sink."""
PACE = 0.2
"""Seconds from one page to the next while changes keep coming."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
REPORT_SECONDS = 0.5
BUSY_SECONDS = 2.0
"""How often it is told how far a sink is while it works at one batch."""
LOOK_SECONDS = 1.0
"""How often it is looked whether somebody wants documents tried again, or a rebuild."""
RATE_SECONDS = 30.0

log = structlog.get_logger(__name__)

_TRIED_AGAIN = (SinkUnavailableError, SourceUnavailableError, LedgerError)


class Follower:
    """See the module. `run` ends when it is cancelled; then the sink is closed."""

    def __init__(self, sink: Sink, source: Source, ledger: Ledger, *, attempts: int = 5) -> None:
        self.name = sink.name
        self._sink: Sink = SteadySink(sink)
        self._source = source
        self._ledger = ledger
        self._attempts = attempts
        self._walker: Walker | None = None
        self._next: Walker | None = None
        self._state = State.STARTING
        self._behind_since: float | None = time.time()
        self._errors = 0
        self._last_error = ""
        self._reported = self._looked = self._moved = 0.0
        self._done: deque[tuple[float, int]] = deque()
        self._before = 0
        self._stale: str | None = None
        """Why the sink must not be walked on; None if it may."""
        registered = SINKS.get(self.name)
        purpose = registered.purpose if registered is not None else ""
        self._tickets = Confirming(self.name, source, self._forget, purpose)

    async def _forget(self) -> None:
        if isinstance(self._sink, Forgetting):
            await self._sink.forget()

    async def run(self) -> None:
        failures = 0
        reporting = asyncio.create_task(self._report_while_busy(), name=f"feed {self.name} reports")
        try:
            while True:
                try:
                    await self._sink.open()
                    while True:
                        await self._turn()
                        failures = 0
                except _TRIED_AGAIN as error:
                    await self._failed(str(error), failures)
                except Exception as error:
                    # A defect: of this follower or of its sink. The others don't hear of it.
                    await self._failed(f"a defect: {outline(error)}", failures)
                failures += 1
        finally:
            reporting.cancel()
            await self._close()

    async def _turn(self) -> None:
        """One page of each walk, or a while of waiting."""
        if self._walker is None and self._stale is None:
            walker = self._new_walker(self._sink, self.name)
            await walker.begin()
            self._walker = walker
        due = time.monotonic() - self._looked >= LOOK_SECONDS
        if due:
            self._looked = time.monotonic()
            await self._look()
        caught_up = True
        if self._walker is not None and self._stale is None:
            before, began = self._walker.position, time.monotonic()
            try:
                if due:
                    await self._walker.retry()
                caught_up = await self._walker.step()
            except AnotherDatabaseError as error:
                await self._another(str(error))
                return
            if self._walker.position != before:
                self._moved = began
            self._seen(caught_up)
        if self._next is not None:
            caught_up = await self._rebuild() and caught_up
        await self._report()
        if any(one is not None and one.busy for one in (self._walker, self._next)):
            await asyncio.sleep(PACE)  # each attempt costs the server a page
        if caught_up and self._walker is not None:
            await self._tickets.look(self._walker.position)
            if await self._source.news(self._walker.since):
                await self._gather()
        elif not caught_up and self._next is None and self._walker is not None and self._walker.near:
            await self._gather()

    async def _gather(self) -> None:
        """Lets changes come together: what is alone goes at once, what comes in a stream goes in pages."""
        await asyncio.sleep(max(LINGER, self._moved + PACE - time.monotonic()))

    # -- generations ---------------------------------------------------------------------------

    async def _look(self) -> None:
        """Whether a new generation is wanted."""
        if self._next is not None:
            return
        why = await self._ledger.do(self._ledger.rebuild_asked, self.name)
        if why is None:
            return
        log.info("a sink is rebuilt", sink=self.name, why=why)
        self._next = await self._begin_generation()

    async def _another(self, why: str) -> None:
        """What the sink has is of another past: it is read until a new generation is there, and no more
        written.
        """
        log.warning("a sink is of another database and is rebuilt", sink=self.name, why=why)
        await self._ledger.do(self._ledger.ask_rebuild, self.name, why)
        self._stale = why
        self._walker = None
        self._looked = 0.0
        self._tickets.forget_waiting()

    async def _begin_generation(self) -> Walker:
        generation = await self._sink.rebuilding()
        walker = self._new_walker(generation, _key(self.name))
        try:
            await walker.begin()
        except BaseException:
            await generation.close()
            raise
        return walker

    async def _rebuild(self) -> bool:
        """One page of the new generation; it takes the sink's place at the end. True if nothing is left."""
        walker = self._next
        assert walker is not None
        try:
            await walker.retry()
            caught_up = await walker.step()
        except AnotherDatabaseError:
            # Begun before the database was another one.
            await walker.sink.discard()
            await walker.sink.close()
            await self._ledger.do(self._ledger.forget, _key(self.name))
            self._next = None
            self._looked = 0.0
            self._tickets.forget_waiting()
            return False
        if not caught_up or (self._walker is not None and walker.position < self._walker.position):
            return False
        await walker.sink.switch()
        old, self._sink = self._sink, walker.sink
        self._next, self._stale = None, None
        await self._ledger.do(self._ledger.promote, self.name, _key(self.name))
        await self._ledger.do(self._ledger.rebuilt, self.name)
        walker.key = self.name
        self._walker = walker
        self._seen(caught_up=True)
        await old.close()
        log.info("a sink was rebuilt", sink=self.name, documents=walker.applied)
        return True

    def _new_walker(self, sink: Sink, key: str) -> Walker:
        return Walker(sink, self._source, self._ledger, key=key, attempts=self._attempts)

    # -- failing, and telling ------------------------------------------------------------------

    async def _failed(self, why: str, failures: int) -> None:
        why = why[:300]
        if failures == 0 or why != self._last_error:
            log.warning("a sink can't be followed", sink=self.name, why=why)
        self._errors += 1
        self._last_error = why
        if self._behind_since is None:
            self._behind_since = time.time()
        # What it had in memory may be wrong now: it goes on from what is stored.
        if self._next is not None:
            with suppress(Exception):
                await self._next.sink.close()
            self._next = None
        position, target = (self._walker.position, self._walker.target) if self._walker else (0, 0)
        self._walker = None
        self._state = State.UNAVAILABLE
        self._looked = 0.0
        await self._report(now=True, position=position, target=target)
        with suppress(Exception):
            await self._sink.close()
        await asyncio.sleep(pause(failures, first=FIRST_PAUSE, longest=LONGEST_PAUSE))

    def _seen(self, caught_up: bool) -> None:
        now, clock = time.time(), time.monotonic()
        if caught_up:
            self._behind_since = None
            self._state = State.FOLLOWING
        else:
            if self._behind_since is None:
                self._behind_since = now
            if self._walker is not None and (self._walker.busy or not self._walker.near):
                self._state = State.CATCHING_UP
        assert self._walker is not None
        applied = self._walker.applied - self._before
        self._before = self._walker.applied
        if applied > 0:
            self._done.append((clock, applied))
        while self._done and self._done[0][0] < clock - RATE_SECONDS:
            self._done.popleft()

    async def _report_while_busy(self) -> None:
        while True:
            await asyncio.sleep(BUSY_SECONDS)
            walker = self._walker
            if walker is None or time.monotonic() - self._reported < BUSY_SECONDS:
                continue
            with suppress(SourceUnavailableError):
                walker.target = max(walker.target, await self._source.latest())
            if self._behind_since is None and walker.position < walker.target:
                self._behind_since = time.time()
            await self._report(now=True)

    async def _report(self, *, now: bool = False, position: int = 0, target: int = 0) -> None:
        clock = time.monotonic()
        if not now and clock - self._reported < REPORT_SECONDS:
            return
        self._reported = clock
        walker, building = self._walker, self._next
        if walker is not None:
            position, target = walker.position, max(walker.target, building.target if building else 0)
        state = State.REBUILDING if building is not None else self._state
        status = Status(
            self.name,
            state,
            position,
            target,
            self._behind_since,
            round(sum(count for _, count in self._done) / RATE_SECONDS, 1),
            walker.applied if walker is not None else 0,
            self._errors + (walker.errors if walker is not None else 0),
            (walker.last_error if walker is not None else "") or self._last_error,
            next((one.busy for one in (walker, building) if one is not None and one.busy), ""),
            building.position if building is not None else 0,
            building.target if building is not None else 0,
            os.getpid(),
        )
        with suppress(LedgerError):
            await self._ledger.do(self._ledger.report, status)

    async def _close(self) -> None:
        for sink in (self._sink, *([self._next.sink] if self._next else [])):
            with suppress(Exception):
                await sink.close()
        with suppress(Exception):
            self._state = State.STOPPED
            self._next = None
            await self._report(now=True)


def _key(sink: str) -> str:
    """Under which name what is known of a generation in the making is kept."""
    return f"{sink} (new)"

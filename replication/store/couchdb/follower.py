"""Follows the feed of one database into its ledger, as long as the database is open.

It reads page by page until there is nothing more, then goes on live. Whatever breaks, it begins again from
what the ledger has, after a pause that grows. Before each beginning it asks whether the database is still
the one that the ledger is about.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress

from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.replicator.backoff import pause
from replication.store.couchdb.feed import PAGE, Rows, Source
from replication.store.couchdb.ledger import Heard, LedgerDatabase

FIRST_READING = 30.0
"""Seconds that somebody waits for a database's feed to be read for the first time."""

LONGEST_LIVE = 300.0
"""Seconds after which a live feed is begun again, to ask whether the database is still the same."""

_AHEAD = 5000
"""Rows of a live feed that may wait until those before are on disk."""

log = logging.getLogger("replication.couchdb")


class Follower:
    def __init__(self, source: Source, ledger: LedgerDatabase, gone: Callable[[], None]) -> None:
        """`gone` is called when the database turns out to be deleted; then this has come to its end."""
        self._source = source
        self._ledger = ledger
        self._gone = gone
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Event()
        """Something has become of the first reading."""
        self._error: ProtocolError | None = None
        self.caught_up = False
        """Whether the ledger was up to date once since this began."""
        self.comparing = asyncio.Lock()
        """Held by whoever changes what the ledger's origin is compared with."""

    async def ready(self) -> None:
        """Returns when `caught_up`. Raises why not: `database_missing`, or 503 if it takes too long."""
        if self.caught_up:
            return
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        try:
            async with asyncio.timeout(FIRST_READING):
                await self._turn.wait()
        except TimeoutError:
            raise errors.unavailable(
                f"The changes of {self._ledger.name} are being read for the first time. Try again later.",
                headers={"Retry-After": "10"},
            ) from None
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                await self.turn()
                failures = 0
            except ProtocolError as error:
                if errors.is_database_missing(error):
                    self._failed(error)
                    self._gone()
                    return
                if not failures:
                    log.warning("%s: following the feed failed: %s", self._ledger.name, error.reason)
                self._failed(error)
            except Exception:
                log.exception("%s: following the feed failed", self._ledger.name)
                self._failed(errors.internal("The changes of this database can't be read."))
            await asyncio.sleep(pause(failures, longest=30.0))
            failures += 1

    async def turn(self) -> None:
        """Reads up to the end of the feed and listens to it until the server ends that, or it breaks."""
        await self._catch_up()
        await self._listen()

    async def _listen(self) -> None:
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(LONGEST_LIVE),
                aclosing(self._source.live(self._ledger.position())) as live,
            ):
                waiting = _Waiting()
                listening = asyncio.create_task(waiting.fill(live))
                try:
                    while (rows := await waiting.take()) is not None:
                        await self._ledger.hear(*rows)
                    await listening
                finally:
                    listening.cancel()
                    with suppress(asyncio.CancelledError, ProtocolError):
                        await listening

    def _failed(self, error: ProtocolError) -> None:
        if not self.caught_up:
            self._error = error
            self._turn.set()

    async def _catch_up(self) -> None:
        async with self.comparing:
            origin = await self._source.origin()
            known = self._ledger.origin()
            if known is None or not origin.is_of(known):
                if known is not None:
                    log.warning("%s: made again, or purged by somebody else: begun anew", self._ledger.name)
                await self._ledger.begin(origin)
        while True:
            since = self._ledger.position()
            try:
                rows = await self._source.page(since, PAGE)
            except ProtocolError as error:
                if error.status != 400 or since == "0":
                    raise
                log.warning("%s: the server doesn't know how far it was heard: begun anew", self._ledger.name)
                await self._ledger.begin(origin)
                continue
            if rows.rows or rows.since != since:
                await self._ledger.hear(*rows)
            if rows.since == since:
                break
        self._error = None
        self.caught_up = True
        self._turn.set()


class _Waiting:
    """What a live feed has told while what came before was on its way to the disk.

    CouchDB sends row by row, and each commit takes a while: all that waits goes together.
    """

    def __init__(self) -> None:
        self._rows: list[Heard] = []
        self._since = ""
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = False

    async def fill(self, live: AsyncIterator[Rows]) -> None:
        try:
            async for rows in live:
                await self._room.wait()
                self._rows += rows.rows
                self._since = rows.since
                self._some.set()
                if len(self._rows) >= _AHEAD:
                    self._room.clear()
        finally:
            self._ended = True
            self._some.set()

    async def take(self) -> Rows | None:
        """None when there is nothing more and won't be."""
        await self._some.wait()
        rows, since = self._rows, self._since
        if not since:
            return None
        self._rows, self._since = [], ""
        self._room.set()
        if not self._ended:
            self._some.clear()
        return Rows(rows, since)

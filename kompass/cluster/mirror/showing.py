"""Showing CouchDB what this process has committed, before anybody is answered."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from kompass.cluster.mirror.status import Refused, Shown
from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.replicator import LocalPeer, ReplicationError
from replication.replicator.peer import Peer, Revision, Wanted
from replication.store.interface import Store
from replication.store.sqlite import SqliteDatabase, Witness

MOST_AT_ONCE = 500
"""Documents of one request."""
SIDE_BY_SIDE = 3
"""Requests in flight: while CouchDB writes one, the next one is read."""
PATIENCE_SECONDS = 20.0
"""How long a write waits for CouchDB before its author is told to try again."""
LONGEST_SECONDS = 300.0
"""After that an attempt is given up and what it carries read anew: nothing older is on its way to CouchDB."""
SILENT_SECONDS = (5.0, 10.0)
"""How long the first attempts may take before there is another one: a node of CouchDB that hangs takes a
request and says nothing, and the next one goes to another node.
"""
PAUSES = (0.2, 1.0, 3.0)
"""After the first, second and every later failure in a row."""

log = structlog.get_logger(__name__)


class Mirror(Witness):
    """One database's documents, on their way to CouchDB. Made in an event loop, which it uses."""

    def __init__(self, store: Callable[[], Store], name: str, target: Peer) -> None:
        """`store` has the database called `name`; `target` is that of CouchDB."""
        self._store = store
        self._name = name
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, None] = {}
        """Numbers of changes that nobody carries yet, in order."""
        self._carried: set[int] = set()
        self._failures = 0
        self._failed_at = 0.0
        self._carriers: set[asyncio.Task[None]] = set()
        self._progress = asyncio.Event()
        self._latest = 0
        self._closed = False
        self.shown = Shown()

    # -- a witness -----------------------------------------------------------------------------

    def ask(self) -> None:
        if self._failures and (self._waiting or self._carried):
            raise errors.unavailable(
                "CouchDB can't be reached at the moment: nothing was written. Try again.",
                headers={"Retry-After": str(math.ceil(PAUSES[-1]))},
            )

    def committed(self, numbers: Sequence[int]) -> None:
        if numbers:
            with suppress(RuntimeError):  # the loop has ended: the leader finds what is missing
                self._loop.call_soon_threadsafe(self._add, list(numbers))

    async def has_all(self) -> None:
        # What was committed in another thread has been handed to the loop before the caller was woken.
        mine = self._latest
        deadline = time.monotonic() + PATIENCE_SECONDS
        seen = self._failures
        while self._oldest() <= mine:
            if self._failures > seen or time.monotonic() > deadline or self._closed:
                raise errors.unavailable(
                    "This is stored, but CouchDB hasn't confirmed it yet. Try again.",
                    headers={"Retry-After": "1"},
                )
            self._progress.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._progress.wait(), 1.0)

    def _oldest(self) -> float:
        return min(*self._waiting, *self._carried, math.inf, math.inf)

    async def close(self) -> None:
        """Ends without showing what waits, which the leader does."""
        self._closed = True
        for carrier in list(self._carriers):
            carrier.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)
        self._progress.set()

    # -- carrying ------------------------------------------------------------------------------

    def _add(self, numbers: list[int]) -> None:
        for number in numbers:
            self._waiting[number] = None
        self._latest = max(self._latest, *numbers)
        self._start()

    def _start(self) -> None:
        most = 1 if self._failures else SIDE_BY_SIDE
        while self._waiting and len(self._carriers) < most and not self._closed:
            some = [number for number, _ in zip(list(self._waiting), range(MOST_AT_ONCE), strict=False)]
            for number in some:
                del self._waiting[number]
            self._carried.update(some)
            carrier = self._loop.create_task(self._carry(some), name="mirror")
            self._carriers.add(carrier)
            carrier.add_done_callback(self._carried_one)

    def _carried_one(self, carrier: asyncio.Task[None]) -> None:
        self._carriers.discard(carrier)
        self._start()
        self._progress.set()

    async def _carry(self, numbers: list[int]) -> None:
        try:
            if self._failures:
                await asyncio.sleep(PAUSES[min(self._failures, len(PAUSES)) - 1])
            await self._show(numbers)
        except (ReplicationError, ProtocolError) as error:
            self._again(numbers, str(error))
        except TimeoutError:
            self._again(numbers, "CouchDB takes too long.")
        except Exception:
            log.exception("what was written couldn't be shown to CouchDB", database=self._name)
            self._again(numbers, "The server failed: see its log.")
        else:
            self._failures = 0
        finally:
            self._carried.difference_update(numbers)

    def _again(self, numbers: Sequence[int], why: str) -> None:
        self._failures += 1
        self.shown = self.shown.failed(why)
        log.warning("CouchDB didn't take what was written", database=self._name, error=why)
        self._waiting = dict.fromkeys(sorted({*numbers, *self._waiting}))

    async def _show(self, numbers: Sequence[int]) -> None:
        again = self._failures > 0
        for seconds in SILENT_SECONDS:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._attempt(numbers, again=again)
                    return
            log.warning("CouchDB says nothing: asked again", database=self._name, seconds=seconds)
            again = True
        async with asyncio.timeout(LONGEST_SECONDS):
            await self._attempt(numbers, again=again)

    async def _attempt(self, numbers: Sequence[int], *, again: bool) -> None:
        store = self._store()
        try:
            database = store.get(self._name)
        except ProtocolError as error:
            if error.status == 404:
                return  # deleted: nobody misses it
            raise
        assert isinstance(database, SqliteDatabase)
        if again:  # a while has passed: somebody may have been erased at another process
            await database.fresh()
        wanted = wanted_of(database, numbers)
        refused = []
        source = LocalPeer(store, self._name)
        async for batch in source.fetch(wanted):
            revisions = [one for one in batch if isinstance(one, Revision)]
            refused += await self._target.store(revisions) if revisions else []
        self.shown = self.shown.took(len(wanted), [Refused(one.id, one.rev, one.reason) for one in refused])
        for one in refused:
            log.error("CouchDB refuses a document", id=one.id, rev=one.rev, reason=one.reason)


def wanted_of(database: SqliteDatabase, numbers: Sequence[int]) -> list[Wanted]:
    """The leaves of the documents that have changed under these numbers, and not since."""
    with database.reading() as reading:
        return [
            Wanted(change.id, tuple(map(parse_rev, change.revs)), ())
            for change in reading.changes(numbers)
            if not change.id.startswith("_design/")
        ]

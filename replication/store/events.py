"""What happened to the databases of a store: made, changed, deleted.

Of a kind of event and a database only the latest is kept, so the log is never longer than three times the
databases there were. It begins anew with the process, in an epoch of its own: a reader who saw an
earlier one starts over, and finds every database there is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from typing import NamedTuple

from replication.protocol.sequences import Epoch, Epochs, new_epoch_name


class EventKind(Enum):
    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class DatabaseEvent(NamedTuple):
    seq: int
    kind: EventKind
    name: str
    """The database."""


class DatabaseEvents:
    """The log. Recording is safe from any thread, and costs no more than a few dictionary accesses."""

    def __init__(self, present: Iterable[str]) -> None:
        """`present`: databases that are there already; their first event says that they changed."""
        self.epochs = Epochs([Epoch(new_epoch_name(), 0)])
        self._latest: dict[tuple[EventKind, str], int] = {}
        """In the order of the numbers."""
        self._seq = 0
        self._lock = threading.Lock()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        for name in present:
            self.record(EventKind.UPDATED, name)

    @property
    def seq(self) -> int:
        """The number of the latest event."""
        return self._seq

    @property
    def waiting(self) -> int:
        """How many readers wait."""
        return len(self._waiters)

    def record(self, kind: EventKind, name: str) -> None:
        key = (kind, name)
        with self._lock:
            self._latest.pop(key, None)
            self._seq += 1
            self._latest[key] = self._seq
            woken = tuple(self._waiters) if self._waiters else ()
        for loop, event in woken:
            with suppress(RuntimeError):  # a closed loop has nobody left who waits
                loop.call_soon_threadsafe(event.set)

    def after(self, since: int) -> list[DatabaseEvent]:
        """What happened after `since`, in order."""
        found = []
        with self._lock:
            for (kind, name), seq in reversed(self._latest.items()):
                if seq <= since:
                    break
                found.append(DatabaseEvent(seq, kind, name))
        found.reverse()
        return found

    async def wait(self, since: int) -> None:
        """Returns when something has happened after `since`. Cancellable."""
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._lock:
            if self._seq > since:
                return
            self._waiters.add(waiter)
        try:
            await event.wait()
        finally:
            with self._lock:
                self._waiters.discard(waiter)

"""Feeds that wait, and whether those who read them still may.

One task looks after all of them: when a user's document has changed, and every few seconds in any case, it
asks of each feed whether its caller would still be let in, and ends those of whom that isn't so. It runs
while there are feeds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from replication.accounts.users import USERS_DATABASE
from replication.http.call import Call
from replication.http.identity import still_admitted
from replication.protocol.errors import ProtocolError
from replication.store.interface import Store

LOOK_SECONDS = 0.5
"""How often is looked whether users have changed."""

CHECK_SECONDS = 5.0
"""After how long each feed is checked though no user has changed."""

log = logging.getLogger("replication.http")

End = Callable[[], None]


class LiveFeeds:
    """The feeds of one server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._feeds: dict[Call, End] = {}
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._ending = False

    def __len__(self) -> int:
        return len(self._feeds)

    def add(self, call: Call, end: End) -> None:
        """`end` is called once if the caller may no longer read; the feed then ends and is removed."""
        self._feeds[call] = end
        if self._ending:
            end()
        if self._task is None:
            self._task = asyncio.create_task(self._look_after())

    def remove(self, call: Call) -> None:
        self._feeds.pop(call, None)
        if not self._feeds:
            self.close()

    def check_now(self) -> None:
        """Something has changed about who may read: all feeds are checked at once."""
        self._wanted.set()

    def end_all(self) -> None:
        """The server is about to stop: every feed ends as if it had been idle for too long, and so does each
        that still begins, with what there is.
        """
        self._ending = True
        for end in list(self._feeds.values()):
            end()

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _look_after(self) -> None:
        clock = asyncio.get_running_loop().time
        seen, due = self._users_seq(), clock() + CHECK_SECONDS
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            now = self._users_seq()
            if self._wanted.is_set() or now != seen or clock() >= due:
                self._wanted.clear()
                seen, due = now, clock() + CHECK_SECONDS
                await self._check_all()

    def _users_seq(self) -> int:
        try:
            return self._store.get(USERS_DATABASE).update_seq
        except ProtocolError:
            return -1

    async def _check_all(self) -> None:
        for call, end in list(self._feeds.items()):
            try:
                admitted = await still_admitted(call)
            except Exception:
                log.exception("request %s: who reads a feed could not be checked; it ends", call.request_id)
                admitted = False
            if not admitted:
                end()
            await asyncio.sleep(0)

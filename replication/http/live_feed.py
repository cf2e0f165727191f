"""An answer that waits: what the feeds of a database and of the whole server have in common.

A waiting feed costs its connection, one task of its own (`Client`) and a few small objects; there may be
thousands. It ends when its client leaves, when it has been idle for as long as the client said, when its
caller would not be let in any more (`live_feeds`), and in any case after the server's longest time; then
clients come back by themselves.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from replication.http.call import Call
from replication.http.changes_options import ChangesOptions
from replication.http.streaming import Client


class LiveFeed(Response, ABC):
    """A longpoll, continuous or eventsource feed: `run` says what it sends, `changed` what it waits for.

    `heartbeat` is sent when nothing was for the time that the options name.
    """

    live = True
    """Its rows must not wait in any buffer."""

    def __init__(
        self, call: Call, options: ChangesOptions, *, media_type: str, cache_control: str, heartbeat: bytes
    ) -> None:
        self.call = call
        self.options = options
        self.heartbeat = heartbeat
        self.clock = asyncio.get_running_loop().time
        self._idle = options.timeout if options.heartbeat is None else options.heartbeat
        self._ends_at = self.clock() + call.server.config.max_feed_seconds
        self.put_off()
        self.status_code = 200
        self.background = None
        self.init_headers({"content-type": media_type, "cache-control": cache_control})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with Client(receive, send) as client:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await client.send(start)
            if scope["method"] == "HEAD":
                await client.send_end()
                return
            feeds = self.call.server.feeds
            feeds.add(self.call, client.dismiss)
            try:
                await client.send_end(await self.run(client))
            finally:
                feeds.remove(self.call)

    @abstractmethod
    async def run(self, client: Client) -> bytes:
        """Sends the feed but for its last piece, which it returns."""

    @abstractmethod
    async def changed(self) -> None:
        """Returns when there may be something that has not been sent."""

    def put_off(self) -> None:
        """The feed has just given a sign of life."""
        self.idle_at = self.clock() + self._idle

    def is_over(self) -> bool:
        """Whether the server's longest time has passed."""
        return self.clock() >= self._ends_at

    async def woken(self, client: Client) -> bool:
        """Waits for a change, sending heartbeats. False if the feed is to end instead."""
        while True:
            try:
                async with client.wait_until(min(self.idle_at, self._ends_at)):
                    await self.changed()
                return True
            except TimeoutError:
                pass
            finally:
                client.waited()
            if client.gone:
                raise ClientDisconnect
            if client.dismissed or self.options.heartbeat is None or self.is_over():
                return False
            await client.send_piece(self.heartbeat)
            self.put_off()

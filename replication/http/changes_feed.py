"""Answers of the changes feed: complete ones, and feeds that wait.

A feed reads nothing while it waits (`LiveFeed`), and a page only when the one before has been taken. It
ends, too, when its database is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response

from replication.http.call import Call
from replication.http.changes_framing import FRAMING, thinned
from replication.http.changes_options import ChangesOptions, Feed
from replication.http.changes_pages import Page, PageReader
from replication.http.identity import still_admitted
from replication.http.live_feed import LiveFeed
from replication.http.streaming import Client, json_in_pieces
from replication.protocol.errors import ProtocolError
from replication.store.interface import Database

NO_LIMIT = 10**15
"""What CouchDB counts down from when no limit is given. Shows through `seq_interval` only."""

SIGN_OF_LIFE = 5.0
"""Seconds after which a scan that found nothing yet sends a line break."""


class Rows:
    """What a feed has sent and still wants. Knows how to write the next page."""

    __slots__ = ("_interval", "_wanted", "any", "framing")

    def __init__(self, options: ChangesOptions) -> None:
        self.framing = FRAMING[options.feed]
        self.any = False
        self._interval = options.seq_interval
        self._wanted = options.limit

    @property
    def room(self) -> int | None:
        """How many rows are still wanted; None for all."""
        return self._wanted

    def full(self) -> bool:
        """Whether the reader has got as many rows as he wanted."""
        return self._wanted == 0

    def write(self, page: Page) -> bytes:
        if not page.count:
            return b""
        rows = page.rows
        if self._interval is not None:
            rows = thinned(rows, NO_LIMIT if self._wanted is None else self._wanted, self._interval)
        text = self.framing.rows(rows, not self.any)
        self.any = True
        if self._wanted is not None:
            self._wanted -= page.count
        elif self._interval is not None:
            self._wanted = NO_LIMIT - page.count
        return text


async def complete_feed(
    database: Database, options: ChangesOptions, reader: PageReader, since: int, headers: dict[str, str]
) -> Response:
    """A normal feed: what there is, in one piece if it is one page."""
    return await json_in_pieces(_complete(database, options, reader, since), headers)


async def _complete(
    database: Database, options: ChangesOptions, reader: PageReader, since: int
) -> AsyncIterator[bytes]:
    """The pieces of a normal feed. It ends at the latest change there was when it began."""
    clock = asyncio.get_running_loop().time
    rows = Rows(options)
    text = rows.framing.head
    upto = database.update_seq
    quiet_until = clock() + SIGN_OF_LIFE
    while not rows.full():
        page = await reader.page(since, rows.room)
        since = page.last_seq
        text += rows.write(page)
        if not page.more or (since >= upto and not options.descending):
            break
        if page.count or clock() >= quiet_until:
            yield text or b"\n"
            text = b""
            quiet_until = clock() + SIGN_OF_LIFE
        await asyncio.sleep(0)
    yield text + await _end(database, rows, reader, since)


async def _end(database: Database, rows: Rows, reader: PageReader, last_seq: int) -> bytes:
    return rows.framing.end(database.epochs.format(last_seq), await reader.pending(last_seq))


class FeedResponse(LiveFeed):
    """A longpoll, continuous or eventsource feed."""

    def __init__(self, call: Call, options: ChangesOptions, reader: PageReader, since: int) -> None:
        self._database = call.database
        self._reader = reader
        self._since = since
        self._rows = Rows(options)
        self._text = b""
        self._silent = True
        framing = self._rows.framing
        super().__init__(
            call,
            options,
            media_type=framing.media_type,
            cache_control=framing.cache_control,
            heartbeat=framing.heartbeat,
        )

    async def changed(self) -> None:
        await self._database.wait_for_change(self._since)

    async def run(self, client: Client) -> bytes:
        self._text = self._rows.framing.head
        woken = False
        try:
            while not await self._catch_up(client, woken):
                if self._silent and not self._rows.any:
                    self._text += b"\n"
                await self._flush(client)
                woken = await self.woken(client)
                if not woken:
                    break
            return self._text + await _end(self._database, self._rows, self._reader, self._since)
        except ProtocolError:  # the database is gone
            return self._text + self._rows.framing.end(self._database.epochs.format(self._since), 0)

    async def _catch_up(self, client: Client, woken: bool) -> bool:
        """Sends what there is, but for the last page. True if that was all the reader wanted."""
        if self._rows.full() or (woken and not await still_admitted(self.call)):
            return True
        read = self._reader.shared_page if woken else self._reader.page
        while True:
            async with self.call.work():
                page = await read(self._since, self._rows.room)
            self._since = page.last_seq
            if page.count:
                self._text += self._rows.write(page)
                self.put_off()
            if self._rows.full() or client.dismissed or self.is_over():
                return True
            if not page.more:
                longpoll = self.options.feed is Feed.LONGPOLL
                return self.options.descending or (longpoll and self._rows.any)
            if not page.count and self.clock() >= self.idle_at:
                self._text += self.heartbeat
                self.put_off()
            if page.count or not self._silent:
                await self._flush(client)
            await asyncio.sleep(0)

    async def _flush(self, client: Client) -> None:
        if self._text:
            text, self._text = self._text, b""
            self._silent = False
            await client.send_piece(text)

"""`_db_updates`: which databases were made, changed and deleted, in all forms of a feed.

Of each kind of event a database shows its latest only. After a restart everybody starts over: see
`store/events.py`. A waiting feed costs its connection and one task, as those of `_changes` do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from replication.http.call import Call
from replication.http.changes_options import ChangesOptions, Feed, read_changes_options
from replication.http.identity import still_admitted
from replication.http.responses import CACHE_CONTROL, etag_matches, etag_of, not_modified
from replication.http.streaming import Client
from replication.protocol import jsontext
from replication.store.events import DatabaseEvent, DatabaseEvents

GATHERED = 0.025
"""Seconds in which events are gathered after the first: a busy database is one row, not hundreds."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a feed is written: here one JSON object, as normal and longpoll feeds are."""

    media_type: str = "application/json"
    cache_control: str = CACHE_CONTROL
    head: str = '{"results":[\n'
    before_row: str = ""
    between_rows: str = ",\n"
    after_row: str = ""
    id_of_row: bool = False
    end: str = '\n],\n"last_seq":"%s"}\n'
    heartbeat: bytes = b"\n"


_OBJECT = Form()

FORMS = {
    Feed.NORMAL: _OBJECT,
    Feed.LONGPOLL: _OBJECT,
    Feed.CONTINUOUS: Form(head="", between_rows="", after_row="\n", end='{"last_seq":"%s"}\n'),
    Feed.EVENTSOURCE: Form(
        media_type="text/event-stream",
        cache_control="no-cache",
        head="",
        before_row="data: ",
        between_rows="",
        after_row="\n",
        id_of_row=True,
        end="",
        heartbeat=b"event: heartbeat\ndata: \n\n",
    ),
}


async def db_updates(call: Call) -> Response:
    """`GET /_db_updates`. Takes `feed`, `since`, `limit`, `descending`, `heartbeat` and `timeout`."""
    query = {name: text for name, text in call.query.items() if (name, text) != ("heartbeat", "false")}
    options = read_changes_options(query, call.headers.get("last-event-id"))
    events = call.server.store.events
    feed = UpdatesFeed(call, events, options)
    if options.feed is not Feed.NORMAL:
        return feed
    text = feed.everything()
    etag = etag_of(text)
    if etag_matches(call.headers.get("if-none-match"), etag):
        return not_modified(etag)
    headers = {"etag": etag, "cache-control": CACHE_CONTROL}
    return Response(text, headers=headers, media_type="application/json")


class UpdatesFeed(Response):
    """A longpoll, continuous or eventsource feed; also writes what a normal one has."""

    live = True
    """Its rows must not wait in any buffer."""

    def __init__(self, call: Call, events: DatabaseEvents, options: ChangesOptions) -> None:
        self._call = call
        self._events = events
        self._options = options
        self._form = FORMS[options.feed]
        self._since = events.epochs.resolve(options.since, events.seq)
        self._wanted = options.limit
        self._any = False
        self._clock = asyncio.get_running_loop().time
        self._ends_at = self._clock() + call.server.config.max_feed_seconds
        self._idle = options.timeout if options.heartbeat is None else options.heartbeat
        self.status_code = 200
        self.background = None
        self.init_headers({"content-type": self._form.media_type, "cache-control": self._form.cache_control})

    def everything(self) -> bytes:
        """The whole text of a normal feed."""
        return self._form.head.encode() + self._rows() + self._end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with Client(receive, send) as client:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await client.send(start)
            if scope["method"] == "HEAD":
                await client.send_end()
                return
            feeds = self._call.server.feeds
            feeds.add(self._call, client.dismiss)
            try:
                await client.send_end(await self._run(client))
            finally:
                feeds.remove(self._call)

    async def _run(self, client: Client) -> bytes:
        """Sends the feed but for its last piece, which it returns."""
        text = self._form.head.encode() + self._rows()
        while not self._is_complete():
            await client.send_piece(text or b"\n")
            if not await self._woken(client) or not await still_admitted(self._call):
                text = b""
                break
            await asyncio.sleep(GATHERED)
            text = self._rows()
        return text + self._end()

    def _is_complete(self) -> bool:
        if self._wanted == 0 or self._options.descending or self._clock() >= self._ends_at:
            return True
        return self._options.feed is Feed.LONGPOLL and self._any

    async def _woken(self, client: Client) -> bool:
        """Waits for an event, sending heartbeats. False if the feed is to end instead."""
        while True:
            try:
                async with client.wait_until(min(self._clock() + self._idle, self._ends_at)):
                    await self._events.wait(self._since)
                return True
            except TimeoutError:
                pass
            finally:
                client.waited()
            if client.gone:
                raise ClientDisconnect
            if client.dismissed or self._options.heartbeat is None or self._clock() >= self._ends_at:
                return False
            await client.send_piece(self._form.heartbeat)

    def _rows(self) -> bytes:
        """The rows there are after the last ones, as far as they are wanted."""
        if self._options.descending:
            found = self._events.after(0)[::-1]
        else:
            found = self._events.after(self._since)
        if self._wanted is not None:
            found = found[: self._wanted]
            self._wanted -= len(found)
        if not found:
            return b""
        self._since = found[-1].seq
        text = self._write(found)
        self._any = True
        return text.encode("ascii")

    def _write(self, found: Sequence[DatabaseEvent]) -> str:
        form = self._form
        rows = []
        for event in found:
            seq = f'"{self._events.epochs.format(event.seq)}"'
            name = jsontext.quote(event.name)
            row = f'{form.before_row}{{"db_name":{name},"type":"{event.kind.value}","seq":{seq}}}'
            rows.append(f"{row}\nid: {seq}\n{form.after_row}" if form.id_of_row else row + form.after_row)
        return (form.between_rows if self._any else "") + form.between_rows.join(rows)

    def _end(self) -> bytes:
        end = self._form.end
        return (end % self._events.epochs.format(self._since) if end else "").encode("ascii")

"""`_db_updates`: which databases were made, changed and deleted, in all forms of a feed.

Of each kind of event a database shows its latest only. After a restart everybody starts over: see
`store/events.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from replication.http.call import Call
from replication.http.changes_options import ChangesOptions, Feed, read_changes_options
from replication.http.identity import still_admitted
from replication.http.live_feed import LiveFeed
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


class UpdatesFeed(LiveFeed):
    """A longpoll, continuous or eventsource feed; also writes what a normal one has."""

    def __init__(self, call: Call, events: DatabaseEvents, options: ChangesOptions) -> None:
        self._events = events
        self._form = form = FORMS[options.feed]
        self._since = events.epochs.resolve(options.since, events.seq)
        self._wanted = options.limit
        self._any = False
        super().__init__(
            call,
            options,
            media_type=form.media_type,
            cache_control=form.cache_control,
            heartbeat=form.heartbeat,
        )

    async def changed(self) -> None:
        await self._events.wait(self._since)

    def everything(self) -> bytes:
        """The whole text of a normal feed."""
        return self._form.head.encode() + self._rows() + self._end()

    async def run(self, client: Client) -> bytes:
        text = self._form.head.encode() + self._rows()
        while not self._is_complete():
            await client.send_piece(text or b"\n")
            self.put_off()
            if not await self.woken(client) or not await still_admitted(self.call):
                text = b""
                break
            await asyncio.sleep(GATHERED)
            text = self._rows()
        return text + self._end()

    def _is_complete(self) -> bool:
        if self._wanted == 0 or self.options.descending or self.is_over():
            return True
        return self.options.feed is Feed.LONGPOLL and self._any

    def _rows(self) -> bytes:
        """The rows there are after the last ones, as far as they are wanted."""
        if self.options.descending:
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

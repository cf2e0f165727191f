"""How rows of the feed are written for each kind of feed, as CouchDB writes them."""

from __future__ import annotations

from dataclasses import dataclass

from replication.http.changes_options import Feed
from replication.http.changes_pages import SEPARATOR


@dataclass(frozen=True, slots=True)
class Framing:
    """One JSON object with the rows in an array: normal and longpoll feeds."""

    media_type: str = "application/json"
    cache_control: str = "must-revalidate"
    head: bytes = b'{"results":[\n'
    heartbeat: bytes = b"\n"

    def rows(self, rows: bytes, first: bool) -> bytes:
        """A page of rows. `first`: none went before."""
        return rows if first else SEPARATOR + rows

    def end(self, last_seq: str, pending: int) -> bytes:
        return f'\n],\n"last_seq":"{last_seq}","pending":{pending}}}\n\n'.encode("ascii")


class LineFraming(Framing):
    """A line for each row: continuous feeds."""

    __slots__ = ()

    def rows(self, rows: bytes, first: bool) -> bytes:
        return rows.replace(SEPARATOR, b"\n") + b"\n"

    def end(self, last_seq: str, pending: int) -> bytes:
        return f'{{"last_seq":"{last_seq}","pending":{pending}}}\n\n'.encode("ascii")


class EventFraming(Framing):
    """Server-sent events, which browsers read with `EventSource`."""

    __slots__ = ()

    def rows(self, rows: bytes, first: bool) -> bytes:
        return b"".join([b"data: %b\nid: %b\n\n" % (row, sequence_of(row)) for row in rows.split(SEPARATOR)])

    def end(self, last_seq: str, pending: int) -> bytes:
        return b""


_OBJECT = Framing()

FRAMING = {
    Feed.NORMAL: _OBJECT,
    Feed.LONGPOLL: _OBJECT,
    Feed.CONTINUOUS: LineFraming(head=b""),
    Feed.EVENTSOURCE: EventFraming(
        media_type="text/event-stream",
        cache_control="no-cache",
        head=b"",
        heartbeat=b"event: heartbeat\ndata: \n\n",
    ),
}

_SEQUENCE_STARTS = len(b'{"seq":')


def sequence_of(row: bytes) -> bytes:
    """The sequence of a row, as JSON."""
    return row[_SEQUENCE_STARTS : row.index(b",", _SEQUENCE_STARTS)]


def thinned(rows: bytes, left: int, interval: int) -> bytes:
    """Rows of which one in `interval` keeps its sequence; the others have `null`.

    `left`: how many rows the reader still wanted when the first of these was due. CouchDB counts by
    that, not by the rows sent.
    """
    return SEPARATOR.join(
        [
            row if (left - place) % interval == 0 else b'{"seq":null' + row[row.index(b",") :]
            for place, row in enumerate(rows.split(SEPARATOR))
        ]
    )

"""What one connection may take: so much header, so much time to send its request.

The protocol class of uvicorn waits forever for the rest of a request and takes headers of any size.
`GuardedProtocol` counts, and `close_idle`, called every few seconds, ends what has come to a stop:
a connection that doesn't get a request's head together, and a body of which nothing more comes.
Feeds are not concerned: their request has arrived in full.

What is no HTTP is answered in the server's own words, and never in the middle of another answer.

It also asks the system to acknowledge at once what belongs to an unfinished request. A client that
sends head and body apart and leaves Nagle's algorithm on, as CouchDB's replicator does, waits for that
acknowledgement before it sends the body, and Linux would keep it back for 40 ms.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers."""

HEAD_SECONDS = 30.0
"""From the first byte of a request, or the opening of the connection, to the end of the headers."""

BODY_SECONDS = 60.0
"""In which `BODY_PROGRESS` bytes of a body must come, while the server is ready to take them."""

BODY_PROGRESS = 1024
"""Bytes that count as progress: a drop now and then would hold a connection for good."""

_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools, with limits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_since: float | None = None
        self._head_size = 0
        self._heard_at = 0.0
        self._progress_at = 0.0
        """When the body that is coming in last made progress."""
        self._since_progress = 0
        """Bytes that came since then."""
        self._is_inside_message = False
        """Whether a request has begun and not ended, its answer sent or not: its body may still come."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._heard_at = self._head_since = self.loop.time()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        now = self._heard_at = self.loop.time()
        self._since_progress += len(data)
        if self._since_progress >= BODY_PROGRESS:
            self._made_progress(now)
        super().data_received(data)
        if self._head_since is not None:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._refuse(errors.headers_too_large())
        elif self._is_between_requests and not self._is_inside_message:
            # Bytes that begin no request, such as line ends: they stop uvicorn's own clock.
            self._head_since = now
        elif self.cycle.more_body:
            self._acknowledge()

    def _made_progress(self, now: float) -> None:
        self._progress_at = now
        self._since_progress = 0

    def _acknowledge(self) -> None:
        if _QUICK_ACK is None or self.transport.is_closing():
            return
        connection = self.transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def on_message_begin(self) -> None:
        self._head_since = self._heard_at
        self._head_size = 0
        self._is_inside_message = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Drops fields behind a chunked body: uvicorn takes them for headers, and no proxy has seen them."""
        if self._head_since is not None:
            super().on_header(name, value)

    def on_message_complete(self) -> None:
        self._is_inside_message = False
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        self._head_since = None
        self._made_progress(self._heard_at)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._made_progress(self.loop.time())

    def _unsupported_upgrade_warning(self) -> None:
        """Clients offer HTTP/2 and take HTTP/1.1 for an answer: nothing to warn of."""

    @property
    def _current(self) -> RequestResponseCycle | None:
        """The request being answered or answered last; uvicorn's own type leaves the None out."""
        return self.cycle

    @property
    def _is_between_requests(self) -> bool:
        return self._current is None or self._current.response_complete

    def close_if_idle(self, now: float) -> None:
        """Ends the connection if it keeps the server waiting for a request."""
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            # It is the server that doesn't listen: the clock starts when it does again.
            self._made_progress(now)
            if self._head_since is not None:
                self._head_since = now
        elif self._head_since is not None:
            if now - self._head_since > HEAD_SECONDS:
                self._refuse(errors.request_timeout())
        elif self._current is not None and self._current.more_body and now - self._progress_at > BODY_SECONDS:
            self._refuse(errors.request_timeout())

    def send_400_response(self, msg: str) -> None:
        self._refuse(errors.bad_request(msg))

    def _refuse(self, error: ProtocolError) -> None:
        """Says why, unless a response is on its way or due already, and closes."""
        if self.transport.is_closing():
            return
        if not self.pipeline and (self._is_between_requests or not self.cycle.response_started):
            body = jsontext.encode(error.body()) + b"\n"
            self.transport.write(
                b"HTTP/1.1 %d %b\r\nconnection: close\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b"
                % (error.status, HTTPStatus(error.status).phrase.encode("ascii"), len(body), body)
            )
        self.transport.close()


def close_idle(connections: Iterable[object], now: float) -> None:
    """`close_if_idle` for all of a server's connections. `now` is the event loop's time."""
    for connection in list(connections):
        if isinstance(connection, GuardedProtocol):
            connection.close_if_idle(now)

"""What one connection may take: so much header, so much time to send its request.

The protocol class of uvicorn waits forever for the rest of a request and takes headers of any size.
`GuardedProtocol` counts, and `close_idle`, called every few seconds, ends what has come to a stop:
a connection that doesn't get a request's head together, and a body of which nothing more comes.
Feeds are not concerned: their request has arrived in full.

It also asks the system to acknowledge at once what belongs to an unfinished request. A client that
sends head and body apart and leaves Nagle's algorithm on, as CouchDB's replicator does, waits for that
acknowledgement before it sends the body, and Linux would keep it back for 40 ms.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers."""

HEAD_SECONDS = 30.0
"""From the first byte of a request, or the opening of the connection, to the end of the headers."""

BODY_SECONDS = 60.0
"""Between two pieces of a body that the server is ready to take."""

_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools, with limits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_since: float | None = None
        self._head_size = 0
        self._heard_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._heard_at = self._head_since = self.loop.time()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        now = self._heard_at = self.loop.time()
        super().data_received(data)
        if self._head_since is not None:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._refuse(b"431 Request Header Fields Too Large")
        elif self._is_between_requests:
            # Bytes that begin no request, such as line ends: they stop uvicorn's own clock.
            self._head_since = now
        elif self.cycle.more_body:
            self._acknowledge()

    def _acknowledge(self) -> None:
        if _QUICK_ACK is None or self.transport.is_closing():
            return
        connection = self.transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def on_message_begin(self) -> None:
        self._head_since = self._heard_at
        self._head_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_since = None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._heard_at = self.loop.time()

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
            self._heard_at = now
            if self._head_since is not None:
                self._head_since = now
        elif self._head_since is not None:
            if now - self._head_since > HEAD_SECONDS:
                self._refuse(b"408 Request Timeout")
        elif self._current is not None and self._current.more_body and now - self._heard_at > BODY_SECONDS:
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        """Says why, unless a response is on its way already, and closes."""
        if self.transport.is_closing():
            return
        if self._is_between_requests or not self.cycle.response_started:
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
        self.transport.close()


def close_idle(connections: Iterable[object], now: float) -> None:
    """`close_if_idle` for all of a server's connections. `now` is the event loop's time."""
    for connection in list(connections):
        if isinstance(connection, GuardedProtocol):
            connection.close_if_idle(now)

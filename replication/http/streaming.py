"""Answers that are sent in pieces, and noticing that nobody is there to take them.

`send` usually doesn't fail when the client has left: the server throws the bytes away. So while a
long answer goes out, somebody has to `receive`, which tells. `Client` is that somebody: one task per
answer, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Self

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from replication.http.compression import BoundedStream
from replication.http.workers import NOBODY

PIECE = 64 * 1024
"""Bytes that are worth sending by themselves."""

JSON_PIECE = 1024 * 1024
"""The same for JSON, which is better sent whole."""


class Client:
    """The other end of one response. Use it as an asynchronous context manager."""

    __slots__ = ("_receive", "_send", "_timer", "_watcher", "dismissed", "gone")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._timer: asyncio.Timeout | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False
        self.dismissed = False
        """Whether he is no longer to be told anything: see `dismiss`."""

    async def __aenter__(self) -> Self:
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._watcher is not None
        self._watcher.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._wake()

    def dismiss(self) -> None:
        """Whoever waits in `wait_until` stops waiting, and finds `dismissed` set."""
        self.dismissed = True
        self._wake()

    def _wake(self) -> None:
        if self._timer is not None:
            with suppress(RuntimeError):  # it has run out at the same moment
                self._timer.reschedule(0)

    def wait_until(self, when: float) -> asyncio.Timeout:
        """A block that is left with `TimeoutError` at `when` in loop time, or when the client leaves.

        Or when he is dismissed.
        """
        self._timer = asyncio.timeout_at(0 if self.gone or self.dismissed else when)
        return self._timer

    def waited(self) -> None:
        """The block that `wait_until` opened has been left."""
        self._timer = None

    async def send(self, message: Message) -> None:
        """Sends, waiting while the client is slow. Raises `ClientDisconnect` if it is gone."""
        if self.gone:
            raise ClientDisconnect
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:
            # uvloop raises a RuntimeError when a transport is written to after its peer has left.
            if isinstance(error, RuntimeError) and "closed" not in str(error):
                raise
            self.gone = True
            raise ClientDisconnect from None

    async def send_piece(self, body: bytes) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def send_end(self, body: bytes = b"") -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


class PagedResponse(BoundedStream):
    """A long answer whose next page is read when the one before has been sent."""

    work: Callable[[], AbstractAsyncContextManager[None]] = staticmethod(lambda: NOBODY)
    """A block in which a page is made, for `Call.work`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with Client(receive, send) as client:
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await client.send(start)
            if scope["method"] != "HEAD":
                pieces = aiter(self.body_iterator)
                while (piece := await self._next(pieces)) is not None:
                    if piece:
                        await client.send_piece(piece)
            await client.send_end()

    async def _next(self, pieces: AsyncIterator[str | bytes | memoryview]) -> bytes | None:
        async with self.work():
            piece = await anext(pieces, None)
        assert piece is None or isinstance(piece, bytes)
        return piece


async def json_in_pieces(pieces: AsyncIterator[bytes], headers: Mapping[str, str]) -> Response:
    """A JSON answer that is made piece by piece: sent whole if there is only one.

    Whatever is wrong before the first piece is raised here, and can still be answered as an error.
    """
    first = await anext(pieces)
    second = await anext(pieces, None)
    if second is None:
        return Response(first, headers=headers, media_type="application/json")
    return PagedResponse(_after(first, second, pieces), headers=headers, media_type="application/json")


async def _after(first: bytes, second: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    yield second
    async for piece in others:
        yield piece


async def gathered(pieces: AsyncIterator[bytes], size: int = PIECE) -> AsyncIterator[bytes]:
    """The same bytes in fewer pieces: small ones are joined until they have `size` bytes."""
    waiting: list[bytes] = []
    length = 0
    async for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(waiting)
            waiting.clear()
            length = 0
    if waiting:
        yield b"".join(waiting)


async def json_line(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`pieces` in larger ones, with the newline that CouchDB puts behind JSON: for `json_in_pieces`."""

    async def with_newline() -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
        yield b"\n"

    async for piece in gathered(with_newline(), JSON_PIECE):
        yield piece

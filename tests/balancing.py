"""A load balancer that knows no sessions: each request goes to the next of several servers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

import httpx
from starlette.types import Receive, Scope, Send

from tests.in_process import LoopThread, serving

_OF_A_CONNECTION = {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"upgrade", b"expect"}
_WAITS = {"connect": 5.0, "read": None, "write": None, "pool": None}


class Balancer:
    """An application that passes requests on as they are. Where nobody listens the next one is asked; who
    breaks off is not asked again, as nobody knows what he has done: 502.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._next = itertools.cycle([httpx.URL(origin) for origin in origins])
        self._count = len(origins)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._network = httpx.AsyncHTTPTransport(limits=limits)

    async def close(self) -> None:
        await self._network.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(scope, receive)
        passing = asyncio.create_task(self._pass(scope, body, send))
        leaving = asyncio.create_task(body.left())
        await asyncio.wait((passing, leaving), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        passing.cancel()  # nothing, if it is done
        # Who breaks off in the middle of an answer is heard so by whoever asked.
        with suppress(asyncio.CancelledError, httpx.TransportError):
            await passing

    async def _pass(self, scope: Scope, body: _Body, send: Send) -> None:
        answer = await self._answer(scope, body)
        if answer is None:
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            headers = [one for one in answer.headers.raw if one[0].lower() not in _OF_A_CONNECTION]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            async for piece in answer.stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()

    async def _answer(self, scope: Scope, body: _Body) -> httpx.Response | None:
        headers = [one for one in scope["headers"] if one[0] not in _OF_A_CONNECTION]
        asked = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        for _ in range(self._count):
            request = httpx.Request(
                scope["method"],
                next(self._next).copy_with(raw_path=asked),
                headers=headers,
                content=body.pieces() if body.is_there else None,
                extensions={"timeout": _WAITS},
            )
            try:
                return await self._network.handle_async_request(request)
            except httpx.ConnectError:
                continue
            except httpx.TransportError:
                return None
        return None


class _Body:
    """Of a request."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.is_there = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        self._ended = asyncio.Event()
        if not self.is_there:
            self._ended.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        while not self._ended.is_set():
            message = await self._receive()
            yield message.get("body", b"")
            if not message.get("more_body"):
                self._ended.set()

    async def left(self) -> None:
        """Returns when whoever asked has gone."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


@asynccontextmanager
async def _balancing(origins: Sequence[str]) -> AsyncIterator[str]:
    balancer = Balancer(origins)
    try:
        async with serving(balancer) as url:
            yield url
    finally:
        await balancer.close()


@contextmanager
def balanced(origins: Sequence[str]) -> Iterator[str]:
    """The address of a balancer before these; it works in a thread of its own."""
    thread = LoopThread("balancer")
    balancing = _balancing(origins)
    try:
        url = thread.run(balancing.__aenter__())
        try:
            yield url
        finally:
            thread.run(balancing.__aexit__(None, None, None))
    finally:
        thread.end()

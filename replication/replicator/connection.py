"""Requests to one peer over HTTP: authenticated, bounded, and tried again where that helps.

An answer is read up to a limit and then given up; it has to come whole within a time. No redirect is
followed, for it would carry credentials and the server's reach to an address that nobody named. Nothing
is unpacked: a peer that compresses although it was told not to is refused, so a small answer can't
become a large one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError
from replication.replicator.authentication import authentication
from replication.replicator.backoff import always, retrying
from replication.replicator.failures import (
    MissingStub,
    OddDocument,
    PeerLied,
    PeerRefused,
    PeerUnavailable,
    ReplicationError,
    TooLarge,
    quoted,
)
from replication.replicator.hosts import ANYWHERE, AllowedHosts, PinnedTransport, ProxiedTransport
from replication.replicator.options import Endpoint, without_credentials

USER_AGENT = "replication/0.1 (CouchDB protocol)"

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of a JSON answer. A document may have 8 MB, and escapes make it longer."""

SERVER_ROOT = "/"
"""As a path: not below the database, but the server's welcome."""

_NUMBER_TOO_LARGE = ("unknown_error", "badarith")
"""What CouchDB answers, with 500, to a number in a document that no double can have."""
_MAX_ERROR = 16 * 1024
_TOTAL_SECONDS = 300.0
_PACE_SECONDS = 60.0
_PACE_BYTES = 1024
"""At least so many bytes have to come in so much waiting."""
_MAX_CONNECTIONS = 20
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Raised before anything of a request was sent."""

Body = bytes | Callable[[], AsyncIterator[bytes]]
"""A stream is made anew for each attempt."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: httpx.Headers
    body: bytes

    def json(self, shown: str) -> Any:
        """The body's JSON value. Raises `OddDocument` for one that is nested too deep, `PeerLied` for what is
        none."""
        try:
            return jsontext.decode(self.body)
        except ProtocolError as error:
            if error.reason == jsontext.TOO_DEEP:
                raise OddDocument(f"{shown} answered what can't be read: {error.reason}") from None
            raise PeerLied(f"{shown} answered something that isn't JSON: {_beginning(self.body)}") from None


def _beginning(body: bytes) -> str:
    return quoted(body[:80].decode("utf-8", "replace"))


class Connection:
    """A client of one database, or of all that a server has."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        allowed: AllowedHosts = ANYWHERE,
        retries: int = 5,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        whole_server: bool = False,
        pool_wait: float = _TOTAL_SECONDS,
    ) -> None:
        """`transport`: instead of one that connects to allowed hosts.

        `whole_server`: the endpoint is no database but what all databases of a server are below.
        `pool_wait`: seconds that a request may wait for one of the transport's connections.
        """
        self.shown = endpoint.url
        self._url = endpoint.url.rstrip("/")
        self._server = self._url if whole_server else self._url.rpartition("/")[0]
        self._pool_wait = pool_wait
        self._retries = retries
        self._timeout = timeout
        self._headers = dict(endpoint.headers)
        self._authentication = authentication(endpoint.credentials, self._log_in)
        limits = httpx.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_CONNECTIONS)
        self._transport = transport or _transport(endpoint, allowed, limits)

    async def close(self) -> None:
        await self._transport.aclose()

    # -- requests --------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str = "",
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_ANSWER,
        total: float = _TOTAL_SECONDS,
        worth: Callable[[PeerUnavailable], bool] = always,
    ) -> Answer:
        """The answer to a request below the database, with a status of 2xx.

        `worth`: which failures allow another attempt. Raises `PeerUnavailable` after the last attempt,
        `PeerRefused` for a status of 4xx, `TooLarge` for 413 and for an answer over `limit` bytes.
        """
        sent = {"accept": "application/json", **(headers or {})}
        if json is not None:
            body = jsontext.encode(json)
        if body is not None:
            sent.setdefault("content-type", "application/json")

        url = (self._server if path == SERVER_ROOT else self._url) + path

        async def attempt() -> Answer:
            try:
                async with asyncio.timeout(total), self._open(method, url, query, body, sent) as response:
                    data = await self._read(response, limit)
                    return Answer(response.status_code, response.headers, data)
            except TimeoutError:
                raise self._slow(total) from None

        return await retrying(attempt, self._retries, worth)

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """A response whose body the caller reads, from `raw`. One attempt."""
        async with AsyncExitStack() as stack:
            opening = self._open("GET", self._url + path, query, None, headers)
            try:
                async with asyncio.timeout(_TOTAL_SECONDS):
                    response = await stack.enter_async_context(opening)
            except TimeoutError:
                raise self._slow(_TOTAL_SECONDS) from None
            yield response

    async def raw(self, response: httpx.Response, *, may_trickle: bool = False) -> AsyncIterator[bytes]:
        """The bytes as they were sent.

        Raises `PeerUnavailable` when the connection breaks, and, unless they `may_trickle`, when bytes
        merely do so: a peer that is never silent for long but sends next to nothing would be read for
        years. The caller's own time does not count.
        """
        assert isinstance(response.stream, httpx.AsyncByteStream)
        pieces = aiter(response.stream)
        waited, got = 0.0, 0
        try:
            while True:
                began = time.monotonic()
                piece = await anext(pieces, None)
                if piece is None:
                    return
                waited += time.monotonic() - began
                got += len(piece)
                if waited >= _PACE_SECONDS:
                    if got < _PACE_BYTES and not may_trickle:
                        raise PeerUnavailable(
                            f"{self.shown} sent {got} bytes in {waited:.0f} s: that is too slow to wait for"
                        )
                    waited, got = 0.0, 0
                yield piece
        except httpx.TransportError as error:
            raise self._broken(error) from None

    def _slow(self, seconds: float) -> PeerUnavailable:
        return PeerUnavailable(f"{self.shown} took more than {seconds:.0f} s to answer")

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None,
        body: Body | None,
        headers: Mapping[str, str],
    ) -> AsyncIterator[httpx.Response]:
        """One exchange; once more if a session has to be begun anew."""
        path = url.removeprefix(self._server)
        url += f"?{urlencode(query)}" if query else ""
        for last in (False, True):
            response = await self._send(method, url, body, headers)
            try:
                self._authentication.answered(response.headers.get_list("set-cookie"))
                if response.status_code == 401 and not last and await self._authentication.refused():
                    continue
                if not 200 <= response.status_code < 300:
                    raise await self._failure(method, path, response)
                yield response
                return
            finally:
                await response.aclose()

    async def _send(
        self, method: str, url: str, body: Body | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        sent = {
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",
            **self._headers,
            **await self._authentication.headers(),
            **headers,
        }
        timeout = {"connect": 10.0, "read": self._timeout, "write": self._timeout, "pool": self._pool_wait}
        content = body if body is None or isinstance(body, bytes) else body()
        try:
            request = httpx.Request(
                method, url, headers=sent, content=content, extensions={"timeout": timeout}
            )
            response = await self._transport.handle_async_request(request)
            response.request = request
            return response
        except httpx.InvalidURL:
            raise PeerLied(f"{self.shown} can't be asked for {quoted(url)}") from None
        except httpx.TransportError as error:
            raise self._broken(error) from None

    async def _read(self, response: httpx.Response, limit: int) -> bytes:
        if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
            raise PeerLied(f"{self.shown} compresses its answers although it was asked not to")
        pieces = []
        size = 0
        async for piece in self.raw(response):
            size += len(piece)
            if size > limit:
                raise TooLarge(f"an answer of {self.shown} is larger than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def _broken(self, error: httpx.TransportError) -> PeerUnavailable:
        # A request that can't be sent is quoted by its error, credentials included.
        mine = isinstance(error, httpx.LocalProtocolError)
        what = "the request can't be sent" if mine else str(error) or type(error).__name__
        return PeerUnavailable(
            f"no connection to {self.shown}: {quoted(what)}", undone=mine or isinstance(error, _UNSENT)
        )

    async def _failure(self, method: str, path: str, response: httpx.Response) -> ReplicationError:
        status = response.status_code
        if 300 <= status < 400:
            where = quoted(without_credentials(response.headers.get("location", "nowhere")))
            return PeerLied(f"{self.shown} redirects to {where}: name the right address instead")
        try:
            value = jsontext.decode(await self._read(response, _MAX_ERROR))
        except (ProtocolError, ReplicationError):
            value = None
        members = value if isinstance(value, dict) else {}
        error, reason = (quoted(members.get(name, "")) for name in ("error", "reason"))
        told = f"{self.shown} answered {status} to {method} {path}"
        told += f": {error}, {reason}" if error else ""
        if status == 412 and error == "missing_stub":
            return MissingStub(told)
        if status in (413, 414):
            return TooLarge(told)
        if status == 500 and (error, reason) == _NUMBER_TOO_LARGE:
            return PeerRefused(told, status=400, error=error, reason=reason)
        if status in (408, 429) or (status >= 500 and status != 501):
            wait = _retry_after(response)
            # Who is told when to come back has been turned away at the door.
            undone = status == 429 or (status == 503 and wait is not None)
            return PeerUnavailable(told, wait=wait, undone=undone, status=status)
        return PeerRefused(told, status=status, error=error, reason=reason)

    async def _log_in(self, name: str, password: str) -> list[str]:
        """At the server the database belongs to: what stands before its name in the URL."""
        body = jsontext.encode({"name": name, "password": password})
        sent = {
            "user-agent": USER_AGENT,
            "accept": "application/json",
            "accept-encoding": "identity",
            "content-type": "application/json",
        }
        timeout = {"connect": 10.0, "read": self._timeout, "write": self._timeout, "pool": self._timeout}
        request = httpx.Request(
            "POST", f"{self._server}/_session", headers=sent, content=body, extensions={"timeout": timeout}
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TransportError as error:
            raise self._broken(error) from None
        try:
            if not 200 <= response.status_code < 300:
                raise await self._failure("POST", "/_session", response)
            await self._read(response, _MAX_ERROR)
            return response.headers.get_list("set-cookie")
        finally:
            await response.aclose()


def _transport(endpoint: Endpoint, allowed: AllowedHosts, limits: httpx.Limits) -> httpx.AsyncBaseTransport:
    proxy = endpoint.proxy
    if proxy is None:
        return PinnedTransport(allowed, httpx.AsyncHTTPTransport(limits=limits, trust_env=False))
    through = httpx.Proxy(proxy.url, auth=proxy.credentials)
    inner = httpx.AsyncHTTPTransport(limits=limits, trust_env=False, proxy=through)
    return ProxiedTransport(allowed, proxy, inner)


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def document_path(docid: str) -> str:
    """The path of a document below its database. Peers take the slash of `_design/` as it is only."""
    for prefix in ("_design/", "_local/"):
        if docid.startswith(prefix):
            return f"/{prefix}{path_segment(docid[len(prefix) :])}"
    return "/" + path_segment(docid)


def path_segment(text: str) -> str:
    """`text` as one segment of a path. `.` and `..` as they are would lead to another path."""
    return quote(text, safe="") if text.strip(".") or len(text) > 2 else text.replace(".", "%2E")

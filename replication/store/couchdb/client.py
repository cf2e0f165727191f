"""Requests to the CouchDB server of a store.

One pool of connections, kept alive, carries the short requests; another one carries feeds and attachments,
which take as long as they take, so that slow readers can't keep the others from being answered. All of them
are the replicator's `Connection`: sessions, time limits, bounded answers, messages without credentials.

A request is made again only if that can do no harm: reading ones, writing ones that leave the same behind
when they are made twice (`Repeat.ALWAYS`), and others if it is certain that the server has done nothing.
What fails all the same is a 503 for whoever asked, and after some of them the breaker opens.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx

from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.replicator.connection import Answer, Body, Connection
from replication.replicator.failures import (
    MissingStub,
    PeerRefused,
    PeerUnavailable,
    ReplicationError,
    TooLarge,
)
from replication.replicator.options import Endpoint
from replication.store.couchdb.breaker import Breaker

RETRIES = 3
LONGEST_WAIT = 5.0
"""Seconds that a server may ask to wait, and a request waits. If it asks for more, the answer is 503."""
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of a JSON answer: a document of 8 MB with its escapes, or some of them."""
CONNECTIONS = 48
STREAMS = 2000
POOL_WAIT = 10.0
"""Seconds that a request waits for a connection before it is refused."""
HEARTBEAT = 10.0
"""Seconds after which a feed without changes says that it is alive. Three times as long may pass."""

log = logging.getLogger("replication.couchdb")

_NOT_LET_IN = frozenset({
    "You are not allowed to access this db.",
    "You are not a db or server admin.",
    "You are not authorized to access this db.",
})  # fmt: skip
"""What CouchDB says to whoever isn't named in a database's `_security`."""


class Repeat(Enum):
    """Whether a request that was broken off may be made again."""

    ALWAYS = "always"
    UNDONE = "undone"
    """Only if the server has certainly done nothing."""


class Client:
    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout: float = 30.0,
        heartbeat: float = HEARTBEAT,
        retries: int = RETRIES,
    ) -> None:
        """`endpoint`: the server, without a database. `timeout`: seconds that it may be silent; `heartbeat`:
        those after which a feed without changes is to say something."""
        self.shown = endpoint.url
        self.heartbeat = heartbeat
        self.breaker = Breaker(endpoint.url)
        self._short = _connection(endpoint, CONNECTIONS, timeout, retries)
        self._long = _connection(endpoint, STREAMS, max(timeout, 3 * heartbeat), 0)

    async def close(self) -> None:
        await self._short.close()
        await self._long.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: Repeat | None = None,
        total: float = 300.0,
    ) -> Answer:
        """The answer with a status of 2xx. `repeat` is by itself what the method allows.

        Raises 503 if there is none, and the server's own refusals as `ProtocolError`.
        """
        if repeat is None:
            repeat = Repeat.ALWAYS if method in ("GET", "HEAD") else Repeat.UNDONE

        def worth(error: PeerUnavailable) -> bool:
            return (repeat is Repeat.ALWAYS or error.undone) and (error.wait or 0.0) <= LONGEST_WAIT

        self.breaker.enter()
        try:
            answer = await self._short.request(
                method,
                path,
                query=query,
                json=json,
                body=body,
                headers=headers,
                limit=MAX_ANSWER,
                total=total,
                worth=worth,
            )
        except ReplicationError as error:
            raise self._told(error) from error
        self.breaker.succeeded()
        return answer

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """`request`, and the JSON value of its answer."""
        answer = await self.request(method, path, **options)
        try:
            return answer.json(self.shown)
        except ReplicationError as error:
            raise self._told(error) from error

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """A response whose body the caller reads, from `raw`. One attempt; raises as `request` does."""
        self.breaker.enter()
        try:
            async with self._long.stream(path, query, headers) as response:
                self.breaker.succeeded()
                yield response
        except ReplicationError as error:
            raise self._told(error) from error

    def raw(self, response: httpx.Response, *, may_trickle: bool = False) -> AsyncIterator[bytes]:
        return self._long.raw(response, may_trickle=may_trickle)

    def _told(self, error: ReplicationError) -> ProtocolError:
        if isinstance(error, PeerUnavailable) and error.status != 500:
            # A 500 may be the fault of what was asked: one request must not shut everybody out.
            self.breaker.failed(error.wait)
            return self.breaker.unavailable(error.wait)
        self.breaker.succeeded()
        if isinstance(error, MissingStub):
            return errors.missing_stub(
                "An attachment is a stub, and there is nothing that it could stand for."
            )
        if isinstance(error, TooLarge):
            return ProtocolError(413, "too_large", "This is larger than the database server takes or tells.")
        if isinstance(error, PeerRefused):
            return _refusal(error)
        log.warning("a request failed: %s", error)
        return errors.internal("The database server failed over this request; the log tells more.")


def _refusal(error: PeerRefused) -> ProtocolError:
    if error.status == 404 and error.reason in ("Database does not exist.", "no_db_file"):
        return errors.database_missing()
    if error.status == 401 and error.reason == "You are not a server admin.":
        return errors.forbidden(
            "The service user is no administrator of the database server: have databases made with `init`,"
            " and name those there are."
        )
    if error.status == 401:
        return errors.internal("The database server doesn't know the service user, or not by this password.")
    if error.status == 403 and error.reason in _NOT_LET_IN:
        return errors.internal("The service user may not use this database: have it set up with `init`.")
    return ProtocolError(error.status, error.error or "error", error.reason)


def _connection(endpoint: Endpoint, most: int, timeout: float, retries: int) -> Connection:
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=min(most, CONNECTIONS))
    return Connection(
        endpoint,
        retries=retries,
        timeout=timeout,
        # Whoever runs the server has named the host: there is no list to check it against.
        transport=httpx.AsyncHTTPTransport(verify=_trusted(), limits=limits, trust_env=False),
        whole_server=True,
        pool_wait=POOL_WAIT,
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Reading the authorities' certificates takes a while: once is enough."""
    return httpx.create_ssl_context(trust_env=False)


def database_path(remote: str) -> str:
    return "/" + quote(remote, safe="")

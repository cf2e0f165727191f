"""The ASGI application: from a raw request to a handler and back.

The order is fixed: take the path apart (from `raw_path`, where `%2F` is still `%2F`), find out who
asks, find the route, check that he may, call the handler. Whatever goes wrong on the way is a
`ProtocolError` and leaves as CouchDB's `{"error", "reason"}`; anything else is a defect, is logged
with the request's id and answered 500.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import time
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from replication.http import access, cors, partitions, session
from replication.http.call import Call
from replication.http.compression import compressed
from replication.http.identity import Identity
from replication.http.metrics import CLIENT_LEFT
from replication.http.responses import error_response
from replication.http.routes import match
from replication.http.server import Server, ServerConfig, View
from replication.http.streaming import PagedResponse
from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.store.interface import Store

log = logging.getLogger("replication.http")
access_log = logging.getLogger("replication.access")

_STARTED = secrets.token_hex(3)
_REQUESTS = itertools.count(1)
"""A request's id tells the process and counts: asking the system for chance costs more than some requests."""

METHOD_OVERRIDE = "x-http-method-override"
_OVERRIDABLE = frozenset({"PUT", "DELETE", "COPY"})


_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def split_path(raw_path: bytes) -> list[str]:
    """The segments of a path, each percent-decoded, with `+` for a blank. One trailing slash is ignored.

    CouchDB reads `+` so in paths as well as in queries, and clients that encode paths like forms rely on
    it. Raises 400 for what isn't percent-encoded UTF-8 or holds a NUL.
    """
    if b"%" in raw_path and _BAD_ESCAPE.search(raw_path) is not None:
        raise errors.bad_request("invalid_url_encoding")
    if b"+" in raw_path:
        raw_path = raw_path.replace(b"+", b" ")
    parts = raw_path.split(b"/")[1:]
    if parts and not parts[-1]:
        parts.pop()
    try:
        segments = [(unquote_to_bytes(part) if b"%" in part else part).decode("utf-8") for part in parts]
    except UnicodeDecodeError:
        raise errors.bad_request("The path is not percent-encoded UTF-8") from None
    if any("\x00" in segment for segment in segments):
        raise errors.bad_request("The path must not hold a NUL character")
    return segments


class Application:
    """The CouchDB side of a server, as an ASGI application."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        call = Call(
            scope=scope,
            receive=receive,
            server=self.server,
            method=scope["method"],
            segments=[],
            request_id=f"{_STARTED}{next(_REQUESTS):06x}",
        )
        status = 500
        metrics = self.server.metrics
        metrics.in_progress += 1

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                headers.append((b"x-couch-request-id", call.request_id.encode("ascii")))
                for name, value in call.response_headers.items():
                    headers.append((name.encode("latin-1"), value.encode("latin-1")))
            await send(message)

        try:
            response = await self._respond(call)
            if self.server.config.gzip_responses:
                response = compressed(call, response)
            if isinstance(response, PagedResponse):
                response.work = call.work
            await response(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = CLIENT_LEFT
        except RuntimeError as error:
            # uvloop raises it when a transport is written to after its peer has left.
            if "closed" not in str(error) and "handler is closed" not in str(error):
                raise
            status = CLIENT_LEFT
        finally:
            seconds = time.perf_counter() - started
            metrics.in_progress -= 1
            metrics.finished(scope["method"], status, seconds)
            if self.server.config.access_log:
                access_log.info(
                    "%s %s %s %s %d %.1fms",
                    call.request_id,
                    call.principal.name or "-",
                    scope["method"],
                    scope["raw_path"].decode("latin-1"),
                    status,
                    seconds * 1000,
                )

    async def _respond(self, call: Call) -> Response:
        try:
            cors.apply(call)
            if cors.is_preflight(call):
                return cors.preflight(call)
            override = call.headers.get(METHOD_OVERRIDE) if call.method == "POST" else None
            if override is not None and override.upper() in _OVERRIDABLE:
                call.method = override.upper()
            call.segments = split_path(call.scope["raw_path"])
            route = match(call)
            cors.check_origin(call)
            await session.authenticate(call)
            handler = route.handler(call.method)
            call.access = route.access_for(call.method).name
            await access.check(call, call.access)
            partitions.check(call)
            async with call.work():
                return await handler(call)
        except ProtocolError as error:
            return error_response(error)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("request %s: %s %s", call.request_id, call.method, call.segments)
            return error_response(
                errors.internal(f"The server failed; its log tells more under {call.request_id}.")
            )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.server.prepare()
                except ProtocolError as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.server.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def create_app(
    store: Store,
    config: ServerConfig | None = None,
    *,
    identity: Identity | None = None,
    view: View | None = None,
    replicates: bool = True,
) -> Application:
    """An ASGI application that serves `store`. It closes the store at shutdown.

    `view`: what everybody but server administrators uses in place of a database. `replicates`: whether it
    runs what `_replicator` describes; of several processes with the same databases one does.
    """
    return Application(Server(store, config or ServerConfig(), identity or Identity(), view, replicates))

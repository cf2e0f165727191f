"""One request on its way through the server."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope

from replication.http.params import parse_query
from replication.http.principal import ANONYMOUS, Principal
from replication.http.workers import NOBODY
from replication.protocol import errors, jsontext
from replication.store.interface import Database

if TYPE_CHECKING:
    from replication.http.server import Server

MAX_JSON_BODY = 64 * 1024 * 1024
"""Bytes of a JSON request body that is read into memory."""

MAX_VALUES = 2_000_000
"""Values of a JSON request body, and names of members: nobody else is served while they are decoded.

About: a comma in a text counts as well. Server administrators have no such limit.
"""

MAX_QUESTION = 1024 * 1024
"""Bytes of a body that asks about documents (a selector, a list of ids) and brings none. As above."""

MAX_QUESTION_VALUES = 50_000

JSON_TYPE = "application/json"

NOT_GZIPPED = "Request body is not properly gzipped."


@dataclass(slots=True, eq=False)
class Call:
    """The request, taken apart as far as routing needs it. Handlers take one and return a response."""

    scope: Scope
    receive: Receive
    server: Server
    method: str
    segments: list[str]
    """The path, split at `/` and then percent-decoded, so a `%2F` stays inside its segment."""
    request_id: str
    principal: Principal = ANONYMOUS
    authenticated_by: str = ""
    """`cookie`, `proxy`, `jwt`, `default` (Basic) or empty."""
    session: str = ""
    """The id of the session, of a cookie that has one."""
    salt: str = ""
    """The account's salt when a cookie or Basic was believed: another one since, and it would not be."""
    expires: float | None = None
    """When what the caller proved himself with ends, in seconds since 1970; None for no such time."""
    context: object = None
    """Whatever the server's `Identity` remembers of the caller."""
    access: str = "PUBLIC"
    """The name of the member of `routes.Access` that the route asks for."""
    docid: str = ""
    """Set by routing for paths below a document: `_design/x` and `_local/x` with their prefix."""
    rest: tuple[str, ...] = ()
    """What follows the document in the path: the attachment's name."""
    partition: str | None = None
    """The partition that the path named; what named it is left out of `segments`."""
    response_headers: dict[str, str] = field(default_factory=dict)
    """Headers that every response to this call gets, errors included."""
    _database: Database | None = None
    _headers: Headers | None = None
    _query: dict[str, str] | None = None
    _json: Any = None
    _body: bytes | None = None

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = Headers(scope=self.scope)
        return self._headers

    @property
    def query(self) -> dict[str, str]:
        if self._query is None:
            self._query = parse_query(self.scope["query_string"])
        return self._query

    @property
    def database(self) -> Database:
        """The database of the path. Raises `database_missing`."""
        if self._database is None:
            self._database = self.server.database(self.principal, self.segments[0])
        return self._database

    def work(self) -> AbstractAsyncContextManager[None]:
        """A block in which something is done for the caller: see `workers`. Never one within another."""
        principal = self.principal
        if principal.name is None or principal.is_server_admin:
            return NOBODY
        return self.server.workers.of(principal.name)

    def raw_stream(self) -> AsyncIterator[bytes]:
        """The request body in pieces, as it came. Raises `ClientDisconnect` if the client leaves."""
        return Request(self.scope, self.receive).stream()

    async def stream(self) -> AsyncIterator[bytes]:
        """The request body in pieces, unpacked if it came gzipped."""
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        pieces = self.raw_stream()
        if encoding in ("identity", ""):
            async for piece in pieces:
                yield piece
            return
        if encoding != "gzip":
            raise errors.bad_content_type(f"{encoding[:40]} is not a supported content encoding.")
        unpacker = zlib.decompressobj(wbits=31)
        try:
            async for piece in pieces:
                while piece:
                    yield unpacker.decompress(piece, 256 * 1024)
                    piece = unpacker.unconsumed_tail
                    if piece:
                        await asyncio.sleep(0)
        except zlib.error:
            raise errors.bad_request(NOT_GZIPPED) from None
        if not unpacker.eof and self.headers.get("content-length") != "0":
            raise errors.bad_request(NOT_GZIPPED)

    async def body(self, limit: int = MAX_JSON_BODY) -> bytes:
        """The whole request body. Raises `request_too_large` past `limit` bytes."""
        if self._body is None:
            declared = self.headers.get("content-length")
            if declared is not None and declared.isdigit() and int(declared) > limit:
                raise errors.request_too_large()
            size = 0
            pieces = []
            async for piece in self.stream():
                size += len(piece)
                if size > limit:
                    raise errors.request_too_large()
                pieces.append(piece)
            self._body = b"".join(pieces)
        return self._body

    def require_json(self) -> None:
        """415 unless the request says it carries JSON."""
        content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != JSON_TYPE:
            raise errors.bad_content_type("Content-Type must be application/json")

    async def json(self) -> Any:
        """The body as a JSON value."""
        return jsontext.decode(await self._json_text())

    async def json_object(self, *, exact: bool = True) -> dict[str, Any]:
        """The body as a JSON object; 400 otherwise. With `exact` false, large integers become floats."""
        value = await self.json() if exact else jsontext.decode_request(await self._json_text())
        return _object(value)

    async def question(self) -> dict[str, Any]:
        """As `json_object`, of a body that asks for something and brings nothing."""
        if self.principal.is_server_admin:
            return await self.json_object()
        text = await self.body(MAX_QUESTION)
        if len(text) > MAX_QUESTION:  # it was read before
            raise errors.request_too_large()
        _check_values(text, MAX_QUESTION_VALUES)
        return _object(jsontext.decode(text))

    async def _json_text(self) -> bytes:
        text = await self.body()
        if not self.principal.is_server_admin:
            _check_values(text, MAX_VALUES)
        return text


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise errors.bad_request("Request body must be a JSON object")
    return value


def _check_values(text: bytes, most: int) -> None:
    """Raises `too_many_values` for JSON that holds more than so many, counted by what is before them."""
    if len(text) > most and sum(map(text.count, (b",", b":", b"[", b"{"))) > most:
        raise errors.too_many_values(most)

"""Smaller responses for clients that take gzip.

Compressed are JSON and text of some size that stand complete in memory, and listings that come as
a `BoundedStream`. A plain `StreamingResponse` passes as it is: it may be a live feed, whose rows must
not wait in a compressor. So do attachments, which the store compresses once and for all.

A compressed response is another representation than the plain one, so its `ETag` becomes a weak one
(RFC 9110, 8.8.3.3); the server takes weak tags for strong ones when they come back.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from starlette.datastructures import MutableHeaders
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from replication.http.call import Call

LEVEL = 1
"""The fastest: on JSON it saves nearly as much as the best one and takes a fifth of the time."""

IN_LOOP = 16 * 1024
"""Bytes that are compressed in the event loop's thread; a longer body goes to another."""

_GZIP = 31
_BODILESS = frozenset({204, 206, 304})
_STORED_AS_IS = (b"content-encoding", b"content-range", b"accept-ranges", b"content-md5")


class BoundedStream(StreamingResponse):
    """A response in pieces that comes to its end by itself: a listing, not a feed that waits."""


def compressed(call: Call, response: Response) -> Response:
    """`response`, or one that sends it gzipped if it is worth it and the client takes that."""
    bounded = isinstance(response, BoundedStream)
    if not bounded:
        body = getattr(response, "body", None)
        if body is None or len(body) < call.server.config.gzip_minimum:
            return response
    if call.method == "HEAD" or response.status_code in _BODILESS or not _is_text(response):
        return response
    headers = response.headers
    headers.add_vary_header("Accept-Encoding")
    if not _takes_gzip(call):
        return response
    headers["content-encoding"] = "gzip"
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        headers["etag"] = f"W/{etag}"
    if isinstance(response, BoundedStream):
        if "content-length" in headers:
            del headers["content-length"]
        response.body_iterator = _gzip_pieces(response.body_iterator)  # type: ignore[arg-type]
        return response
    if len(response.body) > IN_LOOP:
        return _GzippedInThread(response)
    response.body = gzip(response.body)
    headers["content-length"] = str(len(response.body))
    return response


def _is_text(response: Response) -> bool:
    """Whether it is JSON or text, and not an attachment or compressed already."""
    content_type = b""
    for name, value in response.raw_headers:
        if name in _STORED_AS_IS:
            return False
        if name == b"content-type":
            content_type = value
    return content_type.startswith((b"application/json", b"text/"))


def _takes_gzip(call: Call) -> bool:
    """Whether `Accept-Encoding` names gzip (or `*`) without forbidding it by `q=0`."""
    for name, value in call.scope["headers"]:
        if name == b"accept-encoding":
            return accepts_gzip(value.decode("latin-1"))
    return False


def accepts_gzip(header: str) -> bool:
    """RFC 9110, 12.5.3: a coding named wins over `*`; `q=0` means no."""
    if header in ("gzip, deflate", "gzip", "gzip, deflate, br", "gzip, deflate, br, zstd"):
        return True
    anything = False
    for part in header.lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        if coding in ("gzip", "x-gzip", "*"):
            wanted = not any(_is_zero(parameter) for parameter in parameters)
            if coding != "*":
                return wanted
            anything = wanted
    return anything


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and value.strip().strip("0") in ("", ".")


def gzip(data: bytes | memoryview) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    return packer.compress(data) + packer.flush()


async def _gzip_pieces(pieces: AsyncIterator[str | bytes | memoryview]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    async for piece in pieces:
        data = piece.encode() if isinstance(piece, str) else piece
        packed = (
            await asyncio.to_thread(packer.compress, data) if len(data) > IN_LOOP else packer.compress(data)
        )
        if packed:
            yield packed
    yield packer.flush()


class _GzippedInThread(Response):
    """A response whose body is compressed only when it is sent, because that takes a thread."""

    def __init__(self, plain: Response) -> None:
        self.plain = plain
        self.status_code = plain.status_code
        self.background = plain.background
        self.raw_headers = plain.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await asyncio.to_thread(gzip, self.plain.body)
        MutableHeaders(raw=self.raw_headers)["content-length"] = str(len(body))
        self.body = body
        await super().__call__(scope, receive, send)

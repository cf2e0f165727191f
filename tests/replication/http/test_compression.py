from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.responses import Response, StreamingResponse

from replication.http import compression
from replication.http.call import Call
from replication.http.compression import BoundedStream, accepts_gzip, compressed
from replication.http.server import Server, ServerConfig
from replication.store.interface import Store

Serve = Callable[..., Awaitable[httpx.AsyncClient]]

BIG = b'{"rows":[' + b",".join(b'{"id":"%06d"}' % n for n in range(5000)) + b"]}"
SMALL = BIG[:500]


def call_of(store: Store, accept: str | None = "gzip, deflate", method: str = "GET") -> Call:
    headers = [] if accept is None else [(b"accept-encoding", accept.encode())]
    scope = {"type": "http", "method": method, "headers": headers}

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    server = Server(store, ServerConfig())
    server.accounts.close()
    return Call(scope, receive, server, method, [], "")


async def sent(call: Call, response: Response) -> tuple[dict[str, str], list[bytes]]:
    """The headers and the pieces of the body, as they leave."""
    headers: dict[str, str] = {}
    pieces: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers.update((name.decode(), value.decode()) for name, value in message["headers"])
        elif message.get("body"):
            pieces.append(message["body"])

    async def receive() -> Any:
        await asyncio.Event().wait()

    await compressed(call, response)(call.scope, receive, send)
    return headers, pieces


def json_response(body: bytes, **headers: str) -> Response:
    return Response(body, media_type="application/json", headers=headers)


async def test_large_json_is_sent_gzipped(store: Store) -> None:
    for body in (BIG, BIG[:2000]):
        headers, pieces = await sent(call_of(store), json_response(body))
        packed = b"".join(pieces)
        assert gzip.decompress(packed) == body
        assert headers["content-encoding"] == "gzip"
        assert headers["content-length"] == str(len(packed))
        assert headers["vary"] == "Accept-Encoding"


async def test_a_client_that_does_not_take_gzip_gets_it_plain(store: Store) -> None:
    for accept in (None, "", "identity", "br", "gzip;q=0", "*;q=0"):
        headers, pieces = await sent(call_of(store, accept), json_response(BIG))
        assert b"".join(pieces) == BIG
        assert "content-encoding" not in headers
        assert headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "response",
    [
        json_response(SMALL),
        json_response(BIG, **{"content-encoding": "gzip"}),
        json_response(BIG, **{"accept-ranges": "bytes"}),
        Response(BIG, media_type="image/png"),
        Response(BIG, media_type="multipart/mixed"),
        Response(BIG, 206, media_type="text/plain", headers={"content-range": "bytes 0-1/2"}),
        Response(status_code=204),
    ],
)
async def test_what_is_not_worth_it_passes_untouched(store: Store, response: Response) -> None:
    before = list(response.raw_headers)
    assert compressed(call_of(store), response) is response
    assert response.raw_headers == before


async def test_head_is_left_alone(store: Store) -> None:
    headers, _ = await sent(call_of(store, method="HEAD"), json_response(BIG))
    assert headers["content-length"] == str(len(BIG))
    assert "content-encoding" not in headers


async def test_the_etag_of_another_representation_is_weak(store: Store) -> None:
    headers, _ = await sent(call_of(store), json_response(BIG, etag='"1-abc"'))
    assert headers["etag"] == 'W/"1-abc"'
    headers, _ = await sent(call_of(store), json_response(BIG, etag='W/"1-abc"'))
    assert headers["etag"] == 'W/"1-abc"'


async def rows(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_feed_is_never_buffered(store: Store) -> None:
    feed = StreamingResponse(rows(b"row1\n", b"\n", b"row2\n"), media_type="application/json")
    headers, pieces = await sent(call_of(store), feed)
    assert pieces == [b"row1\n", b"\n", b"row2\n"]
    assert "content-encoding" not in headers


async def test_a_bounded_listing_is_packed_as_it_comes(store: Store) -> None:
    listing = BoundedStream(rows(BIG, BIG), media_type="application/json", headers={"content-length": "9"})
    headers, pieces = await sent(call_of(store), listing)
    assert gzip.decompress(b"".join(pieces)) == BIG + BIG
    assert headers["content-encoding"] == "gzip"
    assert "content-length" not in headers
    headers, pieces = await sent(
        call_of(store, None), BoundedStream(rows(BIG), media_type="application/json")
    )
    assert pieces == [BIG]


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("GZIP;q=1.0, identity; q=0.5", True),
        ("deflate, x-gzip", True),
        ("*", True),
        ("gzip;q=0, *", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.1", True),
        ("identity", False),
        ("gzippy", False),
        ("", False),
        (";,;q=,", False),
    ],
)
def test_accept_encoding(header: str, takes: bool) -> None:
    assert accepts_gzip(header) is takes


async def test_over_the_wire(serve: Serve) -> None:
    client = await serve()
    await client.put("/db")
    body = {"text": "Hofladen " * 1000}
    rev = (await client.put("/db/doc", json=body)).json()["rev"]
    response = await client.get("/db/doc")
    assert response.headers["content-encoding"] == "gzip"
    assert response.json()["text"] == body["text"]
    etag = response.headers["etag"]
    assert etag == f'W/"{rev}"'
    assert (await client.get("/db/doc", headers={"If-None-Match": etag})).status_code == 304
    assert (await client.put("/db/doc", json=body, headers={"If-Match": etag})).status_code == 201


async def test_it_can_be_switched_off(serve: Serve) -> None:
    client = await serve(gzip_responses=False)
    await client.put("/db")
    await client.put("/db/doc", json={"text": "x" * 5000})
    assert "content-encoding" not in (await client.get("/db/doc")).headers


def test_the_level_is_the_fastest() -> None:
    assert compression.LEVEL == 1

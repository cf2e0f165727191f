"""Either side may go away at any request: what comes next goes on, and the ends are equal afterwards."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from replication.http import create_app
from replication.protocol.errors import ProtocolError
from replication.replicator import LocalPeer, Options, Result, replicate
from replication.replicator.backoff import pause
from replication.replicator.failures import PeerUnavailable, ReplicationError
from replication.replicator.http_peer import HttpPeer
from replication.replicator.options import parse_endpoint
from replication.replicator.peer import Peer
from replication.store.sqlite import SqliteStore
from tests.replication.replicator.conftest import Side

BREAK_LIMIT = 200
"""More requests than any replication here makes."""


class Breaking(httpx.AsyncBaseTransport):
    """Passes requests on until number `at`, counted from 1; that one goes wrong in the way `how`."""

    def __init__(self, inner: httpx.AsyncBaseTransport, how: str, at: int) -> None:
        self._inner = inner
        self._how = how
        self._at = at
        self.count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        if self.count != self._at:
            return await self._inner.handle_async_request(request)
        if self._how == "before":
            raise httpx.ConnectError("broken before the request")
        if self._how == "unavailable":
            return httpx.Response(503, json={"error": "unavailable", "reason": "later"})
        response = await self._inner.handle_async_request(request)
        if self._how == "after":
            # The peer did what it was asked, and nobody hears of it.
            raise httpx.ReadError("broken before the answer")
        body = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, stream=_Torn(body))


class _Torn(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
async def sides(store: SqliteStore) -> AsyncIterator[tuple[Side, Side]]:
    """A source with conflicts, deletions and attachments, and an empty target."""
    transport = httpx.ASGITransport(create_app(store))
    client = httpx.AsyncClient(transport=transport, base_url="http://server")
    source, target = (
        Side(client, name, lambda options, name=name: LocalPeer(store, name))  # type: ignore[misc]
        for name in ("source", "target")
    )
    for side in (source, target):
        await side.create()
    for number in range(25):
        rev = await source.put(f"doc{number:02}", n=number)
        if number % 3 == 0:
            await source.put(f"doc{number:02}", n=-number, _rev=rev)
        if number % 7 == 0:
            await source.client.delete(source.path(f"doc{number:02}"), params={"rev": rev})
    for hashed in ("b" * 32, "c" * 32):
        await source.store(
            {"_id": "split", "_rev": f"2-{hashed}", "_revisions": {"start": 2, "ids": [hashed, "a" * 32]}}
        )
    rev = await source.put("attached", n=1)
    rev = await source.attach("attached", "large", os.urandom(200_000), "image/png", rev)
    await source.attach("attached", "small", b"x", "text/plain", rev)
    yield source, target
    await client.aclose()


def local_ends(store: SqliteStore) -> dict[str, Peer]:
    return {name: LocalPeer(store, name) for name in ("source", "target")}


def http_end(store: SqliteStore, name: str, wrap: Callable[[Any], Any], retries: int) -> tuple[HttpPeer, Any]:
    transport = wrap(httpx.ASGITransport(create_app(store)))
    return HttpPeer(parse_endpoint(f"http://server/{name}"), transport=transport, retries=retries), transport


OPTIONS = Options(batch_size=7, workers=2, checkpoint_interval=0.0, retries=0)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["before", "after", "torn", "unavailable"])
@pytest.mark.parametrize("broken", ["source", "target"])
async def test_a_break_at_every_request(
    store: SqliteStore, sides: tuple[Side, Side], broken: str, how: str
) -> None:
    source, target = sides
    expected = await source.state()
    at = 0
    while True:
        at += 1
        assert at < BREAK_LIMIT
        await target.client.delete(target.path())
        await target.create()

        async def attempt(break_at: int) -> tuple[Result | None, int]:
            peers: dict[str, Any] = {
                "source": LocalPeer(store, "source"),
                "target": LocalPeer(store, "target"),
            }
            peers[broken], transport = http_end(
                store, broken, lambda inner: Breaking(inner, how, break_at), OPTIONS.retries
            )
            try:
                result = await replicate(peers["source"], peers["target"], OPTIONS)
            except ReplicationError:
                result = None
            return result, transport.count

        result, count = await attempt(at)
        if result is None:
            result, _ = await attempt(0)
        assert result is not None
        assert await target.state() == expected, f"broken at request {at}"
        if count < at:
            break
    assert at > 10


@pytest.mark.parametrize("broken", ["source", "target"])
async def test_retries_hide_a_break(
    store: SqliteStore, sides: tuple[Side, Side], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.replicator.backoff.FIRST", 0.001)
    monkeypatch.setattr("replication.replicator.backoff.pause", lambda *args, **options: 0.0)
    source, target = sides
    for at in range(1, 12):
        peers = local_ends(store)
        peers[broken], _ = http_end(store, broken, partial(Breaking, how="after", at=at), 2)
        await replicate(peers["source"], peers["target"], Options(batch_size=7))
    assert await target.state() == await source.state()


async def test_a_run_that_broke_goes_on_where_it_was(store: SqliteStore, sides: tuple[Side, Side]) -> None:
    source, target = sides
    peer, _ = http_end(store, "source", lambda inner: Breaking(inner, "before", 14), 0)
    with pytest.raises(PeerUnavailable):
        await replicate(peer, LocalPeer(store, "target"), OPTIONS)
    peer, _ = http_end(store, "source", lambda inner: Breaking(inner, "before", 0), 0)
    result = await replicate(peer, LocalPeer(store, "target"), OPTIONS)
    # Not only was nothing sent again, it was not even looked at again.
    assert 0 < result.progress.statistics.missing_checked < 28
    assert await target.state() == await source.state()


async def test_a_store_that_fails_is_no_end(
    store: SqliteStore, sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at the target: an error, and no checkpoint beyond what is stored."""
    source, target = sides
    database = store.get("target")
    write, calls = database.write, 0

    async def failing(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ProtocolError(507, "insufficient_storage", "The disk is full")
        return await write(*args, **options)

    monkeypatch.setattr(database, "write", failing)
    with pytest.raises(PeerUnavailable, match="disk is full"):
        await replicate(LocalPeer(store, "source"), LocalPeer(store, "target"), OPTIONS)
    await replicate(LocalPeer(store, "source"), LocalPeer(store, "target"), OPTIONS)
    assert await target.state() == await source.state()


async def test_a_target_made_again_in_the_middle_is_noticed(
    store: SqliteStore, sides: tuple[Side, Side]
) -> None:
    source, target = sides

    class Remade(Breaking):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.count += 1
            if self.count == 9:
                await store.delete("target")
                await store.create("target")
            return await self._inner.handle_async_request(request)

    peer, _ = http_end(store, "target", lambda inner: Remade(inner, "", 0), 0)
    # Times of creation are told in seconds.
    info = await peer.info()
    peer.commit = _another(info.created)  # type: ignore[method-assign]
    with pytest.raises(PeerUnavailable, match="made again"):
        await replicate(LocalPeer(store, "source"), peer, OPTIONS)
    await replicate(LocalPeer(store, "source"), LocalPeer(store, "target"), OPTIONS)
    assert await target.state() == await source.state()


def _another(created: str) -> Any:
    async def commit() -> str:
        return str(int(created) + 1)

    return commit


# -- peers that are busy or small ----------------------------------------------------------------


class Limited(httpx.AsyncBaseTransport):
    """A peer that takes small requests only."""

    def __init__(self, inner: httpx.AsyncBaseTransport, limit: int) -> None:
        self._inner = inner
        self._limit = limit
        self.refused = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and len(await request.aread()) > self._limit:
            self.refused += 1
            return httpx.Response(413, json={"error": "too_large", "reason": "the request is too large"})
        return await self._inner.handle_async_request(request)


async def test_batches_are_halved_until_the_target_takes_them(
    store: SqliteStore, sides: tuple[Side, Side]
) -> None:
    source, target = sides
    await source.put("huge", text="x" * 5000)
    peer, transport = http_end(store, "target", lambda inner: Limited(inner, 1200), 0)
    result = await replicate(LocalPeer(store, "source"), peer, Options(use_checkpoints=False))
    assert transport.refused > 2
    ((docid, _, error, _),) = result.progress.refused
    assert (docid, error) == ("huge", "too_large")
    state = await source.state()
    del state["huge"]
    assert await target.state() == state


class Busy(httpx.AsyncBaseTransport):
    """A peer that asks to be left alone, every other time."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        if self.count % 2:
            return httpx.Response(429, json={"error": "too_many_requests"}, headers={"retry-after": "0"})
        return await self._inner.handle_async_request(request)


async def test_a_busy_peer_is_waited_for(
    store: SqliteStore, sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.replicator.backoff.pause", lambda *args, **options: 0.0)
    source, target = sides
    peer, _ = http_end(store, "target", Busy, 3)
    await replicate(LocalPeer(store, "source"), peer)
    assert await target.state() == await source.state()


def test_waits_grow_have_a_bound_and_obey_the_peer() -> None:
    for attempt in range(30):
        for _ in range(20):
            assert 0 < pause(attempt) <= 60
    assert max(pause(0) for _ in range(50)) <= 0.25
    assert max(pause(10) for _ in range(50)) > 20
    assert pause(0, asked=7) >= 7
    assert pause(0, asked=10**6) <= 600


class Old(httpx.AsyncBaseTransport):
    """A peer without `_bulk_get`, `_ensure_full_commit` and multipart."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith(("/_bulk_get", "/_ensure_full_commit")):
            return httpx.Response(404, json={"error": "not_found", "reason": "missing"})
        if request.headers.get("content-type", "").startswith("multipart/"):
            return httpx.Response(415, json={"error": "bad_content_type", "reason": "no multipart"})
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize("old", ["source", "target"])
async def test_peers_that_know_less(store: SqliteStore, sides: tuple[Side, Side], old: str) -> None:
    source, target = sides
    peers = local_ends(store)
    peers[old], _ = http_end(store, old, Old, 0)
    await replicate(peers["source"], peers["target"], Options(batch_size=10))
    assert await target.state() == await source.state()

"""Basic, cookie sessions and tokens, against a server of ours that lets nobody in without a login."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from replication.http import Application, create_app
from replication.http.server import ServerConfig
from replication.replicator import LocalPeer, Options, replicate
from replication.replicator.connection import Connection
from replication.replicator.failures import PeerLied, PeerRefused
from replication.replicator.http_peer import HttpPeer
from replication.replicator.options import Endpoint, parse_endpoint
from replication.store.sqlite import SqliteStore

URL = "http://server/db"


class Recording(httpx.ASGITransport):
    """Notes the requests that pass."""

    def __init__(self, app: Application) -> None:
        super().__init__(app)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return await super().handle_async_request(request)

    def logins(self) -> int:
        return sum(request.url.path == "/_session" for request in self.requests)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "data")
    yield store
    await store.close()


async def served(store: SqliteStore, **settings: Any) -> Recording:
    config = ServerConfig(admins={"admin": "geheim"}, password_iterations=10, **settings)
    transport = Recording(create_app(store, config))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://server", auth=("admin", "geheim")
    ) as client:
        await client.put("/db")
        for number in range(5):
            await client.put(f"/db/doc{number}", json={"n": number})
    transport.requests.clear()
    return transport


def endpoint(kind: str, password: str = "geheim") -> Endpoint:
    login = {"username": "admin", "password": password}
    if kind == "url":
        return parse_endpoint(f"http://admin:{password}@server/db")
    if kind == "header":
        basic = httpx.BasicAuth("admin", password)._auth_header
        return parse_endpoint({"url": URL, "headers": {"Authorization": basic}})
    return parse_endpoint({"url": URL, "auth": {kind: login}})


@pytest.mark.parametrize("kind", ["url", "header", "basic", "session"])
async def test_each_way_to_log_in(store: SqliteStore, kind: str) -> None:
    transport = await served(store, require_valid_user=True)
    peer = HttpPeer(endpoint(kind), transport=transport)
    result = await replicate(peer, LocalPeer(store, "copy"), Options(create_target=True))
    assert result.progress.statistics.docs_written == 5
    assert transport.logins() == (1 if kind == "session" else 0)


@pytest.mark.parametrize("kind", ["url", "basic", "session"])
async def test_a_wrong_password_is_an_error_at_once(store: SqliteStore, kind: str) -> None:
    transport = await served(store, require_valid_user=True)
    peer = HttpPeer(endpoint(kind, "wrong"), transport=transport)
    with pytest.raises(PeerRefused) as caught:
        await replicate(peer, LocalPeer(store, "copy"), Options(create_target=True))
    assert caught.value.status == 401
    assert len(transport.requests) <= 2
    assert "wrong" not in str(caught.value).replace("Name or password", "")


async def test_a_session_is_begun_anew_when_the_peer_forgets_it(store: SqliteStore) -> None:
    transport = await served(store, require_valid_user=True)
    peer = HttpPeer(endpoint("session"), transport=transport)
    await peer.info()
    connection: Connection = peer._connection
    session = connection._authentication
    session._cookie = "bm9ib2R5OjA6MA"  # type: ignore[attr-defined]
    session._begun_at -= 10  # type: ignore[attr-defined]
    await peer.info()
    assert transport.logins() == 2


@pytest.mark.slow
async def test_a_session_lives_as_long_as_it_is_used(store: SqliteStore) -> None:
    transport = await served(store, require_valid_user=True, session_timeout=2)
    peer = HttpPeer(endpoint("session"), transport=transport)
    for _ in range(6):
        await peer.info()
        await asyncio.sleep(0.5)
    assert transport.logins() == 1  # the peer sends a new cookie while the old one is good
    await asyncio.sleep(2.1)
    await peer.info()
    assert transport.logins() == 2


async def test_a_token_is_sent_as_it_is() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"update_seq": "0", "instance_start_time": "0"})

    end = parse_endpoint({"url": URL, "auth": {"bearer": {"token": "abc.def"}}})
    await HttpPeer(end, transport=httpx.MockTransport(answer)).info()
    assert seen == ["Bearer abc.def"]


async def test_a_login_without_a_cookie_is_no_login() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"ok": True})

    peer = HttpPeer(endpoint("session"), transport=httpx.MockTransport(answer))
    with pytest.raises(PeerLied, match="no AuthSession"):
        await peer.info()


@pytest.mark.parametrize("value", ['"a\\015\\012X-Evil: 1"', '"a\\351"', '"a\\001"', '"a b"', '"a;b"'])
async def test_a_cookie_that_is_no_header_is_no_login(value: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"ok": True}, headers={"set-cookie": f"AuthSession={value}"})

    peer = HttpPeer(endpoint("session"), transport=httpx.MockTransport(answer), retries=0)
    with pytest.raises(PeerLied, match="no AuthSession cookie"):
        await peer.info()


async def test_odd_lives_of_cookies_are_overlooked() -> None:
    lives = iter(["²", "9" * 400, "-1", "soon"])

    def answer(request: httpx.Request) -> httpx.Response:
        headers = [(b"set-cookie", f"AuthSession=abc; Max-Age={next(lives)}".encode())]
        return httpx.Response(200, json={"update_seq": 1}, headers=headers)

    peer = HttpPeer(endpoint("session"), transport=httpx.MockTransport(answer), retries=0)
    await peer.info()
    await peer.info()


async def test_other_cookies_are_not_sent_back() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie"))
        body = {"update_seq": "0", "instance_start_time": "0"}
        return httpx.Response(200, json=body, headers={"set-cookie": "track=1; Path=/"})

    peer = HttpPeer(parse_endpoint(URL), transport=httpx.MockTransport(answer))
    await peer.info()
    await peer.info()
    assert seen == [None, None]

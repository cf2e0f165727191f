"""Replications through HTTP proxies: which are used, for which hosts, and who sees their passwords."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from replication.http import create_app
from replication.http.server import ServerConfig
from replication.replicator import LocalPeer, Options, connect, replicate
from replication.replicator.failures import HostForbidden, InvalidReplication, PeerRefused, PeerUnavailable
from replication.replicator.hosts import LOOPBACK, AllowedHosts
from replication.replicator.options import parse, stripped
from replication.replicator.proxies import read_proxy
from replication.store.sqlite import SqliteStore
from tests.replication.replicator.conftest import Open
from tests.servers import ServerProcess

PEER = "couch.example"
"""A name that only the proxy knows."""
NAME, PASSWORD = "through", "s3cret"
ONCE = Options(retries=0, timeout=5)
ADMIN = ("admin", "geheim")


class ForwardingProxy:
    """Passes requests for `PEER` on to a port of this machine; one request per connection."""

    def __init__(self, port: int, password: str | None) -> None:
        self._port = port
        self._password = password
        self.port = 0
        self.targets: list[str] = []
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.decode().split(" ")
        self.targets.append(f"{method} {target}")
        if self._password is not None:
            wanted = b64encode(f"{NAME}:{self._password}".encode())
            if b"Proxy-Authorization: Basic " + wanted not in lines:
                writer.write(b"HTTP/1.1 407 Who\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
        url = urlsplit(target)
        if method == "CONNECT" or url.hostname != PEER:
            writer.write(b"HTTP/1.1 502 Unknown\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
        path = url.path + (f"?{url.query}" if url.query else "")
        kept = [line for line in lines if not line.lower().startswith((b"connection:", b"proxy-"))]
        outer.write(b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), b"connection: close", *kept]))
        forwarding = asyncio.create_task(self._copy(reader, outer))
        await self._copy(inner, writer)
        forwarding.cancel()
        outer.close()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


MakeProxy = Callable[..., Awaitable[ForwardingProxy]]


@pytest.fixture
async def make_proxy(server: ServerProcess) -> AsyncIterator[MakeProxy]:
    async with AsyncExitStack() as stack:

        async def start(password: str | None = None) -> ForwardingProxy:
            proxy = ForwardingProxy(urlsplit(server.url).port or 0, password)
            listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
            stack.callback(listening.close)
            proxy.port = listening.sockets[0].getsockname()[1]
            return proxy

        yield start


def _behind_proxy(server: ServerProcess, database: str) -> str:
    """The URL that means something to the proxy only."""
    credentials, at, _ = urlsplit(server.url).netloc.rpartition("@")
    return f"http://{credentials}{at}{PEER}/{database}"


async def _pull(store: SqliteStore, url: str, proxy: str, allowed: AllowedHosts | None = None) -> None:
    end = parse({"source": url, "target": "copy", "source_proxy": proxy}).source
    peer = connect(end, ONCE) if allowed is None else connect(end, ONCE, allowed=allowed)
    try:
        await replicate(peer, LocalPeer(store, "copy"), Options(create_target=True, retries=0))
    finally:
        await peer.close()


async def test_a_replication_goes_through_its_proxy(
    make_proxy: MakeProxy, side: Open, local_store: SqliteStore, server: ServerProcess
) -> None:
    source = await side("server")
    for number in range(3):
        await source.put(f"doc{number}", n=number)
    await source.attach("with", "file", b"x" * 100_000, "image/png")
    proxy = await make_proxy(PASSWORD)
    url = _behind_proxy(server, source.name)
    await _pull(local_store, url, f"http://{NAME}:{PASSWORD}@127.0.0.1:{proxy.port}")
    assert (await local_store.get("copy").info()).doc_count == 4
    assert all(target.split(" ")[1].startswith(f"http://{PEER}/{source.name}") for target in proxy.targets)
    assert not any(PASSWORD.encode() in head for head in proxy.heads)
    with pytest.raises(PeerRefused, match="407"):
        await _pull(local_store, url, f"http://127.0.0.1:{proxy.port}")


async def test_https_goes_through_a_tunnel(make_proxy: MakeProxy, local_store: SqliteStore) -> None:
    proxy = await make_proxy()
    with pytest.raises(PeerUnavailable, match=PEER):
        await _pull(
            local_store, f"https://me:{PASSWORD}@{PEER}/db", f"http://{NAME}:pw@127.0.0.1:{proxy.port}"
        )
    assert proxy.targets == [f"CONNECT {PEER}:443"]
    peers_own = b64encode(f"me:{PASSWORD}".encode())
    assert peers_own not in proxy.heads[0]


@pytest.mark.parametrize(
    ("hosts", "host", "allowed"),
    [
        ([PEER], PEER, True),
        ([PEER], PEER.upper() + ".", True),
        ([PEER], "other.example", False),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        # The proxy resolves the name, so what it resolves to here says nothing.
        (["10.0.0.0/8"], PEER, False),
        # They would be the proxy's own.
        (LOOPBACK, "127.0.0.1", False),
        (LOOPBACK, "[::1]", False),
        (LOOPBACK, "localhost", False),
        (["169.254.0.0/16"], "169.254.169.254", False),
        (["10.0.0.0/8"], "167772161", False),
        (["*"], "anything", True),
    ],
)
def test_hosts_behind_a_proxy(hosts: list[str], host: str, allowed: bool) -> None:
    proxy = read_proxy("http://proxy.example:3128")
    listed = AllowedHosts(hosts, [proxy.url])
    if allowed:
        listed.check_proxied(host, proxy)
        return
    with pytest.raises(HostForbidden):
        listed.check_proxied(host, proxy)


@pytest.mark.parametrize("listed", ["http://proxy.example", "HTTP://PROXY.example:80/"])
def test_only_listed_proxies(listed: str) -> None:
    hosts = AllowedHosts([PEER], [listed])
    hosts.check_proxied(PEER, read_proxy(f"http://{NAME}:{PASSWORD}@proxy.example"))
    for other in ("http://proxy.example:8080", "https://proxy.example:80", "http://127.0.0.1"):
        with pytest.raises(HostForbidden, match="may not use the proxy"):
            hosts.check_proxied(PEER, read_proxy(other))


def test_a_listed_proxy_has_no_credentials() -> None:
    with pytest.raises(ValueError, match="without credentials") as caught:
        ServerConfig(replication_proxies=(f"http://{NAME}:{PASSWORD}@proxy.example",))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"source_proxy": "socks5://p:1"}, "`source_proxy`: the URL of a proxy must begin with http"),
        ({"target_proxy": f"http://me:{PASSWORD}@"}, "must name a host"),
        ({"proxy": "http://p:0x"}, "is not a URL"),
        ({"proxy": "http://p/path"}, "nothing behind the host"),
        ({"proxy": "http://p\r\nx: y"}, "`proxy`"),
        ({"source_proxy": 1}, "`source_proxy` must be a URL"),
        ({"proxy": "http://p", "source_proxy": "http://q"}, "mutually exclusive with `source_proxy`"),
        ({"proxy": "http://p", "target_proxy": "http://q"}, "mutually exclusive with `target_proxy`"),
    ],
)
def test_what_is_no_proxy(members: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidReplication, match=reason) as caught:
        parse({"source": "http://a/a", "target": "http://b/b", **members})
    assert PASSWORD not in str(caught.value)


def test_which_end_has_which_proxy() -> None:
    ends = {"source": "http://a/a", "target": "http://b/b"}
    described = parse({**ends, "source_proxy": "http://p", "target_proxy": f"https://{NAME}:{PASSWORD}@q"})
    assert described.source.proxy == read_proxy("http://p:80")
    assert described.target.proxy == read_proxy(f"https://{NAME}:{PASSWORD}@q:443")
    assert PASSWORD not in repr(described)
    both = parse({**ends, "proxy": "http://[::1]:8080", "source_proxy": "", "target_proxy": None})
    assert both.source.proxy == both.target.proxy == read_proxy("http://[::1]:8080")
    local = parse({"source": "here", "target": "http://b/b", "proxy": "http://p"})
    assert local.source.proxy is None


def test_proxies_are_shown_without_credentials() -> None:
    url = f"http://{NAME}:{PASSWORD}@p:3128"
    shown = stripped({"proxy": url, "source_proxy": url, "target_proxy": {"url": url}, "note": "kept"})
    assert shown == {
        "proxy": "http://p:3128",
        "source_proxy": "http://p:3128",
        "target_proxy": None,
        "note": "kept",
    }


async def test_a_server_uses_the_proxies_it_lists(
    make_proxy: MakeProxy, side: Open, server: ServerProcess, tmp_path: Path
) -> None:
    source = await side("server")
    await source.put("doc", n=1)
    proxy = await make_proxy(PASSWORD)
    address = f"http://127.0.0.1:{proxy.port}"
    body = {
        "source": _behind_proxy(server, source.name),
        "target": "copy",
        "create_target": True,
        "source_proxy": f"http://{NAME}:{PASSWORD}@127.0.0.1:{proxy.port}",
    }
    store = await SqliteStore.open(tmp_path / "server")
    for hosts, proxies, status in (
        (LOOPBACK, (), 403),
        ((PEER,), (), 403),
        (LOOPBACK, (address,), 403),
        ((PEER,), (address,), 200),
    ):
        config = ServerConfig(
            admins=dict([ADMIN]),
            password_iterations=10,
            access_log=False,
            replication_hosts=hosts,
            replication_proxies=proxies,
        )
        app = create_app(store, config)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://host", auth=ADMIN) as client:
            response = await client.post("/_replicate", json=body)
            assert response.status_code == status, response.text
            assert PASSWORD not in response.text
        await app.server.jobs.close()
        app.server.accounts.close()
    assert (await store.get("copy").info()).doc_count == 1
    await store.close()


async def test_listings_show_proxies_without_credentials(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "server")
    app = create_app(store, ServerConfig(admins=dict([ADMIN]), password_iterations=10, access_log=False))
    await app.server.prepare()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://host", auth=ADMIN) as client:
        body = {"source": f"http://{PEER}/a", "target": "b", "proxy": f"http://{NAME}:{PASSWORD}@p.example"}
        assert (await client.put("/_replicator/through", json=body)).status_code == 201
        for _ in range(200):
            response = await client.get("/_scheduler/docs/_replicator/through")
            if response.status_code == 200 and response.json()["state"] == "failed":
                break
            await asyncio.sleep(0.05)
        row = response.json()
        assert (row["state"], row["source_proxy"]) == ("failed", "http://p.example:80")
        assert row["target_proxy"] is None
        assert PASSWORD not in response.text
    await app.server.replications.close()
    await app.server.jobs.close()
    app.server.accounts.close()
    await store.close()

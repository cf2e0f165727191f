"""Where a replication may go, and that nothing leads it elsewhere."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from replication.replicator import LocalPeer, Options, connect, replicate
from replication.replicator import hosts as hosts_module
from replication.replicator.failures import (
    HostForbidden,
    InvalidReplication,
    PeerLied,
    PeerUnavailable,
    ReplicationError,
)
from replication.replicator.hosts import AllowedHosts, PinnedTransport
from replication.replicator.options import parse_endpoint, stripped
from replication.store.sqlite import SqliteStore

ONCE = Options(retries=0, timeout=5)


# -- the list ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "host", "address", "allowed"),
    [
        (None, "localhost", "127.0.0.1", True),
        (None, "localhost", "::1", True),
        (None, "[::ffff:127.0.0.1]", "::ffff:127.0.0.1", True),
        (None, "peer.example", "10.0.0.5", False),
        (None, "peer.example", "169.254.169.254", False),
        (None, "0.0.0.0", "0.0.0.0", False),
        (None, "[::]", "::", False),
        (None, "[::ffff:10.0.0.5]", "::ffff:10.0.0.5", False),
        (["peer.example"], "peer.example", "10.0.0.5", True),
        (["peer.example"], "PEER.example.", "10.0.0.5", True),
        (["peer.example"], "other.example", "10.0.0.5", False),
        # A listed name that leads to what is special to this machine was turned against it.
        (["peer.example"], "peer.example", "169.254.169.254", False),
        (["peer.example"], "peer.example", "127.0.0.1", False),
        (["peer.example"], "peer.example", "0.0.0.0", False),
        (["10.1.0.0/16"], "peer.example", "10.1.2.3", True),
        (["10.1.0.0/16"], "peer.example", "10.2.2.3", False),
        (["10.1.2.3"], "10.1.2.3", "10.1.2.3", True),
        (["fd00::/8"], "peer.example", "fd00::1", True),
        (["*"], "anything", "169.254.169.254", True),
        ([], "localhost", "127.0.0.1", False),
    ],
)
def test_addresses_decide(entries: list[str] | None, host: str, address: str, allowed: bool) -> None:
    listed = AllowedHosts() if entries is None else AllowedHosts(entries)
    if allowed:
        assert listed.check(host, [address]) == [address]
    else:
        with pytest.raises(HostForbidden):
            listed.check(host, [address])


def test_one_bad_address_among_good_ones_is_enough() -> None:
    with pytest.raises(HostForbidden):
        AllowedHosts().check("both.example", ["127.0.0.1", "10.0.0.1"])


@pytest.mark.parametrize("entry", ["http://host", "host:5984", "host/path", "me@host", "", "a b"])
def test_entries_that_mean_nothing(entry: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        AllowedHosts([entry])


# -- the connection ------------------------------------------------------------------------------


Handler = Callable[[bytes], bytes]


class RawServer:
    """Answers each request with fixed bytes, and notes what it was sent."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


Serve = Callable[[bytes], Awaitable[RawServer]]


@pytest.fixture
async def raw() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(answer: bytes) -> RawServer:
            server = RawServer(answer)
            listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
            stack.callback(listening.close)
            server.port = listening.sockets[0].getsockname()[1]
            return server

        yield start


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


async def test_the_checked_address_is_the_one_connected_to(
    raw: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that resolves to a good address when checked, and to another when connected to."""
    server = await raw(OK)
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.255.255.1"]

    monkeypatch.setattr(hosts_module, "resolve", rebinding)
    transport = PinnedTransport(AllowedHosts(), httpx.AsyncHTTPTransport(trust_env=False))
    async with httpx.AsyncClient(transport=transport) as client:
        response = await client.get(f"http://rebound.example:{server.port}/db")
        assert response.json() == {}
        assert asked == ["rebound.example"]
        assert b"Host: rebound.example" in server.requests[0].replace(b"host:", b"Host:")
        with pytest.raises(HostForbidden):
            await client.get(f"http://rebound.example:{server.port}/db")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://10.0.0.1/db",
        "http://[fe80::1]/db",
        "http://0/db",
        "http://0x0a000001/db",
        "http://167772161/db",
        "http://[::ffff:10.0.0.1]/db",
        "http://127.0.0.1@10.0.0.1/db",
    ],
)
async def test_ways_of_writing_a_forbidden_address(url: str) -> None:
    peer = connect(url, ONCE, allowed=AllowedHosts())
    try:
        with pytest.raises((HostForbidden, PeerUnavailable)):
            await peer.info()
    finally:
        await peer.close()


async def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    peer = connect("http://nowhere.invalid/db", ONCE)
    with pytest.raises(PeerUnavailable, match=r"nowhere\.invalid"):
        await peer.info()
    await peer.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(raw: Serve, status: int) -> None:
    inner = await raw(OK)
    where = f"http://127.0.0.1:{inner.port}/db"
    head = f"HTTP/1.1 {status} Away\r\nlocation: {where}\r\n"
    server = await raw(f"{head}content-length: 0\r\nconnection: close\r\n\r\n".encode())
    peer = connect(f"http://me:s3cret@127.0.0.1:{server.port}/db", ONCE)
    with pytest.raises(PeerLied, match="redirects to"):
        await peer.info()
    await peer.close()
    assert inner.requests == []


async def test_proxies_and_password_files_of_the_environment_count_for_nothing(
    raw: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy, server = await raw(OK), await raw(OK)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    peer = connect(f"http://127.0.0.1:{server.port}/db", ONCE)
    with pytest.raises(PeerLied):  # `{}` is no database
        await peer.info()
    await peer.close()
    assert (len(proxy.requests), len(server.requests)) == (0, 1)
    assert b"s3cret" not in server.requests[0]


async def test_messages_hold_no_password(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "data")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://me:s3cret@127.0.0.1:{closed.getsockname()[1]}/db"
        with pytest.raises(PeerUnavailable) as caught:
            await replicate(url, LocalPeer(store, "db"), ONCE)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(parse_endpoint(url))
    await store.close()


@pytest.mark.parametrize("secret", [" s3cret", "s3cret\t", "s3cret "])
async def test_blanks_around_a_secret_do_not_bring_it_into_a_message(raw: Serve, secret: str) -> None:
    """An HTTP library that refuses to send a header says which."""
    server = await raw(OK)
    url = f"http://127.0.0.1:{server.port}/db"
    for end in (
        {"url": url, "headers": {"x-auth-couchdb-token": secret}},
        {"url": url, "auth": {"bearer": {"token": secret}}},
    ):
        with pytest.raises(ReplicationError) as caught:  # `{}` is no database
            await connect(parse_endpoint(end), ONCE).info()
        assert "s3cret" not in str(caught.value)


def test_a_password_in_front_of_no_url_is_not_quoted() -> None:
    with pytest.raises(InvalidReplication) as caught:
        parse_endpoint("me:s3cret@host:5984/db")
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in str(stripped({"source": "me:s3cret@host:5984/db"}))


def test_stripping_credentials() -> None:
    document = {
        "source": "https://me:s3cret@host:6984/db",
        "target": {"url": "http://me:s3cret@host/db", "headers": {"Authorization": "s3cret"}},
        "owner": "me",
    }
    assert stripped(document) == {
        "source": "https://host:6984/db/",
        "target": {"url": "http://host/db/"},
        "owner": "me",
    }
    for odd in ("http://me:s3cret@", "ftp://me:s3cret@host/db", "http://me:s3cret@host:bad/db?x"):
        assert "s3cret" not in str(stripped({"source": odd}))

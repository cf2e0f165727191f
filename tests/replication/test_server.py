"""`python -m replication serve` as a process: starting, refusing to start, stopping, slow and odd clients."""

from __future__ import annotations

import asyncio
import signal
import socket
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import jwt
import pytest

from replication.http import connections, create_app
from replication.loopback import is_loopback
from replication.server import CannotServeError, OneLineFormatter, bind, serve, url_of
from replication.store.sqlite import SqliteStore
from tests.needs import ROOT

COMMAND = [sys.executable, "-m", "replication", "serve"]


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server, and the URL it prints when it answers."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert " on http" in line, (line, server.stderr.read() if server.stderr else "")
            yield server, line.split(" on ")[1].strip()
        finally:
            if server.poll() is None:
                server.kill()


def refused(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stderr


def test_it_believes_tokens_whose_key_is_in_a_file(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(b64encode(b"x" * 32).decode("ascii"), "ascii")
    token = jwt.encode({"sub": "anna", "exp": int(time.time()) + 100}, b"x" * 32, "HS256")
    options = ("--admin", "root:relax", "--jwt-key", f"hmac:_default=@{key}", "--proxy-secret", "y" * 16)
    with process("--data", str(tmp_path / "data"), *options) as (_, url):
        answer = httpx.get(f"{url}_session", headers={"authorization": f"Bearer {token}"}).json()
        assert answer["userCtx"]["name"] == "anna"
        assert answer["info"]["authentication_handlers"] == ["cookie", "proxy", "jwt", "default"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--jwt-key", "hmac:_default=c2hvcnQ="), "make it 32 random ones"),
        (("--jwt-key", "hmac:_default"), "KIND:KID=KEY"),
        (("--jwt-key", "rsa:x=@/nowhere/key"), "No such file"),
        (("--jwt-key", f"hmac:x={'A' * 44}", "--jwt-required-claims", "dance"), "can't be"),
        (("--proxy-secret", "short"), "16 characters"),
    ],
)
def test_a_bad_way_to_log_in_stops_the_start(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    code, text = refused("--data", str(tmp_path), *options)
    assert code != 0
    assert told in " ".join(text.replace("│", " ").split())


def test_it_answers_when_it_says_so_and_stops_cleanly(tmp_path: Path) -> None:
    with process("--data", str(tmp_path), "--admin", "root:relax:ed") as (server, url):
        assert httpx.get(url).json()["couchdb"] == "Welcome"
        assert httpx.get(f"{url}_all_dbs", auth=("root", "relax:ed")).json() == [
            "_replicator",
            "_users",
        ]
        assert httpx.get(f"{url}_all_dbs").status_code == 401
        assert "server" not in httpx.get(url).headers
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


@pytest.mark.slow
def test_an_open_feed_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    with process("--data", str(tmp_path)) as (server, url):
        httpx.put(f"{url}db")
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port))) as feed:
            feed.sendall(b"GET /db/_changes?feed=continuous&heartbeat=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert feed.recv(100).startswith(b"HTTP/1.1 200")
            server.send_signal(signal.SIGTERM)
            assert server.wait(10) == 0


@pytest.mark.slow
def test_a_second_process_on_the_same_data_is_told_so_in_one_line(tmp_path: Path) -> None:
    with process("--data", str(tmp_path)) as (_, url):
        code, text = refused("--port", "0", "--data", str(tmp_path))
        assert code == 1
        assert text.startswith("Error: ")
        assert "in use by another process" in text
        assert text.count("\n") == 1
        port = url.rstrip("/").rsplit(":", 1)[1]
        code, text = refused("--port", port, "--data", str(tmp_path / "other"))
        assert code == 1
        assert f"port {port}" in text
        assert text.count("\n") == 1
        assert not (tmp_path / "other").exists()


def test_without_an_administrator_it_serves_this_machine_only(tmp_path: Path) -> None:
    code, text = refused("--port", "0", "--host", "0.0.0.0", "--data", str(tmp_path))
    assert code == 2
    assert "everybody is an administrator" in text.replace("\n", " ").replace("│", "").replace("  ", " ")


@pytest.mark.slow
@pytest.mark.parametrize("admin", ["root", "root:", ":relax", "_root:relax"])
def test_an_administrator_has_a_name_and_a_password(tmp_path: Path, admin: str) -> None:
    code, text = refused("--data", str(tmp_path), "--admin", admin)
    assert code == 2
    assert "NAME:PASSWORD" in text


@pytest.mark.slow
def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, text = refused("--port", "0", "--data", str(tmp_path / "file"))
    assert code == 1
    assert text.startswith("Error: cannot use ")


def test_loopback_addresses() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.1", "example.org"))


def test_access_lines_stay_lines() -> None:
    import logging

    record = logging.LogRecord(
        "replication.access", logging.INFO, "", 0, "GET %s", ("/a\r\nGET /ü\x1b[1m",), None
    )
    assert OneLineFormatter("%(message)s").format(record) == "GET /a\\r\\nGET /ü\\x1b[1m"


# -- one connection ------------------------------------------------------------------------------


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[tuple[str, int]]:
    """The server in this process, with a socket: its host and port."""
    store = await SqliteStore.open(directory)
    sockets = bind("127.0.0.1", 0)
    ready = asyncio.Event()
    task = asyncio.create_task(serve(create_app(store), sockets=sockets, ready=lambda _: ready.set()))
    host, port = sockets[0].getsockname()
    try:
        await asyncio.wait_for(ready.wait(), 10)
        yield host, port
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await store.close()


async def exchange(address: tuple[str, int], *pieces: bytes) -> bytes:
    """Sends pieces and reads until the server closes."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.5)
    monkeypatch.setattr("replication.server._SWEEP_TICKS", 2)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"GET / HT",),
        (b"GET / HTTP/1.1\r\nHost: x\r\n",),
        (b"\r\n\r\n",),
        (b"PUT /db/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", b"{"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HT"),
    ],
)
async def test_a_request_that_stops_halfway_is_ended(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    async with served(tmp_path) as address:
        async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
            await client.put("/db")
        started = time.monotonic()
        answer = await exchange(address, *pieces)
        assert time.monotonic() - started < 5
        assert b"HTTP/1.1 408 Request Timeout" in answer


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
async def test_a_body_that_comes_drop_by_drop_is_ended(tmp_path: Path) -> None:
    """Each byte used to start the clock again: a connection held for good cost a byte a minute."""
    async with served(tmp_path) as address:
        async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
            await client.put("/db")
        head = b"PUT /db/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        started = time.monotonic()
        answer = await exchange(address, head, *[b" "] * 100)
        assert time.monotonic() - started < 4.5
        assert answer == b"" or b"HTTP/1.1 408 " in answer


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
async def test_a_slow_body_that_makes_progress_is_taken(tmp_path: Path) -> None:
    body = b'{"a":"' + b"x" * 20_000 + b'"}'
    async with served(tmp_path) as address:
        async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
            await client.put("/db")
        head = b"PUT /db/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        pieces = [body[at : at + 1100] for at in range(0, len(body), 1100)]
        assert b"HTTP/1.1 201 " in await exchange(address, head, *pieces)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
async def test_a_feed_that_waits_is_not_ended(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}") as client,
    ):
        await client.put("/db")
        feed = asyncio.create_task(client.get("/db/_changes?feed=longpoll&since=now&timeout=10000"))
        await asyncio.sleep(1.5)
        assert not feed.done()
        await client.put("/db/x", json={})
        assert (await feed).json()["results"][0]["id"] == "x"


async def test_a_body_that_arrives_after_its_refusal_is_no_head(tmp_path: Path) -> None:
    """It used to count as the head of the next request, which was then refused as too long."""
    async with served(tmp_path) as address:
        head = b"PUT /nowhere/x/file HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"
        more = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = await exchange(address, head, *[b"x" * 100_000] * 3, more)
        assert b" 404 " in answer.splitlines()[0]
        assert b"HTTP/1.1 431" not in answer
        assert b'"couchdb":"Welcome"' in answer


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [64, 1])
async def test_a_head_without_end_is_refused(tmp_path: Path, pieces: int) -> None:
    async with served(tmp_path) as address:
        filler = b"X: " + b"x" * (200_000 // pieces)
        answer = await exchange(address, b"GET / HTTP/1.1\r\n", *[filler] * pieces)
        assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"NONSENSE\r\n\r\n",
    ],
)
async def test_requests_that_two_servers_could_read_differently_are_400(tmp_path: Path, head: bytes) -> None:
    async with served(tmp_path) as address:
        answer = await exchange(address, head)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b'{"error":"bad_request","reason":"Invalid HTTP request received."}\n')


async def test_what_follows_a_body_is_no_header(tmp_path: Path) -> None:
    """Credentials in a trailer logged in, past a proxy that looks at headers."""
    async with served(tmp_path) as address:
        head = b"GET /_session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        trailers = b"Authorization: Basic eDp5\r\nCookie: AuthSession=x\r\n" + b"X: y\r\n" * 1000
        answer = await exchange(address, head + b"\r\n2\r\nxx\r\n0\r\n" + trailers + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_garbage_behind_a_request_does_not_get_into_its_answer(tmp_path: Path) -> None:
    """The 400 for what came next was written wherever the answer before it had come to."""
    async with served(tmp_path) as address:
        async with httpx.AsyncClient(base_url=f"http://{address[0]}:{address[1]}") as client:
            await client.put("/db")
        feed = b"GET /db/_changes?feed=continuous&since=now&timeout=60000 HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await exchange(address, feed, b"", b"", b"", b"NONSENSE\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 1


async def test_an_offer_of_http_2_is_answered_in_http_1(tmp_path: Path) -> None:
    async with served(tmp_path) as address:
        upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n"
        assert (await exchange(address, upgrade)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux acknowledges late, others don't")
async def test_a_client_that_sends_head_and_body_apart_does_not_wait(tmp_path: Path) -> None:
    """CouchDB's replicator lost 40 ms with each request that has a body."""

    def post(address: tuple[str, int]) -> float:
        head = b"POST /_session HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        with socket.create_connection(address) as client:
            times = []
            for _ in range(10):
                started = time.monotonic()
                for piece in (head, b"{", b"}"):
                    client.send(piece)
                answer = b""
                while not answer.endswith(b"}\n"):
                    answer += client.recv(4096)
                assert answer.startswith(b"HTTP/1.1 400 ")
                times.append(time.monotonic() - started)
            return statistics.median(times)

    async with served(tmp_path) as address:
        assert await asyncio.to_thread(post, address) < 0.03


def test_the_collector_does_not_look_at_what_stays_for_good() -> None:
    program = (
        "import gc, os, signal\n"
        "from replication.server import run\n"
        "kept = [[] for _ in range(1000)]\n"
        "async def app(scope, receive, send): pass\n"
        "async def make(): return app\n"
        "def ready(url):\n"
        "    print(gc.get_freeze_count() > 1000, not any(one is kept for one in gc.get_objects()))\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "run(make, port=0, ready=ready)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_a_taken_port_is_said_so() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotServeError, match=f"port {port}: Address already in use"):
            bind("127.0.0.1", port)


def test_urls_of_both_families() -> None:
    (bound,) = bind("127.0.0.1", 0)
    with bound:
        assert url_of(bound, tls=True) == f"https://127.0.0.1:{bound.getsockname()[1]}/"

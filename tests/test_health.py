"""What a container asks to know whether its server is well."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from kompass.health import ask
from tests.servers import free_port


@contextmanager
def answering(status: int, text: bytes) -> Iterator[int]:
    """A server that says the same to whoever asks; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(port: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KOMPASS_PORT": str(port)}
    command = [sys.executable, "-I", "-m", "kompass.health"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)


def test_well() -> None:
    with answering(200, b'{"status":"ready"}') as port:
        done = asked(port)
    assert (done.returncode, done.stderr) == (0, "")


def test_not_ready_says_why() -> None:
    with answering(503, b'{"status":"not ready","reason":"It ends."}') as port:
        done = asked(port)
    assert done.returncode == 1
    assert "503" in done.stderr
    assert "It ends." in done.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/readyz", "http://127.0.0.1:{}"])
def test_nobody_answers(url: str) -> None:
    assert "refused" in (ask(url.format(free_port())) or "")


@pytest.mark.slow
def test_the_product_with_a_secret_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "admin").write_text("boss:geheim genug\n")
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "KOMPASS_ADMIN_FILE": str(tmp_path / "admin"),
        "KOMPASS_DATA": str(tmp_path / "data"),
        "KOMPASS_FEED": "off",
        "KOMPASS_PORT": str(port),
    }
    command = [sys.executable, "-m", "kompass", "serve"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while asked(port).returncode != 0 and time.monotonic() < deadline and server.poll() is None:
                time.sleep(0.1)
            url = f"http://127.0.0.1:{port}/kompass"
            assert httpx.get(url, auth=("boss", "geheim genug")).status_code == 200
            assert httpx.get(url, auth=("boss", "geheim genug\n")).status_code == 401
        finally:
            server.terminate()
        assert server.wait(30) == 0
    assert asked(port).returncode == 1

"""`kompass serve` with `kompass feed` beside it: started, started again, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.needs import ROOT
from tests.servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


class Serving:
    """`kompass serve` with real data in `data`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "kompass",
            "serve",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
        ]
        environment = {**os.environ, "KOMPASS_FEED": "auto", "KOMPASS_ADMIN": "chef:geheim"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
        until(lambda: self.answers, 30, self.told)

    @property
    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def child(self) -> psutil.Process | None:
        """The consumer that runs beside it."""
        for one in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it has just died
                if "feed" in one.cmdline():
                    return one
        return None

    def following(self) -> bool:
        """Whether every sink is at the end."""
        file = self.data / "feed" / "feed.sqlite"
        if not file.exists():
            return False
        with closing(sqlite3.connect(file, timeout=10)) as connection:
            try:
                rows = connection.execute("SELECT at, text FROM status").fetchall()
            except sqlite3.OperationalError:
                return False
        states = [json.loads(text)["state"] for at, text in rows if at > time.time() - 5]
        return bool(states) and set(states) == {"following"}

    def told(self) -> str:
        return self.log.read_text()[-3000:]


def until(condition: Callable[[], bool], seconds: float, what: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not after {seconds} seconds: {what()}"
        time.sleep(0.1)


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    pytest.importorskip("tantivy", reason="there has to be a sink")
    server = Serving(tmp_path / "data")
    server.start()
    child = None
    try:
        until(server.following, 60, server.told)
        child = server.child()
        assert child is not None
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        if child is not None and not gone(child):
            child.kill()


def test_it_is_started_again_when_it_dies(server: Serving) -> None:
    first = server.child()
    assert first is not None
    first.kill()
    until(lambda: server.child() not in (None, first), 30, server.told)
    until(server.following, 30, server.told)
    second = server.child()
    assert second is not None
    server.process.terminate()
    assert server.process.wait(60) == 0
    assert gone(second)
    assert "Traceback" not in server.told()


def test_ctrl_c_ends_both(server: Serving) -> None:
    child = server.child()
    assert child is not None
    os.kill(server.process.pid, signal.SIGINT)
    assert server.process.wait(60) == 0
    until(lambda: gone(child), 5)


def test_a_killed_server_leaves_no_orphan(server: Serving) -> None:
    child = server.child()
    assert child is not None
    server.process.kill()
    server.process.wait()
    until(lambda: gone(child), 60, server.told)


def test_what_is_written_is_followed_and_told(server: Serving) -> None:
    customer = {"type": "customer", "companyName": "Hofladen Quitte", "owner": "adm1"}
    auth = ("chef", "geheim")
    docid = "customer-11111111-1111-4111-8111-111111111111"
    answer = httpx.put(f"{server.url}/kompass/{docid}", json=customer, auth=auth)
    assert answer.status_code == 201, answer.text

    def seen() -> bool:
        (one,) = [
            each
            for each in httpx.get(f"{server.url}/api/v1/feed/status", auth=auth).json()["sinks"]
            if each["sink"] == "search"
        ]
        return bool(one["applied"] > 0 and one["lag"] == 0)

    until(seen, 20, server.told)
    line = [sys.executable, "-m", "kompass", "status", "--data", str(server.data), "--server", server.url]
    told = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stdout
    assert "ready" in told.stdout
    assert "search" in told.stdout
    # The secret is in no command line.
    child = server.child()
    assert child is not None
    assert not any(len(part) > 40 and "/" not in part for part in child.cmdline())
    rebuild = [sys.executable, "-m", "kompass", "rebuild", "search", "--data", str(server.data)]
    rebuilt = subprocess.run(rebuild, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "was rebuilt" in rebuilt.stdout

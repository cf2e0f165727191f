"""`kompass serve` with `kompass feed` beside it: started, started again, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.needs import ROOT
from tests.serving import Serving, gone, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


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

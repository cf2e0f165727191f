"""Journeys of `pwa-contract/journeys/`, during which the server is killed.

Those in `personal/` run with one server for all.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import httpx
import pytest

from kompass.demo import PASSWORD
from tests.cluster import over
from tests.contract.demo import DemoProcess
from tests.contract.scenarios import SECONDS, finish_scenario, scenarios, start_scenario
from tests.contract.served import Served, served_demo
from tests.needs import ROOT

pytestmark = [pytest.mark.node, pytest.mark.slow, pytest.mark.crash]


@pytest.mark.parametrize(("path", "title"), scenarios((ROOT / "pwa-contract" / "journeys").glob("*.mjs")))
def test_journey(path: Path, title: str, tmp_path: Path) -> None:
    """The server is killed when a part of what the device sends has arrived, and started again."""
    with served_demo(tmp_path) as server:
        before = count(server)
        scenario = start_scenario(path, title, server, tmp_path)
        try:
            wait_for_more(server, before + 5, scenario)
            server.crash()
            time.sleep(0.5)
            server.start()
            finish_scenario(scenario)
        finally:
            scenario.kill()
        if over.IS_CLUSTER:
            kompass("verify-audit", "--server", server.origin, "--user", "admin", "--password", PASSWORD)
        else:
            kompass("verify-audit", "--data", str(server.data))
        for directory in server.copies:
            kompass("numbers", "check", "--data", str(directory))


def kompass(*arguments: str) -> None:
    done = subprocess.run(
        DemoProcess.kompass(*arguments), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def count(server: Served) -> int:
    answer = httpx.get(f"{server.origin}/kompass", auth=("admin", PASSWORD))
    return int(answer.raise_for_status().json()["doc_count"])


def wait_for_more(server: Served, documents: int, scenario: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and scenario.poll() is None:
        if count(server) >= documents:
            return
        time.sleep(0.01)
    output = scenario.communicate()[0] if scenario.poll() is not None else "it runs still"
    pytest.fail(f"the server never had {documents} documents\n{output}", pytrace=False)

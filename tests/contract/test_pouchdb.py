"""The scenarios of `pwa-contract/tests/`: a real PouchDB in Node.js against a real server process.

To run one by hand: `KOMPASS_TEST_SERVER=http://admin:password@host:port node pwa-contract/tests/live.mjs`.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.contract.scenarios import SECONDS, finish_scenario, scenarios, start_scenario
from tests.contract.served import Served, served
from tests.needs import ROOT

SCENARIOS = ROOT / "pwa-contract" / "tests"
CRASHING = {SCENARIOS / "crash.mjs"}
"""Files whose scenarios want the server to be killed under them."""
OTHERS = set(SCENARIOS.glob("*.mjs")) - CRASHING
SLOW = {"thousands", "sizes"}

pytestmark = pytest.mark.node


@pytest.mark.parametrize(("path", "title"), scenarios(OTHERS, slow=SLOW))
def test_scenario(path: Path, title: str, server: Served, tmp_path: Path) -> None:
    finish_scenario(start_scenario(path, title, server, tmp_path))


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.parametrize(("path", "title"), scenarios(CRASHING))
def test_scenario_with_a_crash(path: Path, title: str, tmp_path: Path) -> None:
    """The server is killed once it has taken a part of what the scenario sends, and started again."""
    database = "crashing"
    with served(tmp_path) as server:
        scenario = start_scenario(path, title, server, tmp_path, KOMPASS_TEST_DATABASE=database)
        try:
            wait_for_documents(server, database, 300, scenario)
            server.crash()
            time.sleep(0.5)
            server.start()
            finish_scenario(scenario)
        finally:
            scenario.kill()


def wait_for_documents(server: Served, database: str, count: int, scenario: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    with httpx.Client(base_url=server.url) as client:
        while time.monotonic() < deadline and scenario.poll() is None:
            response = client.get(f"/{database}")
            if response.status_code == 200 and response.json()["doc_count"] >= count:
                return
            time.sleep(0.01)
    pytest.fail(f"{database} never had {count} documents")

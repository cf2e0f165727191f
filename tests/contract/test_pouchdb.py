"""The scenarios of `pwa-contract/tests/`: a real PouchDB in Node.js against a real server process.

Each `scenario("title", …)` there is one test here, run in a Node.js of its own: cookies, pinned
fallbacks and other things a PouchDB remembers for its process don't reach from one into the next.
To run one by hand: `KOMPASS_TEST_SERVER=http://admin:password@host:port node pwa-contract/tests/live.mjs`.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.needs import ROOT, require
from tests.servers import ServerProcess, running_server

SCENARIOS = ROOT / "pwa-contract" / "tests"
TITLE = re.compile(r'^scenario\("([^"]+)"', re.MULTILINE)
SECONDS = 120
"""No scenario takes longer, on a busy machine either."""

SLOW = {"thousands", "sizes"}
CRASHING = {"crash"}
"""Files whose scenarios want the server to be killed under them."""

pytestmark = pytest.mark.node


def scenarios(*, crashing: bool) -> list[object]:
    """All scenarios as pytest parameters: file without its ending, title."""
    found: list[object] = []
    for path in sorted(SCENARIOS.glob("*.mjs")):
        name = path.stem
        if (name in CRASHING) == crashing:
            marks = [pytest.mark.slow] if name in SLOW else []
            titles = TITLE.findall(path.read_text(encoding="utf-8"))
            found += [pytest.param(name, title, id=f"{name}: {title}", marks=marks) for title in titles]
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


def start_scenario(
    name: str, title: str, server: ServerProcess, directory: Path, **environment: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(require("node")), "--test-reporter=spec", str(SCENARIOS / f"{name}.mjs")],
        cwd=directory,
        env={
            **os.environ,
            "KOMPASS_TEST_SERVER": server.url,
            "KOMPASS_TEST_SCENARIO": title,
            "TMPDIR": str(directory),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def finish_scenario(scenario: subprocess.Popen[str]) -> None:
    try:
        output, _ = scenario.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        scenario.kill()
        output, _ = scenario.communicate()
        pytest.fail(f"not finished after {SECONDS} seconds\n{output}", pytrace=False)
    if scenario.returncode != 0:
        # Node.js ends with a summary that says everything again.
        pytest.fail(output.partition("✖ failing tests:")[0], pytrace=False)
    # A misspelt title would run nothing and pass.
    assert re.search(r"^. pass 1$", output, re.MULTILINE), output


@pytest.mark.parametrize(("name", "title"), scenarios(crashing=False))
def test_scenario(name: str, title: str, server: ServerProcess, tmp_path: Path) -> None:
    finish_scenario(start_scenario(name, title, server, tmp_path))


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.parametrize(("name", "title"), scenarios(crashing=True))
def test_scenario_with_a_crash(name: str, title: str, tmp_path: Path) -> None:
    """The server is killed once it has taken a part of what the scenario sends, and started again."""
    database = "crashing"
    with running_server(tmp_path / "data") as server:
        scenario = start_scenario(name, title, server, tmp_path, KOMPASS_TEST_DATABASE=database)
        try:
            wait_for_documents(server, database, 300, scenario)
            server.crash()
            time.sleep(0.5)
            server.start()
            finish_scenario(scenario)
        finally:
            scenario.kill()


def wait_for_documents(
    server: ServerProcess, database: str, count: int, scenario: subprocess.Popen[str]
) -> None:
    deadline = time.monotonic() + SECONDS
    with httpx.Client(base_url=server.url) as client:
        while time.monotonic() < deadline and scenario.poll() is None:
            response = client.get(f"/{database}")
            if response.status_code == 200 and response.json()["doc_count"] >= count:
                return
            time.sleep(0.01)
    pytest.fail(f"{database} never had {count} documents")

"""The scenarios of `pwa-contract/personal/` and `device/`: PouchDBs of several people and a demo server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.demo import DemoProcess
from tests.contract.scenarios import finish_scenario, scenarios, start_scenario
from tests.needs import ROOT
from tests.servers import ServerProcess

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = DemoProcess(tmp_path_factory.mktemp("demo") / "data")
    server.start()
    yield server
    server.stop()


FILES = [path for folder in ("personal", "device") for path in (ROOT / "pwa-contract" / folder).glob("*.mjs")]


@pytest.mark.parametrize(("path", "title"), scenarios(FILES))
def test_scenario(path: Path, title: str, demo: ServerProcess, tmp_path: Path) -> None:
    data = str(demo.log.with_suffix(""))
    finish_scenario(start_scenario(path, title, demo, tmp_path, KOMPASS_TEST_DATA=data))

"""The scenarios of `pwa-contract/personal/` and `device/`: PouchDBs of several people and a demo server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.scenarios import finish_scenario, scenarios, start_scenario
from tests.contract.served import Served, served_demo
from tests.needs import ROOT

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


FILES = [path for folder in ("personal", "device") for path in (ROOT / "pwa-contract" / folder).glob("*.mjs")]


@pytest.mark.parametrize(("path", "title"), scenarios(FILES))
def test_scenario(path: Path, title: str, demo: Served, tmp_path: Path) -> None:
    finish_scenario(start_scenario(path, title, demo, tmp_path, KOMPASS_TEST_DATA=str(demo.data)))

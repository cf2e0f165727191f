"""The scenarios of `pwa-contract/clients/tests/`: nano, Cloudant's SDK and RxDB against a real server.

To run one by hand:
`KOMPASS_TEST_SERVER=http://admin:password@host:port node pwa-contract/clients/tests/nano.mjs`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.scenarios import finish_scenario, scenarios, start_scenario
from tests.contract.served import Served
from tests.needs import ROOT

SCENARIOS = ROOT / "pwa-contract" / "clients" / "tests"

pytestmark = [pytest.mark.node, pytest.mark.clients]


@pytest.mark.parametrize(("path", "title"), scenarios(SCENARIOS.glob("*.mjs")))
def test_scenario(path: Path, title: str, server: Served, tmp_path: Path) -> None:
    finish_scenario(start_scenario(path, title, server, tmp_path))

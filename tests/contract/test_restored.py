"""The scenarios of `pwa-contract/restored/`: real PouchDBs, and a server that is restored under them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.contract.demo import DemoProcess
from tests.contract.scenarios import SECONDS, finish_scenario, scenarios, start_scenario
from tests.needs import ROOT

pytestmark = [pytest.mark.node, pytest.mark.slow]

FILES = (ROOT / "pwa-contract" / "restored").glob("*.mjs")


class Restorable(DemoProcess):
    """A demo server with a repository of backups."""

    def __init__(self, place: Path) -> None:
        super().__init__(place / "data")
        (place / "key").write_text("korrekt pferd batterie")
        self._where = ["--data", str(place / "data"), "--repository", str(place / "repository")]
        self._where += ["--key-file", str(place / "key")]

    def do(self, what: str) -> None:
        if what == "backup":
            self._kompass("backup")
        else:
            assert what == "restore"
            self.stop()
            self._kompass("restore", "--replace")
            self.start()

    def _kompass(self, *arguments: str) -> None:
        command = self.kompass(*arguments, *self._where)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("path", "title"), scenarios(FILES))
def test_scenario(path: Path, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "KOMPASS_FEED", "off")
    server = Restorable(tmp_path)
    server.start()
    scenario = start_scenario(path, title, server, tmp_path)
    try:
        deadline = time.monotonic() + SECONDS
        while scenario.poll() is None and time.monotonic() < deadline:
            for wanted in tmp_path.glob("*.wanted"):
                wanted.unlink()
                server.do(wanted.stem)
                wanted.with_suffix(".done").touch()
            time.sleep(0.05)
        finish_scenario(scenario)
    finally:
        scenario.kill()
        server.stop()

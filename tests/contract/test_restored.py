"""The scenarios of `pwa-contract/restored/`: real PouchDBs, and what they talk to is restored under them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from kompass.demo import PASSWORD
from tests.backup.company import run
from tests.cluster.couchdb import CouchdbPlace, couchdb_place
from tests.cluster.processes import Nodes, nodes
from tests.contract.demo import DemoProcess
from tests.contract.scenarios import SECONDS, finish_scenario, scenarios, start_scenario
from tests.contract.served import make_demo
from tests.needs import ROOT

pytestmark = [pytest.mark.node, pytest.mark.slow]

FILES = list((ROOT / "pwa-contract" / "restored").glob("*.mjs"))


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


class CanBeRestored(Protocol):
    @property
    def url(self) -> str: ...

    def do(self, what: str) -> None:
        """`backup`, or `restore`."""


def act(path: Path, title: str, server: CanBeRestored, directory: Path) -> None:
    """Plays a scenario, and does what it asks for."""
    scenario = start_scenario(path, title, server, directory)
    try:
        deadline = time.monotonic() + SECONDS
        while scenario.poll() is None and time.monotonic() < deadline:
            for wanted in directory.glob("*.wanted"):
                wanted.unlink()
                server.do(wanted.stem)
                wanted.with_suffix(".done").touch()
            time.sleep(0.05)
        finish_scenario(scenario)
    finally:
        scenario.kill()


@pytest.mark.parametrize(("path", "title"), scenarios(FILES))
def test_scenario(path: Path, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "KOMPASS_FEED", "off")
    server = Restorable(tmp_path)
    server.start()
    try:
        act(path, title, server, tmp_path)
    finally:
        server.stop()


class RestorableCluster:
    """An index process and an API process over PostgreSQL and CouchDB, with the demo's documents."""

    def __init__(self, place: Path, running: Nodes, couchdb: CouchdbPlace) -> None:
        """`place` has the demo. The environment is that of the nodes."""
        self._place = place
        self._running = running
        self._couchdb = couchdb
        (place / "key").write_text("korrekt pferd batterie")
        self._repository = ("--repository", str(place / "repository"), "--key-file", str(place / "key"))
        self._kompass("migrate", "to-cluster", "--data", str(place / "demo"))
        self._index, self._api = running.add("index"), running.add("api")
        self._api.await_ready()
        self.url = self._api.url.replace("//", f"//admin:{PASSWORD}@")

    def do(self, what: str) -> None:
        if what == "backup":
            self._kompass("backup", "--data", str(self._place / "copies"), *self._repository)
            self._kompass("verify-backup", *self._repository)
            return
        assert what == "restore"
        for node in (self._index, self._api):
            node.kill()
        with psycopg.connect(self._running.environment["KOMPASS_JOURNAL_DSN"]) as connection:
            connection.execute("DROP SCHEMA kompass_cluster CASCADE")
        self._couchdb.clean()
        restored = str(self._place / "restored")
        self._kompass("init")
        self._kompass("restore", "--data", restored, *self._repository)
        self._kompass("migrate", "to-cluster", "--data", restored)
        for node in (self._index, self._api):
            node.start()
        self._api.await_ready()

    def _kompass(self, *words: str) -> None:
        told = run(*words)
        assert told.exit_code == 0, (words, told.output, told.exception)


@pytest.mark.parametrize(("path", "title"), scenarios(FILES))
def test_scenario_of_a_cluster(
    path: Path, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL and CouchDB are lost; the way back is that of docs/backup.md."""
    monkeypatch.setitem(os.environ, "KOMPASS_FEED", "off")
    make_demo(tmp_path / "demo")
    login = f"admin:{PASSWORD}"
    with (
        couchdb_place(tmp_path / "couchdb") as couchdb,
        nodes(tmp_path, couchdb, KOMPASS_ADMIN=login) as running,
    ):
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        act(path, title, RestorableCluster(tmp_path, running, couchdb), tmp_path)

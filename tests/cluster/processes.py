"""Processes of a cluster: `kompass api` and `kompass index`, each with a directory of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.cluster.couchdb import CouchdbPlace
from tests.cluster.harness import cluster
from tests.needs import ROOT
from tests.servers import free_port
from tests.serving import ADMIN, until

START_SECONDS = 60


class Node:
    """One process."""

    def __init__(
        self, command: str, directory: Path, environment: Mapping[str, str], program: str = "kompass"
    ) -> None:
        """`program`: the module that is run."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory.with_suffix(".log")
        self._arguments = [sys.executable, "-m", program, command, "--data", str(directory)]
        if command == "api":
            self._arguments += ["--port", str(self.port)]
        self.directory = directory
        self.environment = {
            **os.environ,
            "KOMPASS_ADMIN": ":".join(ADMIN),
            "KOMPASS_FEED": "off",
            **environment,
        }
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._arguments, cwd=ROOT, stdout=log, stderr=log, env=self.environment
            )

    @property
    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.told()
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def await_ready(self) -> None:
        until(lambda: self.is_ready, START_SECONDS, self.told)

    def await_told(self, text: str) -> None:
        until(lambda: text in self.told(), START_SECONDS, self.told)

    def told(self) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nobody is told."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


class Nodes:
    """A cluster's processes."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self.environment = environment
        self.all: list[Node] = []

    def add(self, command: str, program: str = "kompass") -> Node:
        node = Node(command, self._directory / f"{command}{len(self.all)}", self.environment, program)
        self.all.append(node)
        return node


def initialized(environment: Mapping[str, str]) -> None:
    """Runs `kompass init`."""
    init = [sys.executable, "-m", "kompass", "init"]
    subprocess.run(init, cwd=ROOT, env={**os.environ, **environment}, timeout=120, check=True)


@contextmanager
def nodes(directory: Path, couchdb: CouchdbPlace | None = None, **environment: str) -> Iterator[Nodes]:
    """None yet. Whatever runs at the end is killed. `environment`: variables of all of them.

    With a `couchdb` they show their documents there.
    """
    with cluster() as made:
        environment = {"KOMPASS_JOURNAL_DSN": made.dsn, **environment}
        if couchdb is not None:
            environment |= couchdb.environment
            initialized(environment)
        running = Nodes(directory, environment)
        try:
            yield running
        finally:
            for node in running.all:
                node.kill()

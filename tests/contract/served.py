"""What clients talk to here: a server process, or over a cluster several of them behind a balancer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

import apsw

from kompass.demo import PASSWORD
from kompass.demo.load import MARKER
from tests.balancing import balanced
from tests.cluster import over
from tests.cluster.couchdb import couchdb_place
from tests.cluster.processes import Node, nodes
from tests.contract.demo import DemoProcess
from tests.needs import ROOT
from tests.servers import running_server


class Served(Protocol):
    @property
    def data(self) -> Path:
        """Where it has its files."""

    @property
    def copies(self) -> list[Path]:
        """Directories that have the documents."""

    @property
    def origin(self) -> str: ...

    @property
    def url(self) -> str:
        """With an administrator's name and password."""

    def crash(self) -> None:
        """SIGKILL for all that answers."""

    def start(self) -> None:
        """Starts what crashed."""


class ServedCluster:
    """Several API processes over one PostgreSQL and a CouchDB; each request goes to the next of them."""

    def __init__(self, data: Path, apis: list[Node], origin: str, login: str) -> None:
        self.data = data
        self.copies = [api.directory for api in apis]
        self._apis = apis
        self.origin = origin
        self.url = origin.replace("//", f"//{login}@")

    def crash(self) -> None:
        for api in self._apis:
            api.kill()

    def start(self) -> None:
        for api in self._apis:
            api.start()
        for api in self._apis:
            api.await_ready()


@contextmanager
def served_cluster(directory: Path, login: str, data: Path | None = None) -> Iterator[ServedCluster]:
    """`data`: a directory whose databases it begins with."""
    with ExitStack() as stack:
        couchdb = stack.enter_context(couchdb_place(directory / "couchdb"))
        copies = directory / "copies"
        copies.mkdir()
        running = stack.enter_context(nodes(copies, couchdb, KOMPASS_ADMIN=login))
        if data is not None:
            move = DemoProcess.kompass("migrate", "to-cluster", "--data", str(data))
            environment = {**os.environ, **running.environment}
            subprocess.run(move, cwd=ROOT, env=environment, timeout=120, check=True)
        running.add("index")
        apis = [running.add("api") for _ in range(over.APIS)]
        for api in apis:
            api.await_ready()
        origin = stack.enter_context(balanced([api.url for api in apis]))
        yield ServedCluster(copies, apis, origin, login)


@contextmanager
def served(directory: Path) -> Iterator[Served]:
    """With nothing in it. The administrator is `admin` with `geheim`."""
    if over.IS_CLUSTER:
        with served_cluster(directory, "admin:geheim") as cluster:
            yield cluster
    else:
        with running_server(directory / "data") as server:
            yield server


def make_demo(directory: Path) -> None:
    """The demo's documents as if they were real ones: nobody but a demo serves a demo."""
    demo = DemoProcess(directory)
    demo.start()
    demo.stop()
    with closing(apsw.Connection(str(directory / "kompass.sqlite"))) as connection:
        connection.execute("DELETE FROM local WHERE id = ?", (MARKER,))


@contextmanager
def served_demo(directory: Path) -> Iterator[Served]:
    """With the people and documents of the demo."""
    if over.IS_CLUSTER:
        make_demo(directory / "demo")
        with served_cluster(directory, f"admin:{PASSWORD}", directory / "demo") as cluster:
            yield cluster
    else:
        demo = DemoProcess(directory / "data")
        demo.start()
        try:
            yield demo
        finally:
            demo.stop()

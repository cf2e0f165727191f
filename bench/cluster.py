"""A cluster: API processes over copies of a journal in PostgreSQL, with documents in a CouchDB.

The same CouchDB by itself, without anybody between it and its clients, is the peer. PostgreSQL and all
processes run on this machine beside it and beside the clients: with few cores they take time from each other,
which a real cluster's don't.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bench.access import Side, data_of
from bench.client import Client, Target
from bench.engine import HEADER, Row, _line
from bench.servers import ROOT, Running, free_port, process_of, sync_time
from kompass.readstore.embedded import EmbeddedPostgres

DOCUMENTS = 3000
CLIENTS = 4
READ_SECONDS = 3.0
READY_SECONDS = 120.0
PREFIX = "bench-cluster-"
SERVICE = "bench-cluster"


class Topology:
    """A cluster with a leader and some API processes."""

    def __init__(self, urls: list[str]) -> None:
        self.urls = urls


@contextmanager
def topology(couchdb: str, apis: int) -> Iterator[Topology]:
    """An empty cluster whose documents are in this CouchDB, gone afterwards."""
    parts = urlsplit(couchdb)
    server = f"{parts.scheme}://{parts.hostname}:{parts.port}"
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-cluster-"))
        Path(place).chmod(0o711)
        postgres = EmbeddedPostgres(Path(place, "postgres"))
        address = postgres.start()
        stack.callback(postgres.stop)
        settings = {
            "KOMPASS_ADMIN": "bench:bench",
            "KOMPASS_LOG_LEVEL": "warning",
            "KOMPASS_FEED": "off",
            "KOMPASS_JOURNAL_DSN": address.dsn,
            "KOMPASS_COUCHDB_URL": server.replace("//", f"//{SERVICE}:bench-bench@"),
            "KOMPASS_COUCHDB_PREFIX": PREFIX,
            "KOMPASS_COUCHDB_ADMIN": f"{parts.username}:{parts.password}",
            "PYTHONPATH": str(ROOT),
        }
        stack.callback(_clean, couchdb)
        command = [sys.executable, "-m", "kompass"]
        subprocess.run(
            [*command, "init"], env={**os.environ, **settings}, check=True, stdout=subprocess.DEVNULL
        )
        index = subprocess.Popen(
            [*command, "index", "--data", str(Path(place, "index"))],
            cwd=place,
            env={**os.environ, **settings},
        )
        stack.callback(index.wait, 30)
        stack.callback(index.terminate)
        urls = []
        for number in range(apis):
            port = free_port()
            url = f"http://bench:bench@127.0.0.1:{port}"
            where = ["--host", "127.0.0.1", "--port", str(port), "--data", str(Path(place, f"api{number}"))]
            stack.enter_context(process_of([*command, "api", *where], "api", port, place, url, **settings))
            _until_ready(port)
            urls.append(url)
        yield Topology(urls)


def _until_ready(port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200:
            return
        time.sleep(0.2)
    raise RuntimeError("an API process was not ready in time")


def _clean(couchdb: str) -> None:
    with httpx.Client(base_url=couchdb, timeout=60) as client:
        for name in client.get("/_all_dbs").json():
            if name.startswith(PREFIX):
                client.delete(f"/{name}")
        user = f"/_users/org.couchdb.user:{SERVICE}"
        found = client.get(user)
        if found.status_code == 200:
            client.delete(user, params={"rev": found.json()["_rev"]})


def several_pushes(side: Side) -> float:
    """New documents per second, four clients at once."""
    sides = [side.another() for _ in range(CLIENTS)]
    started = time.perf_counter()
    _at_once([one.push for one in sides])
    return CLIENTS * 1000 / (time.perf_counter() - started)


def reads(urls: list[str], path: str, ids: list[str]) -> float:
    """Documents per second by `_bulk_get`, 100 at a time, four clients at once, spread over servers."""
    body = b'{"docs":[%s]}' % b",".join(b'{"id":"%s"}' % one.encode() for one in ids[:100])
    counts = [0] * CLIENTS
    stop = time.perf_counter() + READ_SECONDS

    def read(number: int) -> None:
        client = Client(Target(urls[number % len(urls)]))
        while time.perf_counter() < stop:
            client.call("POST", f"{path}/_bulk_get", body)
            counts[number] += min(100, len(ids))
        client.close()

    _at_once([lambda number=number: read(number) for number in range(CLIENTS)])  # type: ignore[misc]
    return sum(counts) / READ_SECONDS


def _at_once(work: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run(couchdb: str, rounds: int) -> None:
    """Prints the figures."""
    print(f"sync of the disk {sync_time():.2f} ms; everything on one machine")
    data = data_of(DOCUMENTS)
    with topology(couchdb, 2) as made:
        ours = Side(Running("the cluster", made.urls[0], None), data, product=True)
        theirs = Side(Running("CouchDB", couchdb, None), data, product=False)
        try:
            rows = [
                _row("pushes, 100 at a time", 0.7, rounds, lambda side: side.push(), ours, theirs),
                _row("the same, 4 clients at once", 0.7, rounds, several_pushes, ours, theirs),
                _row("`_bulk_get`, 4 clients at once", 0.7, rounds, _read_all, ours, theirs),
            ]
            ids = [str(doc["_id"]) for doc in data.documents if doc.get("customerId") == data.own]
            people = [ours.url_of(url) for url in made.urls]
            one, two = [], []
            for _ in range(rounds):
                one.append(reads(people[:1], ours.path, ids))
                two.append(reads(people, ours.path, ids))
        finally:
            theirs.clean()
    print(HEADER)
    for row in rows:
        print(_line(row), flush=True)
    first, second = statistics.median(one), statistics.median(two)
    print(
        f"`_bulk_get`: {first:,.0f} docs/s from one API process, {second:,.0f} from two:"
        f" {second / first:.2f}x (goal 1.7, with a core for each of them and for the clients)"
    )


def _read_all(side: Side) -> float:
    ids = [str(doc["_id"]) for doc in side.data.documents if doc.get("customerId") == side.data.own]
    return reads([side.url_of(side.running.url)], side.path, ids)


def _row(name: str, goal: float, rounds: int, work: Callable[[Side], float], ours: Side, theirs: Side) -> Row:
    figures, peers = [], []
    for _ in range(rounds):
        figures.append(work(ours))
        time.sleep(0.5)
        peers.append(work(theirs))
        time.sleep(0.5)
    return Row(name, "docs/s", statistics.median(figures), statistics.median(peers), goal)

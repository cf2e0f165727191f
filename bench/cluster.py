"""A cluster: API processes over copies of a journal in PostgreSQL, with documents in a CouchDB.

The same CouchDB by itself, without anybody between it and its clients, is the peer: as it comes, and with the
validation function that `kompass init` gives it, which runs for each document. Clients are the same on both
sides: four at once, 100 documents at a time as a PouchDB sends and asks, spread over the API processes.

PostgreSQL and all processes run on this machine beside CouchDB and beside the clients: with few cores they
take time from each other, which a real cluster's don't. What each needs for a document is measured, too.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bench.access import BATCH, OWN, PAGE, Data, Side, data_of, empty_device
from bench.client import Client, Target
from bench.servers import ROOT, Running, free_port, process_of, sync_time
from bench.spent import Spent, postmaster
from kompass.readstore.embedded import EmbeddedPostgres
from replication.store.couchdb.setup import validation

SMALL, LARGE = 10 * OWN, 100 * OWN
"""Documents in the database, of which `OWN` are the salesman's."""
GOAL = 0.7
APIS = 2
CLIENTS = 4
READ_SECONDS = 3.0
READY_SECONDS = 120.0
PREFIX = "bench-cluster-"
SERVICE = "bench-cluster"


@dataclass(frozen=True)
class Topology:
    """A cluster with a leader and some API processes."""

    urls: list[str]
    pids: dict[str, int]
    """By what the process is."""
    settings: dict[str, str]
    """Variables by which another process belongs to it."""


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
        urls: list[str] = []
        pids = {"index": index.pid, "PostgreSQL": postmaster(Path(place, "postgres"))}
        for number in range(apis):
            port = free_port()
            url = f"http://bench:bench@127.0.0.1:{port}"
            where = ["--host", "127.0.0.1", "--port", str(port), "--data", str(Path(place, f"api{number}"))]
            running = stack.enter_context(
                process_of([*command, "api", *where], "api", port, place, url, **settings)
            )
            _until_ready(port)
            urls.append(url)
            assert running.pid is not None
            pids[f"API {number + 1}"] = running.pid
        yield Topology(urls, pids, settings)


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


Figure = tuple[float, dict[str, float]]
"""Documents per second, and by process the milliseconds of a core that each of them took."""


def several_pushes(sides: Sequence[Side]) -> float:
    """New documents per second, four clients at once, spread over servers."""
    clients = [sides[number % len(sides)].another() for number in range(CLIENTS)]
    batches = [client.new_documents() for client in clients]
    documents = sum(batch.documents for some in batches for batch in some)
    started = time.perf_counter()
    _at_once([partial(client.send, some) for client, some in zip(clients, batches, strict=True)])
    return documents / (time.perf_counter() - started)


def reads(urls: Sequence[str], path: str, body: bytes) -> float:
    """Documents per second by `_bulk_get`, `PAGE` at a time as a PouchDB asks, four clients at once, spread
    over servers.
    """
    counts = [0] * CLIENTS
    stop = time.perf_counter() + READ_SECONDS

    def read(number: int) -> None:
        client = Client(Target(urls[number % len(urls)]))
        while time.perf_counter() < stop:
            client.call("POST", f"{path}/_bulk_get?revs=true&latest=true", body)
            counts[number] += PAGE
        client.close()

    _at_once([lambda number=number: read(number) for number in range(CLIENTS)])  # type: ignore[misc]
    return sum(counts) / READ_SECONDS


def _wanted(side: Side) -> bytes:
    """A request for a page of the salesman's documents."""
    own = {str(doc["_id"]) for doc in side.data.documents if doc.get("customerId") == side.data.own}
    rows = side.another().admin.json("GET", f"{side.path}/_all_docs")["rows"]
    found = [{"id": row["id"], "rev": row["value"]["rev"]} for row in rows if row["id"] in own]
    return json.dumps({"docs": found[:PAGE]}).encode()


def _at_once(work: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run(couchdb: str, rounds: int) -> None:
    """Prints the figures."""
    print(f"sync of the disk {sync_time():.2f} ms; everything on one machine, {os.cpu_count()} cores")
    data = data_of(LARGE)
    with topology(couchdb, APIS) as made:
        small = Data(_first(data), data.own, data.customers)
        sides = [Side(Running("API 1", made.urls[0], None), small, product=True)]
        sides += [sides[0].at(Running("API", url, None)) for url in made.urls[1:]]
        _own_feed(sides[0], data, rounds)
        plain = Side(Running("CouchDB", couchdb, None), data, product=False)
        guarded = Side(Running("CouchDB", couchdb, None), data, product=False, database="bench_guarded")
        service = plain.running.url.partition("//")[2].partition(":")[0]
        guarded.admin.json(
            "PUT",
            f"{guarded.path}/_design/gate",
            {"language": "javascript", "validate_doc_update": validation(service)},
        )
        try:
            spent = Spent(made.pids, urlsplit(couchdb).port or 80)
            _compare("pushes", rounds, spent, several_pushes, sides, plain, guarded)
            _compare("`_bulk_get`", rounds, spent, _read_all, sides, plain, guarded)
        finally:
            plain.clean()
            guarded.clean()


def _first(data: Data) -> list[dict[str, object]]:
    """The salesman's documents, all customers, and others up to `SMALL`."""
    known = {data.own, *data.customers}
    first = [doc for doc in data.documents if doc["_id"] in known or doc.get("customerId") == data.own]
    chosen = {doc["_id"] for doc in first}
    rest = [doc for doc in data.documents if doc["_id"] not in chosen]
    return first + rest[: SMALL - len(first)]


def _own_feed(side: Side, data: Data, rounds: int) -> None:
    """What a person's documents cost him in a database that is ten times as large."""
    there = {doc["_id"] for doc in side.data.documents}
    rest = [doc for doc in data.documents if doc["_id"] not in there]
    first = _devices(side, rounds)
    for start in range(0, len(rest), BATCH):
        side.admin.json("POST", f"{side.path}/_bulk_docs", {"docs": rest[start : start + BATCH]})
    second = _devices(side.another(), rounds)  # the first one's connection has been silent for long
    print(
        f"`_changes` and `_bulk_get` of a salesman's {OWN} documents: {first * 1000:.0f} ms among {SMALL:,},"
        f" {second * 1000:.0f} ms among {LARGE:,}: {second / first:.2f}x for ten times the documents"
    )


def _devices(side: Side, rounds: int) -> float:
    """Seconds that the fastest of some empty devices takes: others may have had the cores meanwhile."""
    return min(empty_device(side, OWN) for _ in range(10 * rounds))


def _read_all(sides: Sequence[Side]) -> float:
    body = _wanted(sides[0])
    return reads([side.url_of(side.running.url) for side in sides], sides[0].path, body)


def _compare(
    name: str,
    rounds: int,
    spent: Spent,
    work: Callable[[Sequence[Side]], float],
    sides: Sequence[Side],
    plain: Side,
    guarded: Side,
) -> None:
    """A table: in turns, each server alone at work."""
    who: dict[str, Sequence[Side]] = {
        "one API process": sides[:1],
        f"{len(sides)} API processes": sides,
        "CouchDB alone, validating": [guarded],
        "CouchDB alone": [plain],
    }
    figures: dict[str, list[Figure]] = {one: [] for one in who}
    turns = list(who.items())
    for _ in range(rounds):
        for one, some in turns:
            before, started = spent.now(), time.perf_counter()
            rate = work(some)
            documents = rate * (time.perf_counter() - started)
            figures[one].append((rate, spent.since(before, documents)))
            time.sleep(1)
        turns.reverse()  # CouchDB still compacts when the next one begins
    rates = {one: statistics.median(rate for rate, _ in found) for one, found in figures.items()}
    alone, validating = rates["CouchDB alone"], rates["CouchDB alone, validating"]
    print(f"\n| {name}, {CLIENTS} clients, 100 at a time | docs/s | of CouchDB | of it validating |")
    print("|---|---:|---:|---:|")
    for one, rate in rates.items():
        print(f"| {one} | {rate:,.0f} | {rate / alone:.2f}x | {rate / validating:.2f}x |")
    print(
        f"goal {GOAL:g}x; {len(sides)} processes serve"
        f" {rates[f'{len(sides)} API processes'] / rates['one API process']:.2f}x of one"
        " (goal 1.7x of reads, with a core for each of them and for the clients)"
    )
    for one, found in figures.items():
        costs = {group: statistics.median(cost[group] for _, cost in found) for group in found[0][1]}
        shown = ", ".join(f"{group} {cost:.2f}" for group, cost in costs.items() if cost >= 0.005)
        print(f"{one}: ms of a core for each document: {shown}", flush=True)

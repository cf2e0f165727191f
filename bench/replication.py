"""Building a view over 20,000 documents, and replicating them between two servers.

The peer replicates between two of its databases, each by its URL, as two of its servers would; ours
between two processes. Memory is the largest sum of a server and its workers seen on the way.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.client import Client, Target
from bench.engine import BATCH, Row, documents
from bench.servers import Running, our_server, peer, proportional_memory

MAP = "function (doc) { /* %d */ if (doc.city) { emit([doc.city, doc.number], doc.value); } }"


class Side:
    """A server with the documents in its database `bench_source`."""

    def __init__(self, running: Running, docs: list[dict[str, object]]) -> None:
        self.running = running
        self.count = len(docs)
        self.client = Client(Target(running.url))
        self.path = self.client.fresh_database("bench_source")
        for start in range(0, len(docs), BATCH):
            self.client.json("POST", f"{self.path}/_bulk_docs", {"docs": docs[start : start + BATCH]})
        self._views = 0

    def build_view(self) -> float:
        """Documents per second until a new view answers."""
        self._views += 1
        # A different text for each round: an index is known by its function.
        view = {"map": MAP % self._views, "reduce": "_count"}
        path = f"{self.path}/_design/bench{self._views}"
        self.client.json("PUT", path, {"views": {"by_city": view}})
        started = time.perf_counter()
        answer = self.client.json("GET", f"{path}/_view/by_city")
        seconds = time.perf_counter() - started
        assert answer["rows"][0]["value"] == self.count
        return self.count / seconds

    def pull(self, source: Side) -> float:
        """Documents per second replicated from `source` into a new database here."""
        path = self.client.fresh_database("bench_target")
        job = {"source": f"{source.running.url}/bench_source", "target": f"{self.running.url}{path}"}
        started = time.perf_counter()
        answer: dict[str, Any] = self.client.json("POST", "/_replicate", job)
        seconds = time.perf_counter() - started
        assert answer["ok"]
        info = self.client.json("GET", path)
        assert info["doc_count"] >= source.count, info
        return source.count / seconds

    def clean(self) -> None:
        for name in ("bench_source", "bench_target"):
            try:
                self.client.call("DELETE", f"/{name}")
            except RuntimeError:
                continue


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


@contextmanager
def watched(pids: list[int]) -> Iterator[Callable[[], float]]:
    """The largest memory in MB that one of the servers, workers included, had so far."""
    largest = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not done.wait(0.1):
            for pid in pids:
                try:
                    largest = max(largest, sum(proportional_memory(member) for member in _family(pid)))
                except (OSError, RuntimeError):
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: largest
    finally:
        done.set()
        thread.join()


def compare(count: int, rounds: int, peer_url: str | None) -> tuple[list[Row], float]:
    """The rows of the table, and our memory in MB."""
    docs = documents(count)
    with our_server() as first, our_server() as second, peer(peer_url) as other:
        ours, far = Side(first, docs), Side(second, docs[:1000])
        theirs = Side(other, docs) if other else None
        pids = [running.pid for running in (first, second) if running.pid is not None]
        with watched(pids) as memory:
            views = [(ours.build_view(), theirs.build_view() if theirs else None) for _ in range(rounds)]
            pulls = [(far.pull(ours), theirs.pull(theirs) if theirs else None) for _ in range(rounds)]
            largest = memory()
        if theirs:
            theirs.clean()
    return [
        _row("building a view", "docs/s", views, 1),
        _row("replicating between two servers", "docs/s", pulls, 3),
    ], largest


def _row(name: str, unit: str, pairs: list[tuple[float, float | None]], goal: float) -> Row:
    theirs = [value for _, value in pairs if value is not None]
    return Row(
        name,
        unit,
        statistics.median(value for value, _ in pairs),
        statistics.median(theirs) if theirs else None,
        goal,
    )

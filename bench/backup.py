"""Backups of a running cluster: what they take, what they store, and what they cost its writers.

Writers push with backups running one after the other beside them and without, in turns. Everything runs on
one machine, so a backup takes processors from the writers, which that of another machine doesn't.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.access import OWN, Side, data_of
from bench.cluster import APIS, several_pushes, topology
from bench.servers import Running, sync_time

DOCUMENTS = 40 * OWN


def run(couchdb: str, rounds: int) -> None:
    """Prints the figures."""
    print(f"sync of the disk {sync_time():.2f} ms; everything on one machine, {os.cpu_count()} cores")
    data = data_of(DOCUMENTS)
    with topology(couchdb, APIS) as made, tempfile.TemporaryDirectory(prefix="bench-backup-") as name:
        place = Path(name)
        (place / "key").write_text("korrekt pferd batterie")

        def backup() -> dict[str, Any]:
            words = [sys.executable, "-m", "kompass", "backup", "--json", "--data", str(place / "copies")]
            words += ["--repository", str(place / "repository"), "--key-file", str(place / "key")]
            done = subprocess.run(words, env={**os.environ, **made.settings}, check=True, capture_output=True)
            value: dict[str, Any] = json.loads(done.stdout)
            return value

        first = Side(Running("API 1", made.urls[0], None), data, product=True)
        sides = [first, *(first.at(Running("API", url, None)) for url in made.urls[1:])]
        _tell(f"the first one, {DOCUMENTS:,} documents", [backup()])
        _tell("nothing has changed", [backup() for _ in range(rounds)])
        _beside(sides, backup, rounds)


def _beside(sides: Sequence[Side], backup: Callable[[], dict[str, Any]], rounds: int) -> None:
    alone, beside = [], []
    backups: list[dict[str, Any]] = []
    several_pushes(sides)
    for _ in range(rounds):
        alone.append(several_pushes(sides))
        with _again_and_again(lambda: backups.append(backup())):
            beside.append(several_pushes(sides))
    _tell("while four clients push", backups)
    print(
        f"pushes per second: {statistics.median(alone):.0f} without backups,"
        f" {statistics.median(beside):.0f} while one follows the other:"
        f" {statistics.median(beside) / statistics.median(alone):.2f}x"
    )


@contextmanager
def _again_and_again(work: Callable[[], None]) -> Iterator[None]:
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tell(what: str, backups: Sequence[dict[str, Any]]) -> None:
    def median(name: str) -> float:
        return statistics.median(float(one[name]) for one in backups)

    print(
        f"{what}: {median('bytes') / 1e6:.1f} MB in files, {median('new_bytes') / 1e6:.2f} MB stored,"
        f" {median('seconds'):.1f} s, writers held for {1000 * median('pause'):.1f} ms"
        f" ({len(backups)} backups)"
    )

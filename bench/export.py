"""Contracts as files: how long they take over REST and by `kompass export`, and the server's memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil

from bench.servers import Running, our_product, proportional_memory
from kompass.domain.examples import full

BATCH = 1000
CUSTOMERS = 5000
BOSS = ("gf1", "bench-password-1")
FORMS = ("csv", "xlsx", "json", "ndjson", "parquet")
NAMED = "contracts/export?profile=lexware-contracts"


def stored(source: Random, doctype: str, number: int, **members: Any) -> dict[str, Any]:
    """A document with every field of its type."""
    body = {key: value for key, value in full(doctype).items() if key not in ("_rev", "_attachments")}
    docid = f"{doctype}-{uuid.UUID(int=source.getrandbits(128), version=4)}"
    at = f"2026-01-{number % 28 + 1:02}T08:00:00.{number % 1000:03}Z"
    body |= {"_id": docid, "createdAt": at, "modifiedAt": at}
    # What every document of this kind has: no sealed history, no signatures' images.
    for name in ("changeLog", "erasures", "immutableAttachments", "attachments"):
        body.pop(name, None)
    return {**body, **members}


def customers_of(source: Random, most: int) -> Iterator[dict[str, Any]]:
    for number in range(min(CUSTOMERS, most)):
        name = f"Hofladen {number} Süß & Söhne GmbH"
        yield stored(source, "customer", number, companyName=name, customerNumber=f"K-{number:05}")


def _documents(rows: int, source: Random) -> Iterator[dict[str, Any]]:
    customers = []
    for one in customers_of(source, rows):
        customers.append(one["_id"])
        yield one
    for number in range(rows):
        value = number % 90_000 + 0.5
        yield stored(
            source,
            "contract",
            number,
            contractNumber=f"V-2026-{number:05}",
            customerId=customers[number % len(customers)],
            contractValueEur=value,
            status="signed",
        )


def filled(running: Running, documents: Iterable[dict[str, Any]]) -> httpx.Client:
    """Who reads all of the documents, which are there now."""
    with httpx.Client(base_url=running.url, timeout=300) as admin:
        user = {"name": BOSS[0], "type": "user", "roles": ["GF"], "password": BOSS[1]}
        assert admin.put(f"/_users/org.couchdb.user:{BOSS[0]}", json=user).status_code == 201
        batch: list[dict[str, Any]] = []
        for document in documents:
            batch.append(document)
            if len(batch) == BATCH:
                _write(admin, batch)
                batch = []
        _write(admin, batch)
    return httpx.Client(base_url=running.url.replace("bench:bench@", ""), auth=BOSS, timeout=600)


def _write(admin: httpx.Client, batch: list[dict[str, Any]]) -> None:
    answer = admin.post("/kompass/_bulk_docs", json={"docs": batch})
    refused = [one for one in answer.json() if "error" in one]
    assert not refused, refused[0]


@contextmanager
def watched(pid: int) -> Iterator[list[float]]:
    """The largest memory of a process meanwhile, in MB."""
    found = [proportional_memory(pid)]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            found[0] = max(found[0], proportional_memory(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def taken(client: httpx.Client, path: str, method: str = "GET") -> tuple[int, float]:
    """Bytes, and seconds until the first of them."""
    started, size, first = time.perf_counter(), 0, 0.0
    with client.stream(method, f"/api/v1/{path}") as answer:
        assert answer.status_code == 200, answer.read()
        for piece in answer.iter_raw():
            first = first or time.perf_counter() - started
            size += len(piece)
    return size, first


def _by_command(url: str, form: str) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "file")
        command = [sys.executable, "-m", "kompass", "export", "contracts", "--format", form]
        command += ["--output", str(file), "--server", url, "--user", BOSS[0], "--password", BOSS[1]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return file.stat().st_size, 0.0


def run(rows: int, forms: tuple[str, ...] = FORMS) -> None:
    """Prints a table."""
    with our_product() as running:
        client = filled(running, _documents(rows, Random(1)))
        with client:
            started = time.perf_counter()
            client.get("/api/v1/contracts?sort=createdAt&limit=1").raise_for_status()
            seconds = time.perf_counter() - started
            print(f"{rows} contracts; the index by which they are sorted took {seconds:.1f} s")
            url = running.url.replace("bench:bench@", "")
            whats: list[tuple[str, What]] = [
                (form, partial(taken, client, f"contracts/export?format={form}")) for form in forms
            ]
            whats.append(("lexware-contracts", partial(taken, client, NAMED)))
            whats += [(f"kompass export --format {form}", partial(_by_command, url, form)) for form in forms]
            measured(running, whats)


What = Callable[[], tuple[int, float]]
"""Makes something; bytes, and seconds until the first of them."""


def measured(running: Running, whats: Sequence[tuple[str, What]]) -> None:
    """Prints a table."""
    assert running.pid is not None
    server = psutil.Process(running.pid)
    print("| file | seconds | server's processor | to the first byte | MB | server at rest | at most |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, make in whats:
        rest = proportional_memory(running.pid)
        with watched(running.pid) as most:
            started, worked = time.perf_counter(), sum(server.cpu_times()[:2])
            size, first = make()
            seconds = time.perf_counter() - started
            worked = sum(server.cpu_times()[:2]) - worked
        memory = f"{rest:.0f} | {most[0]:.0f} |"
        print(
            f"| {name} | {seconds:.1f} | {worked:.1f} | {first:.1f} | {size / 1e6:.1f} | {memory}",
            flush=True,
        )

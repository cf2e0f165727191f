"""What the read store takes in, and how long its reports take: at the size of the large demo."""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import psycopg

from kompass.access import DEFAULT, Relation, Role, document_channels, principal_channels, relations
from kompass.access.audiences import Channel
from kompass.access.companions import cards, companion_id
from kompass.demo import generate
from kompass.demo.people import PEOPLE
from kompass.feed.sink import Batch, Change, Checkpoint, PersonAccess
from kompass.readstore.place import Embedded, embedded_dsn
from kompass.readstore.reports import REPORTS
from kompass.readstore.sink import PostgresSink
from kompass.settings_values import DemoSize

BATCH = 1000
INVOICES = 7500
ROUNDS = 5
GOAL_RATE = 3000
GOAL_REPORT = 200

Document = dict[str, Any]


class _Documents:
    """The parents of documents among all of them."""

    def __init__(self, documents: Mapping[str, Document]) -> None:
        self._documents = documents

    def document(self, docid: str) -> Mapping[str, Any] | None:
        return self._documents.get(docid)

    def channels(self, docid: str) -> frozenset[Channel] | None:
        doc = self._documents.get(docid)
        return None if doc is None else document_channels(doc, self)


def documents(size: DemoSize) -> Iterator[Document]:
    """The demo's documents, with what the server makes of them, and with invoices."""
    source = random.Random(7)
    customers = []
    for doc in generate(size):
        doc.pop("_attachments", None)
        if doc["type"] == "customer":
            customers.append(doc["_id"])
        if doc["type"] == "offer" and source.random() < 0.5:
            doc["status"] = "accepted"
            yield {
                "_id": companion_id("offer_margin", doc["_id"]), "type": "offer_margin",
                "offerId": doc["_id"], "costBasisEur": source.randint(100, 5000),
            }  # fmt: skip
        if doc["type"] == "project":
            yield {
                "_id": companion_id("project_costs", doc["_id"]), "type": "project_costs",
                "projectId": doc["_id"], "actualTotalCost": source.randint(100, 50_000),
                "actualMaterialCost": 100,
            }  # fmt: skip
        yield doc
        yield from cards(doc)
    for number in range(INVOICES if size is DemoSize.LARGE else 100):
        unique = UUID(int=source.getrandbits(128), version=4)
        net = source.randint(100, 50_000)
        invoice = {
            "_id": f"invoice-{unique}", "type": "invoice", "invoiceNumber": f"R-2026-{number:05}",
            "customerId": source.choice(customers), "status": source.choice(["paid", "sent", "overdue"]),
            "invoiceDate": f"2026-{source.randint(1, 10):02}-15",
            "dueDate": f"2026-{source.randint(1, 12):02}-15",
        }  # fmt: skip
        yield invoice
        yield from cards(invoice)
        yield {
            "_id": f"invoice-amount-{unique}", "type": "invoice_amount", "invoiceId": invoice["_id"],
            "netAmount": net, "taxAmount": round(net * 0.19, 2), "grossAmount": round(net * 1.19, 2),
        }  # fmt: skip


def _processor_seconds() -> tuple[float, float]:
    """What this process has used, and what its PostgreSQL has; its writers and cleaners included."""
    theirs = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            theirs += used.user + used.system
    return time.process_time(), theirs


def _people(stated: frozenset[Relation]) -> list[PersonAccess]:
    found = []
    for person in PEOPLE:
        roles = frozenset({Role(person.role)})
        channels = principal_channels(person.login, roles, stated, DEFAULT)
        found.append(PersonAccess(person.login, True, frozenset({person.role}), channels))
    return found


def run(size: DemoSize) -> None:
    """Prints the figures."""
    directory = Path(tempfile.mkdtemp(prefix="kompass-bench-"))
    directory.chmod(0o711)
    try:
        asyncio.run(_run(size, directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _run(size: DemoSize, directory: Path) -> None:
    every = {doc["_id"]: doc for doc in documents(size)}
    parents = _Documents(every)
    changes = [
        Change(doc["_id"], number, f"1-{number:032x}", doc, document_channels(doc, parents))
        for number, doc in enumerate(every.values(), start=1)
    ]
    stated = frozenset(one for doc in every.values() for one in relations(doc))
    people = _people(stated)
    sink = PostgresSink(Embedded(directory / "postgres"))
    try:
        started = time.perf_counter()
        await sink.open()
        print(f"a new PostgreSQL with its tables is there after {time.perf_counter() - started:.1f} s")
        # Into a generation beside the live one, as a rebuild does.
        next_one = await sink.rebuilding()
        started, busy = time.perf_counter(), _processor_seconds()
        for start in range(0, len(changes), BATCH):
            part = changes[start : start + BATCH]
            at = Checkpoint("bench", str(part[-1].position), part[-1].position)
            await next_one.apply(Batch(part, at, people if start == 0 else ()))
        seconds = time.perf_counter() - started
        rate = len(changes) / seconds
        ours, theirs = (after - before for after, before in zip(_processor_seconds(), busy, strict=True))
        print(
            f"rebuild: {len(changes):,} documents in {seconds:.1f} s, {rate:,.0f} docs/s (goal {GOAL_RATE:,})"
        )
        each = 1e6 / len(changes)
        print(
            f"a document costs {ours * each:.0f} µs of a processor here, {theirs * each:.0f} µs in PostgreSQL"
        )
        await next_one.switch()
        started = time.perf_counter()
        assert isinstance(next_one, PostgresSink)
        await next_one.refresh()
        print(f"figures over everything, worked out anew: {(time.perf_counter() - started) * 1000:.0f} ms")
        singles = []
        for number, change in enumerate(changes[:200]):
            position = len(changes) + number + 1
            one = Change(change.id, position, "2-a", change.doc, change.channels)
            started = time.perf_counter()
            await next_one.apply(Batch([one], Checkpoint("bench", str(position), position)))
            singles.append((time.perf_counter() - started) * 1000)
        singles.sort()
        print(f"a batch of one: {statistics.median(singles):.1f} ms (half), {singles[189]:.1f} ms (95 %)")
        dsn = embedded_dsn(directory / "postgres")
        assert dsn is not None
        with psycopg.connect(dsn) as connection:
            _reports(connection)
        await next_one.close()
    finally:
        await sink.close()


def _reports(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    views = [report.view for report in REPORTS.values()]
    views += ["fact_sales", "fact_projects", "fact_interactions", "fact_invoices", "fact_project_costs"]
    names = [person.login for person in PEOPLE if person.role in ("ADM", "PLAN", "BUCH", "GF")]
    print(f"\n| ms, median of {ROUNDS} (goal {GOAL_REPORT}) | " + " | ".join(names) + " |")
    print("|---|" + "---:|" * len(names))
    for view in views:
        cells = []
        for name in names:
            times, rows = [], 0
            for _ in range(ROUNDS):
                with connection.transaction():
                    connection.execute("SET LOCAL ROLE kompass_people")
                    connection.execute("SELECT set_config('kompass.person', %s, true)", (name,))
                    started = time.perf_counter()
                    rows = len(connection.execute(f"SELECT * FROM kompass.{view}").fetchall())
                    times.append((time.perf_counter() - started) * 1000)
            cells.append(f"{statistics.median(times):.0f} ({rows:,})")
        print(f"| {view} (rows) | " + " | ".join(cells) + " |", flush=True)

"""What it costs that every write enters the chain: the same pushes through two gates, one without a chain."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path as File
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from bench.access import Side, data_of, make_customer, make_id, make_location
from bench.servers import our_product
from kompass.access import Principal, Role
from kompass.audit import AuditExtension
from kompass.audit.checkpoints import Signer
from kompass.audit.signing import SigningKeys
from kompass.business import BusinessRules
from kompass.sync.gate.gate import Gate
from kompass.sync.opening import DATABASE, extensions, feed_index, open_gate
from kompass.texts import TextFile
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path
from replication.store.sqlite import Several, SqliteDatabase, SqliteStore

BATCH = 1000
LOCATIONS = 5
"""Of a customer."""
USER = Principal("innen1", frozenset({Role.INNEN}), "tablet")
SALESMAN = "adm1"


@dataclass
class _Side:
    store: SqliteStore
    gate: Gate

    @classmethod
    async def open(cls, directory: File, *, chained: bool) -> _Side:
        index = feed_index()
        audit = AuditExtension(Signer(SigningKeys(TextFile(directory / "keys.json"))))
        made = dict(extensions(index, audit=audit))
        if not chained:
            documents = made[DATABASE]
            assert isinstance(documents, Several)
            made[DATABASE] = Several(*(one for one in documents.extensions if one is not audit))
        store = await SqliteStore.open(directory, extensions=made)
        database = await store.create(DATABASE)
        assert isinstance(database, SqliteDatabase)
        for name, role in ((USER.name, Role.INNEN), (SALESMAN, Role.ADM)):
            person = {"type": "user", "name": name, "roles": [role], "active": True}
            await database.write([DocumentWrite(f"user-{name}", False, orjson.dumps(person))])
        gate = await open_gate(store, index, business=BusinessRules(), audit=audit if chained else None)
        return cls(store, gate)

    async def push(self, docs: list[DocumentWrite]) -> float:
        """Microseconds of the processor for a document: other programs don't count, nor does the disk."""
        started = time.process_time()
        results = await self.gate.write(USER, docs, replicated=True)
        seconds = time.process_time() - started
        refused = [one for one in results if not isinstance(one, str)]
        assert not refused, refused[0]
        return seconds / len(docs) * 1e6


def _pushed(body: dict[str, object], path: Path) -> DocumentWrite:
    members = {name: value for name, value in body.items() if name != "_id"}
    return DocumentWrite(str(body["_id"]), False, orjson.dumps(members), path=path)


def _rounds(
    count: int, source: Random
) -> tuple[list[DocumentWrite], list[list[DocumentWrite]], list[list[DocumentWrite]]]:
    """Customers, batches of their locations, and batches in which each of these is changed."""
    customers = [make_id("customer", source) for _ in range(count * BATCH // LOCATIONS)]
    first = [
        _pushed(make_customer(docid, number, SALESMAN), Path(1, [source.randbytes(16).hex()]))
        for number, docid in enumerate(customers)
    ]
    news: list[list[DocumentWrite]] = []
    edits: list[list[DocumentWrite]] = []
    for batch in range(count):
        news.append([])
        edits.append([])
        for place in range(BATCH):
            number = batch * BATCH + place
            owner = customers[number // LOCATIONS]
            body: dict[str, Any] = make_location(owner, number, make_id("location", source), "innen1")
            names = [source.randbytes(16).hex() for _ in range(2)]
            news[-1].append(_pushed(body, Path(1, names[:1])))
            time_of_edit = "2026-01-16T08:00:00.000Z"
            changed = {**body, "deliveryNotes": "Tor 2", "version": 2, "modifiedAt": time_of_edit}
            edits[-1].append(_pushed(changed, Path(2, names[::-1])))
    return first, news, edits


async def _compare(rounds: int) -> dict[str, tuple[float, float]]:
    first, news, edits = _rounds(rounds, Random(7))
    with TemporaryDirectory() as plain, TemporaryDirectory() as chained:
        sides = [await _Side.open(File(plain), chained=False), await _Side.open(File(chained), chained=True)]
        times: dict[str, list[list[float]]] = {}
        for side in sides:
            await side.gate.database.write(first, replicated=True)
        for what, batches in (("new documents", news), ("edits", edits)):
            times[what] = [[], []]
            for number, batch in enumerate(batches):
                order = (0, 1) if number % 2 else (1, 0)  # whoever comes second finds a warmer machine
                for which in order:
                    copies = [DocumentWrite(d.id, d.deleted, d.body, path=d.path) for d in batch]
                    times[what][which].append(await sides[which].push(copies))
        for side in sides:
            await side.store.close()
    return {what: (min(a), min(b)) for what, (a, b) in times.items()}


def run(rounds: int) -> None:
    """Prints the best rounds' microseconds of a document, without and with the chain."""
    found = asyncio.run(_compare(rounds))
    print("| pushed through the gate, 1,000 at a time | without | with the chain | more |")
    print("|---|---:|---:|---:|")
    for what, (without, chained) in found.items():
        print(f"| {what} | {without:.0f} µs | {chained:.0f} µs | {(chained / without - 1) * 100:.0f} % |")
    print("| pushed over HTTP, 100 at a time | without | with the chain | more |")
    print("|---|---:|---:|---:|")
    for what, (without, chained) in _served(rounds).items():
        print(f"| {what} | {without:.0f} µs | {chained:.0f} µs | {(chained / without - 1) * 100:.0f} % |")


def _served(rounds: int) -> dict[str, tuple[float, float]]:
    """The whole write path: the best rounds' microseconds of a document as a device waits for them."""
    data = data_of(1000)
    found: dict[str, tuple[list[float], list[float]]] = {"new documents": ([], []), "edits": ([], [])}
    with our_product("bench.without_chain") as plain, our_product() as chained:
        sides = [Side(plain, data, product=True), Side(chained, data, product=True)]
        for number in range(rounds):
            for which in (0, 1) if number % 2 else (1, 0):
                found["new documents"][which].append(1e6 / sides[which].push())
                found["edits"][which].append(1e6 / sides[which].push_edits())
    return {what: (min(a), min(b)) for what, (a, b) in found.items()}

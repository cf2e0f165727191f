"""What it costs that every write enters the chain: the same pushes through two gates, one without a chain."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from dataclasses import dataclass
from pathlib import Path as File
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from bench.access import make_customer, make_location
from kompass.access import Principal, Role
from kompass.audit import AuditExtension
from kompass.audit.checkpoints import Signer
from kompass.audit.signing import SigningKeys
from kompass.business import BusinessExtension, BusinessRules
from kompass.sync import quarantine
from kompass.sync.gate.gate import Gate
from kompass.sync.index import FeedIndex
from kompass.sync.index.rules import MatrixRules
from kompass.sync.quarantine import Quarantine, QuarantineIndex
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path
from replication.store.sqlite import Extension, Several, SqliteDatabase, SqliteStore

BATCH = 1000
USER = Principal("innen1", frozenset({Role.INNEN}), "tablet")
SALESMAN = "adm1"


@dataclass
class _Side:
    store: SqliteStore
    gate: Gate

    @classmethod
    async def open(cls, directory: File, *, chained: bool) -> _Side:
        index = FeedIndex("kompass", MatrixRules())
        audit = AuditExtension(Signer(SigningKeys(directory / "keys.json"))) if chained else None
        extensions: list[Extension] = [BusinessExtension(index.keyed_revision), index]
        if audit is not None:
            extensions.append(audit)
        store = await SqliteStore.open(
            directory,
            extensions={"kompass": Several(*extensions), quarantine.DATABASE: QuarantineIndex()},
        )
        database = await store.create("kompass")
        assert isinstance(database, SqliteDatabase)
        for name, role in ((USER.name, Role.INNEN), (SALESMAN, Role.ADM)):
            person = {"type": "user", "name": name, "roles": [role], "active": True}
            await database.write([DocumentWrite(f"user-{name}", False, orjson.dumps(person))])
        gate = Gate(database, index, await Quarantine.open(store), business=BusinessRules(), audit=audit)
        await gate.prepare()
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
    customer = f"customer-{uuid.UUID(int=source.getrandbits(128), version=4)}"
    first = _pushed(make_customer(customer, 0, SALESMAN), Path(1, [source.randbytes(16).hex()]))
    news, edits = [], []
    for number in range(count):
        new, edit = [], []
        for place in range(BATCH):
            docid = f"location-{uuid.UUID(int=source.getrandbits(128), version=4)}"
            body: dict[str, Any] = make_location(customer, number * BATCH + place, docid, "innen1")
            names = [source.randbytes(16).hex() for _ in range(2)]
            new.append(_pushed(body, Path(1, names[:1])))
            changed = {
                **body,
                "deliveryNotes": "Tor 2",
                "version": 2,
                "modifiedAt": "2026-01-16T08:00:00.000Z",
            }
            edit.append(_pushed(changed, Path(2, names[::-1])))
        news.append(new)
        edits.append(edit)
    return [first], news, edits


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
    return {what: (statistics.median(a), statistics.median(b)) for what, (a, b) in times.items()}


def run(rounds: int) -> None:
    """Prints microseconds of a document, without and with the chain."""
    found = asyncio.run(_compare(rounds))
    print("| pushed through the gate, 1,000 at a time | without | with the chain | more |")
    print("|---|---:|---:|---:|")
    for what, (without, chained) in found.items():
        print(f"| {what} | {without:.0f} µs | {chained:.0f} µs | {(chained / without - 1) * 100:.0f} % |")

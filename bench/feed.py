"""How soon a write is in each copy of the documents, how fast a copy is built, and how fast it catches up.

The server is a process; the consumer runs here, with every sink this installation has, each wrapped to note
when it has stored what. From the answer of a write to the end of the sink's commit that has it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import orjson
from pydantic import SecretStr

from bench.access import make_customer, make_id, make_location
from bench.servers import our_product
from kompass.feed.follower import Follower
from kompass.feed.ledger import Ledger
from kompass.feed.registry import present
from kompass.feed.sink import Batch, Sink
from kompass.feed.source import Source
from kompass.feed.steady import SteadySink
from kompass.settings import Settings

SECRET = uuid.uuid4().hex + uuid.uuid4().hex
BATCH = 1000
LOCATIONS = 5


class Timed(SteadySink):
    """Notes when each revision was stored."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self.stored: dict[tuple[str, str], float] = {}
        self.documents = 0
        self.position = 0

    async def apply(self, batch: Batch) -> None:
        await super().apply(batch)
        now = time.perf_counter()
        for change in batch.changes:
            self.stored.setdefault((change.id, change.rev), now)
        self.documents += len(batch.changes)
        self.position = batch.checkpoint.position


@dataclass
class Bench:
    url: str
    client: httpx.AsyncClient
    directory: Path
    sinks: dict[str, Timed]
    ledger: Ledger
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def follow(self, name: str) -> None:
        async def following() -> None:
            async with Source(self.url, SECRET) as source:
                await Follower(self.sinks[name], source, self.ledger).run()

        self.running[name] = asyncio.create_task(following())

    async def stop(self, name: str) -> None:
        task = self.running.pop(name)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def update_seq(self) -> int:
        answer = (await self.client.get("/kompass")).raise_for_status().json()
        return int(str(answer["update_seq"]).partition("-")[0])

    async def caught_up(self, name: str) -> float:
        """Seconds until the sink has all that is there now."""
        began, target = time.perf_counter(), await self.update_seq()
        while self.sinks[name].position < target:  # noqa: ASYNC110 - looks at what another task counts
            await asyncio.sleep(0.01)
        return time.perf_counter() - began

    async def fill(self, documents: int) -> None:
        """Customers with locations."""
        source = Random(7)
        for first in range(0, documents, BATCH):
            docs = []
            for number in range(first, min(first + BATCH, documents), LOCATIONS + 1):
                customer = make_id("customer", source)
                docs.append(_agreed(make_customer(customer, number, f"adm{number % 20}")))
                for each in range(LOCATIONS):
                    docid = make_id("location", source)
                    docs.append(make_location(customer, number + each, docid, "adm1"))
            answer = await self.client.post("/kompass/_bulk_docs", content=orjson.dumps({"docs": docs}))
            refused = [row for row in answer.raise_for_status().json() if "ok" not in row]
            assert not refused, refused[:2]

    async def write(self, seconds: float, rate: int) -> dict[tuple[str, str], float]:
        """Writes single documents at a rate; when each was acknowledged."""
        acknowledged: dict[tuple[str, str], float] = {}
        source = Random()
        customer = make_id("customer", source)
        body = orjson.dumps(_agreed(make_customer(customer, 1, "adm1")))
        (await self.client.put(f"/kompass/{customer}", content=body)).raise_for_status()

        async def one(number: int) -> None:
            docid = make_id("location", source)
            body = orjson.dumps(make_location(customer, number, docid, "adm1"))
            answer = await self.client.put(f"/kompass/{docid}", content=body)
            acknowledged[docid, answer.raise_for_status().json()["rev"]] = time.perf_counter()

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(seconds * rate)):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                group.create_task(one(number))
        return acknowledged


def _agreed(customer: dict[str, object]) -> dict[str, object]:
    """He has consented to whatever a copy may need."""
    return {**customer, "dsgvoConsent": {"aiProcessing": True, "marketing": False, "dataSharing": False}}


@asynccontextmanager
async def _prepared() -> AsyncIterator[Bench]:
    with (
        our_product(KOMPASS_FEED_SECRET=SECRET) as running,
        tempfile.TemporaryDirectory(prefix="bench-feed-", dir=os.environ.get("TMPDIR")) as directory,
    ):
        place = Path(directory)
        url = running.url.replace("bench:bench@", "")
        there, absent = present(Settings(data=place, feed_server=url, feed_secret=SecretStr(SECRET)))
        for name, why in absent.items():
            print(f"no {name}: {why}")
        limits = httpx.Limits(max_connections=20)
        auth = httpx.BasicAuth("bench", "bench")
        headers = {"content-type": "application/json"}
        async with httpx.AsyncClient(
            base_url=url, auth=auth, headers=headers, timeout=120, limits=limits
        ) as client:
            ledger = Ledger(place)
            sinks = {name: Timed(sink) for name, sink in there.items()}
            bench = Bench(url, client, place, sinks, ledger)
            try:
                yield bench
            finally:
                for name in list(bench.running):
                    await bench.stop(name)
                ledger.close()


def run(documents: int, seconds: float, rate: int, away: float) -> None:
    asyncio.run(_run(documents, seconds, rate, away))


async def _run(documents: int, seconds: float, rate: int, away: float) -> None:
    async with _prepared() as bench:
        await bench.fill(documents)
        print(f"\n{documents:,} documents are there; each sink is built from them, alone:")
        for name, sink in bench.sinks.items():
            began = time.perf_counter()
            bench.follow(name)
            await bench.caught_up(name)
            took = time.perf_counter() - began
            count = sink.documents
            print(f"  {name:<12}{count:>9,} documents in {took:6.1f} s: {count / took:7,.0f}/s")
        print(f"\n{rate} single writes a second for {seconds:.0f} s, all sinks at once, seconds till stored:")
        acknowledged = await bench.write(seconds, rate)
        for name in bench.sinks:
            await bench.caught_up(name)
        _tell(bench.sinks, acknowledged)
        if bench.sinks and away:
            name = "readstore" if "readstore" in bench.sinks else next(iter(bench.sinks))
            print(f"\n{name} is away for {away:.0f} s while the others go on at {rate} writes a second:")
            await bench.stop(name)
            missed = await bench.write(away, rate)
            others = {other: sink for other, sink in bench.sinks.items() if other != name}
            for other in others:
                await bench.caught_up(other)
            _tell(others, missed)
            before = bench.sinks[name].documents
            bench.follow(name)
            took = await bench.caught_up(name)
            count = bench.sinks[name].documents - before
            print(f"  {name:<12}{count:>9,} documents caught up in {took:.1f} s")
        dead = sum(bench.ledger.counts().values())
        print(f"\ndocuments that a sink could not store: {dead}")


def _tell(sinks: Mapping[str, Timed], acknowledged: Mapping[tuple[str, str], float]) -> None:
    for name, sink in sinks.items():
        waits = sorted(
            max(0.0, sink.stored[key] - at) for key, at in acknowledged.items() if key in sink.stored
        )
        absent = len(acknowledged) - len(waits)
        if not waits:
            print(f"  {name:<12} nothing was stored")
            continue
        p95 = waits[int(0.95 * (len(waits) - 1))]
        print(
            f"  {name:<12} median {statistics.median(waits):.3f}   P95 {p95:.3f}   most {waits[-1]:.3f}"
            f"   ({len(waits):,} writes" + (f", {absent} not stored)" if absent else ")")
        )

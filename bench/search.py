"""Searching at the size of a demo: building the index, and questions of several roles through the API.

Beside the time that passes it tells the processor's, in which other programs don't count.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random
from statistics import quantiles
from tempfile import TemporaryDirectory

import httpx

from kompass.demo.people import PASSWORD
from kompass.search.embedded.sink import EmbeddedSink
from kompass.settings_values import DemoSize
from tests.product import running_product
from tests.search.filling import database_of, follow
from tests.search.relevance import cases, demo
from tests.vectors.agreeing import filled

PEOPLE = ("adm1", "innen1", "plan1", "buch1", "gf1")


async def _measure(size: DemoSize, rounds: int) -> None:
    docs = demo(size)
    texts = [case.text for case in cases(docs)]
    random = Random(size)
    written = [text[: random.randint(1, len(text))] for text in texts]
    with TemporaryDirectory() as place:
        directory = Path(place)
        began = time.perf_counter()
        async with running_product(directory, ("admin", PASSWORD), demo=True, demo_size=size) as product:
            print(f"{len(docs):,} documents of the demo loaded in {time.perf_counter() - began:.0f} s")
            sink = EmbeddedSink(directory / "search")
            await sink.open()
            began = time.perf_counter()
            await follow(product, sink)
            seconds = time.perf_counter() - began
            with database_of(product).reading() as reading:
                count = reading.connection.execute("SELECT count(*) FROM docs").get
            used = sum(file.stat().st_size for file in (directory / "search").rglob("*") if file.is_file())
            print(f"{count:,} documents indexed in {seconds:.1f} s: {count / seconds:,.0f}/s,", end=" ")
            print(f"{used / 1e6:.0f} MB")
            await sink.close()
            began = time.perf_counter()
            await filled(product, directory / "vectors", docs)
            seconds = time.perf_counter() - began
            used = sum(file.stat().st_size for file in (directory / "vectors").rglob("*") if file.is_file())
            print(f"{count:,} documents embedded in {seconds:.1f} s: {count / seconds:,.0f}/s,", end=" ")
            print(f"{used / 1e6:.0f} MB")
            print("\n| who | questions | P50 | P95 | P99 | longest | processor, P50 | P95 |")
            print("|---|---|---|---|---|---|---|---|")
            kinds = {
                "what is looked for": [{"q": text} for text in texts],
                "while it is written": [{"q": text} for text in written],
                "with filters, sorted": [
                    {"q": text, "type": "customer,contact", "sort": "-modifiedAt"} for text in texts
                ],
                "by words and meaning": [{"q": text, "mode": "hybrid"} for text in texts],
                "leafing through everything": [
                    {"limit": "50", "offset": str(at)} for at in range(0, 1000, 50)
                ],
            }
            for name in PEOPLE:
                transport = httpx.ASGITransport(product)
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://bench", auth=(name, PASSWORD)
                ) as client:
                    for kind, asked in kinds.items():
                        times, worked = [], []
                        for parameters in asked * rounds:
                            began, before = time.perf_counter(), time.process_time()
                            answer = await client.get("/api/v1/search", params=parameters)
                            times.append(1000 * (time.perf_counter() - began))
                            worked.append(1000 * (time.process_time() - before))
                            answer.raise_for_status()
                        cuts, own = quantiles(times, n=100), quantiles(worked, n=100)
                        told = (cuts[49], cuts[94], cuts[98], max(times), own[49], own[94])
                        figures = " | ".join(f"{value:.1f} ms" for value in told)
                        print(f"| {name} | {kind} | {figures} |")


def run(size: DemoSize, rounds: int) -> None:
    asyncio.run(_measure(size, rounds))

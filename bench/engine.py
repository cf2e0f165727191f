"""The work that replication does, on 20,000 documents of about 800 bytes.

Each operation is run in turns, ours and the peer's, several rounds; the table has the medians of both and
the ratio of these. Every answer is checked for the number of rows it must have.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from bench.client import Client, Refused, Target, read_answer
from bench.servers import Running, our_server, peer, proportional_memory, sync_time

BATCH = 1000
SETTLING = 0.5
"""Seconds between turns: what a server still does after its answers must not slow the other."""
REASON_LENGTH = 60
"""Characters of an error that a row of the table shows."""


@dataclass(frozen=True)
class Row:
    operation: str
    unit: str
    ours: float
    peers: float | None
    goal: float | None
    why_not: str | None = None
    """What came of it at a peer that can't do the operation."""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peers if self.peers else None


class WrongAnswer(Exception):
    """A server answered a request, but not what was asked for."""


def _expect(answer: bytes, mark: bytes, count: int) -> None:
    """Raises `WrongAnswer` unless the mark, which each row has once, is in the answer so often."""
    if (found := answer.count(mark)) != count:
        raise WrongAnswer(f"{found:,} rows instead of {count:,}")


def documents(count: int) -> list[dict[str, object]]:
    """Customers of about 800 bytes; one in twenty is in Kiel."""
    source = random.Random(1)
    words = "Hofladen Regal Theke Beleuchtung Planung Angebot Montage Lieferung Kühlung Kasse".split()  # noqa: SIM905
    return [
        {
            "_id": f"customer-{source.randrange(16**12):012x}-{n:06d}",
            "type": "customer",
            "companyName": f"{source.choice(words)} {n} GmbH",
            "city": "Kiel" if n % 20 == 0 else "Hof",
            "number": n,
            "value": round(source.random() * 10000, 2),
            "active": n % 3 == 0,
            "tags": source.sample(words, 3),
            "address": {"street": f"Straße {n}", "zipCode": f"{10000 + n}", "country": "Deutschland"},
            "notes": " ".join(source.choices(words, k=55)),
        }
        for n in range(count)
    ]


class Work:
    """One server's side of the benchmark."""

    def __init__(self, running: Running, docs: list[dict[str, object]]) -> None:
        self.running = running
        self.target = Target(running.url)
        self.client = Client(self.target)
        self.docs = docs
        self.path = ""
        self.ids = [str(doc["_id"]) for doc in docs]
        self.revs: dict[str, str] = {}
        self._made = 0

    def reconnect(self) -> None:
        """Goes on with a new connection. Raises `OSError` if the server is gone."""
        self.client.close()
        self.client = Client(self.target)

    def clean(self) -> None:
        """Deletes its databases, as far as they are there."""
        for number in range(3):
            with suppress(Refused, OSError):
                self.client.call("DELETE", f"/bench_{number}")

    def _fresh(self) -> str:
        self._made += 1
        return self.client.fresh_database(f"bench_{self._made % 3}")

    def _batches(self) -> Iterator[list[dict[str, object]]]:
        for start in range(0, len(self.docs), BATCH):
            yield self.docs[start : start + BATCH]

    def bulk_docs(self) -> float:
        bodies = [json.dumps({"docs": batch}).encode() for batch in self._batches()]
        path = self._fresh()
        started = time.perf_counter()
        for body in bodies:
            answer = self.client.call("POST", f"{path}/_bulk_docs", body)
            _expect(answer, b'"rev"', min(BATCH, len(self.docs)))
        seconds = time.perf_counter() - started
        self.path = path
        return len(self.docs) / seconds

    def bulk_docs_replicated(self) -> float:
        bodies = []
        for batch in self._batches():
            revised = [
                {**doc, "_rev": f"1-{n:032x}", "_revisions": {"start": 1, "ids": [f"{n:032x}"]}}
                for n, doc in enumerate(batch)
            ]
            bodies.append(json.dumps({"new_edits": False, "docs": revised}).encode())
        path = self._fresh()
        started = time.perf_counter()
        for body in bodies:
            _expect(self.client.call("POST", f"{path}/_bulk_docs", body), b"{", 0)
        seconds = time.perf_counter() - started
        self.path = path
        return len(self.docs) / seconds

    def _listed(self, query: str, mark: bytes) -> float:
        started = time.perf_counter()
        answer = self.client.call("GET", f"{self.path}/{query}")
        seconds = time.perf_counter() - started
        _expect(answer, mark, len(self.docs))
        return len(self.docs) / seconds

    def changes(self) -> float:
        return self._listed("_changes", b'"changes":[')

    def changes_with_docs(self) -> float:
        return self._listed("_changes?include_docs=true", b'"changes":[')

    def all_docs(self) -> float:
        return self._listed("_all_docs", b'"key":')

    def selector(self) -> float:
        body = json.dumps({"selector": {"city": "Kiel"}}).encode()
        started = time.perf_counter()
        answer = self.client.call("POST", f"{self.path}/_changes?filter=_selector", body)
        seconds = time.perf_counter() - started
        _expect(answer, b'"changes":[', len(self.docs) // 20)
        return len(self.docs) / seconds

    def _known_revs(self) -> dict[str, str]:
        answer = self.client.json("GET", f"{self.path}/_all_docs")
        return {row["id"]: row["value"]["rev"] for row in answer["rows"]}

    def bulk_get(self) -> float:
        revs = self._known_revs()
        bodies = [
            json.dumps(
                {"docs": [{"id": name, "rev": revs[name]} for name in self.ids[at : at + 100]]}
            ).encode()
            for at in range(0, len(self.ids), 100)
        ]
        started = time.perf_counter()
        for body in bodies:
            answer = self.client.call("POST", f"{self.path}/_bulk_get?revs=true&latest=true", body)
            _expect(answer, b'"ok":', 100)
        return len(self.ids) / (time.perf_counter() - started)

    def revs_diff(self) -> float:
        revs = self._known_revs()
        bodies = [
            json.dumps(
                {name: [revs[name], f"2-{n:032x}"] for n, name in enumerate(self.ids[at : at + BATCH])}
            ).encode()
            for at in range(0, len(self.ids), BATCH)
        ]
        started = time.perf_counter()
        for body in bodies:
            answer = self.client.call("POST", f"{self.path}/_revs_diff", body)
            _expect(answer, b'"missing":', min(BATCH, len(self.ids)))
        return len(self.ids) / (time.perf_counter() - started)

    def get(self) -> float:
        names = random.Random(2).sample(self.ids, 1000)
        started = time.perf_counter()
        for name in names:
            self.client.call("GET", f"{self.path}/{name}")
        return len(names) / (time.perf_counter() - started)

    def put(self) -> float:
        started = time.perf_counter()
        self._made += 1
        for n in range(300):
            body = json.dumps({**self.docs[n], "_id": f"put-{self._made}-{n}"}).encode()
            self.client.call("PUT", f"{self.path}/put-{self._made}-{n}", body)
        return 300 / (time.perf_counter() - started)

    def put_64(self) -> float:
        self._made += 1
        return asyncio.run(self._put_64())

    async def _put_64(self) -> float:
        async def worker(number: int) -> None:
            reader, writer = await asyncio.open_connection(self.target.host, self.target.port)
            for n in range(60):
                name = f"many-{self._made}-{number}-{n}"
                body = json.dumps({**self.docs[n], "_id": name}).encode()
                writer.write(self.target.request("PUT", f"{self.path}/{name}", body))
                await read_answer(reader)
            writer.close()

        started = time.perf_counter()
        await asyncio.gather(*(worker(number) for number in range(64)))
        return 64 * 60 / (time.perf_counter() - started)


Operation = tuple[str, str, Callable[[Work], float], float]

OPERATIONS: list[Operation] = [
    ("_bulk_docs, new documents", "docs/s", Work.bulk_docs, 2.5),
    ("_bulk_docs, new_edits:false", "docs/s", Work.bulk_docs_replicated, 2.5),
    ("_changes", "rows/s", Work.changes, 15),
    ("_changes with docs", "rows/s", Work.changes_with_docs, 6),
    ("_changes with _selector, 1 in 20", "rows/s", Work.selector, 8),
    ("_bulk_get, 100 a call", "docs/s", Work.bulk_get, 10),
    ("_revs_diff, 1,000 a call", "ids/s", Work.revs_diff, 4),
    ("_all_docs", "rows/s", Work.all_docs, 10),
    ("GET one document, 1 client", "req/s", Work.get, 3),
    ("PUT one document, 1 client", "req/s", Work.put, 3),
    ("PUT one document, 64 clients", "req/s", Work.put_64, 3),
]


def compare(count: int, rounds: int, peer_url: str | None) -> list[Row]:
    docs = documents(count)
    size = len(json.dumps(docs[0], ensure_ascii=False).encode())
    print(
        f"{count:,} documents of about {size} bytes, {rounds} rounds in turns;"
        f" sync of the disk {sync_time():.2f} ms"
    )
    with our_server() as ours, peer(peer_url) as other:
        if other:
            print(f"the peer is {other.name}; goals are set for CouchDB, which syncs each write as we do")
        our_work = Work(ours, docs)
        their_work = Work(other, docs) if other else None
        print(HEADER)
        rows = []
        for operation in OPERATIONS:
            rows.append(compare_one(operation, rounds, our_work, their_work))
            print(_line(rows[-1]), flush=True)
        our_work.clean()
        if their_work:
            their_work.clean()
    return rows


def compare_one(operation: Operation, rounds: int, ours: Work, theirs: Work | None) -> Row:
    """The row of an operation, run in turns. What the peer refuses or gets wrong it can't do; we may not."""
    name, unit, run, goal = operation
    figures: list[float] = []
    peers: list[float] = []
    why_not = None
    for _ in range(rounds):
        figures.append(run(ours))
        time.sleep(SETTLING)
        if theirs is None or why_not:
            continue
        try:
            theirs.reconnect()  # an answer that failed may have left the connection in its middle
            peers.append(run(theirs))
        except Refused as refusal:
            why_not = f"answers {refusal.status}"
        except (WrongAnswer, OSError, asyncio.IncompleteReadError) as error:
            why_not = str(error).replace("|", "/")[:REASON_LENGTH]
        time.sleep(SETTLING)
    if why_not or theirs is None:
        return Row(name, unit, statistics.median(figures), None, goal, why_not)
    return Row(name, unit, statistics.median(figures), statistics.median(peers), goal)


def _line(row: Row) -> str:
    peers = f"{row.peers:,.0f}" if row.peers else f"can't: {row.why_not}" if row.why_not else "-"
    ratio = f"{row.ratio:.1f}x" if row.ratio else "-"
    goal = f"{row.goal:g}x" if row.goal else ""
    return f"| {row.operation} | {row.unit} | {row.ours:,.0f} | {peers} | {ratio} | {goal} |"


HEADER = "| operation | unit | ours | peer | ratio | goal |\n|---|---|---:|---:|---:|---:|"


async def _idle_feeds(running: Running, path: str, count: int) -> tuple[float, float, float]:
    """Memory in MB of `count` waiting feeds, and the time in ms until a write reaches 95 % and all."""
    assert running.pid is not None
    target = Target(running.url)
    before = proportional_memory(running.pid)
    streams = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(target.host, target.port)
        writer.write(target.request("GET", f"{path}/_changes?feed=longpoll&since=now&heartbeat=30000"))
        streams.append((reader, writer))
    for reader, _ in streams:
        await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(1)
    memory = proportional_memory(running.pid) - before
    client = Client(target)

    async def arrival(reader: asyncio.StreamReader) -> float:
        data = b""
        while b'"last_seq"' not in data:
            piece = await reader.read(65536)
            assert piece
            data += piece
        return time.perf_counter()

    waiting = [asyncio.create_task(arrival(reader)) for reader, _ in streams]
    await asyncio.sleep(0.2)
    started = time.perf_counter()
    await asyncio.to_thread(client.call, "PUT", f"{path}/wake", b"{}")
    times = sorted([(await task - started) * 1000 for task in waiting])
    for _, writer in streams:
        writer.close()
    client.close()
    return memory, times[int(len(times) * 0.95)], times[-1]


def footprint(count: int, feeds: int) -> None:
    """Memory with a small and a large database, idle feeds, and whether operations grow with the database."""
    with our_server() as ours:
        small = Work(ours, documents(count))
        small.bulk_docs()
        assert ours.pid is not None
        print(f"memory with {count:,} documents: {proportional_memory(ours.pid):.0f} MB")
        memory, p95, last = asyncio.run(_idle_feeds(ours, small.path, feeds))
        print(
            f"{feeds:,} idle longpoll feeds: {memory:.1f} MB;"
            f" a write reaches 95 % in {p95:.0f} ms, all in {last:.0f} ms"
        )
    with our_server() as ours:
        large = Work(ours, documents(count * 10))
        large.bulk_docs()
        assert ours.pid is not None
        print(f"memory with {count * 10:,} documents: {proportional_memory(ours.pid):.0f} MB")
        reference = Work(ours, documents(count))
        reference._made = 10  # a database of its own beside the large one
        reference.bulk_docs()
        for name, _, operation, _ in OPERATIONS[2:]:
            a = statistics.median(operation(reference) for _ in range(3))
            b = statistics.median(operation(large) for _ in range(3))
            print(f"{name}: {count * 10:,} documents at {b / a:.2f}x the pace of {count:,}")


def table(rows: list[Row]) -> str:
    return "\n".join([HEADER, *(_line(row) for row in rows)])

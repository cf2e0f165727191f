"""What it costs that everybody gets only what he may see.

The peer is a CouchDB with a filter in JavaScript, which is how one does it there without a server of one's
own; its filter doesn't protect anything, and its pushes pass no gate. Salesmen own customers; a document of a
customer is seen by his salesman and the office.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import random
import statistics
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench import decisions
from bench.client import Client, Refused, Target
from bench.engine import HEADER, Row, _line
from bench.servers import Running, our_product, sync_time

PASSWORD = "bench-password-1"
SALESMAN = "bench1"
OWN = 200
"""Documents that the salesman of the benchmark sees."""
SMALL = 3000
"""Documents where only pushes are measured."""
OTHERS = 200
"""Customers of other salesmen."""
BATCH = 1000
PAGE = 100
"""Rows and documents that PouchDB asks for at once."""
PUSHED = 100
WRITES_PER_SECOND = 50
DEVICES_EACH = 5
"""Live devices that a person has."""

FILTER = (
    "function (doc, req) { return doc.customerId === req.query.customer || doc._id === req.query.customer; }"
)


def make_id(doctype: str, source: random.Random) -> str:
    return f"{doctype}-{uuid.UUID(int=source.getrandbits(128), version=4)}"


def make_location(customer: str, number: int, docid: str, author: str) -> dict[str, object]:
    now = "2026-01-15T08:00:00.000Z"
    return {
        "_id": docid,
        "type": "location",
        "customerId": customer,
        "locationName": f"Hofladen {number}",
        "locationType": "branch",
        "isActive": True,
        "deliveryAddress": {
            "street": f"Straße {number}",
            "zipCode": f"{10000 + number % 80000}",
            "city": "Hof",
            "country": "Deutschland",
        },
        "deliveryNotes": "Anlieferung über den Hof, bitte klingeln. " * 8,
        "createdBy": author,
        "createdAt": now,
        "modifiedBy": author,
        "modifiedAt": now,
        "version": 1,
    }


def make_customer(docid: str, number: int, owner: str) -> dict[str, object]:
    now = "2026-01-15T08:00:00.000Z"
    return {
        "_id": docid,
        "type": "customer",
        "companyName": f"Hof {number}",
        "owner": owner,
        "billingAddress": {"street": "Straße 1", "zipCode": "95028", "city": "Hof", "country": "Deutschland"},
        "createdBy": "innen1",
        "createdAt": now,
        "modifiedBy": "innen1",
        "modifiedAt": now,
        "version": 1,
    }


@dataclass
class Data:
    """The documents of a company: one customer of the salesman's with `OWN - 1` locations, and others'."""

    documents: list[dict[str, object]]
    own: str
    customers: list[str] = field(default_factory=list)


def data_of(count: int) -> Data:
    source = random.Random(7)
    own = make_id("customer", source)
    docs = [make_customer(own, 0, SALESMAN)]
    docs += [make_location(own, n, make_id("location", source), SALESMAN) for n in range(OWN - 1)]
    # As many as there are in a small database: everybody in sales sees the card of each customer.
    customers = [make_id("customer", source) for _ in range(OTHERS)]
    docs += [make_customer(docid, n, f"other{n % 40}") for n, docid in enumerate(customers, 1)]
    docs += [
        make_location(customers[n % len(customers)], n, make_id("location", source), f"other{n % 40}")
        for n in range(count - len(docs))
    ]
    source.shuffle(docs)
    return Data(docs, own, customers)


def _add_person(client: Client, name: str, role: str, *, product: bool) -> None:
    user = {"name": name, "type": "user", "roles": [role], "password": PASSWORD}
    with suppress(Refused):
        client.json("PUT", f"/_users/org.couchdb.user:{name}", user)
    if product:
        body = {"type": "user", "name": name, "userName": name, "roles": [role], "active": True}
        with suppress(Refused):  # it may have been made with the account
            client.json("PUT", f"/kompass/user-{name}", body)


class Requests(NamedTuple):
    """What sends a batch of documents."""

    documents: int
    revs_diff: bytes
    bulk_docs: bytes


def _requests(documents: Iterable[dict[str, Any]]) -> Requests:
    docs = list(documents)
    asked = {doc["_id"]: [doc["_rev"]] for doc in docs}
    body = {"docs": docs, "new_edits": False}
    return Requests(len(docs), json.dumps(asked).encode(), json.dumps(body).encode())


class Side:
    """A server with the data in it."""

    def __init__(
        self, running: Running, data: Data, *, product: bool, database: str = "bench_access"
    ) -> None:
        """`database`: its name where there is no product."""
        self.running = running
        self.data = data
        self.product = product
        target = Target(running.url)
        self.admin = Client(target)
        self.path = "/kompass"
        if not product:
            self.path = self.admin.fresh_database(database)
            filters = {"filters": {"mine": FILTER}}
            self.admin.json("PUT", f"{self.path}/_design/bench", filters)
        _add_person(self.admin, SALESMAN, "ADM", product=product)
        for start in range(0, len(data.documents), BATCH):
            body = {"docs": data.documents[start : start + BATCH]}
            self.admin.json("POST", f"{self.path}/_bulk_docs", body)
        self.person = Client(Target(self.url_of(running.url)))
        self._source = random.Random(time.time_ns())
        self._pushed_last: list[list[dict[str, Any]]] = []
        self._pushed = itertools.count(OWN)  # a customer has no two locations of one name

    def url_of(self, url: str) -> str:
        """The same server for the salesman; for whoever has the URL where there is no product."""
        target = Target(url)
        return f"http://{SALESMAN}:{PASSWORD}@{target.host}:{target.port}" if self.product else url

    def another(self) -> Side:
        """The same for another client, who pushes documents of his own."""
        one = self.at(self.running)
        one._source = random.Random(self._source.getrandbits(64))
        return one

    def at(self, running: Running) -> Side:
        """The same at another process of the server's."""
        one = copy.copy(self)
        one.running = running
        one.admin = Client(Target(running.url))
        one.person = Client(Target(self.url_of(running.url)))
        return one

    def first_feed(self) -> float:
        """Full feeds of the salesman's, per minute."""
        query = "" if self.product else f"&filter=bench/mine&customer={self.data.own}"
        started = time.perf_counter()
        answer = self.person.call("GET", f"{self.path}/_changes?style=all_docs{query}")
        seconds = time.perf_counter() - started
        own = sum(
            1 for row in json.loads(answer)["results"] if row["id"].startswith(("customer-", "location-"))
        )
        assert own >= OWN, own
        return 60 / seconds

    def push(self) -> float:
        """New documents per second in batches as a PouchDB sends them: first what is missing, then bodies."""
        return self.send(self.new_documents())

    def new_documents(self) -> list[Requests]:
        """What `send` sends: 10 batches."""
        self._pushed_last = []
        for _ in range(10):
            docs = []
            for n in itertools.islice(self._pushed, PUSHED):
                doc = make_location(self.data.own, n, make_id("location", self._source), SALESMAN)
                docs.append(self._revision(doc))
            self._pushed_last.append(docs)
        return [_requests(docs) for docs in self._pushed_last]

    def push_edits(self) -> float:
        """The same with changes of what `push` has sent last."""
        return self.send(
            [
                _requests(
                    self._revision({**doc, "deliveryNotes": "Tor 2", "version": 2}, doc["_revisions"]["ids"])
                    for doc in docs
                )
                for docs in self._pushed_last
            ]
        )

    def _revision(self, doc: Mapping[str, object], above: Sequence[str] = ()) -> dict[str, Any]:
        ids = [f"{self._source.getrandbits(128):032x}", *above]
        return {**doc, "_rev": f"{len(ids)}-{ids[0]}", "_revisions": {"start": len(ids), "ids": ids}}

    def send(self, batches: Sequence[Requests]) -> float:
        """Documents per second."""
        started = time.perf_counter()
        for batch in batches:
            self.person.call("POST", f"{self.path}/_revs_diff", batch.revs_diff)
            refused = json.loads(self.person.call("POST", f"{self.path}/_bulk_docs", batch.bulk_docs))
            assert refused == [], refused[:1]
        return sum(batch.documents for batch in batches) / (time.perf_counter() - started)

    def clean(self) -> None:
        if not self.product:
            Client(Target(self.running.url)).call("DELETE", self.path)


def empty_device(side: Side, count: int) -> float:
    """Seconds until `count` documents of the salesman's have reached a device that had none."""
    since: object = 0
    received = 0
    started = time.perf_counter()
    while received < count:
        page = side.person.json(
            "GET", f"{side.path}/_changes?style=all_docs&limit={PAGE}&since={since}&seq_interval={PAGE}"
        )
        if not page["results"]:
            break
        since = page["last_seq"]
        asked = {
            "docs": [
                {"id": row["id"], "rev": change["rev"]}
                for row in page["results"]
                for change in row["changes"]
            ]
        }
        answer = side.person.json("POST", f"{side.path}/_bulk_get?revs=true&latest=true", asked)
        received += sum(1 for result in answer["results"] if "ok" in result["docs"][0])
    assert received >= count, received
    return time.perf_counter() - started


@dataclass
class Live:
    """What live devices saw."""

    delays: list[float] = field(default_factory=list)
    strays: int = 0


async def live_devices(side: Side, devices: int, seconds: int) -> Live:
    """Continuous feeds, some of each salesman's, while customers' locations are written one by one."""
    source = random.Random(3)
    target = Target(side.running.url)
    people = [f"live{n}" for n in range(max(1, devices // DEVICES_EACH))]
    customers = [make_id("customer", source) for _ in people]
    side.admin = Client(target)  # the first one has been silent for so long that the server hung up
    for name in people:
        _add_person(side.admin, name, "ADM", product=True)
    docs = [make_customer(docid, n, people[n]) for n, docid in enumerate(customers)]
    side.admin.json("POST", f"{side.path}/_bulk_docs", {"docs": docs})
    streams = []
    for name in (people[n % len(people)] for n in range(devices)):
        own = Target(f"http://{name}:{PASSWORD}@{target.host}:{target.port}")
        reader, writer = await asyncio.open_connection(target.host, target.port)
        writer.write(own.request("GET", f"{side.path}/_changes?feed=continuous&since=now&heartbeat=30000"))
        await reader.readuntil(b"\r\n\r\n")
        streams.append((reader, writer))
    live = Live()
    sent: dict[str, tuple[int, float]] = {}

    async def follow(number: int, reader: asyncio.StreamReader) -> None:
        buffer = b""
        while piece := await reader.read(65536):
            buffer += piece
            while b'"id":"location-' in buffer:
                at = buffer.index(b'"id":"location-') + 6
                end = buffer.find(b'"', at)
                if end < 0:
                    break
                docid = buffer[at:end].decode()
                buffer = buffer[end:]
                owner, when = sent[docid]
                if owner == number % len(people):
                    live.delays.append(time.perf_counter() - when)
                else:
                    live.strays += 1

    followers = [asyncio.create_task(follow(n, reader)) for n, (reader, _) in enumerate(streams)]
    writer_client = Client(target)
    started = time.perf_counter()
    for number in range(seconds * WRITES_PER_SECOND):
        await asyncio.sleep(max(0.0, started + number / WRITES_PER_SECOND - time.perf_counter()))
        owner = source.randrange(len(people))
        doc = make_location(customers[owner], number, make_id("location", source), people[owner])
        docid = str(doc["_id"])
        sent[docid] = (owner, time.perf_counter())
        await asyncio.to_thread(writer_client.call, "PUT", f"{side.path}/{docid}", json.dumps(doc).encode())
    await asyncio.sleep(2)
    for task in followers:
        task.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    for _, writer in streams:
        writer.close()
    writer_client.close()
    expected = sum(len(range(owner, devices, len(people))) for owner, _ in sent.values())
    assert len(live.delays) == expected, f"{len(live.delays)} rows of {expected} arrived"
    return live


@contextmanager
def _sides(data: Data, peer_url: str | None, program: str = "kompass") -> Iterator[tuple[Side, Side | None]]:
    with our_product(program) as running:
        ours = Side(running, data, product=True)
        theirs = Side(Running("CouchDB", peer_url, None), data, product=False) if peer_url else None
        try:
            yield ours, theirs
        finally:
            if theirs:
                theirs.clean()


def _compared(
    name: str,
    unit: str,
    goal: float,
    rounds: int,
    work: Callable[[Side], float],
    ours: Side,
    theirs: Side | None,
) -> Row:
    figures, peers = [], []
    for _ in range(rounds):
        figures.append(work(ours))
        time.sleep(0.5)
        if theirs:
            peers.append(work(theirs))
            time.sleep(0.5)
    return Row(name, unit, statistics.median(figures), statistics.median(peers) if peers else None, goal)


def run(count: int, rounds: int, peer_url: str | None, devices: int, seconds: int, *, growth: bool) -> None:
    """Prints the figures."""
    print(f"{count:,} documents, of which a salesman sees {OWN}; sync of the disk {sync_time():.2f} ms")
    if not peer_url:
        print("No peer: name a CouchDB by --peer to compare with its filter and its ungated writes.")
    with _sides(data_of(count), peer_url) as (ours, theirs):
        rows = [
            _compared(
                "a salesman's first full feed", "feeds/min", 100, rounds, Side.first_feed, ours, theirs
            ),
        ]
        cost = 60_000 / rows[0].ours
        with _sides(data_of(SMALL), None, "bench.gate_only") as (gate, _):
            for name, side in (("", ours), (" by the gate alone: no rules of the business, no chain", gate)):
                what = f"pushes, 100 new documents at a time{name}"
                rows.append(_compared(what, "docs/s", 1.3, rounds, Side.push, side, theirs))
        print(HEADER)
        for row in rows:
            print(_line(row), flush=True)
        print(f"1,000 documents reach an empty device in {empty_device(ours, 1000):.2f} s (goal 1 s)")
        live = asyncio.run(live_devices(ours, devices, seconds))
    delays = sorted(live.delays)
    print(
        f"{devices:,} live devices, {WRITES_PER_SECOND} writes/s: a change reaches its device in"
        f" {statistics.median(delays) * 1000:.0f} ms (half), {delays[int(len(delays) * 0.95)] * 1000:.0f} ms"
        f" (95 %, goal 500); rows that went to anybody else: {live.strays}"
    )
    for name, cost_of_it in decisions.microseconds().items():
        print(f"{name}: {cost_of_it:.1f} µs" + (" (goal 20)" if name.startswith("decide") else ""))
    if growth:
        with _sides(data_of(count * 10), None) as (large, _):
            again = statistics.median(60_000 / large.first_feed() for _ in range(rounds))
        print(
            f"the same first feed among {count * 10:,} documents: {again:.1f} ms, {again / cost:.2f}x of"
            f" {cost:.1f} ms (goal 1)"
        )

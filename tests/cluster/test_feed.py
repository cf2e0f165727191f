"""What follows a cluster's documents: over every API process in turn, with a CouchDB behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from kompass.domain.examples import docid
from kompass.feed.follower import Follower
from kompass.feed.ledger import Ledger
from kompass.feed.sink import Batch, PersonAccess
from kompass.feed.source import Source
from tests.cluster.couchdb import CouchdbPlace, couchdb_place
from tests.cluster.processes import Node, Nodes, nodes
from tests.cluster.test_processes import customer
from tests.feed.reference import ReferenceHarness, ReferenceSink
from tests.feed.world import SECRET, until
from tests.serving import ADMIN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PASSWORD = "pw"
PEOPLE = ("adm1", "adm2")
INVOICE = docid("invoice", 1)


class Turns(httpx.AsyncBaseTransport):
    """A load balancer: each request goes to the next process, and to another one if that doesn't answer."""

    def __init__(self, apis: list[Node]) -> None:
        self._apis = apis
        self._at = count()
        self._client = httpx.AsyncHTTPTransport()
        self.answered: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        failed = httpx.ConnectError("none of them answers")
        for _ in self._apis:
            url = self._apis[next(self._at) % len(self._apis)].url
            turned = httpx.Request(
                request.method,
                request.url.copy_with(port=httpx.URL(url).port, host="127.0.0.1"),
                headers=request.headers,
                content=await request.aread(),
            )
            try:
                answer = await self._client.handle_async_request(turned)
            except httpx.TransportError:
                continue
            self.answered.add(url)
            return answer
        raise failed

    async def aclose(self) -> None:
        await self._client.aclose()


class Noting(ReferenceSink):
    """Knows all that it was ever given."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.given: set[tuple[str, str]] = set()

    async def apply(self, batch: Batch) -> None:
        self.given |= {(change.id, change.rev) for change in batch.changes}
        await super().apply(batch)


class World:
    forged: set[str] = set()  # noqa: RUF012 - for all tests: what is refused stays in CouchDB
    """Documents that CouchDB has otherwise."""

    def __init__(self, running: Nodes, place: CouchdbPlace, directory: Path) -> None:
        self.apis = running.all[1:]
        self.place = place
        self.turns = Turns(self.apis)
        self.sink = Noting(directory)
        self.harness = ReferenceHarness(directory)
        self.client = httpx.AsyncClient(timeout=30)

    async def push(self, api: int, doc: dict[str, Any], user: str = "adm1") -> None:
        url = f"{self.apis[api].url}/kompass/_bulk_docs"
        body = {"docs": [doc], "new_edits": False}
        answer = await self.client.post(url, json=body, auth=(user, PASSWORD))
        assert (answer.status_code, answer.json()) == (201, [])

    async def put_in_couchdb(self, docid: str, doc: dict[str, Any]) -> str:
        """Past the server, as somebody who has the login of its service."""
        url = f"{self.place.origin}{self.place.database()}/{docid}"
        answer = await self.client.put(url, json=doc, auth=self.place.login)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["rev"])

    async def live(self, docid: str) -> dict[str, Any]:
        answer = await self.client.get(f"{self.apis[-1].url}/kompass/{docid}", auth=ADMIN)
        value: dict[str, Any] = answer.json()
        return value

    async def stated(self, url: str, auth: tuple[str, str]) -> dict[str, str]:
        """Revisions of all documents that somebody sees there."""
        answer = await self.client.get(f"{url}/_all_docs", auth=auth)
        rows = answer.raise_for_status().json()["rows"]
        return {row["id"]: row["value"]["rev"] for row in rows if not row["id"].startswith("_")}

    async def same(self) -> bool:
        """Whether the sink says what each process says, what CouchDB says, and what each person may read."""
        api = self.apis[-1].url + "/kompass"
        stated = await self.stated(api, ADMIN)
        if {one: rev for one, (rev, _) in self.harness.documents().items()} != stated:
            return False
        there = await self.stated(self.place.origin + self.place.database(), self.place.login)
        if there | {one: stated[one] for one in self.forged & stated.keys()} != stated:
            return False
        for name in PEOPLE:
            person = PersonAccess(name, True, frozenset(), frozenset())
            if await self.harness.readable(person) != set(await self.stated(api, (name, PASSWORD))):
                return False
        return True

    async def settled(self) -> None:
        await until(self.same, 40, lambda: f"{self.harness.documents()}\n{self.apis[-1].told()[-3000:]}")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CouchdbPlace]:
    with couchdb_place(tmp_path_factory.mktemp("couchdb") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, place: CouchdbPlace) -> Iterator[Nodes]:
    with nodes(tmp_path_factory.mktemp("cluster"), place, KOMPASS_FEED_SECRET=SECRET) as made:
        made.add("index")
        for api in (made.add("api"), made.add("api")):
            api.await_ready()
        url = made.all[1].url
        for name in PEOPLE:
            login = {"name": name, "type": "user", "roles": ["ADM"], "password": PASSWORD}
            httpx.put(f"{url}/_users/org.couchdb.user:{name}", json=login, auth=ADMIN).raise_for_status()
            httpx.get(f"{url}/kompass", auth=(name, PASSWORD)).raise_for_status()
        yield made


@pytest.fixture
async def world(running: Nodes, place: CouchdbPlace, tmp_path: Path) -> AsyncIterator[World]:
    made = World(running, place, tmp_path)
    ledger = Ledger(tmp_path)
    async with Source("http://cluster", SECRET, transport=made.turns) as source:
        task = asyncio.create_task(Follower(made.sink, source, ledger).run())
        yield made
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await made.client.aclose()
    ledger.close()


async def test_it_follows_whichever_process_answers(world: World) -> None:
    sent = [customer() for _ in range(10)]
    for number, doc in enumerate(sent):
        await world.push(number % 2, doc)
    await world.settled()
    assert {doc["_id"] for doc in sent} <= world.harness.documents().keys()
    assert world.turns.answered == {api.url for api in world.apis}
    # What it has to know beside a page was asked of another process than the page.
    gone = await world.live(sent[0]["_id"])
    url = f"{world.apis[0].url}/kompass/{gone['_id']}"
    (await world.client.delete(url, params={"rev": gone["_rev"]}, auth=ADMIN)).raise_for_status()
    await world.settled()
    assert gone["_id"] not in world.harness.documents()


async def test_what_is_written_in_couchdb_comes_judged_or_not_at_all(world: World, running: Nodes) -> None:
    leader = running.all[0]
    theirs = customer()
    del theirs["_revisions"], theirs["_rev"]
    await world.put_in_couchdb(theirs["_id"], {**theirs, "owner": "adm2"})
    invoice = {"type": "invoice", "customerId": theirs["_id"], "invoiceNumber": "R-2026-00001"}
    url = f"{world.apis[0].url}/kompass/{INVOICE}"
    (await world.client.put(url, json={**invoice, "status": "sent"}, auth=ADMIN)).raise_for_status()
    await world.settled()
    assert theirs["_id"] in await world.harness.readable(PersonAccess("adm2", True, frozenset(), frozenset()))
    assert (theirs["_id"], (await world.live(theirs["_id"]))["_rev"]) in world.sink.given
    final = await world.live(INVOICE)
    assert final["finalized"] is True
    forged = await world.put_in_couchdb(INVOICE, {**final, "invoiceNumber": "R-2026-99999"})
    world.forged.add(INVOICE)
    await asyncio.to_thread(leader.await_told, "written past this server, is refused")
    assert (await world.live(INVOICE))["_rev"] == final["_rev"]
    assert (INVOICE, forged) not in world.sink.given
    assert world.harness.documents()[INVOICE][0] == final["_rev"]


async def test_a_killed_process_is_missed_by_nobody(world: World) -> None:
    await world.settled()
    for _ in range(3):
        await world.push(1, customer())
    world.apis[0].kill()
    for _ in range(3):
        await world.push(1, customer())
    await world.settled()
    world.apis[0].start()
    world.apis[0].await_ready()

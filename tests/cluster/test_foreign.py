"""Whatever somebody does in CouchDB past this server is noticed, entered as foreign, and stops nothing else.

CouchDB is the one that KOMPASS_TEST_COUCHDB_URL names, or else this project's own server, which takes fewer
odd documents.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from kompass.cluster.mirror.guarding import Guard
from kompass.cluster.mirror.keeping import Keeper
from kompass.cluster.mirror.purging import Purger
from replication.replicator import connect
from replication.replicator.failures import DatabaseMissing
from replication.store.couchdb.client import Client
from replication.store.couchdb.endpoint import read_endpoint, read_login
from replication.store.couchdb.setup import Plan, set_up
from tests.audit.world import entries
from tests.cluster.couchdb import CouchdbPlace, couchdb_place
from tests.needs import COUCHDB_URL
from tests.sync.gate_world import World, customer, customer_body

pytestmark = pytest.mark.slow
FLOOD = 10_000 if COUCHDB_URL else 1_000
A, B, C, D = map(customer, range(4))


class Foreign:
    """A server's database, its copy in CouchDB, and somebody who writes there."""

    def __init__(self, world: World, place: CouchdbPlace) -> None:
        parts = httpx.URL(place.admin)
        self.world, self.place = world, place
        self.admin = read_endpoint(place.origin, read_login(f"{parts.username}:{parts.password}"))
        self.clients = Client(self.admin), Client(read_endpoint(place.url))
        self.remote = connect(f"{place.url}{place.database()}")
        self.remote.lenient = True
        name = f"{place.prefix}kompass"
        purger, guard = Purger(self.clients[0], name), Guard(self.clients[1], name, place.service)
        self.keeper = Keeper(world.store, "kompass", self.remote, purger, guard)
        self.there = httpx.Client(base_url=place.origin + place.database(), auth=place.login, timeout=60)
        """As the service user: nobody else is let in."""
        self.root = httpx.Client(base_url=place.admin + place.database(), timeout=60)
        """As the administrator."""

    async def init(self) -> None:
        """As `kompass init`."""
        place = self.place
        plan = Plan(place.service, ("kompass",), place.login[1], place.prefix, own=())
        async for _ in set_up(self.admin, plan):
            pass

    def rev(self, docid: str) -> str:
        return str(self.there.get(f"/{docid}").json()["_rev"])

    def put(self, docid: str, body: Any, **query: str) -> httpx.Response:
        return self.there.put(f"/{docid}", json=body, params=query)

    def entered(self) -> list[tuple[str, str]]:
        """What the chain of writes has of foreigners: document and action, without cards that follow."""
        foreign = (one for one in entries(self.world) if one["door"] == "foreign")
        found = [one for one in foreign if "-card-" not in one["document"]]
        return [(one["document"], one["action"]) for one in found]

    async def close(self) -> None:
        self.there.close()
        self.root.close()
        await self.remote.close()
        for client in self.clients:
            await client.close()


@pytest.fixture
async def foreign(tmp_path: Path) -> AsyncIterator[Foreign]:
    with couchdb_place(tmp_path / "couchdb") as place:
        world = await World.open(tmp_path / "here")
        made = Foreign(world, place)
        await made.init()
        for number in range(3):
            await world.has_customer(number)
        await made.keeper.look()
        yield made
        await made.close()
        await world.close()


async def test_what_is_written_there_comes_in_and_is_entered_as_foreign(foreign: Foreign) -> None:
    assert foreign.put(D, customer_body()).status_code == 201
    changed = {**await foreign.world.live(A), "_rev": foreign.rev(A), "companyName": "Anders"}
    assert foreign.put(A, changed).status_code == 201
    foreign.there.delete(f"/{B}", params={"rev": foreign.rev(B)}).raise_for_status()
    ancestor = foreign.rev(C).partition("-")[2]
    branch = {
        **customer_body(),
        "_rev": f"2-{'f' * 32}",
        "_revisions": {"start": 2, "ids": ["f" * 32, ancestor]},
    }
    assert foreign.put(C, branch, new_edits="false").status_code == 201
    await foreign.keeper.look()
    assert (await foreign.world.live(A))["companyName"] == "Anders"
    assert await foreign.world.body(B) is None
    assert await foreign.world.body(D) is not None
    assert [leaf.rev for leaf in await foreign.world.database.leaves(C)] == [f"2-{'f' * 32}"]
    assert foreign.keeper.strange.taken == 4
    assert sorted(foreign.entered()) == sorted([(A, "UPDATE"), (B, "DELETE"), (C, "UPDATE"), (D, "CREATE")])
    await foreign.keeper.look()
    assert len(foreign.entered()) == 4, "once"


async def test_an_attachment_comes_with_its_document(foreign: Foreign) -> None:
    path = f"/{A}/note"
    foreign.there.put(path, content=b"abc", params={"rev": foreign.rev(A)}).raise_for_status()
    await foreign.keeper.look()
    found = await foreign.world.winner(A)
    assert found is not None
    assert orjson.loads(found.text)["_attachments"]["note"]["length"] == 3
    assert foreign.entered() == [(A, "UPDATE")]


async def test_odd_documents_stop_nothing_else(foreign: Foreign) -> None:
    deep = b'{"x":%b%b}' % (b"[" * 2000, b"]" * 2000)
    kind = {"content-type": "application/json"}
    odd = [
        foreign.there.put("/x%00y", json={}).status_code,
        foreign.there.put("/deep", content=deep, headers=kind).status_code,
        foreign.there.post("/_bulk_docs", json={"docs": [{"_id": "i" * 9000}]}).status_code,
    ]
    refused = [one for one in odd if one == 201]
    for docid in ("_design/there", "conflict-x", "quarantine-x", "user-gf9", "access-matrix", "a%2Fb", "odd"):
        foreign.put(docid, {"type": docid.partition("-")[0], "": 1, "n": 10**30}).raise_for_status()
    foreign.put("large", {"x": "x" * 7_000_000}).raise_for_status()
    foreign.put(D, customer_body()).raise_for_status()
    for _ in range(20):  # of several nodes one may lag
        await foreign.keeper.look()
        if foreign.keeper.strange.taken >= 8:
            break
    assert await foreign.world.body(D) is not None
    assert len(foreign.keeper.strange.refused) == len(refused)
    assert foreign.keeper.strange.taken == 8
    taken = {"conflict-x", "quarantine-x", "user-gf9", "access-matrix", "a/b", "odd", "large", D}
    assert {docid for docid, _ in foreign.entered()} == taken
    assert await foreign.world.winner("_design/there") is None
    await foreign.keeper.look()
    assert len(foreign.keeper.strange.refused) == len(refused), "each is told once"


async def test_what_was_purged_there_is_sent_again(foreign: Foreign) -> None:
    rev = foreign.rev(A)
    foreign.root.post("/_purge", json={A: [rev]}).raise_for_status()
    assert foreign.there.get(f"/{A}").status_code == 404
    assert await foreign.keeper.compare() == 1
    assert foreign.rev(A) == rev
    assert await foreign.keeper.compare() == 0
    assert foreign.entered() == []


async def test_a_database_that_was_deleted_is_filled_again(foreign: Foreign) -> None:
    path = "/_all_docs?limit=0"
    before = foreign.there.get(path).json()["total_rows"]
    foreign.root.delete("").raise_for_status()
    with pytest.raises(DatabaseMissing):
        await foreign.keeper.look()
    await foreign.init()
    await foreign.keeper.look()
    assert foreign.there.get(path).json()["total_rows"] == before
    assert foreign.entered() == []


async def test_whoever_opens_a_database_is_noticed(foreign: Foreign) -> None:
    assert await foreign.keeper.guard() == []
    security = foreign.root.get("/_security").json()
    foreign.root.put("/_security", json={**security, "members": {}}).raise_for_status()
    assert await foreign.keeper.guard() == ["its `_security` lets in others as members"]
    await foreign.init()
    assert await foreign.keeper.guard() == []
    function = {"validate_doc_update": "function () { throw({forbidden: 'no'}); }"}
    foreign.put("_design/no", function).raise_for_status()
    (told,) = await foreign.keeper.guard()
    assert told.startswith("_design/no has a validation function")


async def test_a_flood_comes_in_and_is_one_line_for_many(foreign: Foreign) -> None:
    docs = [{**customer_body(), "_id": customer(number)} for number in range(100, 100 + FLOOD)]
    for start in range(0, FLOOD, 1000):
        body = {"docs": docs[start : start + 1000]}
        foreign.there.post("/_bulk_docs", json=body).raise_for_status()
    await foreign.keeper.look()
    assert foreign.keeper.strange.taken == FLOOD == len(foreign.entered())

"""Whoever is erased is erased in CouchDB as well, to the last byte.

CouchDB is the one that KOMPASS_TEST_COUCHDB_URL names, or else this project's own server. Where
KOMPASS_TEST_COUCHDB_DIRECTORY names its files, they are searched; all that it gives over HTTP is in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest

from kompass.cluster import erasing
from kompass.cluster.erasing import CONSUMER, CouchdbConsumer
from kompass.cluster.mirror import agreeing, rewriting
from kompass.cluster.mirror.erasing import Eraser
from kompass.cluster.mirror.keeping import Keeper
from kompass.cluster.mirror.places import NotYetError
from kompass.cluster.mirror.purging import Purger
from kompass.domain.consent import Purpose
from kompass.privacy import tickets
from kompass.privacy.consumers import Consumers
from kompass.privacy.desk import FILE, Hindrance, figures, notes
from kompass.privacy.tickets import Kind
from kompass.sync import quarantine
from kompass.texts import TextFile
from replication.protocol import errors
from replication.protocol.attachments import InlineAttachment, digest_of
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path as RevisionPath
from replication.protocol.revisions import Rev, format_rev
from replication.replicator import connect
from replication.store.couchdb.client import Client
from replication.store.couchdb.endpoint import read_endpoint, read_login
from replication.store.couchdb.setup import Plan, set_up
from replication.store.sqlite import Writing
from tests.cluster.couchdb import CouchdbPlace, couchdb_place
from tests.needs import COUCHDB_DIRECTORY
from tests.privacy.world import MARKS, OLD_MAIL, erase, found_in, person, populated
from tests.serving import until
from tests.sync.gate_world import World, contact, customer

pytestmark = [pytest.mark.slow]

NAMES = ("kompass", quarantine.DATABASE)
CARD = b"Visitenkarte-4711"
_VIEW = {"views": {"all": {"map": "function (doc) { emit(doc._id, doc); }"}}}


class Couchdb:
    """What a leader has of CouchDB, without the rest of a cluster."""

    def __init__(self, world: World, place: CouchdbPlace, directory: Path) -> None:
        self.place = place
        self.world = world
        self.hindrance = Hindrance(TextFile(directory / FILE))
        self.consumers = Consumers(world.gate)
        parts = httpx.URL(place.admin)
        self.clients = (
            Client(read_endpoint(place.origin, read_login(f"{parts.username}:{parts.password}"))),
            Client(read_endpoint(place.url)),
        )
        self.remotes = {name: connect(f"{place.url}{place.database(name)}") for name in NAMES}
        self.keepers = {
            name: Keeper(world.store, name, remote, Purger(self.clients[0], place.prefix + name))
            for name, remote in self.remotes.items()
        }

    def consumer(self, settle: float = 0.0, *, has_administrator: bool = True) -> CouchdbConsumer:
        """As a leader that has just begun."""
        clients = self.clients if has_administrator else (self.clients[1], self.clients[1])
        erasers = {
            name: Eraser(
                self.world.store,
                name,
                remote,
                clients,
                self.place.prefix + name,
                self.keepers[name].look,
            )
            for name, remote in self.remotes.items()
        }
        return CouchdbConsumer(self.world.gate, erasers, self.hindrance, settle=settle)

    async def keep(self) -> None:
        """CouchDB gets what is here."""
        for keeper in self.keepers.values():
            await keeper.look()

    @property
    def open(self) -> int:
        standing = self.consumers.find(CONSUMER)
        assert standing is not None
        return standing.open

    def left(self) -> list[str]:
        """The marks that are found in anything that it gives, or in its files."""
        with self.place.client() as client:
            client.headers["accept"] = "application/json"
            told = b"\n".join(everything(client, self.place.database(name)) for name in NAMES)
        if COUCHDB_DIRECTORY:
            for file in sorted(Path(COUCHDB_DIRECTORY).rglob(f"*{self.place.prefix}*")):
                told += b"\n".join(one.read_bytes() for one in [file, *file.rglob("*")] if one.is_file())
        return found_in(told)

    async def leaves(self, name: str) -> dict[str, dict[str, bytes]]:
        """Of all documents there, by id and revision: what they say."""
        found: dict[str, dict[str, bytes]] = {}
        with self.place.client() as client:
            client.headers["accept"] = "application/json"
            path = self.place.database(name)
            rows = client.get(f"{path}/_changes", params={"style": "all_docs"}).json()["results"]
            for row in rows:
                if not row["id"].startswith("_design/"):
                    leaves = client.get(f"{path}/{quote(row['id'], safe='')}", params={"open_revs": "all"})
                    found[row["id"]] = {one["ok"]["_rev"]: said(one["ok"]) for one in leaves.json()}
        return found

    async def ours(self, name: str) -> dict[str, dict[str, bytes]]:
        """The same of the documents here."""
        database = self.world.store.get(name)
        rows = await database.change_rows(0, 10_000, all_leaves=True)
        return {
            row.id: {one.rev: said(orjson.loads(one.text)) for one in await database.leaves(row.id)}
            for row in rows
            if not row.id.startswith("_design/")
        }

    async def close(self) -> None:
        for remote in self.remotes.values():
            await remote.close()
        for client in self.clients:
            await client.close()


def said(body: dict[str, Any]) -> bytes:
    """What a revision says, of attachments only which there are."""
    members = {name: value for name, value in body.items() if name != "_attachments"}
    attached = {name: one["digest"] for name, one in body.get("_attachments", {}).items()}
    return orjson.dumps([members, attached], option=orjson.OPT_SORT_KEYS)


def everything(client: httpx.Client, path: str) -> bytes:
    """Every answer that a database gives about what is stored in it."""
    query = {"style": "all_docs", "include_docs": "true", "conflicts": "true"}
    told = [client.get(f"{path}/_changes", params=query), client.get(f"{path}/_all_docs?include_docs=true")]
    for row in told[0].json()["results"]:
        document = f"{path}/{quote(row['id'], safe='/' if row['id'][0] == '_' else '')}"
        leaves = client.get(document, params={"open_revs": "all", "revs": "true"})
        told += [leaves, client.get(document, params={"revs_info": "true", "deleted_conflicts": "true"})]
        revs = set()
        for leaf in (one["ok"] for one in leaves.json()):
            start, ids = leaf["_revisions"]["start"], leaf["_revisions"]["ids"]
            revs |= {f"{start - number}-{name}" for number, name in enumerate(ids)}
            told += [
                client.get(f"{document}/{name}", params={"rev": leaf["_rev"]})
                for name in leaf.get("_attachments", ())
            ]
        told += [client.get(document, params={"rev": rev}) for rev in sorted(revs)]
        asked = [{"id": row["id"], "rev": rev} for rev in sorted(revs)]
        told.append(client.post(f"{path}/_bulk_get?revs=true&attachments=true", json={"docs": asked}))
    told.append(client.get(f"{path}/_design/there/_view/all"))
    told.append(client.post(f"{path}/_find", json={"selector": {}, "limit": 10_000}))
    return b"\n".join(one.content for one in told)


async def make(world: World, place: CouchdbPlace, directory: Path) -> Couchdb:
    """An administrator's view is over the documents; one version of the person was ended with a text."""
    parts = httpx.URL(place.admin)
    admin = read_endpoint(place.origin, read_login(f"{parts.username}:{parts.password}"))
    plan = Plan(place.service, NAMES, place.login[1], place.prefix, own=())
    async for _ in set_up(admin, plan):
        pass
    couchdb = Couchdb(world, place, directory)
    await couchdb.consumer().look()  # it is enrolled
    await couchdb.keep()
    first = (await world.path(contact(1))).ids[-1]
    ended = RevisionPath(2, ["e" * 32, first])
    card = {"karte": InlineAttachment("image/png", CARD, digest_of(CARD))}
    text = orjson.dumps({"type": "contact", "note": MARKS[0]})
    write = DocumentWrite(contact(1), True, text, path=ended, attachments=card)
    assert await world.database.write([write], replicated=True) == [format_rev(ended.leaf)]
    await couchdb.keep()
    for name in NAMES:
        put(place, f"{place.database(name)}/_design/there", _VIEW)
    assert couchdb.left()  # views are asked, too
    return couchdb


def put(place: CouchdbPlace, path: str, body: Any, **query: str) -> None:
    """As the service user."""
    with httpx.Client(base_url=place.origin, auth=place.login, timeout=30) as client:
        client.put(path, json=body, params=query).raise_for_status()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with couchdb_place(tmp_path_factory.mktemp("couchdb")) as made:
        yield made


@pytest.fixture
async def couchdb(
    tmp_path: Path, place: CouchdbPlace, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Couchdb]:
    monkeypatch.setattr(agreeing, "BETWEEN_SECONDS", 0.05)
    monkeypatch.setattr(rewriting, "LOOK_SECONDS", 0.05)
    world = await populated(tmp_path / "here")
    made = await make(world, place, tmp_path)
    yield made
    await made.close()
    await world.store.close()
    with place.client() as client:
        for name in NAMES:
            client.delete(place.database(name)).raise_for_status()


async def test_nothing_is_left_in_couchdb(couchdb: Couchdb, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(couchdb.left()) == set(MARKS) - {OLD_MAIL}, "what was replaced before isn't replicated"
    before = await couchdb.leaves("kompass")
    await erase(couchdb.world, contact(1))
    await couchdb.keep()
    assert couchdb.left(), "replication alone leaves it in old revisions and in what ended"
    assert not await couchdb.consumer(settle=60.0).look(), "something older may be on its way"
    with pytest.raises(ProtocolError, match="couchdb_admin"):
        await couchdb.consumer(has_administrator=False).look()
    assert couchdb.open == 1
    await away_for_a_while(couchdb, monkeypatch)
    assert couchdb.left() == []
    for name in NAMES:
        assert await couchdb.leaves(name) == await couchdb.ours(name)
    (ended,) = [rev for rev in before[contact(1)] if rev.endswith("e" * 32)]
    assert ended in (await couchdb.leaves("kompass"))[contact(1)], "whoever has it sees no conflict"
    assert not [row for row in await designs(couchdb) if "passing" in row]
    assert await couchdb.consumer().look()
    assert [keeper.strange.taken for keeper in couchdb.keepers.values()] == [0, 0]
    await nothing_is_asked_of_couchdb_for_a_withdrawal(couchdb, monkeypatch)


async def nothing_is_asked_of_couchdb_for_a_withdrawal(
    couchdb: Couchdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def withdraw(writing: Writing) -> int:
        return tickets.add(
            writing, Kind.WITHDRAWAL, customer(1), Purpose.MARKETING, couchdb.world.clock(), {}
        )

    await couchdb.world.database.transact(withdraw)
    assert couchdb.open == 1
    monkeypatch.setattr(Client, "request", None)
    assert await couchdb.consumer().look()
    assert couchdb.open == 0


async def away_for_a_while(couchdb: Couchdb, monkeypatch: pytest.MonkeyPatch) -> None:
    """The consumer waits, says so, and goes on."""
    monkeypatch.setattr(erasing, "EVERY_SECONDS", 0.05)
    request = Client.request

    async def away(self: Client, method: str, path: str, **options: Any) -> Any:
        raise errors.unavailable("CouchDB is away.")

    monkeypatch.setattr(Client, "request", away)
    keeping = asyncio.create_task(couchdb.consumer().keep())
    try:
        await asyncio.to_thread(until, lambda: bool(couchdb.hindrance.why()), 20)
        assert "CouchDB is away." in couchdb.hindrance.why()[CONSUMER]
        with couchdb.world.database.reading() as reading:
            (note,) = notes(reading, couchdb.hindrance.why())
            told = "\n".join(figures(reading))
        assert CONSUMER in note
        assert 'kompass_privacy_open_tickets{consumer="couchdb"} 1' in told
        monkeypatch.setattr(Client, "request", request)
        await asyncio.to_thread(until, lambda: not couchdb.open and not couchdb.hindrance.why(), 60)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def designs(couchdb: Couchdb) -> list[str]:
    with couchdb.place.client() as client:
        rows = client.get(f"{couchdb.place.database()}/_all_docs").json()["rows"]
    return [row["id"] for row in rows if row["id"].startswith("_design/")]


async def test_cut_off_anywhere_it_is_begun_again(couchdb: Couchdb, monkeypatch: pytest.MonkeyPatch) -> None:
    await erase(couchdb.world, contact(1))
    request = Client.request
    left = 0

    async def failing(self: Client, method: str, path: str, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise errors.unavailable("CouchDB is away.")
        answer = await request(self, method, path, **options)
        if left == 0 and method == "POST":
            raise errors.unavailable("It was done, and nobody heard of it.")
        return answer

    monkeypatch.setattr(Client, "request", failing)
    for attempt in range(200):
        left = 1 + attempt * 7
        try:
            if await couchdb.consumer().look():
                break
        except (ProtocolError, NotYetError):
            assert couchdb.open == 1
    assert attempt > 5
    assert couchdb.open == 0
    monkeypatch.undo()
    assert couchdb.left() == []
    for name in NAMES:
        assert await couchdb.leaves(name) == await couchdb.ours(name)


async def test_a_document_that_changes_meanwhile_and_has_a_version_that_was_refused(
    couchdb: Couchdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    await erase(couchdb.world, contact(1))
    await couchdb.keep()
    known = await couchdb.world.path(contact(1))
    start, ids = known.start + 1, ["f" * 32, *known.ids]
    forced = {"_rev": f"{start}-{ids[0]}", "_revisions": {"start": start, "ids": ids}, **person()}
    path = couchdb.place.database()
    put(couchdb.place, f"{path}/{contact(1)}", forced, new_edits="false")
    put(couchdb.place, f"{path}/{contact(7)}", {"type": "contact"})
    purge = Purger.purge
    grown: list[Rev] = []

    async def purging(self: Purger, asked: Any) -> None:
        await purge(self, asked)
        if contact(1) in asked and len(grown) < 2:
            names = [f"{number}" * 32 for number in range(len(grown), -1, -1)]
            path = RevisionPath(3 + len(grown), [*names, "e" * 32, known.ids[-1]])
            write = DocumentWrite(contact(1), True, b"{}", path=path)
            await couchdb.world.database.write([write], replicated=True)
            grown.append(path.leaf)
            await couchdb.keepers["kompass"].look()

    monkeypatch.setattr(Purger, "purge", purging)
    assert await couchdb.consumer().look()
    assert grown
    assert couchdb.left() == []
    there, here = await couchdb.leaves("kompass"), await couchdb.ours("kompass")
    assert there[contact(1)] == here[contact(1)]
    assert there.keys() - here.keys() <= {contact(7)}, "of others it stays for an administrator to look at"

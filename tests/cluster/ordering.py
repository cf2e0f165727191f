"""Processes of a cluster whose CouchDB tells its changes as its shards please, and people who read them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any

import httpx

from kompass.cluster.mirror.keeping import Keeper
from kompass.cluster.mirror.purging import Purger
from kompass.cluster.mirror.showing import Mirror
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path as RevisionPath
from replication.protocol.revisions import Rev, parse_rev
from replication.replicator import LocalPeer
from replication.replicator.peer import ChangedDocument, Feed, FeedPage, Seq
from replication.store.interface import Store
from replication.store.sqlite import Extension, SharedStore, SqliteStore, Witness
from tests.cluster.harness import Cluster
from tests.replication.store.couchdb.feeds import Cluster as Shards
from tests.sync.personal.world import DATABASE, PASSWORD, PEOPLE, SECURITY, Side

Row = tuple[str, str]
"""Id and sequence."""


class Told:
    """What CouchDB has told of its changes so far, in its own order."""

    def __init__(self, random: Random) -> None:
        self.shards = Shards(random)
        self.noticed: Seq = 0


class ShardedPeer(LocalPeer):
    """The database in CouchDB: a real one, but for the order of its changes."""

    def __init__(self, store: Store, told: Told) -> None:
        super().__init__(store, DATABASE)
        self._told = told

    async def changes(self, feed: Feed, since: Seq, limit: int, *, wait: bool = False) -> FeedPage:
        new = await super().changes(Feed(), self._told.noticed, 10_000)
        self._told.noticed = new.last_seq
        for row in new.rows:
            self._told.shards.write(row.id, tuple(f"{number}-{name}" for number, name in row.revs))
        page = await self._told.shards.page(str(since), limit)
        rows = [ChangedDocument(row.id, tuple(map(parse_rev, row.revs))) for row in page.rows]
        return FeedPage(rows, page.since, None)


class _NoPurger(Purger):
    def __init__(self) -> None:
        """Nothing is purged here."""

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> None:
        raise AssertionError(asked)


class Process:
    """One of several. Any of them may lead."""

    def __init__(self, directory: Path, cluster: Cluster, couchdb: Store, told: Told) -> None:
        self.directory = directory
        self.stack = AsyncExitStack()
        self._member = cluster.member()
        self._remote = ShardedPeer(couchdb, told)
        self._mirrors: list[Mirror] = []
        self.store: SharedStore
        self.side: Side
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def open(self) -> None:
        self.side = await Side.open(self.directory, self._open, [], self.stack)
        for name in PEOPLE:
            self._clients[name] = await self.stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(self.side.app),
                    base_url=f"http://server/{DATABASE}/",
                    auth=(name, PASSWORD),
                    timeout=60,
                )
            )
        self.keeper = Keeper(self.store, DATABASE, self._remote, _NoPurger())

    async def _open(self, directory: Path, *, extensions: Mapping[str, Extension]) -> SqliteStore:
        catalogue = self._member.catalogue
        self.store = await asyncio.to_thread(
            partial(SharedStore, directory, catalogue, extensions=extensions, witnesses=self._witness)
        )
        return self.store

    def _witness(self, name: str) -> Witness | None:
        if name != DATABASE:
            return None
        self._mirrors.append(Mirror(lambda: self.store, name, self._remote))
        return self._mirrors[-1]

    async def ask(self, user: str, method: str, path: str, **how: Any) -> httpx.Response:
        answer = await self._clients[user].request(method, path, **how)
        assert answer.status_code < 500, answer.text
        return answer

    async def feed(self, user: str, since: str, limit: int | None = None) -> dict[str, Any]:
        query = {"since": since} if limit is None else {"since": since, "limit": str(limit)}
        found: dict[str, Any] = (await self.ask(user, "GET", "_changes", params=query)).json()
        return found

    async def end(self) -> None:
        """What it hasn't shown CouchDB yet, it never does."""
        for mirror in self._mirrors:
            await mirror.close()
        await self.stack.aclose()
        self._member.close()


class Reader:
    """Somebody's device. It asks whichever process; from there on it knows where it is."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.since = "0"
        self.given: set[Row] = set()
        self.revs: dict[str, str] = {}
        self._reading = asyncio.Lock()

    async def pull(self, process: Process, limit: int | None = None) -> list[dict[str, Any]]:
        async with self._reading:
            page = await process.feed(self.user, self.since, limit)
            rows: list[dict[str, Any]] = page["results"]
            for row in rows:
                key = (row["id"], row["seq"])
                assert key not in self.given, f"{self.user} was given {key} twice"
                self.given.add(key)
                self.revs[row["id"]] = row["changes"][0]["rev"]
            self.since = page["last_seq"]
            return rows

    async def check(self, process: Process) -> None:
        """Whatever lies below where he is, he was given. Nobody else reads for him meanwhile."""
        async with self._reading:
            before = None
            behind = _rows(await process.feed(self.user, self.since))
            while before != behind:  # what was begun may still be written
                before = behind
                everything = _rows(await process.feed(self.user, "0"))
                behind = _rows(await process.feed(self.user, self.since))
            assert not behind & self.given
            below = everything - behind
            assert below <= self.given, f"{self.user} at {self.since} never got {below - self.given}"


def _rows(page: Mapping[str, Any]) -> set[Row]:
    return {(row["id"], row["seq"]) for row in page["results"]}


class Place:
    """The cluster, its CouchDB, its processes and who reads."""

    def __init__(self, directory: Path, cluster: Cluster, seed: int) -> None:
        self.random = Random(seed)
        self._directory = directory
        self._cluster = cluster
        self.told = Told(self.random)
        self.processes: list[Process] = []
        self.readers = [Reader(name) for name in PEOPLE for _ in range(2)]
        self._numbers = itertools.count()

    async def open(self, count: int) -> None:
        self.couchdb = await SqliteStore.open(self._directory / "couchdb")
        await self.couchdb.create(DATABASE)
        await self.add()
        first = self.processes[0].side
        await first.store.create(DATABASE, security=SECURITY)
        for name, roles in PEOPLE.items():
            login = {"name": name, "type": "user", "roles": roles, "password": PASSWORD}
            transport = httpx.ASGITransport(first.app)
            auth = ("admin", PASSWORD)
            async with httpx.AsyncClient(transport=transport, base_url="http://server", auth=auth) as admin:
                (await admin.put(f"/_users/org.couchdb.user:{name}", json=login)).raise_for_status()
                record = {"type": "user", "name": name, "roles": roles, "active": True}
                (await admin.put(f"/{DATABASE}/user-{name}", json=record)).raise_for_status()
        while len(self.processes) < count:
            await self.add()

    async def add(self) -> None:
        directory = self._directory / f"process{next(self._numbers)}"
        process = Process(directory, self._cluster, self.couchdb, self.told)
        await process.open()
        self.processes.append(process)

    async def replace(self, number: int) -> None:
        """A process goes in the midst of whatever it does; another one comes, with nothing."""
        await self.processes.pop(number % len(self.processes)).end()
        await self.add()

    async def close(self) -> None:
        for process in self.processes:
            await process.end()
        await self.couchdb.close()

    def process(self, number: int) -> Process:
        return self.processes[number % len(self.processes)]

    async def push(self, at: int, user: str, docid: str) -> None:
        """Somebody's own write; once it is acknowledged, his next pull has it, whoever answers."""
        process = self.process(at)
        found = await process.ask(user, "GET", docid)
        body: dict[str, Any] = {"readers": [user, "ina"], "n": next(self._numbers)}
        if found.status_code == 200:
            body["_rev"] = found.json()["_rev"]
        answer = await process.ask(user, "PUT", docid, json=body)
        if answer.status_code != 201:
            assert answer.status_code in (403, 409), answer.text
            return
        rev = answer.json()["rev"]
        reader = Reader(user)
        rows = await reader.pull(self.process(at + 1))
        (row,) = [one for one in rows if one["id"] == docid]
        revs = [change["rev"] for change in row["changes"]]
        if rev not in revs:
            # Somebody else was there in between, and follows it or stands beside it.
            known = (
                await self.process(at + 1).store.get(DATABASE).missing_revisions({docid: [parse_rev(rev)]})
            )
            assert docid not in known, (rev, revs)

    async def write_in_couchdb(self, docid: str, readers: Sequence[str]) -> None:
        """By somebody who goes round the product: on what is there, or on nothing."""
        database = self.couchdb.get(DATABASE)
        body = json.dumps({"readers": readers, "n": next(self._numbers)}).encode()
        name = md5(body).hexdigest()
        winner = await database.winner(docid)
        path = RevisionPath(1, [name])
        if winner is not None:
            above = json.loads(winner.revisions)
            path = RevisionPath(above["start"] + 1, [name, *above["ids"]])
        await database.write([DocumentWrite(docid, False, body, path=path)], replicated=True)

    async def same(self) -> bool:
        """Whether CouchDB and the processes have the same leaves of every document."""
        there = await _leaves(LocalPeer(self.couchdb, DATABASE))
        for process in self.processes:
            await process.store.fresh()
            if await _leaves(LocalPeer(process.store, DATABASE)) != there:
                return False
        return True


async def _leaves(peer: LocalPeer) -> dict[str, set[Rev]]:
    page = await peer.changes(Feed(), 0, 10_000)
    return {row.id: set(row.revs) for row in page.rows if not row.id.startswith("_design/")}

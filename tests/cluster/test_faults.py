"""Two API processes and a leader, with everything going wrong on their ways to PostgreSQL and CouchDB.

KOMPASS_TEST_FAULT_ROUNDS sets how often (2 by itself), KOMPASS_TEST_SEED which faults come in which order.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import structlog

from tests.attack.writes_world import revised, some, text
from tests.cluster.couchdb import CouchdbPlace, couchdb_place
from tests.cluster.harness import cluster
from tests.cluster.processes import Node, Nodes, initialized
from tests.cluster.relayed import APPEND, TURN, Between, between, connections, through
from tests.cluster.test_processes import PASSWORD, Device, customer
from tests.relays import Fault, Wrong, answer
from tests.serving import ADMIN, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "KOMPASS_TEST_FAULT_ROUNDS" in os.environ else 600)]

ROUNDS = int(os.environ.get("KOMPASS_TEST_FAULT_ROUNDS", "2"))
SEED = int(os.environ.get("KOMPASS_TEST_SEED", "1"))
WRITERS = 4
SECONDS = 1.0
"""Of load before a fault, and after it."""
MOST_CONNECTIONS = 3 * 12
"""To PostgreSQL, of all processes: idle ones, one that listens each, and a leader's."""


@dataclass
class World:
    apis: list[Node]
    index: Node
    journal: Between
    documents: Between
    """On the way to CouchDB."""
    couchdb: CouchdbPlace
    directory: Path
    dsn: str
    done: dict[str, str] = field(default_factory=dict)
    """What was acknowledged: ids and revisions."""
    refused: set[str] = field(default_factory=set)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often a feed showed a revision."""

    def heal(self) -> None:
        for relay in (self.journal, self.documents):
            relay.faults = []
            relay.thaw()
        for node in (*self.apis, self.index):
            if node.process.poll() is not None:
                node.start()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("faults")
    with ExitStack() as stack:
        made = stack.enter_context(cluster())
        journal, dsn = stack.enter_context(through(made.dsn))
        place = stack.enter_context(couchdb_place(directory / "couchdb"))
        environment = {"KOMPASS_JOURNAL_DSN": made.dsn, **place.environment}
        initialized(environment)
        parts = urlsplit(place.url)
        assert parts.port is not None
        documents = stack.enter_context(between(parts.port))
        environment["KOMPASS_JOURNAL_DSN"] = dsn
        environment["KOMPASS_COUCHDB_URL"] = place.url.replace(f":{parts.port}", f":{documents.port}")
        running = Nodes(directory, environment)
        try:
            index, *apis = [running.add(command) for command in ("index", "api", "api")]
            for api in apis:
                api.await_ready()
            login = {"name": "adm1", "type": "user", "roles": ["ADM"], "password": PASSWORD}
            url = f"{apis[0].url}/_users/org.couchdb.user:adm1"
            httpx.put(url, json=login, auth=ADMIN, timeout=30).raise_for_status()
            yield World(apis, index, journal, documents, place, directory, made.dsn)
        finally:
            for node in running.all:
                node.kill()


# -- devices ------------------------------------------------------------------------------------


async def push(device: Device, world: World, stop: asyncio.Event) -> None:
    """New documents, some of which are refused. What is answered by a fault is sent again as it is."""
    while not stop.is_set():
        good = [customer() for _ in range(2)]
        bad = revised(some("supplier"), text("supplier", "adm1"))
        body = {"docs": [*good, bad], "new_edits": False}
        answered = await device.ask("POST", "/kompass/_bulk_docs", body)
        assert answered.status_code == 201, answered.text
        refused = {row["id"] for row in answered.json()}
        # What was refused once is in quarantine, and known by its end when it is sent again.
        assert refused <= {bad["_id"]}, answered.text
        world.refused.add(bad["_id"])
        world.done |= {one["_id"]: one["_rev"] for one in good}
        asked = {one["_id"]: [one["_rev"]] for one in good}
        assert (await device.ask("POST", "/kompass/_revs_diff", asked)).json() == {}


def place(sequence: str) -> tuple[float, float]:
    """What a person's sequence says, before its epoch: a number, and one within it."""
    main, _, within = sequence.partition("-")[0].partition(":")
    return int(main), int(within) if within else math.inf


async def follow(device: Device, world: World, stop: asyncio.Event) -> None:
    """One feed over both processes."""
    since: Any = "0"
    at = place(since)
    while True:
        ending = stop.is_set()
        path = f"/kompass/_changes?feed=longpoll&timeout=500&since={since}"
        told = (await device.ask("GET", path)).json()
        for row in told["results"]:
            assert place(row["seq"]) > at, "nothing comes below what was handed out"
            at = place(row["seq"])
            world.seen[row["id"], row["changes"][0]["rev"]] += 1
        since = told["last_seq"]
        assert place(since) >= at
        at = place(since)
        if ending and not told["results"]:
            return


# -- what goes wrong ----------------------------------------------------------------------------


def journal(*faults: Fault) -> Callable[[World], Awaitable[None]]:
    async def act(world: World) -> None:
        world.journal.faults = list(faults)
        await asyncio.sleep(SECONDS)

    return act


def documents(*faults: Fault) -> Callable[[World], Awaitable[None]]:
    async def act(world: World) -> None:
        world.documents.faults = list(faults)
        await asyncio.sleep(SECONDS)

    return act


async def _journal_breaks(world: World) -> None:
    await asyncio.to_thread(world.journal.cut)


async def _journal_is_away(world: World) -> None:
    await asyncio.to_thread(world.journal.shut)
    await asyncio.to_thread(not_ready, world)
    await asyncio.to_thread(world.journal.open)


async def _journal_lies_dead(world: World) -> None:
    world.journal.freeze()
    await asyncio.sleep(2 * SECONDS)
    await asyncio.to_thread(world.journal.cut)
    world.journal.thaw()


async def _documents_are_away(world: World) -> None:
    await asyncio.to_thread(world.documents.shut)
    await asyncio.sleep(2 * SECONDS)
    await asyncio.to_thread(world.documents.open)


async def _documents_lie_dead(world: World) -> None:
    world.documents.freeze()
    await asyncio.sleep(2 * SECONDS)
    await asyncio.to_thread(world.documents.cut)
    world.documents.thaw()


async def _killed(world: World) -> None:
    await asyncio.to_thread(world.apis[0].kill)
    await asyncio.sleep(SECONDS)
    world.apis[0].start()


async def _killed_at_an_append(world: World) -> None:
    """After the journal has it and before anybody knows."""
    world.journal.faults = [Fault(Wrong.MUTE, APPEND, within=65536)]
    await asyncio.sleep(SECONDS)
    for api in world.apis:
        await asyncio.to_thread(api.kill)
        api.start()


async def _killed_before_couchdb(world: World) -> None:
    """After the journal has it and before CouchDB does."""
    world.documents.faults = [Fault(Wrong.SILENT, b"_bulk_docs", times=-1)]
    await asyncio.sleep(SECONDS)
    for api in world.apis:
        await asyncio.to_thread(api.kill)
        api.start()


async def _leader_is_killed(world: World) -> None:
    await asyncio.to_thread(world.index.kill)


async def _told_to_end(world: World) -> None:
    world.apis[1].terminate()
    await asyncio.to_thread(world.apis[1].process.wait, 60)
    world.apis[1].start()


FAULTS: dict[str, Callable[[World], Awaitable[None]]] = {
    "killed before CouchDB": _killed_before_couchdb,
    "an append's answer is lost": journal(Fault(Wrong.LOST, APPEND, 3, within=65536)),
    "the journal is away": _journal_is_away,
    "CouchDB takes it and says nothing": documents(Fault(Wrong.LOST, b"_bulk_docs", 3)),
    "killed": _killed,
    "an append is lost": journal(Fault(Wrong.RESET, APPEND, 3, within=65536)),
    "a turn is late": journal(Fault(Wrong.LATE, TURN, 20, seconds=0.1)),
    "the journal breaks": _journal_breaks,
    "the journal lies dead": _journal_lies_dead,
    "killed at an append": _killed_at_an_append,
    "CouchDB fails": documents(Fault(Wrong.ANSWERED, b"_bulk_docs", 4, answer(500))),
    "CouchDB is busy": documents(Fault(Wrong.ANSWERED, b"_bulk_docs", 4, answer(503, "Retry-After: 0"))),
    "CouchDB has enough": documents(Fault(Wrong.ANSWERED, b"_bulk_docs", 4, answer(429, "Retry-After: 0"))),
    "CouchDB's answer is half": documents(Fault(Wrong.TRUNCATED, b"_bulk_docs", 3, passed=80)),
    "CouchDB is late": documents(Fault(Wrong.LATE, b"_bulk_docs", 10, seconds=0.3)),
    "CouchDB is away": _documents_are_away,
    "CouchDB lies dead": _documents_lie_dead,
    "CouchDB's feed fails": documents(
        Fault(Wrong.ANSWERED, b"_changes", 2, answer(500)), Fault(Wrong.TRUNCATED, b"_changes", 2, passed=90)
    ),
    "the leader is killed": _leader_is_killed,
    "told to end": _told_to_end,
}


def order() -> list[str]:
    """The first ones are those that a short run has; a longer one has all, again and again."""
    names = list(FAULTS)
    chance = Random(SEED)
    while len(names) < ROUNDS:
        names += chance.sample(list(FAULTS), len(FAULTS))
    return names[:ROUNDS]


# -- what has to hold ---------------------------------------------------------------------------


def not_ready(world: World) -> None:
    for api in world.apis:
        until(lambda api=api: not api.is_ready, 30, api.told)  # type: ignore[misc]
        assert httpx.get(f"{api.url}/healthz", timeout=10).status_code == 200


def lacks(client: httpx.Client, path: str, done: Mapping[str, str]) -> bool:
    asked = {docid: [rev] for docid, rev in done.items()}
    return bool(client.post(f"{path}/_revs_diff", json=asked).raise_for_status().json())


def ids(client: httpx.Client, path: str) -> set[str]:
    return {row["id"] for row in client.get(f"{path}/_all_docs").raise_for_status().json()["rows"]}


def check(world: World) -> None:
    for api in world.apis:
        api.await_ready()
    for api in world.apis:
        with httpx.Client(base_url=api.url, auth=("adm1", PASSWORD), timeout=60) as client:
            assert not lacks(client, "/kompass", world.done)
            assert not world.refused & ids(client, "/kompass")
    with world.couchdb.client() as client:
        path = world.couchdb.database()
        until(lambda: not lacks(client, path, world.done), 60, world.index.told)
        assert not world.refused & ids(client, path)
    entries = audited(world.directory / "api1")
    assert {key for key, count in entries.items() if count > 1} == set()
    assert {(docid, rev) for docid, rev in world.done.items()} <= entries.keys()
    assert connections(world.dsn) <= MOST_CONNECTIONS


def audited(directory: Path) -> Counter[tuple[str, str]]:
    """How often the chain of writes, which hangs together, has each of them as accepted."""
    with closing(sqlite3.connect(directory / "kompass.sqlite", timeout=30)) as connection:
        rows = connection.execute("SELECT text FROM audit_entries ORDER BY num").fetchall()
    found: Counter[tuple[str, str]] = Counter()
    before = None
    for number, (raw,) in enumerate(rows, 1):
        entry = json.loads(raw)
        assert entry["num"] == number
        assert before is None or entry["previous"] == before
        before = sha256(raw).hexdigest()
        if entry["action"] in ("CREATE", "UPDATE", "DELETE"):
            found[entry["document"], entry["after"]] += 1
    return found


async def test_nothing_is_lost_and_nothing_comes_twice(world: World) -> None:
    limits = httpx.Limits(max_connections=50)
    threads: dict[int, int] = {}
    for name in order():
        stop, pushed = asyncio.Event(), asyncio.Event()
        world.seen.clear()
        before = len(world.done)
        async with httpx.AsyncClient(auth=("adm1", PASSWORD), timeout=45, limits=limits) as client:
            devices = [Device(client, world.apis, number) for number in range(WRITERS + 1)]
            working = [asyncio.create_task(push(device, world, stop)) for device in devices[:WRITERS]]
            following = asyncio.create_task(follow(devices[WRITERS], world, pushed))
            await asyncio.sleep(SECONDS)
            began = time.monotonic()
            await FAULTS[name](world)
            world.heal()
            during = len(world.done)
            # Everybody gets on again, without being started anew.
            async with asyncio.timeout(90):
                while len(world.done) < during + 2 * WRITERS:
                    await asyncio.sleep(0.05)
                    for task in working:
                        if task.done():
                            task.result()
            took = time.monotonic() - began
            await asyncio.sleep(SECONDS)
            stop.set()
            await asyncio.gather(*working)
            pushed.set()
            await following
        assert world.done.keys() <= {docid for docid, _ in world.seen}, name
        assert [one for one, count in world.seen.items() if count > 1] == []
        await asyncio.to_thread(check, world)
        structlog.get_logger().info("round", fault=name, pushed=len(world.done) - before, took=took)
        for node in (*world.apis, world.index):
            now = psutil.Process(node.process.pid).num_threads()
            assert now <= threads.setdefault(node.process.pid, max(now, 40)), "threads stay"

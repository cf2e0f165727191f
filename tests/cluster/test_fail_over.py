"""PostgreSQL fails over to its standby while devices push: what is acknowledged stays, or is brought again.

Only with KOMPASS_TEST_FAULT_ROUNDS, for it takes a minute: `test_forks` tries the same with stores.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.processes import Nodes, initialized
from tests.cluster.standby import Pair, pair
from tests.cluster.test_processes import PASSWORD, Device, customer
from tests.serving import ADMIN, until

LONG = "KOMPASS_TEST_FAULT_ROUNDS"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(LONG not in os.environ, reason=f"takes a minute: set {LONG}"),
]

WRITERS = 3
SECONDS = 2.0


class Cluster:
    """Two API processes and a leader, which somebody starts again when they end."""

    def __init__(self, directory: Path, servers: Pair) -> None:
        servers.first.do("CREATE DATABASE journal")
        environment = {"KOMPASS_JOURNAL_DSN": servers.dsn("journal")}
        initialized(environment)
        self.running = Nodes(directory, environment)
        self.index, *self.apis = [self.running.add(command) for command in ("index", "api", "api")]
        self.ended: list[str] = []

    async def keep(self) -> None:
        """As Compose and Kubernetes do."""
        while True:
            for node in self.running.all:
                if node.process.poll() is not None:
                    self.ended.append(node.url)
                    node.start()
            await asyncio.sleep(0.2)


async def push(device: Device, done: dict[str, dict[str, Any]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        sent = customer()
        answer = await device.ask("POST", "/kompass/_bulk_docs", {"docs": [sent], "new_edits": False})
        assert answer.status_code == 201, answer.text
        assert answer.json() == []
        done[sent["_id"]] = sent


async def ids(device: Device, since: str) -> tuple[set[str], str]:
    """What a feed shows after a sequence."""
    told = (await device.ask("GET", f"/kompass/_changes?since={since}")).json()
    return {row["id"] for row in told["results"]}, told["last_seq"]


@pytest.mark.parametrize("synchronous", [True, False])
async def test_what_was_acknowledged_stays_or_is_brought_again(tmp_path: Path, synchronous: bool) -> None:
    with pair(synchronous=synchronous) as servers:
        made = Cluster(tmp_path, servers)
        try:
            for api in made.apis:
                await asyncio.to_thread(api.await_ready)
            login = {"name": "adm1", "type": "user", "roles": ["ADM"], "password": PASSWORD}
            url = f"{made.apis[0].url}/_users/org.couchdb.user:adm1"
            async with httpx.AsyncClient(auth=("adm1", PASSWORD), timeout=60) as client:
                (await client.put(url, json=login, auth=ADMIN)).raise_for_status()
                await _failed_over(made, servers, client, synchronous=synchronous)
        finally:
            for node in made.running.all:
                node.kill()


async def _failed_over(made: Cluster, servers: Pair, client: httpx.AsyncClient, *, synchronous: bool) -> None:
    done: dict[str, dict[str, Any]] = {}
    stop = asyncio.Event()
    devices = [Device(client, made.apis, number) for number in range(WRITERS + 1)]
    reader = devices[WRITERS]
    keeping = asyncio.create_task(made.keep())
    working = [asyncio.create_task(push(device, done, stop)) for device in devices[:WRITERS]]
    await asyncio.sleep(SECONDS)
    if not synchronous:
        await asyncio.to_thread(servers.lag)
        enough = len(done) + 5
        await asyncio.to_thread(until, lambda: len(done) >= enough, 60)
    read, since = await ids(reader, "0")
    before = set(done)
    await asyncio.to_thread(servers.fail_over)
    while len(done) < len(before) + 2 * WRITERS:
        await asyncio.sleep(0.05)
        for task in working:
            if task.done():
                task.result()
    stop.set()
    await asyncio.gather(*working)
    if synchronous:
        everything, _ = await ids(reader, "0")
        assert done.keys() <= everything, "nothing that was acknowledged is lost"
        after, _ = await ids(reader, since)
        assert after == everything - read, "and nobody reads anything again"
    else:
        await _made_good(made, reader, done, before, since)
    keeping.cancel()


async def _made_good(
    made: Cluster, reader: Device, done: dict[str, dict[str, Any]], before: set[str], since: str
) -> None:
    """Devices hear that numbers count anew, and bring what is lost."""
    epoch = since.rpartition("-")[2]
    async with asyncio.timeout(120):
        while True:
            everything, now = await ids(reader, "0")
            if not now.endswith(epoch):
                break
            await asyncio.sleep(0.2)
    lost = before - everything
    assert lost, "the standby lagged"
    again, _ = await ids(reader, since)
    assert again == everything, "who read what is lost begins from the start"
    body = {docid: [sent["_rev"]] for docid, sent in done.items()}
    missing = (await reader.ask("POST", "/kompass/_revs_diff", body)).json()
    assert missing.keys() == done.keys() - everything
    sent = {"docs": [done[docid] for docid in missing], "new_edits": False}
    assert (await reader.ask("POST", "/kompass/_bulk_docs", sent)).json() == []
    for api in made.apis:
        await asyncio.to_thread(api.await_ready)
        own = Device(reader._client, [api], 0)
        assert done.keys() <= (await ids(own, "0"))[0]
    assert made.ended, "copies that were ahead were replaced"

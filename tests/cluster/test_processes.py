"""Two API processes and a leader over a real PostgreSQL: writes, feeds, ends with notice and without."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.attack.writes_world import revised, some, text
from tests.cluster.processes import Node, Nodes, nodes
from tests.serving import ADMIN

pytestmark = pytest.mark.slow
PASSWORD = "pw"
WRITERS = 6
SECONDS_OF_LOAD = 6.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with nodes(tmp_path_factory.mktemp("cluster")) as made:
        made.add("index")
        for api in (made.add("api"), made.add("api")):
            api.await_ready()
        login = {"name": "adm1", "type": "user", "roles": ["ADM"], "password": PASSWORD}
        url = made.all[1].url
        httpx.put(f"{url}/_users/org.couchdb.user:adm1", json=login, auth=ADMIN).raise_for_status()
        httpx.get(f"{url}/kompass", auth=("adm1", PASSWORD)).raise_for_status()
        yield made


@pytest.fixture
def apis(running: Nodes) -> list[Node]:
    """Two that are ready."""
    for api in running.all[1:3]:
        if api.process.poll() is not None:
            api.start()
        api.await_ready()
    return running.all[1:3]


def customer() -> dict[str, Any]:
    """A new one, as a device pushes it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    address = {"street": "Hauptstraße", "zipCode": "53894", "city": "Rode", "country": "Deutschland"}
    docid = some("customer")
    members = {
        "owner": "adm1",
        "companyName": f"Hofladen {docid}",
        "billingAddress": address,
        "createdAt": now,
        "modifiedAt": now,
    }
    return revised(docid, text("customer", "adm1", **members))


class Device:
    """Sends each request to the next server, and to the other one when that fails."""

    def __init__(self, client: httpx.AsyncClient, apis: list[Node], first: int) -> None:
        self._client = client
        self._urls = [api.url for api in apis]
        self._at = first
        self.failures = 0

    async def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        async with asyncio.timeout(60):
            while True:
                self._at += 1
                url = self._urls[self._at % len(self._urls)]
                try:
                    answer = await self._client.request(method, url + path, json=body)
                    if answer.status_code < 500:
                        return answer
                except httpx.TransportError:
                    pass
                self.failures += 1
                await asyncio.sleep(0.05)


async def work(device: Device, until: float, done: dict[str, str]) -> None:
    """Pushes new documents, asks the other server for each at once, and notes what was acknowledged."""
    while time.monotonic() < until:
        sent = customer()
        answer = await device.ask("POST", "/kompass/_bulk_docs", {"docs": [sent], "new_edits": False})
        assert answer.status_code == 201, answer.text
        assert answer.json() == []
        done[sent["_id"]] = sent["_rev"]
        asked = await device.ask("POST", "/kompass/_revs_diff", {sent["_id"]: [sent["_rev"]]})
        assert asked.json() == {}, "what was acknowledged is there, whoever is asked"


async def follow(device: Device, until: float, seen: set[str]) -> None:
    """A live feed that goes on wherever it is answered; it is never shown anything twice."""
    since: Any = "0"
    while time.monotonic() < until:
        path = f"/kompass/_changes?feed=longpoll&timeout=1000&since={since}"
        answer = (await device.ask("GET", path)).json()
        seen |= {row["id"] for row in answer["results"]}
        since = answer["last_seq"]


def stored(api: Node) -> set[str]:
    answer = httpx.get(f"{api.url}/kompass/_all_docs", auth=("adm1", PASSWORD), timeout=30)
    return {row["id"] for row in answer.raise_for_status().json()["rows"]}


async def test_a_killed_process_takes_no_acknowledged_write_with_it(apis: list[Node]) -> None:
    done: dict[str, str] = {}
    seen: set[str] = set()
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(auth=("adm1", PASSWORD), timeout=30, limits=limits) as client:
        now = time.monotonic()
        devices = [Device(client, apis, number) for number in range(WRITERS + 1)]
        tasks = [
            asyncio.create_task(work(device, now + SECONDS_OF_LOAD, done)) for device in devices[:WRITERS]
        ]
        tasks.append(asyncio.create_task(follow(devices[WRITERS], now + SECONDS_OF_LOAD + 2, seen)))
        await asyncio.sleep(SECONDS_OF_LOAD / 2)
        before = len(done)
        await asyncio.to_thread(apis[0].kill)
        await asyncio.gather(*tasks)
    assert before > 10
    assert len(done) > before + 10, "the other one goes on"
    assert done.keys() <= stored(apis[1])
    assert done.keys() <= seen
    apis[0].start()
    apis[0].await_ready()
    assert done.keys() <= stored(apis[0])


async def upload(client: httpx.AsyncClient, api: Node, sent: dict[str, Any]) -> httpx.Response:
    """Slowly, for six seconds."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b"x" * 1000
            await asyncio.sleep(0.5)

    stored = (await client.get(f"{api.url}/kompass/{sent['_id']}")).json()
    address = f"{api.url}/kompass/{sent['_id']}/photo?rev={stored['_rev']}"
    return await client.put(address, content=pieces(), headers={"content-type": "image/png"})


async def waited(client: httpx.AsyncClient, api: Node, kind: str) -> bytes:
    """What a live feed in which nothing happens has told when it ends, which is no failure."""
    path = f"/kompass/_changes?feed={kind}&since=now&timeout=60000&heartbeat=60000"
    answered = await client.get(api.url + path, timeout=60)
    assert answered.status_code == 200
    return answered.content


async def test_an_end_with_notice_is_one_that_nobody_fails_by(apis: list[Node]) -> None:
    leaving, staying = apis
    async with httpx.AsyncClient(auth=("adm1", PASSWORD), timeout=30) as client:
        path = "/kompass/_changes?feed=continuous&heartbeat=1000&since=now"
        async with client.stream("GET", leaving.url + path) as feed:
            lines = feed.aiter_lines()
            sent = customer()
            body = {"docs": [sent], "new_edits": False}
            await client.post(f"{staying.url}/kompass/_bulk_docs", json=body)
            told = await anext(line async for line in lines if line)  # not a heartbeat
            assert json.loads(told)["id"].endswith(sent["_id"].partition("-")[2])
            began = time.monotonic()
            uploading = asyncio.create_task(upload(client, leaving, sent))
            others = [
                asyncio.create_task(waited(client, leaving, kind)) for kind in ("longpoll", "eventsource")
            ]
            await asyncio.sleep(0.2)
            leaving.terminate()
            for _ in range(100):
                ready = await client.get(f"{leaving.url}/readyz")
                if ready.status_code == 503:
                    break
                await asyncio.sleep(0.05)
            assert ready.json()["reason"].startswith("This process is about to end")
            assert (await client.get(f"{leaving.url}/healthz")).status_code == 200
            # In front of it nobody may have heard yet: it still answers.
            assert (await client.get(f"{leaving.url}/kompass/{sent['_id']}")).status_code == 200
            last = [json.loads(line) async for line in lines if line][-1]
            assert "last_seq" in last
            assert (await uploading).status_code == 201, "what was in flight is finished"
            longpoll, eventsource = await asyncio.gather(*others)
            assert json.loads(longpoll).keys() >= {"results", "last_seq"}
            assert not eventsource.strip(b"\n").startswith(b"{"), "no error"
        assert await asyncio.to_thread(leaving.process.wait, 30) == 0, leaving.told()
        assert time.monotonic() - began < 15
        path = f"/kompass/_changes?since={last['last_seq']}"
        (row,) = (await client.get(staying.url + path)).json()["results"]
        assert row["id"] == sent["_id"], "what came meanwhile"


async def test_settings_that_are_changed_at_one_hold_at_the_other(apis: list[Node]) -> None:
    path = "/_node/_local/_config/couch_httpd_auth/timeout"
    async with httpx.AsyncClient(auth=ADMIN, timeout=30) as client:
        changed = await client.put(apis[0].url + path, json="777")
        assert changed.status_code == 200, changed.text
        for _ in range(100):
            if (await client.get(apis[1].url + path)).json() == "777":
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("not within ten seconds")


async def test_another_process_leads_when_the_leader_dies(running: Nodes, apis: list[Node]) -> None:
    leader = running.all[0]
    second = running.add("index")
    second.await_told("another process leads")
    leader.kill()
    second.await_told("] leads ")
    second.terminate()
    assert await asyncio.to_thread(second.process.wait, 30) == 0, second.told()

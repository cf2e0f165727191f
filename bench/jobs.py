"""Everything beside one server: how soon after a write a webhook is called, and what memory all of it takes.

`kompass serve --demo` as it is: server, consumer with every sink, PostgreSQL, Redis, worker. From the answer
of a write to the call of a receiver: through the feed, the sink, the queue and the worker, who asks the
server what may be told.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

import httpx
import orjson
import psutil

from bench.access import make_customer, make_location
from bench.servers import demo_product
from kompass.demo import PASSWORD
from kompass.settings_values import DemoSize

AUTH = httpx.BasicAuth("admin", PASSWORD)
READY_SECONDS = 600


class Receiver:
    """When it was told of which document."""

    def __init__(self) -> None:
        self.told: dict[str, float] = {}
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                told.setdefault(body["payload"]["id"], time.perf_counter())
                self.send_response(204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"


@contextmanager
def _receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()


def memory(pid: int) -> dict[str, float]:
    """Proportional set size in MB of a server and all that comes from it, by what it is."""
    found: dict[str, float] = {}
    server = psutil.Process(pid)
    for one in (server, *server.children(recursive=True)):
        try:
            line = " ".join(one.cmdline())
            size = one.memory_full_info().pss / 1e6
        except psutil.Error:
            continue
        name = next(
            (
                name
                for mark, name in (
                    ("guard.py", "guards"),
                    ("redis-server", "Redis"),
                    ("postgres", "PostgreSQL"),
                    ("kompass feed", "feed"),
                    ("kompass worker", "worker"),
                    ("kompass serve", "server"),
                )
                if mark in line
            ),
            one.name(),
        )
        found[name] = found.get(name, 0.0) + size
    return found


def run(size: DemoSize, seconds: float, rate: int) -> None:
    asyncio.run(_run(size, seconds, rate))


async def _run(size: DemoSize, seconds: float, rate: int) -> None:
    with (
        demo_product(size.value, KOMPASS_WEBHOOK_HOSTS="127.0.0.1") as running,
        _receiving() as receiver,
    ):
        assert running.pid is not None
        limits = httpx.Limits(max_connections=20)
        async with httpx.AsyncClient(base_url=running.url, auth=AUTH, timeout=120, limits=limits) as client:
            began = time.perf_counter()
            await _settled(client)
            print(f"\nall copies of the {size} demo are there after {time.perf_counter() - began:.0f} s")
            _tell_memory("at rest", memory(running.pid))
            hook = {
                "url": receiver.url,
                "events": ["location.created"],
                "fields": ["city"],
                "person": "innen1",
            }
            (await client.put("/api/v1/jobs/webhooks/bench", json=hook)).raise_for_status()
            await asyncio.sleep(2)
            acknowledged = await _write(client, seconds, rate)
            ends = time.perf_counter() + 120
            while len(receiver.told) < len(acknowledged) and time.perf_counter() < ends:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            waits = sorted(
                receiver.told[one] - at for one, at in acknowledged.items() if one in receiver.told
            )
            print(
                f"{rate} writes a second for {seconds:.0f} s, seconds till the receiver is called:"
                f" median {statistics.median(waits):.3f}   P95 {waits[int(0.95 * (len(waits) - 1))]:.3f}"
                f"   most {waits[-1]:.3f}   ({len(waits)} of {len(acknowledged)} calls)"
            )
            await _settled(client)
            _tell_memory("after that", memory(running.pid))


def _tell_memory(when: str, found: dict[str, float]) -> None:
    parts = "   ".join(f"{name} {size:.0f}" for name, size in sorted(found.items(), key=lambda one: -one[1]))
    print(f"MB {when}: {sum(found.values()):.0f} in all   ({parts})")


async def _settled(client: httpx.AsyncClient) -> None:
    ends = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < ends:
        feed = (await client.get("/api/v1/feed/status")).raise_for_status().json()
        jobs = (await client.get("/api/v1/jobs/status")).raise_for_status().json()
        states = [one["state"] == "following" and one["lag"] == 0 for one in feed["sinks"]]
        if states and all(states) and jobs["state"] == "following" and jobs["late_seconds"] == 0:
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"not all copies are there after {READY_SECONDS} s")


async def _write(client: httpx.AsyncClient, seconds: float, rate: int) -> dict[str, float]:
    acknowledged: dict[str, float] = {}
    source = Random()
    headers = {"content-type": "application/json"}
    customer = f"customer-{uuid.UUID(int=source.getrandbits(128), version=4)}"
    body = orjson.dumps(make_customer(customer, 1, "adm1"))
    (await client.put(f"/kompass/{customer}", content=body, headers=headers)).raise_for_status()

    async def one(number: int) -> None:
        docid = f"location-{uuid.UUID(int=source.getrandbits(128), version=4)}"
        body = orjson.dumps(make_location(customer, number, docid, "adm1"))
        (await client.put(f"/kompass/{docid}", content=body, headers=headers)).raise_for_status()
        acknowledged[docid] = time.perf_counter()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * rate)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            group.create_task(one(number))
    return acknowledged

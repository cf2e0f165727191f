"""Lists over REST: people with several roles who leaf through many customers at once, through the gate.

Beside the time that passes it tells the server's processor, in which other programs don't count.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from statistics import quantiles
from typing import Any
from urllib.parse import quote

import httpx
import psutil

from bench.client import Client, Target
from bench.servers import Running, our_product
from kompass.domain.examples import full

BATCH = 1000
PASSWORD = "bench-password-1"
ROLES = {"ADM": 20, "INNEN": 12, "PLAN": 6, "KALK": 6, "BUCH": 4, "GF": 2}
"""People of each role who ask at once."""
THINKING = {
    "a question a second each": (0.5, 1.5),
    "100 a minute each, the limit": (0.4, 0.8),
    "as fast as they can": (0.0, 0.0),
}
"""Seconds between an answer and the next question, evenly spread."""
QUESTIONS = (
    "sort=companyName&limit=50",
    "limit=50",
    "sort=-modifiedAt&limit=50&fields=companyName,owner,rating",
    "sort=companyName&limit=50&rating=A",
    "sort=companyName&limit=50&companyName.starts=hofladen%201",
)
CITIES = ("Köln", "Flensburg", "Rode", "Öhringen")


def _people() -> list[tuple[str, str]]:
    return [(f"{role.lower()}{number}", role) for role, count in ROLES.items() for number in range(count)]


def _customers(count: int, owners: list[str], source: Random) -> Iterator[dict[str, Any]]:
    for number in range(count):
        body = {name: value for name, value in full("customer").items() if name[:1] != "_"}
        for name in ("changeLog", "erasures", "immutableAttachments", "attachments"):
            body.pop(name, None)
        at = f"2026-01-{number % 28 + 1:02}T08:{number % 60:02}:00.{number % 1000:03}Z"
        yield {
            **body,
            "_id": f"customer-{uuid.UUID(int=source.getrandbits(128), version=4)}",
            "companyName": f"Hofladen {source.randrange(100_000)} Süß & Söhne GmbH",
            "customerNumber": f"K-{number:05}",
            "owner": owners[number % len(owners)],
            "rating": source.choice("ABC"),
            "createdAt": at,
            "modifiedAt": at,
        }


def _fill(running: Running, count: int) -> None:
    people = _people()
    owners = [name for name, role in people if role == "ADM"]
    with httpx.Client(base_url=running.url, timeout=300) as admin:
        for name, role in people:
            user = {"name": name, "type": "user", "roles": [role], "password": PASSWORD}
            assert admin.put(f"/_users/org.couchdb.user:{name}", json=user).status_code == 201
        docs = list(_customers(count, owners, Random(1)))
        for first in range(0, count, BATCH):
            answer = admin.post("/kompass/_bulk_docs", json={"docs": docs[first : first + BATCH]})
            refused = [one for one in answer.json() if "error" in one]
            assert not refused, refused[0]


@dataclass
class Asking:
    """What one person does, until it is over."""

    target: Target
    random: Random
    over: threading.Event
    thinking: tuple[float, float]
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._client = Client(self.target)
        # Passwords are checked once, and take their time.
        self._client.call("GET", f"/api/v1/customers?{QUESTIONS[0]}")

    def __call__(self) -> None:
        client = self._client
        self.over.wait(self.random.uniform(0, self.thinking[1]))
        while not self.over.is_set():
            question = self.random.choice(QUESTIONS)
            cursor = None
            for _ in range(self.random.randint(1, 3)):  # pages
                path = f"/api/v1/customers?{question}"
                began = time.perf_counter()
                text = client.call("GET", path if cursor is None else f"{path}&cursor={quote(cursor)}")
                self.times.append(1000 * (time.perf_counter() - began))
                cursor = json.loads(text)["next"]
                if self.thinking[1]:
                    self.over.wait(self.random.uniform(*self.thinking))
                if cursor is None or self.over.is_set():
                    break
        client.close()


def _asked(running: Running, seconds: float, what: str) -> None:
    assert running.pid is not None
    over = threading.Event()
    address = running.url.rpartition("@")[2]
    asking = [
        Asking(Target(f"http://{name}:{PASSWORD}@{address}"), Random(name), over, THINKING[what])
        for name, _ in _people()
    ]
    threads = [threading.Thread(target=one) for one in asking]
    server = psutil.Process(running.pid)
    began, worked = time.perf_counter(), sum(server.cpu_times()[:2])
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join()
    passed, worked = time.perf_counter() - began, sum(server.cpu_times()[:2]) - worked
    times = [each for one in asking for each in one.times]
    cuts = quantiles(times, n=100)
    told = " | ".join(f"{value:.0f}" for value in (cuts[49], cuts[94], cuts[98], max(times)))
    rate, own = len(times) / passed, 1000 * worked / len(times)
    print(f"| {what} | {rate:.0f} | {told} | {own:.1f} |", flush=True)


def _alone(running: Running, rounds: int) -> None:
    """What a question costs by itself, by role."""
    assert running.pid is not None
    server = psutil.Process(running.pid)
    address = running.url.rpartition("@")[2]
    for role in ROLES:
        client = Client(Target(f"http://{role.lower()}0:{PASSWORD}@{address}"))
        for question in QUESTIONS:
            client.call("GET", f"/api/v1/customers?{question}")  # the index, once
        told = []
        for question in QUESTIONS:
            worked = sum(server.cpu_times()[:2])
            for _ in range(rounds):
                client.call("GET", f"/api/v1/customers?{question}")
            told.append(f"{1000 * (sum(server.cpu_times()[:2]) - worked) / rounds:.1f}")
        print(f"| {role} | {' | '.join(told)} |", flush=True)
        client.close()


def run(customers: int, seconds: float, rounds: int) -> None:
    """Prints two tables."""
    with our_product(KOMPASS_RATE_LIMIT="10000") as running:
        began = time.perf_counter()
        _fill(running, customers)
        print(f"{customers:,} customers written in {time.perf_counter() - began:.0f} s\n")
        print(f"Milliseconds of the server's processor for a page of 50\n\n| | {' | '.join(QUESTIONS)} |")
        print("|---|" + "---:|" * len(QUESTIONS))
        _alone(running, rounds)
        print(f"\n{len(_people())} people at once, milliseconds\n")
        print("| | a second | P50 | P95 | P99 | longest | processor for each |\n|---|" + "---:|" * 6)
        for what in THINKING:
            _asked(running, seconds, what)

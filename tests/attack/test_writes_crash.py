"""SIGKILL at random moments while devices push what is stored, refused and waits: all of it is somewhere.

KOMPASS_TEST_CRASH_ROUNDS sets how often the server dies (6 by itself).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from kompass.domain.examples import smallest
from replication.store.sqlite.doctor import examine
from tests.attack.writes_world import following, revised, some, text
from tests.servers import ServerProcess
from tests.serving import until

pytestmark = [pytest.mark.crash, pytest.mark.slow]

ROUNDS = int(os.environ.get("KOMPASS_TEST_CRASH_ROUNDS", "6"))
DEVICES = 4
GOOD, REFUSED, WAITING = "stored", "refused", "waiting"


class Served(ServerProcess):
    """`python -m kompass serve`."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self._command = [sys.executable, "-m", "kompass", "serve", "--host", "127.0.0.1"]
        self._command += ["--port", str(self.port), "--data", str(data)]


class Device:
    """Pushes as PouchDB does: asks what is missing, sends that, and goes on when it has an answer."""

    def __init__(self, origin: str, name: str, seed: int) -> None:
        self.client = httpx.Client(base_url=origin, auth=(name, "pw"), timeout=20)
        self.name = name
        self.random = Random(seed)
        self.queue: list[tuple[str, dict[str, Any]]] = []
        """What it is about to push, with what must become of it."""
        self.done: dict[tuple[str, str], str] = {}
        """(id, revision) -> what must have become of it."""
        self.owed: list[str] = []
        """Customers that something waits for."""
        self.sent: set[tuple[str, str]] = set()
        self.customers: list[tuple[str, str]] = []

    def run(self) -> None:
        try:
            while True:
                self.push()
        except httpx.TransportError:
            return

    def push(self) -> None:
        if not self.queue:
            self.queue = [self.make() for _ in range(self.random.choice([1, 5, 20]))]
        asked: dict[str, list[str]] = {}
        for _, doc in self.queue:
            asked.setdefault(doc["_id"], []).append(doc["_rev"])
        answer = self.client.post("/kompass/_revs_diff", json=asked).raise_for_status().json()
        missing = [
            doc for _, doc in self.queue if doc["_rev"] in answer.get(doc["_id"], {}).get("missing", ())
        ]
        rows = []
        if missing:
            push = {"docs": missing, "new_edits": False}
            rows = self.client.post("/kompass/_bulk_docs", json=push).raise_for_status().json()
        assert {row["error"] for row in rows} <= {"forbidden"}
        refused = {(row["id"], row["rev"]) for row in rows}
        for fate, doc in self.queue:
            if doc in missing:
                assert ((doc["_id"], doc["_rev"]) in refused) == (fate == REFUSED)
            self.done[doc["_id"], doc["_rev"]] = fate
            if fate == GOOD and doc["type"] == "customer":
                self.customers.append((doc["_id"], doc["_rev"]))
        self.queue = []

    def make(self) -> tuple[str, dict[str, Any]]:
        random, me = self.random, self.name
        kind = random.choice(["task", "customer", "edit", "supplier", "contact", "owed"])
        if kind == "customer":
            return GOOD, revised(some("customer"), self.customer())
        if kind == "edit" and self.customers:
            docid, rev = random.choice(self.customers)
            return REFUSED, following(
                docid, text("customer", me, owner=me, creditLimit=5, n=random.random()), rev
            )
        if kind == "contact":
            self.owed.append(some("customer"))
            return WAITING, revised(some("contact"), self.sound("contact", customerId=self.owed[-1]))
        if kind == "owed" and self.owed:
            docid = self.owed.pop(random.randrange(len(self.owed)))
            return GOOD, revised(docid, self.customer())
        if kind == "supplier":
            doc = revised(some("supplier"), text("supplier", me, note="x" * random.randrange(5000)))
            if random.random() < 0.5:
                doc["_attachments"] = {"a": {"data": "aGVsbG8=", "content_type": "text/plain"}}
            return REFUSED, doc
        return GOOD, revised(some("user_task"), self.sound("user_task", assignedTo=me))

    def sound(self, doctype: str, **more: Any) -> dict[str, Any]:
        """A new document as the business wants it."""
        body = {**smallest(doctype), "createdBy": self.name, "modifiedBy": self.name, **more}
        del body["_id"]
        return body

    def customer(self) -> dict[str, Any]:
        number = self.random.randrange(10**9)
        return self.sound("customer", owner=self.name, companyName=f"Hof {number}")

    def check(self, admin: httpx.Client) -> None:
        entries: dict[tuple[str, str], str] = {}
        query: dict[str, Any] = {"limit": 200, "own": "true"}
        while True:
            page = self.client.get("/api/v1/quarantine", params=query).raise_for_status().json()
            entries.update({(one["docId"], one["rev"]): one["state"] for one in page["entries"]})
            if "next" not in page:
                break
            query["before"] = page["next"]
        feed = self.client.get("/kompass/_changes", params={"style": "all_docs", "include_docs": "true"})
        rows = feed.raise_for_status().json()["results"]
        told = {
            (row["doc"]["docId"], row["doc"]["rev"])
            for row in rows
            if row.get("doc", {}).get("type") == "rejected_change"
        }
        ends = {row["id"]: {one["rev"] for one in row["changes"]} for row in rows}
        known = {"docs": [{"id": docid, "rev": rev} for docid, rev in self.done]}
        results = admin.post("/kompass/_bulk_get", json=known).raise_for_status().json()["results"]
        stored = {(one["id"], row["ok"]["_rev"]) for one in results for row in one["docs"] if "ok" in row}
        for key, fate in self.done.items():
            if fate == GOOD:
                assert key in stored, f"{key} is lost"
            elif fate == REFUSED:
                assert key not in stored
                assert entries.get(key) == "quarantined", f"{key} is not in quarantine"
                assert key in told, f"nobody told {self.name} of {key}"
                # Its end, or that of something which comes from it, is in his feed.
                assert any(int(rev.partition("-")[0]) > int(key[1].partition("-")[0]) for rev in ends[key[0]])
            else:
                assert key in stored or entries.get(key) == "waiting", f"{key} is lost"


def test_nothing_that_was_pushed_is_lost_when_the_server_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOMPASS_ADMIN", "admin:geheim")
    monkeypatch.setenv("KOMPASS_QUARANTINE_ENTRIES", "100000")
    random = Random(11)
    server = Served(tmp_path / "data")
    server.start()
    devices = []
    with httpx.Client(base_url=server.url, timeout=20) as admin:
        for number in range(DEVICES):
            name = f"adm{number}"
            user = {"name": name, "type": "user", "roles": ["ADM"], "password": "pw"}
            admin.put(f"/_users/org.couchdb.user:{name}", json=user).raise_for_status()
            devices.append(Device(server.origin, name, number))
    try:
        for number in range(ROUNDS):
            threads = [threading.Thread(target=device.run) for device in devices]
            for thread in threads:
                thread.start()
            time.sleep(random.uniform(0.2, 1.2))
            wanted = 20 * (number + 1)
            until(lambda: answered(devices) > wanted, 60, lambda: str(answered(devices)))  # noqa: B023
            server.crash()
            for thread in threads:
                thread.join(30)
                assert not thread.is_alive()
            server.start()
            for device in devices:
                if device.queue:
                    device.push()
            with httpx.Client(base_url=server.url, timeout=60) as admin:
                for device in devices:
                    device.check(admin)
    finally:
        server.stop()
        for device in devices:
            device.client.close()
    assert answered(devices) > ROUNDS * 20
    assert list(examine(tmp_path / "data")) == []


def answered(devices: list[Device]) -> int:
    return sum(len(device.done) for device in devices)

"""SIGKILL at random moments of a load of writes: nothing acknowledged is lost, no reader misses a change.

KOMPASS_TEST_CRASH_ROUNDS sets how often the server dies (12 by itself).
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from replication.store.sqlite.doctor import examine
from tests.servers import ServerProcess
from tests.serving import until

pytestmark = [pytest.mark.crash, pytest.mark.slow]

ROUNDS = int(os.environ.get("KOMPASS_TEST_CRASH_ROUNDS", "12"))
WRITERS = 6


@dataclass
class Known:
    """What clients were told. `writing` holds what was sent and not answered: it may be there or not."""

    revs: dict[str, str] = field(default_factory=dict)
    writing: set[str] = field(default_factory=set)
    answered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Writer(threading.Thread):
    """Edits documents of its own until the server is gone: singly, in batches, with attachments, deleting."""

    def __init__(self, url: str, number: int, seed: int, known: Known) -> None:
        super().__init__()
        self._client = httpx.Client(base_url=url, timeout=10)
        self._number = number
        self._random = Random(seed)
        self._known = known

    def run(self) -> None:
        try:
            while True:
                self._write()
        except httpx.TransportError:
            self._client.close()

    def _write(self) -> None:
        random = self._random
        names = [f"w{self._number}-{random.randrange(40)}" for _ in range(random.choice([1, 1, 1, 20]))]
        docs = []
        for name in dict.fromkeys(names):
            doc: dict[str, Any] = {"_id": name, "text": "x" * random.randrange(2000), "whole": True}
            if (rev := self._known.revs.get(name)) is not None:
                doc["_rev"] = rev
            if random.random() < 0.2:
                doc["_attachments"] = {"a": {"data": "aGVsbG8=", "content_type": "text/plain"}}
            docs.append(doc)
        with self._known.lock:
            self._known.writing.update(doc["_id"] for doc in docs)
        if len(docs) == 1:
            answer = self._client.put(f"/db/{docs[0]['_id']}", json=docs[0])
            rows = [answer.json()]
        else:
            rows = self._client.post("/db/_bulk_docs", json={"docs": docs}).json()
        with self._known.lock:
            for doc, row in zip(docs, rows, strict=True):
                assert row.get("ok"), row
                self._known.revs[doc["_id"]] = row["rev"]
                self._known.writing.discard(doc["_id"])
                self._known.answered += 1


class Reader(threading.Thread):
    """Follows the feed from the last sequence it saw, until the server is gone."""

    def __init__(self, url: str, since: str, seen: dict[str, str]) -> None:
        super().__init__()
        self._client = httpx.Client(base_url=url, timeout=10)
        self.since = since
        self.seen = seen
        self.numbers: list[int] = []

    def run(self) -> None:
        try:
            while True:
                query = f"/db/_changes?feed=longpoll&since={self.since}&limit=50&timeout=2000"
                self.take(self._client.get(query).json())
        except httpx.TransportError:
            self._client.close()

    def take(self, page: dict[str, Any]) -> None:
        for row in page["results"]:
            self.numbers.append(int(row["seq"].partition("-")[0]))
            self.seen[row["id"]] = row["changes"][0]["rev"]
        self.since = page["last_seq"]


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    random = Random(7)
    server = ServerProcess(tmp_path / "data")
    server.start()
    httpx.put(f"{server.url}/db").raise_for_status()
    known, seen, since = Known(), dict[str, str](), "0"
    highest = 0
    try:
        for round_number in range(ROUNDS):
            writers = [
                Writer(server.url, number, round_number * 100 + number, known) for number in range(WRITERS)
            ]
            reader = Reader(server.url, since, seen)
            for thread in [*writers, reader]:
                thread.start()
            time.sleep(random.uniform(0.05, 0.8))
            wanted = 20 * (round_number + 1)
            until(lambda: known.answered > wanted, 60, lambda: str(known.answered))  # noqa: B023
            server.crash()
            for thread in [*writers, reader]:
                thread.join(20)
                assert not thread.is_alive()
            server.start()
            with httpx.Client(base_url=server.url, timeout=20) as client:
                _check_documents(client, known)
                highest = _check_feed(client, reader, highest)
            since, seen = reader.since, reader.seen
            known.writing.clear()
    finally:
        server.stop()
    assert known.answered > ROUNDS * 20
    assert list(examine(tmp_path / "data")) == []


def _check_documents(client: httpx.Client, known: Known) -> None:
    """Each acknowledged revision is in its document's history; what was under way is whole or absent."""
    names = sorted(known.revs.keys() | known.writing)
    body = {"docs": [{"id": name} for name in names]}
    for row in client.post("/db/_bulk_get?revs=true", json=body).json()["results"]:
        name = row["id"]
        found = row["docs"][0].get("ok")
        if found is None:
            assert name not in known.revs, f"{name} {known.revs[name]} is lost"
            continue
        assert found["whole"] is True
        history = found["_revisions"]
        revs = [f"{history['start'] - at}-{digest}" for at, digest in enumerate(history["ids"])]
        if name in known.revs:
            assert known.revs[name] in revs, f"{name} {known.revs[name]} is lost"
            assert name in known.writing or found["_rev"] == known.revs[name]
        for attachment in found.get("_attachments", {}):
            assert client.get(f"/db/{name}/{attachment}").text == "hello"
        known.revs[name] = found["_rev"]


def _check_feed(client: httpx.Client, reader: Reader, highest: int) -> int:
    """Going on from the last sequence seen leads to what is there; numbers never go back."""
    info = client.get("/db").json()
    number = int(info["update_seq"].partition("-")[0])
    assert number >= max([highest, *reader.numbers])
    while (page := client.get(f"/db/_changes?since={reader.since}&limit=100").json())["results"]:
        reader.take(page)
    rows = client.get("/db/_all_docs").json()["rows"]
    assert {row["id"]: row["value"]["rev"] for row in rows} == reader.seen
    return number

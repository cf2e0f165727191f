"""A restore drill: a server under writes is backed up, restored elsewhere, and compared with what was."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from kompass.demo import PASSWORD
from tests.backup.company import CHANGED, Company, run, tables
from tests.needs import ROOT
from tests.servers import free_port
from tests.serving import until

pytestmark = pytest.mark.slow

SECONDS = 0.8
"""How long there are writes before the backup, and after it."""


class Server:
    """A demo server as a process."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.url = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "kompass", "serve", "--demo", "--data", str(data)]
        self._log = data.with_suffix(".log").open("wb")
        self.process = subprocess.Popen(
            [*command, "--port", self.url.rpartition(":")[2]],
            cwd=ROOT, env={**os.environ, "KOMPASS_FEED": "off"}, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        until(self._ready, 60, lambda: data.with_suffix(".log").read_text()[-2000:])

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def client(self, name: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, auth=(name, PASSWORD), timeout=30)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._log.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data")
    yield server
    server.stop()


class Writers:
    """What each was answered, with the time before which it was durable."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(name, work))
            for name, work in (("innen1", self._customers), ("adm2", self._refused), ("admin", self._others))
        ]
        self.stored: list[tuple[float, str, str]] = []
        self.refused: list[tuple[float, str, str]] = []
        self.other: list[tuple[float, str, str]] = []
        self.problems: list[str] = []
        rows = server.client("gf1").get("/kompass/_all_docs?include_docs=true&limit=20000").json()["rows"]
        self._foreign = [
            row["doc"]
            for row in rows
            if row["doc"].get("type") == "customer" and row["doc"].get("owner") != "adm2"
        ]
        server.client("admin").put("/other").raise_for_status()
        for thread in self._threads:
            thread.start()

    def _run(self, name: str, work: Callable[[httpx.Client, int], None]) -> None:
        number = 0
        try:
            with self._server.client(name) as client:
                while not self._stop.is_set():
                    work(client, number)
                    number += 1
        except Exception as error:
            self.problems.append(f"{name}: {error!r}")

    def _customers(self, client: httpx.Client, number: int) -> None:
        """New customers, which get numbers, and edits of them."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        body: dict[str, Any] = {
            field: value
            for field, value in self._foreign[0].items()
            if field[0] != "_" and not field.endswith(("Id", "Ids"))
        }
        body |= {"companyName": f"Drill {number} {uuid4()}", "createdBy": "innen1", "modifiedBy": "innen1"}
        for field in ("customerNumber", "vatNumber", "email", "phone", "website", "cards"):
            body.pop(field, None)
        docid = f"customer-{uuid4()}"
        body |= {"createdAt": now, "modifiedAt": now, "version": 1}
        answer = client.put(f"/kompass/{docid}", content=orjson.dumps(body)).json()
        assert answer.get("ok"), answer
        self.stored.append((time.monotonic(), docid, answer["rev"]))
        if number % 3 == 0:
            client.delete(f"/kompass/{docid}", params={"rev": answer["rev"]})

    def _refused(self, client: httpx.Client, number: int) -> None:
        """What a device pushes of customers that aren't his: into quarantine."""
        doc = self._foreign[number % len(self._foreign)]
        start, ids = int(doc["_rev"].partition("-")[0]), [uuid4().hex, doc["_rev"].partition("-")[2]]
        pushed = {**doc, "_rev": f"{start + 1}-{ids[0]}", "_revisions": {"start": start + 1, "ids": ids}}
        answer = client.post("/kompass/_bulk_docs", json={"new_edits": False, "docs": [pushed]})
        (row,) = answer.json()
        assert row["error"] == "forbidden", row
        self.refused.append((time.monotonic(), doc["_id"], pushed["_rev"]))

    def _others(self, client: httpx.Client, number: int) -> None:
        """Attachments in another database."""
        doc = {"_attachments": {"a": {"content_type": "text/plain", "data": "aGVsbG8="}}, "n": number}
        answer = client.put(f"/other/d{number}", json=doc).json()
        self.other.append((time.monotonic(), answer["id"], answer["rev"]))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert self.problems == []
        assert min(map(len, (self.stored, self.refused, self.other))) > 10


def test_a_server_under_writes_comes_back_as_it_was_at_one_moment(server: Server, tmp_path: Path) -> None:
    company = Company(tmp_path)
    writers = Writers(server)
    time.sleep(SECONDS)
    before = time.monotonic()
    told = company.backup()
    after = time.monotonic()
    time.sleep(SECONDS)
    writers.stop()
    assert told["pause"] < 0.25

    # A second one of a server at rest: every row of every table.
    until(lambda: tables(server.data) == tables(server.data), 10)
    at_rest = tables(server.data)
    company.backup()
    assert tables(server.data) == at_rest, "nobody wrote meanwhile"
    assert company.restore(tmp_path / "rest").exit_code == 0
    restored = tables(tmp_path / "rest")
    assert restored.keys() == at_rest.keys()
    differing = {place for place in at_rest if at_rest[place] != restored[place] and place[1] != "epochs"}
    assert differing <= CHANGED
    assert run("verify-backup", *company.where).exit_code == 0

    # The one under writes: whole in itself, and a beginning of what was there in the end.
    assert company.restore(tmp_path / "busy", "--backup", 1).exit_code == 0
    busy = tables(tmp_path / "busy")
    assert run("doctor", "--data", tmp_path / "busy").exit_code == 0
    assert run("verify-audit", "--data", tmp_path / "busy").exit_code == 0
    chain, whole = busy["kompass.sqlite", "audit_entries"], at_rest["kompass.sqlite", "audit_entries"]
    assert len(chain) < len(whole)
    assert set(map(repr, chain)) <= set(map(repr, whole)), "the chain is a beginning of the later one"
    now = {row[0]: row for row in at_rest["kompass.sqlite", "docs"]}
    for row in busy["kompass.sqlite", "docs"]:
        assert now[row[0]] == row or _ids(row[8]) < _ids(now[row[0]][8]), row[0]
    later = set(map(repr, at_rest["kompass.sqlite", "business_numbers"]))
    unlike = [row for row in busy["kompass.sqlite", "business_numbers"] if repr(row) not in later]
    assert all(row[5] == "used" for row in unlike), "given then, ended since"
    assert set(map(repr, busy["other.sqlite", "chunks"])) <= set(map(repr, at_rest["other.sqlite", "chunks"]))

    there = _revisions(busy, "kompass.sqlite") | _revisions(busy, "other.sqlite")
    for at, docid, rev in writers.stored + writers.other:
        if at < before:
            assert (docid, rev.partition("-")[2]) in there, "answered before the backup began"
        if at > after + 0.5:
            assert (docid, rev.partition("-")[2]) not in there
    kept = {(row[4], row[5]) for row in busy["kompass-quarantine.sqlite", "quarantine_entries"]}
    for at, docid, rev in writers.refused:
        assert at > before or (docid, rev) in kept
    # Whoever was told of a refusal finds his text.
    refused = {(row[1], row[2]) for row in busy["kompass.sqlite", "access_refused"]}
    assert refused
    assert refused <= kept


def _ids(tree: bytes) -> set[str]:
    """The revisions' hashes in a stored tree."""
    found: set[str] = set()
    level = [orjson.loads(tree)]
    while level:
        one = level.pop()
        if isinstance(one, str):
            found.add(one)
        elif isinstance(one, dict):
            level += one.values()
        elif isinstance(one, list):
            level += one
    return found


def _revisions(found: dict[tuple[str, str], list[Any]], file: str) -> set[tuple[str, str]]:
    return {(row[0], one) for row in found[file, "docs"] for one in _ids(row[8])}

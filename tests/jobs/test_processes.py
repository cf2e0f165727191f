"""Everything beside `kompass serve`: killed at any moment it comes back, and every job is done."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from kompass.supervisor import FILE, processes
from tests.needs import ROOT, require
from tests.serving import ADMIN, Serving, until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

CUSTOMERS = 80


class Receiving:
    """Whom webhooks call: by document, the ids under which he was told of it."""

    def __init__(self) -> None:
        self.told: dict[str, set[str]] = defaultdict(set)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.told[body["payload"]["id"]].add(self.headers["webhook-id"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def receiving() -> Iterator[Receiving]:
    one = Receiving()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    require("redis")
    one = Serving(
        tmp_path / "data",
        KOMPASS_WEBHOOK_HOSTS="127.0.0.1",
        KOMPASS_JOBS_WORKERS="2",  # one hands out, and the other takes over
        KOMPASS_VECTORS="false",
    )
    one.start()
    try:
        until(lambda: one.following() and jobs(one)["state"] == "following", 90, one.told)
        yield one
    finally:
        one.stop()


def ask(server: Serving, method: str, path: str, body: Any = None) -> Any:
    answer = httpx.request(method, f"{server.url}{path}", json=body, auth=ADMIN, timeout=30)
    assert answer.status_code < 300, f"{method} {path}: {answer.text}"
    return answer.json() if answer.content else None


def jobs(server: Serving) -> Any:
    return ask(server, "GET", "/api/v1/jobs/status")


def pid(server: Serving, name: str) -> int | None:
    found: int | None = processes(server.data).get(name, {}).get("pid")
    return found


def redis_of(server: Serving) -> psutil.Process:
    """The program itself, behind its guard."""
    return next(one for one in server.descendants() if one.name() == "redis-server")


def make_customer(server: Serving, number: int) -> str:
    docid = f"customer-{number:08}-1111-4111-8111-111111111111"
    body = {"type": "customer", "companyName": f"Hof {number}", "owner": "adm1"}
    ask(server, "PUT", f"/kompass/{docid}", body)
    return docid


def notified(server: Serving) -> dict[str, int]:
    """Document -> how many notifications there are of it."""
    rows = ask(
        server, "GET", '/kompass/_all_docs?include_docs=true&startkey="notification-"&endkey="notification."'
    )
    found: dict[str, int] = defaultdict(int)
    for row in rows["rows"]:
        if row["doc"]["notificationType"] == "ASSIGNMENT":
            found[row["doc"]["documentId"]] += 1
    return dict(found)


def test_whatever_is_killed_every_job_is_done_and_no_document_twice(
    server: Serving, receiving: Receiving
) -> None:
    chance = random.Random(int(os.environ.get("KOMPASS_TEST_SEED", "7")))
    for name, role in (("adm1", "ADM"), ("innen1", "INNEN")):
        user = {"name": name, "password": "pw", "roles": [role], "type": "user", "active": True}
        ask(server, "PUT", f"/_users/org.couchdb.user:{name}", user)
        assert httpx.get(f"{server.url}/kompass", auth=(name, "pw"), timeout=30).status_code == 200
    ask(
        server,
        "PUT",
        "/api/v1/jobs/webhooks/n8n",
        {"url": receiving.url, "events": ["customer.created"], "person": "innen1"},
    )
    stop = threading.Event()
    killed: list[str] = []

    def kill() -> None:
        while not stop.wait(chance.uniform(0.1, 1.5)):
            victim = chance.choice(["worker", "worker 2", "redis", "redis guard", "feed"])
            try:
                if victim == "redis":
                    redis_of(server).kill()
                else:
                    number = pid(server, victim.removesuffix(" guard"))
                    if number is None:
                        continue
                    psutil.Process(number).kill()
                killed.append(victim)
            except (psutil.NoSuchProcess, StopIteration):
                continue

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        made = []
        for number in range(CUSTOMERS):
            made.append(make_customer(server, number))
            time.sleep(0.15)
    finally:
        stop.set()
        killing.join()
    assert len(killed) > 5, killed

    def done() -> bool:
        return set(receiving.told) >= set(made) and set(notified(server)) >= set(made)

    until(done, 120, lambda: f"{killed}: {set(made) - set(receiving.told)}; {jobs(server)}; {server.told()}")
    until(lambda: not jobs(server)["queues"]["webhooks"].get("queued"), 60)
    assert {docid: len(ids) for docid, ids in receiving.told.items()} == dict.fromkeys(made, 1)
    assert notified(server) == dict.fromkeys(made, 1)
    counts = jobs(server)["queues"]
    assert all(not states.get("dead") for states in counts.values()), counts


def test_all_are_started_again_ended_with_the_server_and_told_of(server: Serving) -> None:
    for name in ("feed", "redis", "worker"):
        before = pid(server, name)
        assert before is not None, name
        psutil.Process(before).kill()
        until(lambda name=name, before=before: pid(server, name) not in (None, before), 30, server.told)  # type: ignore[misc]
    until(lambda: server.following() and jobs(server)["state"] == "following", 60, server.told)
    line = [sys.executable, "-m", "kompass", "status", "--data", str(server.data), "--server", server.url]
    told = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    for word in ("feed: runs", "redis: runs", "worker: runs", "started again 1 times", "jobs: following"):
        assert word in told.stdout
    everybody = server.descendants()
    assert {one.name() for one in everybody} >= {"redis-server"}
    server.process.terminate()
    assert server.process.wait(60) == 0
    assert psutil.wait_procs(everybody, timeout=10)[1] == []
    assert not (server.data / FILE).exists()


def test_a_killed_server_leaves_nobody_behind(server: Serving) -> None:
    everybody = server.descendants()
    assert len(everybody) >= 4
    server.process.kill()
    server.process.wait()
    assert psutil.wait_procs(everybody, timeout=60)[1] == []

"""`kompass serve` with everything beside it: reports over HTTP, and logins for other tools."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from kompass.demo import PASSWORD
from kompass.readstore.reports import REPORTS
from tests.needs import ROOT, require
from tests.servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Demo:
    """The small demo, served."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.log = data.with_suffix(".log")
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "kompass", "serve", "--demo", "--demo-size", "small"]
        command += ["--port", str(self.port), "--data", str(self.data)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "KOMPASS_FEED": "auto"}
            )

    def ask(self, person: str, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", auth=(person, PASSWORD), timeout=30)

    def kompass(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "kompass", *arguments, "--data", str(self.data)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


def until(condition: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    require("postgres")
    with tempfile.TemporaryDirectory(prefix="kompass-test-") as directory:
        Path(directory).chmod(0o711)
        one = Demo(Path(directory) / "data")
        process = one.start()

        def current() -> bool:
            try:
                answer = one.ask("gf1", "/api/v1/reports/pipeline")
            except httpx.TransportError:
                return False
            return answer.status_code == 200 and answer.json()["index"]["state"] == "current"

        try:
            until(current, 120, lambda: one.log.read_text()[-3000:])
            yield one
        finally:
            process.terminate()
            process.wait(30)


def opportunities(demo: Demo, person: str) -> list[dict[str, Any]]:
    answer = demo.ask(person, "/kompass/_all_docs?include_docs=true")
    docs = [row["doc"] for row in answer.json()["rows"]]
    open_ones = ("new", "qualifying", "proposal", "negotiation")
    return [one for one in docs if one.get("type") == "opportunity" and one["status"] in open_ones]


@pytest.mark.parametrize("person", ["adm1", "adm2", "innen1", "gf1"])
def test_everybodys_pipeline_is_of_the_documents_he_reads(demo: Demo, person: str) -> None:
    body = demo.ask(person, "/api/v1/reports/pipeline").json()
    assert body["columns"] == ["owner", "stage", "opportunities", "value", "weighted_value"]
    wanted: dict[tuple[str, str], list[float]] = {}
    for one in opportunities(demo, person):
        sums = wanted.setdefault((one["owner"], one["status"]), [0, 0])
        sums[0] += 1
        sums[1] += one.get("estimatedValue") or 0
    assert {(row[0], row[1]): [row[2], row[3]] for row in body["rows"]} == wanted
    assert len(wanted) > 0
    assert (body["more"], body["index"]) == (False, {"state": "current", "behind": 0})


def test_reports_are_for_those_to_whom_they_say_something(demo: Demo) -> None:
    names = {
        person: [one["name"] for one in demo.ask(person, "/api/v1/reports").json()["reports"]]
        for person in ("adm1", "innen1", "plan1", "kalk1", "buch1", "gf1", "admin")
    }
    assert names == {
        "adm1": ["pipeline", "forecast", "workload"],
        "innen1": ["pipeline", "forecast", "aging", "invoices", "workload", "capacity"],
        "plan1": ["aging", "invoices", "workload", "capacity"],
        "kalk1": ["pipeline", "forecast", "workload", "capacity"],
        "buch1": ["pipeline", "forecast", "margins", "aging", "invoices", "workload", "capacity"],
        "gf1": list(REPORTS),
        "admin": [],
    }
    for person, allowed in names.items():
        for report in REPORTS:
            answer = demo.ask(person, f"/api/v1/reports/{report}")
            assert answer.status_code == (200 if report in allowed else 403), (person, report, answer.text)


def test_what_is_asked_wrongly_is_refused(demo: Demo) -> None:
    for path, status in (
        ("/api/v1/reports/nothing", 404),
        ("/api/v1/reports/pipeline?owner=adm1", 400),
        ("/api/v1/reports/pipeline?limit=0", 400),
        ("/api/v1/reports/pipeline?limit=x", 400),
        ("/api/v1/reports/pipeline?offset=-1", 400),
    ):
        assert demo.ask("gf1", path).status_code == status, path
    assert httpx.get(f"{demo.url}/api/v1/reports/pipeline").status_code == 401


def test_a_report_comes_in_pages(demo: Demo) -> None:
    whole = demo.ask("gf1", "/api/v1/reports/pipeline").json()["rows"]
    parts = []
    for offset in range(0, len(whole), 3):
        page = demo.ask("gf1", f"/api/v1/reports/pipeline?limit=3&offset={offset}").json()
        assert page["more"] == (offset + 3 < len(whole))
        parts += page["rows"]
    assert parts == whole


def test_a_change_shows_within_a_second_or_so(demo: Demo) -> None:
    doc = opportunities(demo, "gf1")[0]
    before = demo.ask("gf1", "/api/v1/reports/pipeline").json()["rows"]
    changed = {**doc, "estimatedValue": (doc.get("estimatedValue") or 0) + 1000, "modifiedBy": "gf1"}
    answer = httpx.put(f"{demo.url}/kompass/{doc['_id']}", json=changed, auth=("gf1", PASSWORD), timeout=30)
    assert answer.status_code == 201, answer.text

    def grown() -> bool:
        rows = demo.ask("gf1", "/api/v1/reports/pipeline").json().get("rows", [])
        return bool(sum(row[3] for row in rows) == sum(row[3] for row in before) + 1000)

    until(grown, 20, lambda: demo.log.read_text()[-2000:])


def test_a_login_for_another_tool(demo: Demo) -> None:
    told = dict(re.findall(r"^(\w+) +(\S+)$", demo.kompass("readstore", "login", "adm1"), re.MULTILINE))
    with psycopg.connect(
        host=told["host"], port=told["port"], dbname=told["database"], user=told["user"],
        password=told["password"],
    ) as connection:  # fmt: skip
        owners = connection.execute("SELECT DISTINCT owner FROM customer").fetchall()
        seen = {row[0] for row in connection.execute("SELECT id FROM documents")}
    assert owners == [("adm1",)]
    rows = demo.ask("adm1", "/kompass/_all_docs").json()["rows"]
    assert seen == {row["id"] for row in rows if not row["id"].startswith("_design/")}
    assert "kompass_as_adm1\tadm1" in demo.kompass("readstore", "logins")
    assert "knows no active person" in demo.kompass("readstore", "login", "niemand")
    assert "has no login any more" in demo.kompass("readstore", "logout", "adm1")
    assert "has no login to the read store" in demo.kompass("readstore", "logout", "adm1")

"""What people see of the feed and do with it: REST, figures, commands."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from kompass.feed import registry
from kompass.feed.desk import FeedDesk
from kompass.feed.ledger import FILE, Ledger, LedgerError, State, Status
from kompass.feed.registry import Registered
from kompass.settings import Settings
from tests.feed.world import DB, FeedWorld, company, feed_world, until
from tests.identity.conftest import put_user
from tests.needs import ROOT

API = "/api/v1/feed"


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[FeedWorld]:
    async with feed_world(tmp_path) as world:
        for name, role in (("it", "ADMIN"), ("gf1", "GF")):
            await put_user(world.admin, name, role)
            await world.admin.get(DB, auth=(name, "pw"))
        yield world


async def as_admin(world: FeedWorld, method: str, path: str, **more: Any) -> httpx.Response:
    return await world.admin.request(method, f"{API}{path}", auth=("it", "pw"), **more)


def bury(world: FeedWorld, docid: str = "customer-1", reason: str = "it is poison") -> int:
    world.ledger.bury("reference", docid, "1-a", 5, reason, None)
    return next(one.num for one in world.ledger.letters() if one.id == docid)


async def test_dead_letters_over_rest(world: FeedWorld) -> None:
    num = bury(world)
    answer = await as_admin(world, "GET", "/dead")
    (letter,) = answer.json()["letters"]
    assert (letter["num"], letter["id"], letter["reason"]) == (num, "customer-1", "it is poison")
    assert (await as_admin(world, "GET", f"/dead/{num}")).json() == letter
    assert (await as_admin(world, "POST", f"/dead/{num}/replay")).status_code == 202
    assert [one.id for one in world.ledger.due("reference", 5)] == ["customer-1"]
    assert (await as_admin(world, "DELETE", f"/dead/{num}")).status_code == 204
    assert (await as_admin(world, "GET", "/dead")).json() == {"letters": []}
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/replay")):
        assert (await as_admin(world, method, f"/dead/{num}{path}")).status_code == 404


async def test_dead_letters_are_paged(world: FeedWorld) -> None:
    for number in range(5):
        bury(world, f"customer-{number}")
    first = (await as_admin(world, "GET", "/dead?limit=3")).json()
    rest = (await as_admin(world, "GET", f"/dead?limit=3&after={first['next']}")).json()
    ids = [one["id"] for one in first["letters"] + rest["letters"]]
    assert ids == [f"customer-{number}" for number in range(5)]
    assert "next" not in rest
    assert (await as_admin(world, "GET", "/dead?sink=other")).json() == {"letters": []}
    for query in ("limit=x", "after=-1", "limit=9999", "after=" + "9" * 30):
        assert (await as_admin(world, "GET", f"/dead?{query}")).status_code == 400


async def test_it_is_for_those_who_administrate(world: FeedWorld) -> None:
    num = bury(world)
    for name, status in (("adm1", 403), ("gf1", 403)):
        for method, path in (
            ("GET", "/status"),
            ("GET", "/dead"),
            ("GET", f"/dead/{num}"),
            ("DELETE", f"/dead/{num}"),
            ("POST", f"/dead/{num}/replay"),
            ("POST", "/rebuilds/reference"),
        ):
            answer = await world.admin.request(method, f"{API}{path}", auth=(name, "pw"))
            assert answer.status_code == status, path
            nobody = await world.admin.request(method, f"{API}{path}", auth=httpx.Auth())
            assert nobody.status_code == 401, path
    assert world.ledger.letter(num) is not None
    assert (await world.admin.get(f"{API}/status")).status_code == 200


async def test_status_and_figures(world: FeedWorld) -> None:
    world.follow()
    await world.settled()
    await world.state(State.FOLLOWING)
    (sink,) = (await as_admin(world, "GET", "/status")).json()["sinks"]
    assert (sink["sink"], sink["state"], sink["dead"]) == ("reference", "following", 0)
    bury(world)
    figures = (await world.admin.get("/metrics")).text
    assert 'kompass_feed_up{sink="reference"} 1' in figures
    assert 'kompass_feed_dead_letters{sink="reference"} 1' in figures
    assert 'kompass_feed_lag_changes{sink="reference"} 0' in figures
    assert "notes" not in (await world.admin.get("/readyz")).json()
    await world.harness.break_it()
    await world.customer(1, "adm1")
    await world.state(State.UNAVAILABLE)
    (note,) = (await world.admin.get("/readyz")).json()["notes"]
    assert "reference" in note
    assert 'kompass_feed_up{sink="reference"} 0' in (await world.admin.get("/metrics")).text
    await world.harness.mend_it()
    await world.settled()


@pytest.mark.alone("one server's file is broken")
async def test_a_list_that_is_broken_keeps_nobody_from_working(tmp_path: Path) -> None:
    file = tmp_path / "data" / FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(b"this is no database" * 1000)
    async with company(tmp_path) as one:
        ready = await one.admin.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        assert "copies of the documents" in ready.json()["notes"][0]
        for path in ("/status", "/dead"):
            told = await one.admin.get(f"{API}{path}")
            assert (told.status_code, told.headers["content-type"]) == (503, "application/problem+json")
        figures = await one.admin.get("/metrics")
        assert figures.status_code == 200
        assert "access_disagreements_total" in figures.text


async def test_why_sinks_are_not_there(world: FeedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = Registered("nowhere:nothing", ("no_such_module",), "elsewhere")
    monkeypatch.setattr(registry, "SINKS", {"elsewhere": lacking})
    told = (await as_admin(world, "GET", "/status")).json()
    assert told["absent"] == {"elsewhere": "no_such_module not installed: pip install 'kompass[elsewhere]'"}


@pytest.mark.slow
async def test_a_rebuild_over_rest(world: FeedWorld) -> None:
    world.follow()
    await world.settled()
    await world.state(State.FOLLOWING)
    world.harness.execute("DELETE FROM documents")
    assert (await as_admin(world, "POST", "/rebuilds/reference")).status_code == 202
    await world.settled()

    async def done() -> bool:
        return world.ledger.rebuild_asked("reference") is None

    await until(done, 10)
    assert (await as_admin(world, "POST", "/rebuilds/nobody")).status_code == 404


def command(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "kompass", *arguments, "--data", str(data)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_dead_letters_on_the_command_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.bury("search", "customer-1", "1-a", 5, "it is poison", None)
    (letter,) = ledger.letters()
    assert "customer-1" in command(tmp_path, "feed", "dead", "list").stdout
    (told,) = json.loads(command(tmp_path, "feed", "dead", "list", "--json").stdout)
    assert told["reason"] == "it is poison"
    assert "it is poison" in command(tmp_path, "feed", "dead", "show", str(letter.num)).stdout
    assert command(tmp_path, "feed", "dead", "replay", str(letter.num)).returncode == 0
    assert ledger.due("search", 5)
    assert command(tmp_path, "feed", "dead", "drop", str(letter.num)).returncode == 0
    assert ledger.letters() == []
    gone = command(tmp_path, "feed", "dead", "show", str(letter.num))
    assert gone.returncode == 1
    assert "there is no letter" in gone.stderr
    ledger.report(Status("search", State.FOLLOWING, 5, 5))
    shown = command(tmp_path, "feed", "status")
    assert "kompass feed does not run" in shown.stdout
    assert shown.returncode == 3
    assert command(tmp_path, "status", "--server", "http://127.0.0.1:9").returncode == 3
    ledger.close()


@pytest.mark.slow
def test_without_a_secret_nothing_is_followed(tmp_path: Path) -> None:
    answer = command(tmp_path, "feed")
    assert answer.returncode == 1
    assert "KOMPASS_FEED_SECRET" in answer.stderr


def test_reasons_are_one_line_of_bounded_length(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.bury("search", "x", "1-a", 5, "a\nb\x00\x1b[31m" + "c" * 10_000, None)
    (letter,) = ledger.letters()
    assert len(letter.reason) <= 500
    assert letter.reason.startswith("a b")
    assert letter.reason.isprintable()
    ledger.close()


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger._connection.pragma("user_version", 99)
    ledger.close()
    with pytest.raises(LedgerError, match="newer"):
        Ledger(tmp_path)


def test_attempts_are_counted_for_a_revision(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert [ledger.bury("s", "x", "1-a", 5, "r", None) for _ in range(3)] == [1, 2, 3]
    assert ledger.bury("s", "x", "2-b", 6, "r", None) == 1
    assert ledger.bury("other", "x", "2-b", 6, "r", None) == 1
    assert ledger.counts() == {"s": 1, "other": 1}
    ledger.promote("s", "other")
    assert ledger.counts() == {"s": 1}
    ledger.close()


def test_who_asks_at_the_same_time_opens_the_list_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/readyz` is asked by several at a time, each in a thread; two would fetch one copy into one file."""
    Ledger(tmp_path).close()
    opened: list[Ledger] = []

    def slowly(settings: Settings) -> Ledger:
        time.sleep(0.05)
        opened.append(Ledger(settings.directory))
        return opened[-1]

    monkeypatch.setattr(Ledger, "of", staticmethod(slowly))
    desk = FeedDesk(Settings(data=tmp_path))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: desk.ledger, range(4)))
    assert found == opened * 4
    desk.close()

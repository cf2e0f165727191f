"""Commands that ask a running server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from kompass.api import privacy_tickets
from kompass.cli import feed, jobs
from kompass.cli.app import app
from kompass.feed.ledger import Ledger, State, Status
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.product import running_product

CUSTOMER = "customer-11111111-1111-4111-8111-111111111111"
OTHER = "customer-22222222-2222-4222-8222-222222222222"


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A server with a customer, and people with and without the right to ask about him."""
    async with running_product(tmp_path / "data", ADMIN) as product, serving(product) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            for name, role in (("chef", "GF"), ("it", "ADMIN"), ("anna", "ADM")):
                await put_user(client, name, role)
                await client.get("/kompass", auth=(name, "pw"))
            customer = {"type": "customer", "companyName": "Hofladen", "owner": "anna"}
            for docid in (CUSTOMER, OTHER):
                made = await client.put(f"/kompass/{docid}", json=customer, auth=ADMIN)
                assert made.status_code == 201, made.text
        yield url


async def run(url: str, name: str, *arguments: Any, password: str = "pw") -> Result:
    given = [*map(str, arguments), "--server", url, "--user", name, "--password", password]
    return await asyncio.to_thread(CliRunner().invoke, app, given)


async def test_personal_data(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out"
    told = await run(url, "chef", "privacy", "export", CUSTOMER, "--output", output)
    assert told.exit_code == 0, told.exception
    assert json.loads((output / "documents" / f"{CUSTOMER}.json").read_text())["companyName"] == "Hofladen"
    again = await run(url, "chef", "privacy", "export", CUSTOMER, "--output", output)
    assert "empty directory" in str(again.exception)
    erase = ("privacy", "erase", CUSTOMER, "--reason", "Antrag nach Art. 17 DSGVO")
    dry = await run(url, "chef", *erase, "--dry-run")
    assert CUSTOMER in [one["id"] for one in json.loads(dry.output)["documents"]]
    assert (await run(url, "chef", "privacy", "tickets")).output == ""
    done = await run(url, "chef", *erase)
    assert json.loads(done.output)["ticket"] == 1
    assert CUSTOMER in (await run(url, "chef", "privacy", "tickets")).output
    # However many there are, the latest is among them.
    monkeypatch.setattr(privacy_tickets, "PAGE", 1)
    assert (
        await run(url, "chef", "privacy", "erase", OTHER, "--reason", "Antrag nach Art. 17")
    ).exit_code == 0
    told = await run(url, "chef", "privacy", "tickets")
    assert [line.split("  ")[0] for line in told.output.splitlines()] == ["1", "2"]
    assert OTHER in told.output


async def test_a_copy_that_has_no_place_is_told(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    told = await run(url, "chef", "privacy", "export", CUSTOMER, "--output", tmp_path / "file" / "out")
    assert "can't be written: Not a directory" in str(told.exception)
    told = await run(url, "chef", "privacy", "export", "a/../b?", "--output", tmp_path / "out")
    assert "There is no such resource." in str(told.exception)


async def test_how_far_the_sinks_are(url: str, tmp_path: Path) -> None:
    nothing = await run(url, "it", "feed", "status", "--json")
    assert nothing.exit_code == 3
    assert json.loads(nothing.output)["sinks"] == []
    ledger = Ledger(tmp_path / "data")
    ledger.report(Status("search", State.FOLLOWING, 5, 5))
    ledger.close()
    told = await run(url, "it", "feed", "status")
    assert told.exit_code == 3, "none runs"
    assert "kompass feed does not run" in told.output
    assert re.search("search +following +0", told.output)
    both = await run(url, "it", "feed", "status", "--data", tmp_path)
    assert "--data or --server" in str(both.exception)


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "anna", CUSTOMER),
        ("privacy", "tickets"),
        ("feed", "status"),
        ("verify-audit",),
    ],
    ids=" ".join,
)
async def test_what_cannot_be_asked_says_why(url: str, command: tuple[str, ...]) -> None:
    wrong = await run(url, "anna", *command, password="wrong")
    assert wrong.exit_code == 1
    assert "incorrect" in str(wrong.exception)
    nobody = await asyncio.to_thread(CliRunner().invoke, app, [*command, "--server", url])
    assert "--user" in str(nobody.exception)
    away = await run("http://127.0.0.1:1", "anna", *command)
    assert "can't be reached" in str(away.exception)
    elsewhere = await run(f"{url}/kompass/_changes?", "anna", *command)
    assert elsewhere.exit_code == 1


def test_reasons_are_told_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    why = "not installed: pip install 'kompass[jobs]', [/data/feed]"
    follower = {
        "sink": "search", "state": "unavailable", "rebuild_target": 0, "lag": 0, "lag_seconds": 0, "rate": 0,
        "errors": 1, "dead": 0, "last_error": why,
    }  # fmt: skip
    feed.print_status({"running": True, "sinks": [follower], "absent": {}})
    jobs.print_status({"state": "unavailable", "late_seconds": 0, "why": why, "queues": {}, "webhooks": {}})
    assert capsys.readouterr().out.count(why) == 2

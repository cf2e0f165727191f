"""Commands that write files for the tax consultant and the auditor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kompass.cli.app import app
from tests.exports.books.company import NOVEMBER, Company, names_in

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_commands_write_directories_whole_or_not_at_all(company: Company, tmp_path: Path) -> None:
    days = ["--from", NOVEMBER["from"], "--to", NOVEMBER["to"]]
    target = tmp_path / "books"
    done = await company.run("datev", "bookings", *days, "--again", "--output", str(target))
    assert done.exit_code == 3, done.output
    assert "5 rows in 2 files, 2 left out, 1 not ready" in done.output
    assert "invoice R-2026-00005: has 12.00 EUR of tax on 100.00 EUR" in done.output
    file = target / "EXTF_Buchungsstapel_2026-11_1.csv"
    sound = CliRunner().invoke(app, ["datev", "validate", str(file)])
    assert (sound.exit_code, sound.output.strip()) == (0, "sound")
    file.write_bytes(file.read_bytes().replace(b"107,00", b"107.00"))
    wrong = CliRunner().invoke(app, ["datev", "validate", str(file), "--json"])
    assert wrong.exit_code == 2
    assert [one["field"] for one in json.loads(wrong.output)["problems"]] == [
        "Umsatz (ohne Soll/Haben-Kz)"
    ] * 2
    again = await company.run("datev", "bookings", *days, "--output", str(target))
    assert "is there already" in str(again.exception)
    listed = await company.run("datev", "batches", "--limit", "1")
    assert ": 2026-10-15 to 2026-11-20, 5 rows in 2 files, again; " in listed.output
    dry = await company.run("datev", "accounts", "--dry-run", "--json")
    assert (dry.exit_code, json.loads(dry.output)["left_out"]) == (3, 1)
    audit = await company.run("export", "gobd", *days, "--output", str(tmp_path / "gobd"))
    assert audit.exit_code == 0, audit.output
    assert names_in(tmp_path / "gobd") >= {"index.xml", "audit.csv", "manifest.json"}
    assert names_in(tmp_path) == {"books", "gobd"}
    chain = (await company.ask("audit", {"user": "buch"})).json()["entries"]
    for command in (["export", "gobd", *days], ["datev", "accounts"]):
        there = await company.run(*command, "--output", str(tmp_path / "gobd"))
        assert "is there already" in str(there.exception)
    assert (await company.ask("audit", {"user": "buch"})).json()["entries"] == chain, "nothing was taken out"
    lacking = await company.run("export", "gobd")
    assert "--from" in str(lacking.exception)


async def test_a_command_tells_that_the_disk_is_full(
    company: Company, tmp_path: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: full_disk.open("w+b"))
    refused = await company.run("datev", "accounts", "--output", str(tmp_path / "books"))
    assert "can't be put aside in" in str(refused.exception)
    assert names_in(tmp_path) == set()

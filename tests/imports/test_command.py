"""`kompass import`: files of this machine, with the rights of whoever asks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kompass.cli.app import app
from kompass.cli.imports import Target
from kompass.imports.targets import targets
from tests.imports.office import Office, customer, customers

NOT_ALL = 3
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def run(office: Office, *arguments: Any, name: str = "innen1") -> Result:
    given = ["import", *map(str, arguments), "--server", office.url, "--user", name, "--password", "pw"]
    return await asyncio.to_thread(CliRunner().invoke, app, given)


async def test_there_is_a_type_for_each_target() -> None:
    assert {one.value for one in Target} == targets().keys()


async def test_a_file_goes_in_and_out_again(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "kunden.csv"
    file.write_bytes(customers(customer("Hof Käse"), customer("Mühle Öl", "Ulm")).encode("cp1252"))
    dry = await run(office, file, "--type", "customer", "--dry-run")
    assert (dry.exit_code, dry.output.splitlines()[-1][:24]) == (0, "checked: 2 created (impo"), dry.output
    assert "Firma: companyName (exact, 100%)" in dry.output
    assert await office.list("customers") == []
    done = await run(office, file, "--type", "customer", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["state"], told["counts"]) == ("done", {"created": 2})
    assert {one["companyName"] for one in await office.list("customers")} == {"Hof Käse", "Mühle Öl"}
    again = await run(office, file, "--type", "customer")
    assert (again.exit_code, "2 skipped" in again.output) == (0, True)
    assert "the same file was uploaded before" in again.output
    undone = await run(office, "--undo", told["id"])
    assert (undone.exit_code, "GF undoes it" in str(undone.exception)) == (1, True), undone.output
    undone = await run(office, "--undo", told["id"], name="gf1")
    assert (undone.exit_code, "undone: 2 undone" in undone.output) == (0, True), undone.output


async def test_what_is_wrong_is_told_by_line(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "kunden.csv"
    file.write_text(customers(customer("Hof Gut"), customer("Hof =Schlecht")), "utf-8")
    done = await run(office, file, "--type", "customer")
    assert done.exit_code == NOT_ALL
    assert "line 3, Firma: must be letters" in done.output
    ask = await run(office, file, "--type", "customer", "--duplicates", "ask")
    assert (ask.exit_code, "1 undecided, 1 wrong" in ask.output) == (NOT_ALL, True), ask.output


async def test_a_mapping_in_a_file(office: Office, tmp_path: Path) -> None:
    file, mapping = tmp_path / "kunden.csv", tmp_path / "mapping.json"
    file.write_text("Wer;Wo;Code;Stadt\r\nHof Zuordnung;Weg 1;50667;Köln\r\n", "utf-8")
    columns = {"Wer": "companyName", "Wo": "billingAddress.street", "Code": "billingAddress.zipCode"}
    mapping.write_text(json.dumps({"columns": columns, "values": {"owner": "adm1"}}))
    done = await run(office, file, "--type", "customer", "--mapping", mapping)
    assert (done.exit_code, "1 created" in done.output) == (0, True), done.output


async def test_what_is_guessed_of_a_file_is_told(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "kunden.xls"
    file.write_bytes(customers(customer("Køge Ost", "Kšln")).rstrip().encode("cp1252"))
    done = await run(office, file, "--type", "customer", "--dry-run")
    assert "encoding: windows-1252 is a guess" in done.output
    assert "the file: is csv, whatever its name says" in done.output
    assert "the file: its last line has no end" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to import"),
        (("{file}",), "say what to import"),
        (("{file}", "--undo", "x"), "not both"),
        (("--undo", "x", "--dry-run"), "no --dry-run of --undo"),
        (("--undo", "x"), "There is no such import"),
        (("{file}", "--type", "customer"), "is no table"),
        (("{file}", "--type", "customer", "--mapping", "{file}"), "is no JSON"),
    ],
)
async def test_questions_that_cannot_be(
    office: Office, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(b"%PDF-1.7\xff")
    done = await run(office, *(one.format(file=file) for one in arguments))
    assert done.exit_code == 1
    assert said in str(done.exception), done.exception

"""`kompass export`: files by a profile, with the rights of whoever asks."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from kompass.cli.app import app
from kompass.domain.examples import full
from kompass.exports import reading
from tests.exports.made import cells
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.product import running_product

LEFT_OUT = 3
pytestmark = pytest.mark.slow


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A server with a contract, one without a value, and a draft; with people who read all, or nothing."""
    contract = {**full("contract"), "status": "signed"}
    documents = [contract, *(full(one) for one in ("customer", "opportunity", "project"))]
    worthless = {**contract, "_id": "contract-22222222-2222-4222-8222-222222222222", "contractNumber": None}
    worthless |= {"contractValueEur": None, "subtotalEur": None, "taxAmountEur": None}
    draft = {**worthless, "_id": "contract-33333333-3333-4333-8333-333333333333", "status": "draft"}
    async with running_product(tmp_path / "data", ADMIN) as product, serving(product) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            for name, role in (("chef", "GF"), ("bert", "ADM")):
                await put_user(client, name, role)
                await client.get("/kompass", auth=(name, "pw"))
            for body in (*documents, worthless, draft):
                stored = {key: value for key, value in body.items() if key not in ("_rev", "_attachments")}
                made = await client.put(f"/kompass/{body['_id']}", json=stored, auth=ADMIN)
                assert made.status_code == 201, made.text
        yield url


async def run(url: str, name: str, *arguments: Any) -> Result:
    given = ["export", *map(str, arguments), "--server", url, "--user", name, "--password", "pw"]
    return await asyncio.to_thread(CliRunner().invoke, app, given)


def beginning(directory: Path, name: str) -> list[str]:
    return [file.name for file in directory.iterdir() if file.name.startswith(name)]


async def test_contracts_go_out_with_a_manifest(url: str, tmp_path: Path) -> None:
    output = tmp_path / "contracts.csv"
    told = await run(url, "chef", "lexware-contracts", "--output", output)
    assert told.exit_code == LEFT_OUT, told.exception or told.output
    assert f"1 rows, 1 left out in {output}" in told.output
    assert "ContractValue: is needed" in told.output
    data = output.read_bytes()
    head, row = data.decode("utf-8-sig").splitlines()
    assert head.startswith("ContractNumber;CustomerNumber;CustomerName;")
    assert row.split(";")[:3] == [
        full("contract")["contractNumber"],
        full("customer")["customerNumber"],
        full("customer")["companyName"],
    ]
    assert full("project")["projectNumber"] in row
    manifest = json.loads((tmp_path / "contracts.csv.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert (manifest["rows"], manifest["left_out"], manifest["bytes"]) == (1, 1, len(data))
    assert list(manifest["sums"]) == ["ContractValue"]
    assert beginning(tmp_path, ".") == []
    again = await run(url, "chef", "lexware-contracts", "--output", output)
    assert "is there already" in str(again.exception)
    assert output.read_bytes() == data


async def test_everybody_gets_what_he_may_read(url: str, tmp_path: Path) -> None:
    told = await run(url, "bert", "lexware-contracts", "--output", tmp_path / "none.csv", "--json")
    assert told.exit_code == 0, told.exception
    assert json.loads(told.output)["rows"] == 0
    plain = await run(url, "chef", "contract", "--output", tmp_path / "all.csv", "--json")
    assert plain.exit_code == 0, plain.exception
    assert json.loads(plain.output)["rows"] == 3, "all, whatever their status"


async def test_pages_and_what_documents_name_are_asked_for_bit_by_bit(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, pieces = tmp_path / "whole.csv", tmp_path / "pieces.csv"
    assert (await run(url, "chef", "lexware-contracts", "--output", whole)).exit_code == LEFT_OUT
    monkeypatch.setattr(reading, "PAGE", 1)
    monkeypatch.setattr(reading, "MOST_KEPT", 2)
    assert (await run(url, "chef", "lexware-contracts", "--output", pieces)).exit_code == LEFT_OUT
    assert pieces.read_bytes() == whole.read_bytes()


async def test_a_list_is_written_in_any_form_with_its_filters(url: str, tmp_path: Path) -> None:
    sheet, lines = tmp_path / "contracts.xlsx", tmp_path / "contracts.ndjson"
    asked = ("--filter", "status=signed", "-f", "contractValueEur.gt=0", "--fields", "contractNumber,status")
    told = await run(url, "chef", "contracts", "--format", "xlsx", *asked, "--german", "--output", sheet)
    assert told.exit_code == 0, told.exception or told.output
    number = full("contract")["contractNumber"]
    assert [row[1:] for row in cells(sheet.read_bytes())] == [
        ["Vertragsnummer", "Status"],
        [number, "signed"],
    ]
    manifest = json.loads((tmp_path / "contracts.xlsx.manifest.json").read_text())
    assert manifest["filters"] == {"status.eq": ["signed"], "contractValueEur.gt": ["0"]}
    told = await run(url, "chef", "contract", "--format", "ndjson", "--sort", "-status", "--output", lines)
    assert told.exit_code == 0, told.exception or told.output
    found = [json.loads(line)["status"] for line in lines.read_text().splitlines()]
    assert found == ["signed", "signed", "draft"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--filter", "status"), "is no filter"),
        (("-f", "status=signed", "-f", "status=draft"), "is given twice"),
        (("--filter", "colour=red"), "There is no parameter colour"),
        (("--format", "docx"), "format is one of"),
    ],
)
async def test_what_can_not_be_asked_writes_nothing(
    url: str, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    told = await run(url, "chef", "contracts", *arguments, "--output", tmp_path / "asked.csv")
    assert said in str(told.exception)
    assert beginning(tmp_path, "asked") == []


async def test_nothing_is_written_in_a_dry_run(url: str, tmp_path: Path) -> None:
    told = await run(
        url, "chef", "lexware-contracts", "--output", tmp_path / "dry.csv", "--dry-run", "--json"
    )
    assert told.exit_code == LEFT_OUT
    found = json.loads(told.output)
    assert (found["rows"], [one["column"] for one in found["problems"]]) == (1, ["ContractValue"])
    assert beginning(tmp_path, "dry") == []


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("lexware-payments", "no profile whose rows are documents"),
        ("nothing", "There is no list 'nothing'"),
    ],
)
async def test_a_profile_that_can_not_be_exported_is_told(profile: str, said: str) -> None:
    told = await run("http://127.0.0.1:1", "chef", profile)
    assert said in str(told.exception)


@pytest.mark.parametrize(
    "arguments", [("gobd", "--dry-run"), ("gobd", "--format", "xlsx"), ("contracts", "--from", "2026-01-01")]
)
async def test_options_of_another_kind_of_export_are_not_passed_over(arguments: tuple[str, ...]) -> None:
    told = await run("http://127.0.0.1:1", "chef", *arguments)
    assert "alone" in str(told.exception)


async def test_a_directory_that_is_not_there_is_told(url: str, tmp_path: Path) -> None:
    told = await run(url, "chef", "customer", "--output", tmp_path / "none" / "x.csv")
    assert "can't be written: No such file or directory" in str(told.exception)

"""Files for the tax consultant and the auditor, from documents that are stored: over REST and by commands."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from lxml import etree
from typer.testing import CliRunner, Result

from kompass.accounting.datev.validating import validate
from kompass.cli.app import app
from kompass.domain.examples import full
from kompass.exports import datev
from kompass.exports.books import read_books
from kompass.exports.datev import Period
from kompass.exports.gobd import DAYS
from kompass.exports.unbooked import Problems
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.product import running_product

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
GF, BUCH, ANNA = ("chef", "pw"), ("buch", "pw"), ("anna", "pw")
BOOKS = """
company = "Ladenbau Süd GmbH"
location = "Ilshofen"
adviser = 29098
client = 55003

[accounts]
untaxed_at_home = { account = "8337" }
"""
NOVEMBER = {"from": "2026-10-15", "to": "2026-11-20"}
AGAIN = {**NOVEMBER, "again": "true"}


def stored(doctype: str, number: int = 0, **members: Any) -> dict[str, Any]:
    body = {key: value for key, value in full(doctype).items() if key not in ("_rev", "_attachments")}
    if number:
        body["_id"] = f"{body['_id'][:-2]}{number:02x}"
    return body | members


def invoice(
    number: int, day: str, amounts: tuple[float, float, float] | None, **members: Any
) -> list[dict[str, Any]]:
    body = stored(
        "invoice", number, invoiceNumber=f"R-2026-{number:05}", invoiceDate=day, dueDate=None, **members
    )
    if amounts is None:
        return [body]
    net, tax, gross = amounts
    docid = body["_id"].replace("invoice-", "invoice-amount-")
    figures = {"netAmount": net, "taxAmount": tax, "grossAmount": gross}
    return [body, {**stored("invoice_amount"), "_id": docid, "invoiceId": body["_id"], **figures}]


DOCUMENTS = [
    stored("customer"),
    stored("supplier"),
    stored("project"),
    *invoice(1, "2026-10-31", (1000, 190, 1190), status="sent"),
    *invoice(2, "2026-11-01", (100, 7, 107), status="paid"),
    *invoice(3, "2026-11-02", (100, 0, 100), status="overdue"),
    *invoice(4, "2026-11-03", (100, 19, 119), status="draft"),
    *invoice(5, "2026-11-04", (100, 12, 112), status="sent"),
    *invoice(6, "2026-11-05", None, status="sent"),
    *invoice(7, "2026-12-01", (100, 19, 119), status="sent"),
    stored(
        "supplier_invoice",
        invoiceDate="2026-11-06",
        dueDate="2026-12-06",
        subtotalEur=1000,
        taxAmountEur=190,
        totalEur=1190,
        status="Approved",
    ),
    stored(
        "expense",
        expenseDate="2026-11-07",
        category="hotel",
        stornoOf=None,
        stornoReason=None,
        amount=107,
        taxAmount=7,
        netAmount=100,
        status="paid",
    ),
]

LUNCH = {
    "expenseDate": "2026-03-07",
    "category": "hotel",
    "stornoOf": None,
    "stornoReason": None,
    "amount": 107,
    "taxAmount": 7,
    "netAmount": 100,
    "status": "paid",
    "receiptNumber": "EXP-2026-033",
}


class Company:
    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self.client = client

    async def ask(
        self, path: str, params: dict[str, str], auth: tuple[str, str] | None = BUCH
    ) -> httpx.Response:
        method = "POST" if path == "datev/bookings" else "GET"
        return await self.client.request(method, f"/api/v1/{path}", params=params, auth=auth)

    async def put(self, body: dict[str, Any]) -> None:
        """Stores a document, whatever is there already."""
        there = await self.client.get(f"/kompass/{body['_id']}", auth=ADMIN)
        rev = {"_rev": there.json()["_rev"]} if there.status_code == 200 else {}
        made = await self.client.put(f"/kompass/{body['_id']}", json={**body, **rev}, auth=ADMIN)
        assert made.status_code == 201, made.text

    async def files(self, path: str, params: dict[str, str]) -> dict[str, bytes]:
        answer = await self.ask(path, params)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip"), answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    async def run(self, *arguments: str) -> Result:
        given = [*arguments, "--server", self.url, "--user", "buch", "--password", "pw"]
        return await asyncio.to_thread(CliRunner().invoke, app, given)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def company(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    directory = tmp_path_factory.mktemp("books")
    (directory / "books.toml").write_text(BOOKS)
    async with (
        running_product(directory / "data", ADMIN, books_file=directory / "books.toml") as product,
        serving(product) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        for name, role in (("chef", "GF"), ("buch", "BUCH"), ("anna", "ADM")):
            await put_user(client, name, role)
            await client.get("/kompass", auth=(name, "pw"))
        company = Company(url, client)
        for body in DOCUMENTS:
            await company.put(body)
        yield company


def lines(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("cp1252"), newline=""), delimiter=";"))


async def test_bookings_are_made_of_documents_month_by_month(company: Company) -> None:
    files = await company.files("datev/bookings", AGAIN)
    october, november = "EXTF_Buchungsstapel_2026-10_1.csv", "EXTF_Buchungsstapel_2026-11_1.csv"
    assert set(files) == {october, november, "nicht_gebucht.csv", "manifest.json"}
    assert validate(files[october]) == validate(files[november]) == []
    head, _, *rows = lines(files[october])
    assert head[10:20] == [
        "29098",
        "55003",
        "20260101",
        "4",
        "20261015",
        "20261031",
        "KOMPASS 10/2026",
        "",
        "1",
        "0",
    ]
    assert [(row[0], row[1], row[6], row[7], row[9], row[10]) for row in rows] == [
        ("1190,00", "S", "10042", "8400", "3110", "R-2026-00001")
    ]
    found = [(row[0], row[1], row[6], row[7], row[8], row[9]) for row in lines(files[november])[2:]]
    assert found == [
        ("107,00", "S", "10042", "8300", "", "0111"),
        ("100,00", "S", "10042", "8337", "", "0211"),
        ("1190,00", "S", "3400", "70000", "", "0611"),
        ("107,00", "S", "4666", "1740", "0008", "0711"),
    ], "the account for turnover without tax is the company's own"
    manifest = json.loads(files["manifest.json"])
    assert (manifest["left_out"], manifest["waiting"], manifest["exported_by"]) == (2, 1, "buch")
    assert [one["rule"] for one in manifest["problems"]] == ["booking.rate", "booking.incomplete"]
    for told in manifest["files"]:
        assert told["sha256"] == hashlib.sha256(files[told["file"]]).hexdigest()
    assert manifest["files"][1]["sums"] == {"Soll": "1504.00", "Haben": "0.00"}
    unbooked = files["nicht_gebucht.csv"].decode("utf-8-sig")
    assert "R-2026-00005" in unbooked
    assert ';R-2026-00004;"ist draft; gebucht wird nur' in unbooked
    assert [one["number"] for one in manifest["not_ready"]] == ["R-2026-00004"]


async def test_the_other_chart_has_its_own_accounts(company: Company) -> None:
    files = await company.files("datev/bookings", {**AGAIN, "chart": "04"})
    rows = lines(files["EXTF_Buchungsstapel_2026-11_1.csv"])[2:]
    assert [row[6:8] for row in rows] == [["10042", "4300"], ["5400", "70000"], ["6660", "3720"]], (
        "accounts of books_file are of the other one"
    )
    assert b"booking.untaxed" in files["nicht_gebucht.csv"]
    assert lines(files["EXTF_Buchungsstapel_2026-11_1.csv"])[0][26] == "04"


async def test_what_cant_be_booked_wholly_is_not_final(company: Company) -> None:
    half = await company.ask("datev/bookings", {**AGAIN, "final": "true"})
    assert half.status_code == 409
    if datetime.now(UTC).date().isoformat() <= NOVEMBER["to"]:
        assert "is over" in half.json()["detail"]
    else:
        assert half.json()["detail"].startswith("2 documents of the period can't be booked")
        assert len(half.json()["errors"]) == 2
    today = datetime.now(UTC).date()
    running = {"from": today.isoformat(), "to": (today + timedelta(days=2)).isoformat(), "final": "true"}
    assert "is over" in (await company.ask("datev/bookings", running)).json()["detail"]
    files = await company.files(
        "datev/bookings", {**AGAIN, "from": "2026-10-01", "to": "2026-10-31", "final": "true"}
    )
    (name,) = (name for name in files if name.startswith("EXTF"))
    assert validate(files[name]) == []
    head, _, row = lines(files[name])
    assert (head[20], row[113]) == ("1", "1")


async def test_what_a_batch_has_is_in_no_other(company: Company) -> None:
    march = {"from": "2026-03-01", "to": "2026-03-31"}
    first, second = (
        invoice(31, "2026-03-01", (100, 19, 119), status="sent"),
        invoice(32, "2026-03-02", (100, 19, 119), status="sent"),
    )
    for body in [*first, stored("expense", 33, **LUNCH), *second[:1]]:
        await company.put(body)
    before = (await company.ask("datev/batches", {})).json()["batches"]
    dry = (await company.ask("datev/bookings", {**march, "dry_run": "true"})).json()
    assert (dry["batch"], dry["left_out"], len(dry["files"])) == (None, 1, 1)
    made = json.loads((await company.files("datev/bookings", march))["manifest.json"])
    (batch, *others) = (await company.ask("datev/batches", {})).json()["batches"]
    assert others == before, "a dry run isn't one"
    assert (batch["num"], batch["files"]) == (made["batch"], made["files"])
    assert (batch["exported_by"], batch["from"], batch["to"], batch["books"]) == (
        "buch", "2026-03-01", "2026-03-31", "29098/55003/SKR03",
    )  # fmt: skip

    for body in second:
        await company.put(body)
    files = await company.files("datev/bookings", march)
    rows = lines(files["EXTF_Buchungsstapel_2026-03_1.csv"])[2:]
    assert [row[10] for row in rows] == ["R-2026-00032"], "only what is new"
    assert json.loads(files["manifest.json"])["booked_before"] == 2
    empty = json.loads((await company.files("datev/bookings", march))["manifest.json"])
    assert (empty["batch"], empty["files"], empty["booked_before"]) == (None, [], 3)
    other = await company.files("datev/bookings", {**march, "chart": "04", "dry_run": "false"})
    assert len(lines(other["EXTF_Buchungsstapel_2026-03_1.csv"])) == 5, "another chart is another matter"
    every = await company.files("datev/bookings", {**march, "again": "true"})
    assert len(lines(every["EXTF_Buchungsstapel_2026-03_1.csv"])) == 5


async def test_what_was_cancelled_since_it_went_out_is_told_and_blocks_nothing(company: Company) -> None:
    april = {"from": "2026-04-01", "to": "2026-04-30", "final": "true"}
    body, amounts = invoice(41, "2026-04-02", (100, 19, 119), status="sent")
    await company.put(body)
    await company.put(amounts)
    first = json.loads((await company.files("datev/bookings", april))["manifest.json"])
    await company.put({**body, "status": "cancelled"})
    files = await company.files("datev/bookings", april)
    manifest = json.loads(files["manifest.json"])
    assert (manifest["files"], manifest["left_out"], manifest["waiting"]) == ([], 1, 0)
    (told,) = manifest["problems"]
    assert (told["number"], told["rule"]) == ("R-2026-00041", "booking.withdrawn")
    went = f"went out in batch {first['batch']} as 2026-04-02 R-2026-00041 119.00 EUR 10042 Soll an 8400"
    assert told["reason"].startswith(f"{went}, and is cancelled")
    assert "von Hand korrigieren" in files["nicht_gebucht.csv"].decode("utf-8-sig")


async def test_an_invoice_without_a_day_is_in_no_period_and_told_in_each(company: Company) -> None:
    body = invoice(51, "2026-05-02", (100, 19, 119), status="sent")
    await company.put({**body[0], "invoiceDate": None})
    await company.put(body[1])
    may = await company.ask("datev/bookings", {"from": "2026-05-01", "to": "2026-05-31", "dry_run": "true"})
    (problem,) = may.json()["problems"]
    assert (problem["number"], problem["rule"]) == ("R-2026-00051", "booking.incomplete")
    audited = await company.files("gobd/export", {"from": "2026-05-01", "to": "2026-05-31"})
    assert audited["invoice.csv"].count(b"R-2026-00051") == 1, "nothing may be missing"
    await company.put({**body[0], "invoiceDate": None, "status": "cancelled"})


async def test_debtors_are_all_customers_with_a_number(company: Company) -> None:
    files = await company.files("datev/accounts", {})
    assert validate(files["EXTF_DebitorenKreditoren.csv"]) == []
    rows = lines(files["EXTF_DebitorenKreditoren.csv"])[2:]
    assert [(row[0], row[1]) for row in rows] == [("10042", full("customer")["companyName"])]
    (problem,) = json.loads(files["manifest.json"])["problems"]
    assert (problem["type"], problem["rule"]) == ("supplier", "party.number")


async def test_they_are_for_gf_and_buch_and_told_in_the_chain(company: Company) -> None:
    paths: tuple[tuple[str, dict[str, str]], ...] = (
        ("datev/bookings", NOVEMBER),
        ("datev/accounts", {}),
        ("gobd/export", NOVEMBER),
    )
    for path, params in paths:
        assert (await company.ask(path, params, ANNA)).status_code == 403
        assert (await company.ask(path, params, None)).status_code == 401

    async def told() -> list[tuple[str, str, str]]:
        entries = (await company.ask("audit", {"user": "buch", "limit": "200"})).json()["entries"]
        return [(one["who"], one["rule"], one["until"]) for one in entries if one["action"] == "EXPORT"]

    before = len(await told())
    await company.ask("datev/bookings", {**NOVEMBER, "dry_run": "true"})
    await company.client.head("/api/v1/datev/accounts", auth=BUCH)
    assert len(await told()) == before, "nobody has taken anything out"
    for path, params in paths:
        assert (await company.ask(path, params)).status_code == 200
    today = datetime.now(UTC).date()
    found = await told()
    assert [one[:2] for one in found[:3]] == [
        ("buch", "gobd"),
        ("buch", "datev.accounts"),
        ("buch", "datev.bookings"),
    ]
    assert found[0][2] == found[2][2] == NOVEMBER["to"]
    assert abs((datetime.fromisoformat(found[1][2]).date() - today).days) <= 1
    verified = (await company.ask("audit/verification", {})).json()
    assert (verified["ok"], verified["findings"]) == (True, [])


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "from must be a day"),
        ({"from": "2026-13-01", "to": "2026-12-01"}, "from must be a day"),
        ({"from": "20261101", "to": "2026-12-01"}, "from must be a day"),
        ({"from": "1899-01-01", "to": "1899-12-01"}, "from must be a day"),
        ({"from": "2026-12-01", "to": "2026-11-01"}, "from is before to"),
        ({"from": "2025-01-01", "to": "2026-11-01"}, "a year at most"),
        ({**NOVEMBER, "chart": "05"}, "SKR03"),
        ({**NOVEMBER, "final": "yes"}, "true or false"),
        ({**NOVEMBER, "colour": "red"}, "no parameter colour"),
    ],
)
async def test_a_question_that_can_not_be(company: Company, params: dict[str, str], said: str) -> None:
    answer = await company.ask("datev/bookings", params)
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True), answer.text


async def test_a_file_that_is_not_sound_goes_to_nobody(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datev, "validate", lambda data: validate(data[:-2]))
    answer = await company.ask("datev/bookings", AGAIN)
    assert answer.status_code == 500
    assert "the last line has no CRLF" in answer.json()["detail"]


async def test_without_a_file_that_says_whose_books_there_are_none(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "books.toml"
    for text, said in (
        (None, "Nobody has said whose books it is"),
        ("company = ", "says what can't be"),
        (BOOKS.replace("55003", "0"), "client"),
        (BOOKS + 'colour = "red"', "colour"),
        (BOOKS.replace("8337", "eight"), "untaxed_at_home"),
    ):
        if text is not None:
            file.write_text(text)
        asked = partial(read_books, None if text is None else file)
        monkeypatch.setattr("kompass.api.accounting.read_books", lambda _, asked=asked: asked())
        for path in ("datev/bookings", "datev/accounts", "gobd/export"):
            answer = await company.ask(path, {} if path == "datev/accounts" else NOVEMBER)
            assert (answer.status_code, said in answer.json()["detail"]) == (409, True), answer.text


async def test_an_auditor_gets_tables_with_their_index(company: Company) -> None:
    files = await company.files("gobd/export", NOVEMBER)
    definition = etree.DTD(io.BytesIO(files["gdpdu-01-09-2004.dtd"]))
    index = etree.fromstring(files["index.xml"])
    assert definition.validate(index), definition.error_log
    assert index.findtext("DataSupplier/Name") == "Ladenbau Süd GmbH"
    tables = {one.findtext("URL"): one for one in index.iter("Table")}
    assert len(tables) == len(DAYS) + 1
    for told in json.loads(files["manifest.json"])["files"]:
        data = files[told["file"]]
        assert told["sha256"] == hashlib.sha256(data).hexdigest()
        names = [one.text for one in tables[told["file"]].iterfind("VariableLength/*/Name")]
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=";"))
        assert rows[0] == names[: len(rows[0])], "columns as the index says; behind them its keys"
        assert len(rows) == told["rows"] + 1
    invoices = re.findall(r"R-2026-\d{5}", files["invoice.csv"].decode())
    assert len([one for one in invoices if one != "R-2026-00051"]) == 6, "those of the period"
    assert "R-2026-00007" not in invoices
    today = datetime.now(UTC).date().isoformat()
    written = (await company.files("gobd/export", {"from": today, "to": today}))["audit.csv"].decode()
    assert "CREATE" in written
    assert "EXPORT" in written


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


async def test_nobody_is_booked_on_the_account_of_somebody_else(company: Company) -> None:
    other = stored("customer", 61, customerNumber="KD-42", companyName="Molkerei", vatNumber=None)
    await company.put(other)
    for number, customer in ((61, {}), (62, {"customerId": other["_id"]})):
        for body in invoice(number, "2026-06-01", (100, 19, 119), status="sent", **customer):
            await company.put(body)
    june = {"from": "2026-06-01", "to": "2026-06-30", "dry_run": "true"}
    told = (await company.ask("datev/bookings", june)).json()
    shared = [one for one in told["problems"] if one["rule"] == "booking.shared"]
    assert (told["files"][0]["rows"], len(shared)) == (1, 1)
    assert "account 10042, on which another customer" in shared[0]["reason"]
    accounts = (await company.ask("datev/accounts", {"dry_run": "true"})).json()
    assert [one["rule"] for one in accounts["problems"]] == ["party.taken", "party.number"]


def names_in(directory: Path) -> set[str]:
    return {one.name for one in directory.iterdir()}


async def test_months_of_a_period() -> None:
    day = datetime(2025, 12, 31, tzinfo=UTC).date()
    period = Period(day, day + timedelta(days=60))
    assert [(one.first.isoformat(), one.last.isoformat()) for one in period.months()] == [
        ("2025-12-31", "2025-12-31"),
        ("2026-01-01", "2026-01-31"),
        ("2026-02-01", "2026-02-28"),
        ("2026-03-01", "2026-03-01"),
    ]
    assert Problems().as_csv().decode("utf-8-sig").startswith("Zeile;Feld;Fehler;Wert;Grund")

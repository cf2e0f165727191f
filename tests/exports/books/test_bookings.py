"""Bookings and accounts for the tax consultant, from documents that are stored."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from kompass.accounting.datev.validating import validate
from kompass.domain.examples import full
from kompass.exports.datev import Period
from kompass.exports.unbooked import Problems
from tests.exports.books.company import AGAIN, NOVEMBER, Company, invoice, lines, stored

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


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


async def test_nobody_is_booked_on_the_account_of_somebody_else(company: Company) -> None:
    later = {"createdAt": "2026-11-20T08:00:00.000Z", "vatNumber": None}
    other = stored("customer", 61, customerNumber="KD-42", companyName="Molkerei", **later)
    await company.put(other)
    for number, day, customer in ((61, "01", {}), (62, "02", {"customerId": other["_id"]})):
        for body in invoice(number, f"2026-06-{day}", (100, 19, 119), status="sent", **customer):
            await company.put(body)
    for first, last, rows in (("01", "30", 1), ("02", "02", 0)):  # also if he alone has an invoice
        days = {"from": f"2026-06-{first}", "to": f"2026-06-{last}", "dry_run": "true"}
        told = (await company.ask("datev/bookings", days)).json()
        shared = [one["reason"] for one in told["problems"] if one["rule"] == "booking.shared"]
        assert sum(file["rows"] for file in told["files"]) == rows
        assert shared == ["belongs on account 10042, which another customer has"]
    accounts = (await company.ask("datev/accounts", {"dry_run": "true"})).json()
    assert [one["rule"] for one in accounts["problems"]] == ["party.taken", "party.number"]


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

"""A night and a day with Lexware, and then somebody wants to be forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from kompass.lexware import errors, inbox, runs
from kompass.lexware.erasing import CONSUMER
from kompass.lexware.keeping import Keeper
from kompass.lexware.resolving import Resolution
from kompass.lexware.runs import State
from kompass.privacy.consumers import Consumers
from kompass.server import Product
from tests.identity.conftest import put_user
from tests.lexware.arriving import lines, payments, row
from tests.lexware.test_exporting import rows
from tests.lexware.world import docid, edit, example, exchange, get, invoice, put

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.alone("its files are this process's"),
]
FIRST, LAST, MAIL = "Zyxwika", "Qvarnblom", "zyx@qvarnblom.example"
COMPANY = f"Gärtnerei {FIRST} {LAST}"
MARKS = tuple(text.encode() for text in (FIRST, LAST, LAST.upper(), MAIL))


def places(directory: Path) -> list[str]:
    """Files below a directory that have, or are called, something of that person."""
    found = []
    for file in directory.rglob("*"):
        if file.is_file():
            data = file.read_bytes() + file.name.encode()
            texts = (data, data.decode("utf-16-le", "ignore").encode(), data.decode("latin-1").encode())
            if any(mark in text for mark in MARKS for text in texts):
                found.append(str(file.relative_to(directory)))
    return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "RESTS", 0.05)


async def test_export_payments_with_bad_rows_and_an_erasure(product: Product, tmp_path: Path) -> None:
    await put(
        product,
        example("customer", 7, customerNumber="K-00007", companyName=COMPANY, email=MAIL),
        example("contact", 7, customerId=docid("customer", 7), firstName=FIRST, lastName=LAST, email=MAIL),
        example("opportunity", 7, customerId=docid("customer", 7), title=f"Pavillon für {FIRST} {LAST}"),
        example(
            "contract", 7, customerId=docid("customer", 7), opportunityId=docid("opportunity", 7),
            contractNumber="C-2026-00007", status="signed", contractValueEur=7000,
            contractDate="2026-11-02", startDate="2026-11-16",
        ),
        *invoice(40, customerId=docid("customer", 7)),
        *invoice(41, customerId=docid("customer", 7)),
    )  # fmt: skip
    number = (await get(product, docid("customer", 7)))["customerNumber"]
    one = exchange(product, tmp_path)
    folder = tmp_path / "lexware"
    keeper = Keeper(one)
    # At night
    customers, contracts = await one.export_all("schedule")
    assert (customers.rows >= 2, contracts.rows >= 4) == (True, True)
    fetched = folder / "exports" / "processed"
    fetched.mkdir()
    (folder / "exports" / customers.file).rename(fetched / customers.file)
    # By day
    bad = [
        row(40, "119,00", "Paid", number),
        row(41, "100,00", "", number),
        f"{LAST};{number};02.11.2026;119,00;Überweisung {FIRST};Paid",
        f"R-1;{number};{FIRST};119,00;;",
        f"R-2;{number};02.11.2026;1e309;{MAIL};",
        f"R-3;{number};02.11.2026;5,00;;Von {FIRST} {LAST}",
    ]
    (folder / "imports" / f"Zahlungen {LAST}.csv").write_bytes(payments(*bad))
    (folder / "imports" / "Rechnungen.csv").write_bytes(
        lines(
            "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag;Ansprechpartner",
            f"R-2026-77001;05.10.2026;{COMPANY};100,00;19,00;119,00;{FIRST} {LAST}",
            f"{LAST} 1;05.10.2026;K-00001;100,00;19,00;119,00;",
            f"R-2026-77002;05.10.2026;{COMPANY} Nachf.;100,00;19,00;119,00;{FIRST} {LAST}",
        ).encode()
    )
    (folder / "imports" / "kaputt.csv").write_bytes(f"Name;Ort\n{LAST};Ulm\n".encode())
    polled = await one.poll("schedule")
    assert {report.state for report in polled.reports} == {"done", "refused"}
    taken = next(report for report in polled.reports if report.kind == "payments")
    assert taken.outcomes == {"exact": 1, "partial": 1, "candidates": 1, "wrong": 3}
    (odd,) = [each for each in errors.listed(one.opened()) if each.rule == "cell.number"]
    await one.resolve(odd.num, Resolution("ignore", f"{FIRST} {LAST} hat sich vertippt"), "buch1")
    # Again: nothing changes
    before = [await get(product, docid("invoice", n)) for n in (40, 41)]
    (folder / "imports" / "nochmal.csv").write_bytes(payments(*bad))
    assert [report.state for report in (await one.poll("schedule")).reports] == ["repeated"]
    assert {run.state for run in await one.export_all("schedule")} == {State.NOTHING}
    assert [await get(product, docid("invoice", n)) for n in (40, 41)] == before
    assert len(places(tmp_path)) >= 8, "there is something to be forgotten"
    # And then
    transport = httpx.ASGITransport(product)
    async with httpx.AsyncClient(transport=transport, base_url="http://server", timeout=60) as client:
        await put_user(client, "gf1", "GF")
        chief = ("gf1", "pw")
        await client.get("/kompass", auth=chief)
        for subject in (docid("contact", 7), docid("customer", 7)):
            address = f"/api/v1/privacy/subjects/{subject}/erasure"
            done = await client.post(address, json={"reason": "Antrag nach Art. 17"}, auth=chief)
            assert done.status_code == 200, done.text
        assert Consumers(one.gate_now()).find(CONSUMER) is None, "it is enrolled when it has something"
        with one.opened().writing() as connection:  # as somebody leaves it who was killed
            connection.execute(
                "INSERT INTO runs (kind, mode, state, file, person, at, position)"
                " VALUES ('contracts', 'due', 'collecting', 'x.csv', 'schedule', 0, '')"
            )
            broken = (connection.last_insert_rowid(), COMPANY.encode())
            connection.execute("INSERT INTO pieces VALUES (?, 0, ?)", broken)
        (folder / "exports" / ".kompass_x.csv.0.part").write_text(COMPANY)
        await keeper.look()
        assert places(tmp_path) == []
        standing = Consumers(one.gate_now()).find(CONSUMER)
        assert standing is not None
        assert standing.open == 0
        verified = await client.get("/api/v1/audit/verification", auth=chief)
        assert (verified.status_code, verified.json()["findings"]) == (200, [])
    # What was fetched stays exported; what wasn't goes out as it is now, and so does whose name has changed.
    withdrawn = runs.one(one.opened(), contracts.num)
    assert withdrawn is not None
    assert withdrawn.state is State.WITHDRAWN
    customers, contracts = await one.export_all("schedule")
    text = "\n".join(rows(folder / "exports" / contracts.file))
    assert "C-2026-00007" in text
    assert "Gelöschter" in text
    assert "C-2026-00001" in text
    assert places(tmp_path) == []
    # What was open can still be settled.
    (lost,) = [each for each in errors.listed(one.opened()) if each.rule == "payment.candidates"]
    assert (lost.value, lost.detail["payment"]["amount"]) == ("", "119.00")
    settled = await one.resolve(lost.num, Resolution("assign", "Kontoauszug", "R-2026-77001"), "buch1")
    assert settled.resolution == "assigned to R-2026-77001: Kontoauszug"
    # And who pays afterwards has paid.
    late = payments(row(41, "19,00", "Paid", number))
    assert (await one.take(late, "später.csv", "buch1")).outcomes == {"exact": 1}
    await edit(product, docid("opportunity", 7), title="Pavillon")
    await asyncio.to_thread(one.close)

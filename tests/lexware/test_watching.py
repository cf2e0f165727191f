"""Somebody is told when the exchange needs him, once; a month is the same everywhere."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from kompass.jobs.judging import ZONE
from kompass.jobs.schedules import Schedule, previous
from kompass.leases import held
from kompass.lexware import delivering, keeping, mirroring, runs
from kompass.lexware.exchange import Exchange
from kompass.lexware.exporting import Wish
from kompass.lexware.keeping import Keeper
from kompass.lexware.ledger import ledger
from kompass.lexware.runs import Kind
from kompass.lexware.targets import Folder
from kompass.server import Product
from replication.protocol import jsontext
from tests.identity.conftest import put_user
from tests.lexware.arriving import lines, payments
from tests.lexware.world import database_of, exchange

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.alone("its files are this process's"),
]
HEAD = "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag;Status"


async def notified(product: Product, person: str) -> list[str]:
    rows = await database_of(product).documents(all_ids())
    bodies = [jsontext.decode(row.text) for row in rows]
    return [
        body["title"]
        for body in bodies
        if body.get("documentType") == "lexware" and body.get("recipientId") == person
    ]


def all_ids() -> Any:
    from replication.store.values import KeyRange

    return KeyRange(start="notification-", end="notification-\uffff")


async def test_many_errors_are_told_once(product: Product, one: Exchange) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(product), base_url="http://server") as client:
        for name, role in (("buch9", "BUCH"), ("innen9", "INNEN")):
            await put_user(client, name, role)
            await client.get("/kompass", auth=(name, "pw"))
    await one.take(payments("R-0;;02.11.2026;1,00;;", "R-00;;02.11.2026;2,00;;"), "a.csv", "buch9")
    await one.watch()
    await one.watch()
    (told,) = one.status()["alerts"]
    assert (told["name"], "2 of 2 rows" in told["said"]) == ("errors", True)
    assert await notified(product, "buch9") == [told["gesagt"]]
    assert await notified(product, "innen9") == []
    assert one.notes() == ["1 alerts about Lexware: kompass lexware status tells which."]
    assert "kompass_lexware_open_errors 2" in one.figures()
    later = one.now
    one.now = lambda: later() + timedelta(days=2)
    await one.watch()
    assert [alert["name"] for alert in one.status()["alerts"]] == []


async def test_what_was_due_and_is_not_done_is_told(one: Exchange) -> None:
    pytest.importorskip("croniter")
    keeper = Keeper(one)
    evening = one.now().replace(hour=20)  # the export is due at two
    one.now = lambda: evening
    await keeper.look()
    one.now = lambda: evening + timedelta(days=1)
    await one.watch()
    assert "no export" in [alert["name"] for alert in one.status()["alerts"]]
    await keeper.look()
    assert one.status()["export"]["rows"] == 3, "what was missed is made up for"
    await one.watch()
    assert "no export" not in [alert["name"] for alert in one.status()["alerts"]]
    assert keeping.missing() is None


async def test_a_clock_that_ran_ahead_puts_off_no_export(one: Exchange) -> None:
    pytest.importorskip("croniter")
    keeper = Keeper(one)
    evening = one.now().replace(hour=20)
    one.now = lambda: evening + timedelta(days=3000)
    await keeper.look()
    one.now = lambda: evening
    await keeper.look()
    assert one.status()["export"]["rows"] == 3
    one.now = lambda: evening + timedelta(days=1)
    await keeper.look()
    assert [run.mode for run in runs.listed(one.opened())] == ["due"] * 4


async def test_a_process_whose_clock_is_behind_exports_nothing_again(
    product: Product, one: Exchange, tmp_path: Path
) -> None:
    pytest.importorskip("croniter")
    other = exchange(product, tmp_path)
    first, second = Keeper(one), Keeper(other)
    two = one.now().astimezone(ZONE).replace(hour=2, minute=0, second=5)
    one.now = lambda: two - timedelta(hours=1)
    await first.look()
    for seconds in range(0, 90, 20):
        one.now = lambda seconds=seconds: two + timedelta(seconds=seconds)  # type: ignore[misc]
        other.now = lambda seconds=seconds: two + timedelta(seconds=seconds - 60)  # type: ignore[misc]
        await first.look()
        await second.look()
    other.close()
    assert [run.kind for run in runs.listed(one.opened())] == ["contracts", "customers"]


async def test_two_processes_that_look_at_the_same_moment_export_the_night_once(
    product: Product, one: Exchange, tmp_path: Path
) -> None:
    pytest.importorskip("croniter")
    other = exchange(product, tmp_path)
    evening = one.now().astimezone(ZONE).replace(hour=20)
    one.now = other.now = lambda: evening
    await Keeper(one).look()
    one.now = other.now = lambda: evening + timedelta(days=1)
    await asyncio.gather(Keeper(one).look(), Keeper(other).look())
    other.close()
    assert [run.kind for run in runs.listed(one.opened())] == ["contracts", "customers"]


@pytest.mark.parametrize(
    ("noon", "due"),
    [
        ("2027-03-27T12:00+01:00", "2027-03-27T02:00+01:00"),
        ("2027-03-28T12:00+02:00", "2027-03-28T03:00+02:00"),
        ("2027-10-31T12:00+01:00", "2027-10-31T02:00+01:00"),
    ],
)
async def test_two_in_the_morning_is_once_a_night(noon: str, due: str) -> None:
    pytest.importorskip("croniter")
    found = previous(Schedule("export", "0 2 * * *"), datetime.fromisoformat(noon).timestamp())
    assert found == datetime.fromisoformat(due).timestamp()


async def test_a_file_that_can_not_be_delivered_is_told(
    one: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pause(_: float) -> None:
        pass

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(delivering, "pause", pause)
    monkeypatch.setattr(Folder, "_write", full)
    await one.export(Wish(Kind.CONTRACTS, "buch1"))
    await one.watch()
    assert [alert["name"] for alert in one.status()["alerts"]] == ["undelivered"]


async def test_gaps_between_lexware_and_here_are_told(product: Product, one: Exchange) -> None:
    day = one.gate_now().now().strftime("%d.%m.%Y")
    month = one.gate_now().now().strftime("%Y-%m")
    rows = [f"R-2027-{n:05};{day};K-00001;100,00;19,00;119,00;" for n in range(1, 9)]
    report = await one.take(lines(HEAD, *rows).encode(), "r.csv", "buch1")
    assert report.outcomes == {"new": 8}
    same = await one.reconcile(month)
    assert (same.lexware.invoices, same.documents.invoices, same.differences) == (8, 8, [])
    await one.watch()
    assert one.status()["alerts"] == []
    unknown = [f"R-2027-{n:05};{day};K-77777;100,00;19,00;119,00;" for n in range(9, 15)]
    other_amount = f"R-2027-00001;{day};K-00001;200,00;38,00;238,00;"
    impossible = f"R-2027-00099;{day};K-00001;200,00;38,00;9.000,00;"
    await one.take(lines(HEAD, *unknown, other_amount, impossible).encode(), "s.csv", "buch1")
    other = await one.reconcile(month)
    assert (other.count_gap, other.sum_gap) == (6, Decimal(7 * 119))
    assert [(d.number, d.what) for d in other.differences][:2] == [
        ("R-2027-00001", "amount"), ("R-2027-00009", "missing here"),
    ]  # fmt: skip
    async with held(one.opened(), "import"):
        await one.watch()
        assert one.status()["alerts"] == [], "documents are on their way"
    await one.watch()
    assert {f"count {month}", f"sum {month}"} <= {alert["name"] for alert in one.status()["alerts"]}
    books = await ledger(database_of(product))
    assert mirroring.invoice_id("R-2027-00001") in {each.id for each in books.invoices}

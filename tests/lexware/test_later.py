"""What didn't fit when it came, and does later: nobody has to remember it, and it counts once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from kompass.access.companions import companion_id
from kompass.accounting.problems import Problem
from kompass.accounting.row_errors import ErrorType
from kompass.domain.refusals import Refusal
from kompass.lexware import arrivals, erasing, errors, mirroring
from kompass.lexware.errors import Found, SyncError
from kompass.lexware.exchange import Exchange
from kompass.lexware.resolving import Resolution, ResolutionError
from kompass.server import Product
from tests.lexware.arriving import NUMBERS, fresh, lines, payments, row, take, told
from tests.lexware.world import docid, example, get, invoice, put

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.alone("its files are this process's"),
]
HEAD = "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag"


def settled(one: Exchange) -> list[SyncError]:
    return errors.listed(one.opened(), state="resolved")


async def mirrored(product: Product, number: str) -> tuple[str, float]:
    name = mirroring.invoice_id(number)
    amounts = await get(product, companion_id("invoice_amount", name))
    return (await get(product, name))["status"], amounts["paidAmount"]


async def test_a_payment_is_matched_when_its_invoice_arrives_after_it(
    product: Product, one: Exchange
) -> None:
    early = [
        "R-2026-92001;K-00001;02.11.2026;119,00;;Paid",
        "R-2026-92002;K-00001;02.11.2026;100,00;;Paid",
        "R-2026-92003;K-00001;02.11.2026;1,00;;",
    ]
    assert (await take(one, payments(*early))).wrong == 3
    rows = [f"R-2026-9200{n};05.10.2026;K-00001;100,00;19,00;119,00" for n in (1, 2)]
    await take(one, lines(HEAD, *rows).encode())
    assert await mirrored(product, "R-2026-92001") == ("paid", 119)
    assert await mirrored(product, "R-2026-92002") == ("partial_paid", 100)
    assert [(each.resolved_by, each.resolution) for each in settled(one)] == [
        ("lexware", "matched with R-2026-92001"), ("lexware", "matched with R-2026-92002"),
    ]  # fmt: skip
    still = {each.rule: each.detail["rest"] for each in errors.listed(one.opened())}
    assert still == {"payment.unknown": "1.00", "payment.underpaid": "0.00"}
    assert (await take(one, payments(*early[:2]))).outcomes == {"repeated": 2}


async def test_a_reversal_that_comes_before_the_payment_takes_it_back(
    product: Product, one: Exchange
) -> None:
    (a,) = await fresh(product)
    newest_first = payments(row(a, "-119,00", day="05.11.2026"), row(a, "119,00", "Paid"))
    assert (await take(one, newest_first)).outcomes == {"mismatch": 1, "exact": 1}
    assert await told(product, a) == ("sent", None, 0)
    assert errors.listed(one.opened()) == []


async def test_two_equal_instalments_of_one_day_are_both_there(product: Product, one: Exchange) -> None:
    (a,) = await fresh(product)
    await take(one, payments(row(a, "40,00")))
    later = await take(one, payments(row(a, "40,00"), row(a, "40,00"), row(a, "40,00")))
    assert later.outcomes == {"repeated": 1, "duplicate": 2}
    second, third = errors.listed(one.opened())
    for each in (second, third):
        await one.resolve(each.num, Resolution("assign", "Kontoauszug", f"R-2026-{a:05}"), "buch1")
    assert await told(product, a) == ("paid", "2026-11-02", 119)
    again = await take(one, payments(row(a, "40,00"), row(a, "40,00"), row(a, "40,00"), row(a, "1,00")))
    assert again.outcomes == {"repeated": 3, "overpaid": 1}


async def test_the_same_file_once_more_takes_what_fits_now(product: Product, one: Exchange) -> None:
    gate = one.gate_now()
    later = gate.now() + timedelta(days=3)
    tomorrow = (later - timedelta(days=1)).strftime("%d.%m.%Y")
    (a,) = await fresh(product)
    data = lines(
        HEAD,
        "R-2026-93001;05.10.2026;K-00093;100,00;19,00;119,00",
        "R-2026-93002;05.10.2026;K-00001;100,00;19,00;120,00",
    ).encode()
    paid = payments(row(a, "100,00"), row(a, "19,00", day=tomorrow), row(a, "x", day="y"))
    for file in (data, paid):
        await take(one, file)
        assert (await take(one, file)).state == "repeated"
    assert len(errors.listed(one.opened())) == 5
    await put(product, example("customer", 93, customerNumber="K-00093", companyName="Später"))
    assert (await take(one, data)).outcomes == {"new": 1, "wrong": 1}
    assert (await get(product, mirroring.invoice_id("R-2026-93001")))["customerId"] == docid("customer", 93)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "now", lambda: later)
        assert (await take(one, paid)).outcomes == {"repeated": 1, "exact": 1, "wrong": 1}
    assert sorted((each.rule, each.heading) for each in errors.listed(one.opened())) == [
        ("cell.day", "PaymentDate"), ("cell.number", "PaymentAmount"), ("invoice.sum", "Bruttobetrag"),
    ]  # fmt: skip


async def test_what_stood_in_settled_rows_is_not_kept_for_ever(product: Product, one: Exchange) -> None:
    await take(one, payments("Zyxwika;K-00001;02.11.2026;1,00;;", "Qvarnblom;K-00001;02.11.2026;2,00;;"))
    settled_one, open_one = errors.listed(one.opened())
    await one.resolve(settled_one.num, Resolution("ignore", "Irrläufer"), "buch1")
    now = one.now()
    for days, is_kept in ((89, True), (91, False), (92, False)):
        one.now = lambda days=days: now + timedelta(days=days)  # type: ignore[misc]
        await one.tidy()
        (gone,), (still,) = settled(one), errors.listed(one.opened())
        assert ("Zyxwika" in repr(gone), gone.resolution) == (is_kept, "ignore: Irrläufer")
        assert still == open_one
        (report,) = [each.report["problems"] for each in arrivals.listed(one.opened())]
        assert bool(report) == is_kept


async def test_somebody_tries_a_payment_once_more(product: Product, one: Exchange) -> None:
    await take(one, payments("R-2026-00777;K-00001;02.11.2026;119,00;;"))
    (error,) = errors.listed(one.opened())
    with pytest.raises(ResolutionError, match="no invoice R-2026-00777"):
        await one.resolve(error.num, Resolution("retry"), "buch1")
    await put(product, *invoice(777))
    done = await one.resolve(error.num, Resolution("retry"), "buch1")
    assert (done.resolved_by, done.resolution) == ("buch1", "matched with R-2026-00777")
    assert await told(product, 777) == ("paid", "2026-11-02", 119)


async def test_a_payment_that_two_files_tell_before_its_invoice_comes_pays_once(
    product: Product, one: Exchange
) -> None:
    number = next(NUMBERS)
    await take(one, payments(row(number, "50,00", "Paid")))
    await put(product, *invoice(number))
    again = await take(one, payments(row(number, "50,00", "Paid"), row(number, "x")))
    assert again.outcomes == {"wrong": 1, "underpaid": 1}
    assert await told(product, number) == ("partial_paid", None, 50)
    assert [each.rule for each in errors.listed(one.opened())] == ["payment.underpaid", "cell.number"]


async def test_a_payment_is_one_error_whatever_is_wrong_with_it_by_now(
    product: Product, one: Exchange
) -> None:
    a = "R-2026-94001;K-00001;02.11.2026;77,00;;"
    await take(one, payments(a))
    await fresh(product, gross=77)
    assert (await take(one, payments(a, "R-1;;02.11.2026;1,00;;"))).outcomes == {
        "candidates": 1,
        "unknown": 1,
    }
    assert [each.rule for each in errors.listed(one.opened())] == ["payment.candidates", "payment.unknown"]
    await take(one, lines(HEAD, "R-2026-94001;05.10.2026;K-00001;200,00;38,00;238,00").encode())
    assert await mirrored(product, "R-2026-94001") == ("partial_paid", 77)


async def test_what_is_left_of_an_assigned_payment_is_told(product: Product, one: Exchange) -> None:
    (a,) = await fresh(product)
    await take(one, payments("RE-5;;02.11.2026;200,00;;", "RE-6;;02.11.2026;7,00;;"))
    first, second = errors.listed(one.opened())
    await one.resolve(first.num, Resolution("assign", "", f"R-2026-{a:05}"), "buch1")
    assert await told(product, a) == ("paid", "2026-11-02", 119)
    (still, left) = errors.listed(one.opened())
    assert (still, left.rule, left.detail["rest"]) == (second, "payment.overpaid", "81.00")
    with pytest.raises(ResolutionError, match="was paid already"):
        await one.resolve(second.num, Resolution("assign", "", f"R-2026-{a:05}"), "buch1")


async def test_an_invoice_that_could_not_be_written_is_settled_when_it_can(
    product: Product, one: Exchange
) -> None:
    async def refused(groups: Sequence[object]) -> list[Refusal]:
        return [Refusal("frozen", "It is frozen.", "Es ist eingefroren.") for _ in groups]

    item = "R-2026-94002;05.10.2026;K-00001;100,00;19,00;119,00"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.gate_now(), "mirror", refused)
        await take(one, lines(HEAD, item).encode())
    assert [each.rule for each in errors.listed(one.opened())] == ["frozen"]
    await take(one, lines(f"{HEAD};Status", f"{item};offen").encode())
    assert await mirrored(product, "R-2026-94002") == ("sent", 0)
    assert errors.listed(one.opened()) == []


async def test_two_cells_that_a_document_lacks_are_two_errors(one: Exchange) -> None:
    store = one.opened()
    for times in range(2):
        with store.writing() as connection:
            for column in ("ContractNumber", "ContractValue"):
                problem = Problem("cell.missing", "is needed", "wird gebraucht", 1, column)
                found = Found("out", "contract", "contract-1", ErrorType.VALIDATION, problem, "run 1")
                errors.add(connection, found, 1.0)
        told_now = [(each.heading, each.retries) for each in errors.listed(store)]
        assert told_now == [("ContractNumber", times), ("ContractValue", times)]
        erasing._blank(store, ())  # as when somebody is erased between them

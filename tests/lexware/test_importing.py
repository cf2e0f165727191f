"""What comes from Lexware: each payment once, a bad row stops no other, nothing is half taken."""

from __future__ import annotations

from typing import Any

import pytest

from kompass.access.companions import companion_id
from kompass.lexware import arrivals, errors, mirroring
from kompass.lexware.exchange import Exchange
from kompass.lexware.resolving import Resolution, ResolutionError
from kompass.server import Product
from tests.lexware.arriving import HEAD, fresh, lines, payments, row, take, told
from tests.lexware.world import docid, get

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.alone("its files are this process's"),
]


async def test_payments_of_every_kind_with_bad_rows_between(product: Product, one: Exchange) -> None:
    a, b, c, d, e = await fresh(product, 5)
    data = payments(
        row(a, "119,00", "Paid"),
        row(b, "50,00"),
        row(c, "50,00", "Paid"),
        row(d, "200,00"),
        "R-1999-99999;K-9;02.11.2026;7,11;Bar;Paid",
        row(e, "1e309"),
        row(e, "119,00", day="30.02.2026"),
        row(e, "119,00", day="01.01.2100"),
        row(a, "119,00", "Paid"),
        row(e, "118,50"),
    )
    report = await take(one, data)
    assert report.outcomes == {
        "wrong": 3, "exact": 1, "partial": 1, "underpaid": 1, "overpaid": 1, "unknown": 1, "duplicate": 1,
        "tolerance": 1,
    }  # fmt: skip
    assert await told(product, a) == ("paid", "2026-11-02", 119)
    assert await told(product, b) == ("partial_paid", None, 50)
    assert await told(product, c) == ("partial_paid", None, 50)
    assert await told(product, d) == ("paid", "2026-11-02", 119)
    assert await told(product, e) == ("paid", "2026-11-02", 118.5)
    found = errors.listed(one.opened())
    assert sorted((each.error_type, each.line) for each in found) == [
        ("AmountMismatchError", 4), ("AmountMismatchError", 5), ("DuplicateError", 10), ("NotFoundError", 6),
        ("ValidationError", 7), ("ValidationError", 8), ("ValidationError", 9),
    ]  # fmt: skip
    before = [await get(product, docid("invoice", number)) for number in (a, b, c, d, e)]
    again = await take(one, data, "another name.csv")
    assert (again.state, "came as a.csv" in again.said) == ("repeated", True)
    rows_again = await take(one, payments(row(b, "50,00"), row(a, "119,00", "Paid")))
    assert rows_again.outcomes == {"repeated": 2}
    assert [await get(product, docid("invoice", number)) for number in (a, b, c, d, e)] == before


async def test_a_reversal_takes_back_and_more_than_was_paid_is_told(product: Product, one: Exchange) -> None:
    (a,) = await fresh(product)
    await take(one, payments(row(a, "119,00", "Paid")))
    report = await take(one, payments(row(a, "119,00", "Rücklastschrift", day="03.11.2026"), row(a, "-1,00")))
    assert report.outcomes == {"reversed": 1, "mismatch": 1}
    assert await told(product, a) == ("sent", None, 0)


async def test_somebody_assigns_a_payment_or_ignores_it(product: Product, one: Exchange) -> None:
    a, b = await fresh(product, 2)
    data = payments("RE-77;K-00001;02.11.2026;119,00;;", "RE-78;;02.11.2026;3,33;;")
    await take(one, data)
    found = errors.listed(one.opened(), entity_type="payment")
    first, second = found[-2:]
    with pytest.raises(ResolutionError, match="no invoice R-0"):
        await one.resolve(first.num, Resolution("assign", "", "R-0"), "buch1")
    assigned = await one.resolve(
        first.num, Resolution("assign", "Verwendungszweck", f"R-2026-{a:05}"), "buch1"
    )
    assert (assigned.resolved_by, assigned.resolution) == (
        "buch1", f"assigned to R-2026-{a:05}: Verwendungszweck",
    )  # fmt: skip
    assert await told(product, a) == ("paid", "2026-11-02", 119)
    await one.resolve(second.num, Resolution("ignore", "Irrläufer der Bank"), "buch1")
    with pytest.raises(ResolutionError, match="settled it already"):
        await one.resolve(second.num, Resolution("ignore", "noch einmal"), "gf1")
    more = await take(one, data + b"\r\n")
    assert more.outcomes == {"repeated": 2}, "both have been dealt with"
    assert await told(product, b) == ("sent", None, 0)


async def test_invoices_are_mirrored_with_status_and_dunning_level(product: Product, one: Exchange) -> None:
    head = "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag;Fällig;Status;Mahnstufe"
    report = await take(
        one,
        lines(
            head,
            "R-2026-90001;05.10.2026;K-00001;1.000,00;190,00;1.190,00;04.11.2026;Offen;",
            "R-2026-90002;06.10.2026;Hofladen Müller & Söhne;100,00;19,00;119,00;;Storniert;",
            "R-2026-90003;06.10.2026;K-00001;100,00;19,00;120,00;;;",
            "R-2026-90004;06.10.2026;K-77777;100,00;19,00;119,00;;;",
            "R-2026-90005;06.10.2026;K-00001;100,00;19,00;119,00;;Vielleicht;12",
        ).encode("cp1252"),
    )
    assert report.outcomes == {"new": 2, "wrong": 3}, report.problems
    name = mirroring.invoice_id("R-2026-90001")
    body = await get(product, name)
    assert (body["status"], body["dueDate"], body["createdBy"]) == ("sent", "2026-11-04", "lexware")
    assert (await get(product, companion_id("invoice_amount", name)))["grossAmount"] == 1190
    row = "R-2026-90001;05.10.2026;K-00001;1.000,00;190,00;1.190,00;04.11.2026;Überfällig;2"
    again = await take(one, f"{head}\n{row}\n".encode())
    assert again.outcomes == {"changed": 1}
    body = await get(product, name)
    assert (body["status"], body["dunningLevel"]) == ("overdue", 2)
    paid = await take(one, payments("R-2026-90001;K-00001;02.11.2026;1190,00;;Paid"))
    assert paid.outcomes == {"exact": 1}
    late = await take(one, f"{head}\n{row}\n\n".encode())
    assert late.outcomes == {"same": 1}, "a list doesn't take a payment back"
    assert (await get(product, name))["status"] == "paid"


async def test_a_draft_may_be_sent_with_other_amounts(product: Product, one: Exchange) -> None:
    head = "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag;Status"
    await take(one, lines(head, "R-2026-94001;05.10.2026;K-00001;100,00;19,00;119,00;Entwurf").encode())
    sent = lines(head, "R-2026-94001;06.10.2026;K-00001;200,00;38,00;238,00;Offen").encode()
    assert (await take(one, sent)).outcomes == {"changed": 1}
    name = mirroring.invoice_id("R-2026-94001")
    body = await get(product, name)
    assert (body["status"], body["invoiceDate"]) == ("sent", "2026-10-06")
    assert (await get(product, companion_id("invoice_amount", name)))["grossAmount"] == 238
    later = lines(head, "R-2026-94001;06.10.2026;K-00001;300,00;57,00;357,00;Offen").encode()
    assert [each["rule"] for each in (await take(one, later)).problems] == ["invoice.changed"]


async def test_a_number_in_small_letters_is_no_new_invoice(product: Product, one: Exchange) -> None:
    head = "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag"
    await take(one, lines(head, "R-2026-91001;05.10.2026;K-00001;100,00;19,00;119,00").encode())
    await take(one, payments("R-2026-91001;K-00001;02.11.2026;119,00;;Paid"))
    again = await take(
        one,
        lines(
            head,
            "r-2026-91001;05.10.2026;K-00001;100,00;19,00;119,00",
            "R-2026-91001;05.10.2026;K-00001;100,00;19,00;119,00",
        ).encode(),
    )
    assert again.outcomes == {"same": 1, "wrong": 1}, again.problems
    name = mirroring.invoice_id("R-2026-91001")
    assert (await get(product, name))["status"] == "paid"
    assert (await get(product, companion_id("invoice_amount", name)))["paidAmount"] == 119


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "file.empty"),
        (b"PK\x03\x04\x14\x00\x06\x00[Content_Types].xml", "file.encoding"),
        (b"InvoiceNumber\n" + b"\n" * 1_000_001, "file.lines"),
        (b"Name;Ort\r\nMeier;Ulm\r\n", "file.columns"),
        (HEAD.encode() + b"\r\nR-1;K-1;02.11.2026;1", "file.cut"),
        (b"InvoiceNumber;PaymentDate;PaymentAmount\r\nR-1;02.11.2026;11", "file.cut"),
        (b"InvoiceNumber;PaymentAmount;PaymentDate\r\nR-1;119,00;02.11.20", "file.cut"),
        (b"PaymentDate;PaymentAmount;InvoiceNumber\r\n02.11.2026;119,00;R-1", "file.cut"),
        (f"{HEAD};InvoiceNumber\r\nR-1;K-1;02.11.2026;1;;;R-2\r\n".encode(), "file.twice"),
        (HEAD.encode() + b"\r\nR-1;K-1;\x00\x00\r\n", "file.encoding"),
    ],
)
async def test_a_file_that_is_none_is_refused_whole(one: Exchange, data: bytes, rule: str) -> None:
    report = await take(one, data)
    assert (report.state, report.problems[0]["rule"]) == ("refused", rule)
    assert report.said.startswith("The file ")
    assert report.gesagt.startswith("Die Datei ")


async def test_a_last_line_without_an_end_is_taken_if_nothing_can_be_missing(
    product: Product, one: Exchange
) -> None:
    (a,) = await fresh(product)
    data = f"InvoiceNumber;PaymentDate;PaymentAmount\r\nR-2026-{a:05};02.11.2026;119,00"
    assert (await take(one, data.encode())).outcomes == {"exact": 1}


async def test_nothing_happens_in_a_dry_run(product: Product, one: Exchange) -> None:
    (a,) = await fresh(product)
    before = len(arrivals.listed(one.opened()))
    report = await one.take(payments(row(a, "119,00")), "a.csv", "buch1", dry_run=True)
    assert report.outcomes == {"exact": 1}
    assert await told(product, a) == ("sent", None, 0)
    assert len(arrivals.listed(one.opened())) == before


async def test_what_breaks_off_between_file_and_documents_is_written_later(
    product: Product, one: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    (a, b) = await fresh(product, 2)

    class Killed(BaseException):
        pass

    async def killed(*_: Any) -> Any:
        raise Killed

    data = payments(row(a, "60,00"), row(b, "119,00"))
    real = mirroring._tried
    monkeypatch.setattr(mirroring, "_tried", killed)
    with pytest.raises(Killed):
        await take(one, data)
    assert await told(product, a) == ("sent", None, 0)
    monkeypatch.setattr(mirroring, "_tried", real)
    again = await take(one, data)
    assert again.state == "repeated"
    assert await told(product, a) == ("partial_paid", None, 60), "once, and not twice"
    assert await told(product, b) == ("paid", "2026-11-02", 119)

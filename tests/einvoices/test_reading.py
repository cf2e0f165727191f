"""Invoices of another program, and files that are none: each is read, or refused with its own reason."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from pypdf import PdfReader, PdfWriter

from kompass.einvoices.importing import Original, document
from kompass.einvoices.invoices import UnfitError, invoice
from kompass.einvoices.reading import InvoiceReader, UnreadableError
from tests.einvoices import samples
from tests.extraction.files import pdf

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[InvoiceReader]:
    one = InvoiceReader()
    yield one
    await one.close()


SOUND: dict[str, Callable[[], bytes]] = {
    "CII": samples.xml,
    "UBL": lambda: samples.xml("ubl-2.1"),
    "XRechnung as CII": lambda: samples.xrechnung("factur-x"),
    "XRechnung as UBL": samples.xrechnung,
    "ZUGFeRD": samples.zugferd,
    "Factur-X EXTENDED": lambda: samples.xml("factur-x", "extended"),
}


@pytest.mark.parametrize("name", SOUND)
async def test_every_form_says_the_same(reader: InvoiceReader, name: str) -> None:
    found = invoice((await reader.read(SOUND[name]())).terms)
    assert (found.number, found.kind, found.order) == ("RE-2026-0815", "380", "PO-2026-00007")
    assert (found.issued.isoformat(), str(found.due)) == ("2026-11-03", "2026-12-03")
    assert (found.seller.name, found.seller.vat_id) == ("Holz & Söhne GmbH", samples.VAT)
    assert (found.net, found.tax, found.gross) == (Decimal("178.00"), Decimal("30.46"), Decimal("208.46"))
    assert [one.name for one in found.lines] == ["Bretter <Eiche>", "Schrauben", "Bücher"]
    assert [one.percent for one in found.taxes] == [Decimal(19), Decimal(7)]


def attached(*files: tuple[str, bytes]) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("Rechnung"))))
    for name, data in files:
        writer.add_attachment(name, data)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(10))
    + b"]><Invoice>&k;</Invoice>"
)
XXE = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b'<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2">&e;</Invoice>'
)
DEEP = b"<a>" * 100_000 + b"</a>" * 100_000

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "xml"),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), "xml"),
    "another XML": (lambda: b"<order/>", "kind"),
    "half a file": (lambda: samples.xml()[:3000], "xml"),
    "a broken PDF": (lambda: b"%PDF-1.7\n" + bytes(200), "pdf"),
    "a PDF without an invoice": (lambda: pdf("Rechnung"), "none"),
    "a PDF with two": (
        lambda: attached(("factur-x.xml", samples.xml()), ("xrechnung.xml", samples.xml("ubl-2.1"))),
        "several",
    ),
    "entities in entities": (lambda: LAUGHS, "doctype"),
    "an entity of a file": (lambda: XXE, "doctype"),
    "the same in a PDF": (lambda: attached(("factur-x.xml", XXE), ("a.xml", samples.xml())), "doctype"),
    "a deep one": (lambda: DEEP, "xml"),
    "a large one": (lambda: b"<a>" + b" " * (11 << 20) + b"</a>", "size"),
    "a larger one": (lambda: b"<" + bytes(21 << 20), "size"),
    "ZUGFeRD 1": (
        lambda: b'<CrossIndustryDocument xmlns="urn:ferd:CrossIndustryDocument:invoice:1p0"/>',
        "zugferd1",
    ),
    "without a seller": (
        lambda: re.sub(
            rb"<ram:SellerTradeParty>.*</ram:SellerTradeParty>", b"", samples.xml(), flags=re.DOTALL
        ),
        "schema",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_invoice_is_refused_with_its_reason(reader: InvoiceReader, name: str) -> None:
    make, problem = REFUSED[name]
    with pytest.raises(UnreadableError) as refused:
        await reader.read(make())
    assert refused.value.problem == problem
    assert "root:" not in str(refused.value)
    assert refused.value.words.grund != refused.value.words.reason


async def test_names_of_attachments_count_for_nothing(reader: InvoiceReader) -> None:
    data = attached(
        ("../../etc/cron.d/x\n.exe", samples.xml()), ("factur-x.xml", b"<leer/>"), ("a.txt", b"x")
    )
    assert invoice((await reader.read(data)).terms).number == "RE-2026-0815"


async def test_a_reader_that_was_stopped_reads_the_next_file() -> None:
    reader = InvoiceReader(seconds=0.02)
    try:
        with pytest.raises(UnreadableError) as refused:
            await reader.read(attached(*[(f"{one}.xml", samples.xml()) for one in range(60)]))
        assert refused.value.problem == "time"
    finally:
        await reader.close()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a credit note below 0": ({"BT-3": "381", **samples.BELOW_0}, "BT-112"),
    "one of our own": ({"BT-3": "261"}, "BT-3"),
    "an order": ({"BT-3": "220"}, "BT-3"),
    "other money": ({"BT-5": "CHF"}, "BT-5"),
    "a line": ({"BG-25": [samples.line("1", "Holz", "2", "50.00", "100.02", "19.00")]}, "BT-131"),
    "the sum of lines": ({"BT-106": "189.00"}, "BT-106"),
    "the net total": ({"BT-107": "11.00"}, "BT-109"),
    "the tax": ({"BT-110": "30.48"}, "BT-110"),
    "the total": ({"BT-112": "208.50"}, "BT-112"),
    "what is due": ({"BT-115": "1.00"}, "BT-115"),
    "a tax amount": (
        {"BG-23": [{"BT-116": "178.00", "BT-117": "30.46", "BT-118": "S", "BT-119": "19.00"}]},
        "BT-117",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("flavor", ["factur-x", "ubl-2.1"])
async def test_what_does_not_fit_is_named(reader: InvoiceReader, name: str, flavor: str) -> None:
    changed, term = WRONG[name]
    terms = (await reader.read(samples.xml(flavor, changed=changed))).terms
    with pytest.raises(UnfitError) as refused:
        invoice(terms)
    assert term in [one.term for one in refused.value.problems]
    assert all(one.reason and one.grund for one in refused.value.problems)


async def test_a_correction_names_what_it_corrects(reader: InvoiceReader) -> None:
    before = [{"BT-25": "RE-2026-0800", "BT-26": "2026-10-01"}]
    found = invoice((await reader.read(samples.xml(changed={"BT-3": "384", "BG-3": before}))).terms)
    assert (found.kind, found.corrects) == ("384", ["RE-2026-0800"])


@pytest.mark.parametrize("flavor", ["factur-x", "ubl-2.1"])
async def test_a_credit_note_is_taken_off(reader: InvoiceReader, flavor: str) -> None:
    corrects = [{"BT-25": "RE-1"}] if flavor == "factur-x" else [{"BT-25": "RE-1"}, {"BT-25": "RE-2"}]
    data = samples.xml(flavor, changed={"BT-3": "381", "BG-3": corrects})
    found = invoice((await reader.read(data)).terms)
    body = document(found, Original(data), "supplier-1", None, None, [])
    assert (body["subtotalEur"], body["taxAmountEur"], body["totalEur"]) == (-178, -30.46, -208.46)
    assert body["notes"].startswith(f"Gutschrift zu Rechnung {', '.join(one['BT-25'] for one in corrects)}")
    assert len(found.lines) == 3


async def test_an_invoice_below_0_is_taken_as_it_is(reader: InvoiceReader) -> None:
    data = samples.xml(changed=samples.BELOW_0)
    body = document(invoice((await reader.read(data)).terms), Original(data), "supplier-1", None, None, [])
    assert (body["subtotalEur"], body["taxAmountEur"], body["totalEur"]) == (-100, -19, -119)


async def test_accounts_and_terms_of_payment_are_read(reader: InvoiceReader) -> None:
    means = rb"<ram:SpecifiedTradeSettlementPaymentMeans>.*</ram:SpecifiedTradeSettlementPaymentMeans>"
    found = re.search(means, samples.xml(), re.DOTALL)
    assert found is not None
    other = found[0].replace(samples.IBAN.encode(), b"DE02 5001 0517 0137 0750 30".replace(b" ", b""))
    two = samples.xml().replace(found[0], found[0] + other)
    read = invoice((await reader.read(two)).terms)
    assert read.accounts == [samples.IBAN, "DE02500105170137075030"]
    assert read.terms == "Zahlbar bis 03.12.2026"


async def test_numbers_that_nobody_here_can_have_are_spelt_otherwise(reader: InvoiceReader) -> None:
    found = invoice((await reader.read(samples.xml(changed={"BT-1": "RE 2026 #15 ä"}))).terms)
    assert (found.number, found.said_number) == ("RE-2026-15", "RE 2026 #15 ä")


async def test_texts_are_one_line_of_what_can_be_seen(reader: InvoiceReader) -> None:
    seller = samples.party("Holz\n\u202eGmbH\u200f &  Co", samples.VAT)
    lines = [samples.line("1", "x" * 9000, "2", "94.00", "188.00", "19.00")]
    sums = [{"BT-116": "178.00", "BT-117": "33.82", "BT-118": "S", "BT-119": "19.00"}]
    totals = {"BT-110": "33.82", "BT-112": "211.82", "BT-115": "211.82"}
    changed = {"BG-4": seller, "BG-25": lines, "BG-23": sums, **totals}
    found = invoice((await reader.read(samples.xml(changed=changed))).terms)
    assert found.seller.name == "Holz GmbH & Co"
    assert len(found.lines[0].name) == 500

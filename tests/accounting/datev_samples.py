"""Documents of one November, their bookings, and the files that DATEV gets of them.

`python -m tests.accounting.datev_samples` writes the golden files anew; docs/accounting/datev.md has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from kompass.accounting.datev.bookings import Booking, of_expense, of_invoice, of_supplier_invoice
from kompass.accounting.datev.charts import Chart, standard
from kompass.accounting.datev.files import booking_rows, bookings_writer, parties_writer, party_rows
from kompass.accounting.datev.header import Header
from kompass.accounting.datev.parties import Party, of_customer, of_supplier
from kompass.accounting.problems import Problem

GOLDEN = Path(__file__).parent / "golden"

FARM = {
    "_id": "customer-1",
    "customerNumber": "K-00456",
    "companyName": "Hofladen Süß & Söhne GmbH",
    "vatNumber": "DE123456789",
    "email": "info@hofladen.example",
    "phone": "+49 7904 123-0",
    "website": "https://www.hofladen.example",
    "billingAddress": {
        "street": "Große Straße",
        "streetNumber": "12a",
        "addressLine2": "Hinterhof",
        "zipCode": "74532",
        "city": "Ilshofen",
        "country": "Deutschland",
    },
}
DAIRY = {
    "_id": "customer-2",
    "customerNumber": "K-00007",
    "companyName": "Käserei Žitek",
    "billingAddress": {"street": "Am Markt", "zipCode": "8001", "city": "Zürich", "country": "Schweiz"},
}
JOINER = {
    "_id": "supplier-1",
    "companyName": 'Schreinerei "Holz & Span" Ölmüller, Innenausbau und Ladenbau seit 1898',
    "email": "post@holz.example",
    "phone": "0791/5550",
    "billingAddress": {
        "street": "Werkweg 3",
        "zipCode": "74523",
        "city": "Schwäbisch Hall",
        "country": "Deutschland",
    },
    "paymentTerms": {"paymentMethod": "Invoice", "daysUntilDue": 30},
}


def chart(code: Literal["03", "04"]) -> Chart:
    """The standard chart, in which the joiner has an account."""
    return standard(code).model_copy(update={"parties": {"supplier-1": "70042"}})


def header(code: Literal["03", "04"]) -> Header:
    return Header(
        adviser=29098,
        client=55003,
        fiscal_year=date(2026, 1, 1),
        chart=code,
        first=date(2026, 11, 1),
        last=date(2026, 11, 30),
        created=datetime(2026, 12, 1, 2, 0, 0, 123_000, UTC),
        label="KOMPASS 11/2026",
    )


def _invoice(number: str, day: str, net: float, tax: float) -> tuple[dict[str, Any], dict[str, Any]]:
    invoice = {"invoiceNumber": number, "invoiceDate": day, "dueDate": "2026-12-15", "status": "sent"}
    return invoice, {"netAmount": net, "taxAmount": tax, "grossAmount": round(net + tax, 2)}


def _expense(number: str, day: str, category: str, amount: float, **more: Any) -> dict[str, Any]:
    common = {"title": "Messe Stuttgart", "createdBy": "adm1", "status": "approved"}
    return {
        **common,
        "receiptNumber": number,
        "expenseDate": day,
        "category": category,
        "amount": amount,
        **more,
    }


def judged(code: Literal["03", "04"]) -> Iterator[Booking | Problem]:
    """Every document as a booking, or why it is none."""
    accounts = chart(code)
    yield of_invoice(*_invoice("R-2026-00456", "2026-11-02", 52980.67, 10066.33), FARM, accounts)
    yield of_invoice(*_invoice("R-2026-00457", "2026-11-03", 200, 14), FARM, accounts)
    yield of_invoice(*_invoice("R-2026-00458", "2026-11-04", 1500, 0), DAIRY, accounts)
    yield of_invoice(*_invoice("R-2026-00459", "2026-11-30", -100, -19), FARM, accounts)
    yield of_supplier_invoice(
        {
            "invoiceNumber": "2026.11/3",
            "invoiceDate": "2026-11-10",
            "status": "Approved",
            "subtotalEur": 1000,
            "taxAmountEur": 190,
            "totalEur": 1190,
        },
        JOINER,
        accounts,
    )
    hotel = _expense("EXP-2026-001", "2026-11-12", "hotel", 107, taxAmount=7)
    yield of_expense(hotel, accounts, {"projectNumber": "P-2026-B001"})
    yield of_expense(_expense("EXP-2026-002", "2026-11-12", "mileage", 36.6), accounts)
    storno = _expense("EXP-2026-003", "2026-11-13", "hotel", 107, stornoOf="expense-1")
    yield of_expense(storno, accounts, None, hotel)
    yield of_invoice(*_invoice("R-2026-00460", "2026-11-05", 100, 12), FARM, accounts)  # two rates


def bookings(code: Literal["03", "04"]) -> list[Booking]:
    return [one for one in judged(code) if isinstance(one, Booking)]


def files() -> dict[str, bytes]:
    """Name -> bytes of the golden files."""
    found = {}
    for code in ("03", "04"):
        writer = bookings_writer(header(code))
        found[f"EXTF_Buchungsstapel_SKR{code}.csv"] = b"".join(
            writer.pieces(booking_rows(bookings(code), header(code)))
        )
        assert writer.problems == []
    parties = [
        of_customer(FARM, chart("03")),
        of_customer(DAIRY, chart("03")),
        of_supplier(JOINER, chart("03")),
    ]
    writer = parties_writer(header("03"))
    rows = party_rows([one for one in parties if isinstance(one, Party)])
    found["EXTF_DebitorenKreditoren.csv"] = b"".join(writer.pieces(rows))
    assert writer.problems == []
    return found


if __name__ == "__main__":
    for name, data in files().items():
        (GOLDEN / name).write_bytes(data)

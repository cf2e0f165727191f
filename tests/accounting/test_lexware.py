"""What goes to Lexware and what comes back, as files."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal

import pytest

from kompass.accounting.catalogue import profile
from kompass.accounting.invoices import Amounts, Books, InvoiceRows, MirroredInvoice, name_key
from kompass.accounting.payments import Claim, Payment, payment_of
from kompass.accounting.problems import rows_of
from kompass.accounting.reading import read
from kompass.accounting.row_errors import ErrorType
from kompass.accounting.sniffing import sniff
from kompass.accounting.sources import values
from kompass.accounting.writing import Writer
from kompass.domain.examples import full
from tests.accounting.files import written

TODAY = date(2026, 11, 21)
PAYMENTS = (
    "InvoiceNumber,CustomerNumber,InvoiceDate,DueDate,GrossAmount,PaymentDate,PaymentAmount,PaymentMethod,Status\n"
    "R-2024-00456,K-00456,2024-11-15,2024-12-15,63046.00,2024-12-10,63046.00,Überweisung,Paid\n"
)
INVOICES = "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag\r\n"


def payments(text: str) -> list[object]:
    wanted = profile("lexware-payments")
    found = sniff(io.BytesIO(text.encode("cp1252")), wanted)
    rows = read(io.BytesIO(text.encode("cp1252")), found.applied(wanted), skip=found.skip).rows
    return [payment_of(row, TODAY) for row in rows]


def invoices(text: str, books: Books | None = None) -> list[object]:
    wanted = profile("lexware-invoices")
    found = sniff(io.BytesIO((INVOICES + text).encode()), wanted)
    judged = InvoiceRows(books or BOOKS, TODAY)
    rows = read(io.BytesIO((INVOICES + text).encode()), found.applied(wanted), skip=found.skip).rows
    return [judged.invoice_of(row) for row in rows]


def told(found: object) -> list[tuple[ErrorType, str, str]]:
    assert isinstance(found, list)
    assert all(one.problem.reason and one.problem.grund for one in found)
    return [(one.type, one.problem.rule, one.problem.column) for one in found]


BOOKS = Books(
    customers={name_key("K-00456"): "customer-1"},
    names={name_key("Hofladen Süß"): ("customer-2",), name_key("Müller GmbH"): ("customer-3", "customer-4")},
    invoices={"r-2026-00009": Amounts(Decimal(100), Decimal(19), Decimal(119))},
)


def test_contracts_go_out_as_lexware_expects_them() -> None:
    contract, customer = full("contract"), full("customer")
    customer["companyName"] = "Bio-Großhandel Schwäbisch Hall und Umgebung e. G. mit Sitz in Hall"
    contract |= {"contractDate": "2026-11-02", "startDate": "2026-12-01", "contractValueEur": 63046}
    contract["endDate"] = None
    by_id = {body["_id"]: body for body in (contract, customer, full("opportunity"), full("project"))}
    out = profile("lexware-contracts")
    writer = Writer(out)
    data = b"".join(writer.pieces([values(out, contract, by_id.get)]))
    assert data.startswith(b"\xef\xbb\xbf")
    head, row, rest = data.decode("utf-8-sig").split("\r\n")
    assert head == (
        "ContractNumber;CustomerNumber;CustomerName;ContractValue;ContractDate;"
        "StartDate;EndDate;PaymentTerms;ProjectNumber;Description"
    )
    cells = row.split(";")
    assert cells[0] == contract["contractNumber"]
    assert cells[2] == "Bio-Großhandel Schwäbisch Hall und Umgebung e. G."
    assert cells[3:7] == ["63046,00", "02.11.2026", "01.12.2026", ""]
    assert rest == ""
    assert [(note.column, note.rule) for note in writer.notes] == [("CustomerName", "cell.long")]
    assert writer.sums == {"ContractValue": Decimal("63046.00")}


def test_a_contract_without_a_number_stays_here() -> None:
    out = profile("lexware-contracts")
    writer = Writer(out)
    contract = {**full("contract"), "contractNumber": None}
    assert len(b"".join(writer.pieces([values(out, contract, lambda docid: None)])).splitlines()) == 1
    assert [one.column for one in writer.problems] == ["ContractNumber", "CustomerNumber", "CustomerName"]


@pytest.mark.parametrize(("zip_code", "left_out"), [("74523", 0), ("7452", 1), ("A-1010", 1)])
def test_customers_need_five_digits(zip_code: str, left_out: int) -> None:
    out = profile("lexware-customers")
    writer = Writer(out)
    customer = full("customer")
    customer["billingAddress"] = {**customer["billingAddress"], "zipCode": zip_code}
    b"".join(writer.pieces([values(out, customer, lambda docid: None)]))
    assert writer.left_out == left_out
    assert [one.column for one in writer.problems] == ["ZipCode"] * left_out


def test_the_documented_sample_of_payments_is_read() -> None:
    (found,) = payments(PAYMENTS)
    assert found == Payment(
        line=2,
        invoice_number="R-2024-00456",
        paid_on=date(2024, 12, 10),
        amount=Decimal("63046.00"),
        customer_number="K-00456",
        gross=Decimal("63046.00"),
        method="Überweisung",
        claim=Claim.PAID,
    )


def test_a_german_file_of_payments_is_read_as_well() -> None:
    text = (
        "Rechnungsnummer;Kundennummer;Zahlungsdatum;Betrag;Zahlungsart;Status\r\n"
        "R-2026-00001;K-00001;19.11.2026;1.190,00 €;Überweisung;Bezahlt\r\n"
        "R-2026-00002;K-00001;20.11.2026;238,00;Lastschrift;Rücklastschrift\r\n"
    )
    first, second = payments(text)
    assert isinstance(first, Payment)
    assert isinstance(second, Payment)
    assert (first.amount, first.claim) == (Decimal("1190.00"), Claim.PAID)
    assert (second.amount, second.claim) == (Decimal("-238.00"), Claim.REVERSED)


def test_a_bad_row_never_stops_the_others() -> None:
    line = "R-2024-00456,K-00456,2024-11-15,2024-12-15,63046.00,2024-12-10,63046.00,Bank,Paid\n"
    bad = [
        line.replace("2024-12-10", "2026-11-22"),
        line.replace(",63046.00,Bank", ",0.00,Bank"),
        line.replace(",63046.00,Bank", ",1e309,Bank"),
        line.replace("Paid", "Whatever"),
        line.replace("R-2024-00456", ""),
        line.replace("2024-12-10", "1900-01-01"),
        line.replace(",Bank", ""),
    ]
    found = payments(PAYMENTS + "".join(bad) + line)
    assert isinstance(found[0], Payment)
    assert isinstance(found[-1], Payment)
    assert [told(each) for each in found[1:-1]] == [
        [(ErrorType.VALIDATION, "payment.future", "PaymentDate")],
        [(ErrorType.VALIDATION, "payment.nothing", "PaymentAmount")],
        [(ErrorType.VALIDATION, "cell.number", "PaymentAmount")],
        [(ErrorType.VALIDATION, "payment.status", "Status")],
        [(ErrorType.VALIDATION, "cell.missing", "InvoiceNumber")],
        [(ErrorType.VALIDATION, "payment.past", "PaymentDate")],
        [(ErrorType.VALIDATION, "row.width", "")],
    ]


def test_what_is_wrong_goes_into_a_file_of_its_own() -> None:
    bad = [
        one for found in payments(PAYMENTS + ",,,,,x,1e309,,\n") if isinstance(found, list) for one in found
    ]
    text = written(profile("problems"), rows_of(one.problem for one in bad)).decode("utf-8-sig")
    lines = text.split("\r\n")
    assert lines[0] == "Zeile;Feld;Fehler;Wert;Grund"
    assert lines[1] == "3;InvoiceNumber;cell.missing;;wird gebraucht"
    assert lines[2].startswith("3;PaymentDate;cell.day;x;muss ein Tag wie 2026-11-30 sein")
    assert lines[3].startswith("3;PaymentAmount;cell.number;1e309;muss eine Zahl wie 1234.56 sein")


def test_invoices_come_in_with_their_customers() -> None:
    first = "R-2026-00001;20.11.2026;K-00456;52.980,67;10.066,33;63.047,00\r\n"
    found = invoices(first + "R-2;20.11.2026;Hofladen  Süß;1;0,19;1,19\r\n")
    assert found == [
        MirroredInvoice(
            2,
            "R-2026-00001",
            date(2026, 11, 20),
            "customer-1",
            Amounts(Decimal("52980.67"), Decimal("10066.33"), Decimal("63047.00")),
        ),
        MirroredInvoice(
            3, "R-2", date(2026, 11, 20), "customer-2", Amounts(Decimal(1), Decimal("0.19"), Decimal("1.19"))
        ),
    ]


@pytest.mark.parametrize(
    ("row", "errors"),
    [
        ("R-1;20.11.2026;Niemand;100;19;119", [(ErrorType.NOT_FOUND, "invoice.customer", "Kunde")]),
        ("R-1;20.11.2026;Müller GmbH;100;19;119", [(ErrorType.NOT_FOUND, "invoice.customer", "Kunde")]),
        ("R-1;20.11.2026;K-00456;100;19;120", [(ErrorType.AMOUNT, "invoice.sum", "Bruttobetrag")]),
        ("R-1;20.11.2026;K-00456;-100;-19;-119", [(ErrorType.VALIDATION, "invoice.amount", "Bruttobetrag")]),
        ("R-1;22.11.2026;K-00456;100;19;119", [(ErrorType.VALIDATION, "invoice.day", "Datum")]),
        ("R-1;01.01.1900;K-00456;100;19;119", [(ErrorType.VALIDATION, "invoice.day", "Datum")]),
        ("R 1;20.11.2026;K-00456;100;19;119", [(ErrorType.VALIDATION, "invoice.number", "Rechnungsnummer")]),
        (
            "R-2026-00009;20.11.2026;K-00456;200;38;238",
            [(ErrorType.AMOUNT, "invoice.changed", "Bruttobetrag")],
        ),
    ],
)
def test_an_invoice_that_does_not_fit_is_told(row: str, errors: list[tuple[ErrorType, str, str]]) -> None:
    assert told(invoices(row + "\r\n")[0]) == errors


def test_an_invoice_is_not_due_in_another_century() -> None:
    text = "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag;Fällig\r\n"
    row = "R-1;20.11.2026;K-00456;100;19;119;20.12.2099\r\n"
    wanted = profile("lexware-invoices")
    (read_,) = read(io.BytesIO((text + row).encode()), wanted).rows
    assert told(InvoiceRows(BOOKS, TODAY).invoice_of(read_)) == [
        (ErrorType.VALIDATION, "invoice.due", "Fällig")
    ]


def test_an_invoice_comes_once() -> None:
    row = "R-1;20.11.2026;K-00456;100;19;119\r\n"
    first, second = invoices(row + row)
    assert isinstance(first, MirroredInvoice)
    assert told(second) == [(ErrorType.DUPLICATE, "invoice.twice", "Rechnungsnummer")]

"""DATEV's format: golden files, the validator, and accounts."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kompass.accounting.catalogue import profile
from kompass.accounting.datev.bookings import (
    EXPENSES,
    INVOICES,
    SUPPLIER_INVOICES,
    Booking,
    of_expense,
    of_invoice,
    of_supplier_invoice,
    voucher,
)
from kompass.accounting.datev.charts import Account, Range, rate_of, standard
from kompass.accounting.datev.description import BOOKING, HEADER
from kompass.accounting.datev.files import (
    batches,
    booking_rows,
    bookings_writer,
    parties_writer,
    party_rows,
)
from kompass.accounting.datev.header import Header
from kompass.accounting.datev.parties import Owners, Party, of_customer, of_supplier
from kompass.accounting.datev.party_description import PARTY
from kompass.accounting.datev.validating import validate
from kompass.accounting.problems import Problem
from kompass.domain.examples import full
from kompass.domain.registry import MODELS
from tests.accounting.datev_samples import DAIRY, FARM, GOLDEN, JOINER, chart, files, header, judged
from tests.examples import examples
from tests.needs import ROOT

PAGE = (ROOT / "docs" / "accounting" / "datev.md").read_text()
STACK = (GOLDEN / "EXTF_Buchungsstapel_SKR03.csv").read_bytes()
PARTIES = (GOLDEN / "EXTF_DebitorenKreditoren.csv").read_bytes()


def rows(data: bytes) -> list[list[str]]:
    text = io.StringIO(data.decode("cp1252"), newline="")
    return list(csv.reader(text, delimiter=";", strict=True))


def test_the_files_are_the_reviewed_ones() -> None:
    made = files()
    assert {name: (GOLDEN / name).read_bytes() for name in made} == made, (
        "run: python -m tests.accounting.datev_samples"
    )


@pytest.mark.parametrize("name", [file.name for file in sorted(GOLDEN.glob("EXTF_*"))])
def test_the_files_keep_to_the_published_description(name: str) -> None:
    assert validate((GOLDEN / name).read_bytes()) == []


@pytest.mark.parametrize("code", ["03", "04"])
def test_the_page_reviews_every_line(code: Literal["03", "04"]) -> None:
    lines = rows((GOLDEN / f"EXTF_Buchungsstapel_SKR{code}.csv").read_bytes())
    for number, row in enumerate(lines[2:], 3):
        cells = [row[place] or "–" for place in (0, 1, 6, 7, 8, 9, 10, 13, 36, 116, 117)]
        assert f"| {number} | {' | '.join(cells)} |" in PAGE
    for number, row in enumerate(rows(PARTIES)[2:], 3):
        told = [f"{place} {value}" for place, value in enumerate(row, 1) if value]
        assert f"| {number} | {'; '.join(told)} |" in PAGE


def test_what_can_not_be_booked_is_told() -> None:
    (problem,) = [one for one in judged("03") if isinstance(one, Problem)]
    assert (problem.rule, problem.value) == ("booking.rate", "R-2026-00460")
    assert "12.00 EUR of tax on 100.00 EUR" in problem.reason


def test_the_writer_and_the_description_have_the_same_fields() -> None:
    assert len(HEADER) == 31
    for name, rules, fields in (("datev-extf", BOOKING, 125), ("datev-parties", PARTY, 254)):
        columns = profile(name).columns
        assert [column.heading for column in columns] == [rule.name for rule in rules]
        assert len(rules) == fields
        quoted = [rule.expression.startswith('"') for rule in rules]
        assert [column.is_text for column in columns] == quoted


def changed(data: bytes, line: int, place: int, value: str) -> bytes:
    """The file with another field, which is given as it stands there."""
    lines = data.decode("cp1252").split("\r\n")
    fields = re.findall(r'(?:^|;)("(?:[^"]|"")*"|[^";]*)', lines[line - 1])
    fields[place - 1] = value
    lines[line - 1] = ";".join(fields)
    return "\r\n".join(lines).encode("cp1252")


@pytest.mark.parametrize(
    ("line", "place", "value", "rule"),
    [
        (1, 1, "EXTF", "datev.field"),
        (1, 2, "510", "datev.field"),
        (1, 3, "20", "datev.field datev.kind"),
        (1, 5, "12", "datev.field datev.kind"),
        (1, 6, "20261301020000123", "datev.field"),
        (1, 11, "1000", None),
        (1, 11, "999", "datev.field"),
        (1, 12, "0", "datev.field"),
        (1, 13, "20250101", "datev.period"),
        (1, 14, "9", "datev.field"),
        (1, 15, "", "datev.period"),
        (1, 17, '"a very long label of more than 30"', "datev.field"),
        (1, 21, "1", "datev.final"),
        (1, 23, "x", "datev.field"),
        (2, 5, "Basisumsatz", "datev.headings"),
        (3, 1, "63047.00", "datev.field"),
        (3, 1, "-63047,00", "datev.field"),
        (3, 1, "0,00", "datev.field"),
        (3, 1, "1.234,00", "datev.field"),
        (3, 2, "S", "datev.field"),
        (3, 2, '""', "datev.field"),
        (3, 3, '"USD"', "datev.currency"),
        (3, 7, "", "datev.field"),
        (3, 7, "123456", "datev.account"),
        (3, 7, "8400", "datev.counter"),
        (3, 9, '"9"', "datev.field"),
        (3, 10, "0212", "datev.day"),
        (3, 10, "3113", "datev.day datev.field"),
        (3, 10, "211", "datev.field"),
        (3, 11, '"R 2026"', "datev.field"),
        (3, 11, '"' + 37 * "1" + '"', "datev.field"),
        (3, 14, '"' + 61 * "x" + '"', "datev.field"),
        (3, 14, '"' + 60 * '""' + '"', None),
        (3, 114, "2", "datev.field datev.final"),
        (3, 115, "02112026", "datev.service"),
        (3, 118, "1", "datev.field"),
    ],
)
def test_the_validator_finds_what_is_wrong(line: int, place: int, value: str, rule: str | None) -> None:
    found = validate(changed(STACK, line, place, value))
    assert {one.rule for one in found} == (set() if rule is None else set(rule.split()))
    assert all(one.grund for one in found)
    if rule == "datev.field":
        assert [one.line for one in found] == [line]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (STACK[:-2], "datev.end"),
        (STACK.replace(b"\r\n", b"\n"), "datev.lines"),
        (b"\xef\xbb\xbf" + STACK, "datev.encoding"),
        (STACK.decode("cp1252").encode(), None),
        (STACK + b"\x81\r\n", "datev.encoding"),
        (STACK.replace(b"S\xf6hne", b"S\tne"), "datev.control"),
        (STACK.replace(b'"R-2026-00456"', b'"R-2026"-00456'), "datev.quotes"),
        (STACK.replace(b"63047,00;", b""), "datev.width"),
        (b"", "datev.lines"),
        (PARTIES.replace(b"\r\n10456;", b"\r\n456;"), "datev.account"),
    ],
)
def test_the_validator_finds_broken_files(data: bytes, rule: str | None) -> None:
    rules = {one.rule for one in validate(data)}
    if rule is None:  # UTF-8 is sound Windows-1252, but texts get too long or strange
        assert "Süß".encode() in data
    else:
        assert rule in rules


BOOKINGS = st.builds(
    Booking,
    amount=st.decimals("0.01", "9999999999.99", places=2),
    side=st.sampled_from("SH"),
    account=st.integers(10_000, 69_999).map(str),
    counter=st.sampled_from(["8400", "420", "1200"]),
    day=st.dates(date(2026, 11, 1), date(2026, 11, 30)),
    voucher=st.text(max_size=36).map(voucher),
    text=st.text(max_size=100),
    key=st.sampled_from([None, "0009"]),
    due=st.none() | st.dates(date(2026, 1, 1), date(2099, 12, 31)),
    cost_centre=st.sampled_from([None, "P 2026 B001"]),
    reversal=st.booleans(),
)


@pytest.mark.slow
@settings(max_examples=examples(60), deadline=None)
@given(st.lists(BOOKINGS, max_size=4))
def test_whatever_is_written_keeps_to_the_description(bookings: list[Booking]) -> None:
    writer = bookings_writer(header("03"))
    data = b"".join(writer.pieces(booking_rows(bookings, header("03"))))
    assert validate(data) == []
    assert writer.written + writer.left_out == len(bookings)
    told = {one.line for one in writer.problems}
    kept = [booking for place, booking in enumerate(bookings, 1) if place not in told]
    lines = data.decode("cp1252").split("\r\n")[2:-1]
    assert [Decimal(line.split(";")[0].replace(",", ".")) for line in lines] == [one.amount for one in kept]


def test_every_row_that_is_left_out_is_told() -> None:
    long = Booking(Decimal(1), "S", "10001", "8400", date(2026, 11, 2), "R" * 37, "Text")
    writer = bookings_writer(header("03"))
    b"".join(writer.pieces(booking_rows([long] * 1500, header("03"))))
    assert len(writer.problems) == writer.left_out == 1500


def test_a_voucher_is_never_cut() -> None:
    long = Booking(Decimal(1), "S", "10001", "8400", date(2026, 11, 2), "R" * 37, "Text")
    writer = bookings_writer(header("03"))
    b"".join(writer.pieces(booking_rows([long], header("03"))))
    assert [(one.column, one.rule) for one in writer.problems] == [("Belegfeld 1", "cell.long")]


def test_a_booking_outside_the_period_would_get_another_year() -> None:
    other = Booking(Decimal(1), "S", "10001", "8400", date(2025, 11, 2), "R-1", "Text")
    with pytest.raises(ValueError, match="is of 2025-11-02, and the file is for 2026-11-01 to 2026-11-30"):
        list(booking_rows([other], header("03")))


def test_a_month_is_a_file() -> None:
    days = [date(2026, 11, 30), date(2026, 1, 5), date(2026, 11, 1), date(2025, 11, 1)]
    made = [Booking(Decimal(1), "S", "10001", "8400", day, "R-1", "") for day in days]
    found = list(batches(made))
    assert [[one.day for one in batch] for batch in found] == [[days[3]], [days[1]], [days[2], days[0]]]
    full_months = list(batches([made[0]] * 100_000))
    assert [len(batch) for batch in full_months] == [99_999, 1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adviser": 1000}, "1001"),
        ({"client": 100_000}, "99999"),
        ({"first": date(2025, 12, 31)}, "in the fiscal year"),
        ({"last": date(2027, 1, 1)}, "in the fiscal year"),
        ({"fiscal_year": date(1999, 1, 1)}, "from 2000 to 2099"),
        ({"label": "Süß"}, "pattern"),
        ({"account_length": 9}, "8"),
    ],
)
def test_a_header_that_datev_would_refuse_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Header.model_validate({**header("03").model_dump(), **changes})


def test_final_bookings_are_final_in_the_header_and_in_each_line() -> None:
    final = header("03").model_copy(update={"final": True})
    made = [Booking(Decimal(1), "S", "10001", "8400", date(2026, 11, 2), "R-1", "")]
    data = b"".join(bookings_writer(final).pieces(booking_rows(made, final)))
    assert validate(data) == []
    head, _, row = rows(data)
    assert (head[20], row[113]) == ("1", "1")


def test_longer_accounts_have_zeros_behind_them_and_debtors_one_digit_more() -> None:
    given = standard("03").model_copy(update={"parties": {"supplier-1": "70042", "customer-2": "1000777"}})
    six = given.of_length(6)
    head = header("03").model_copy(update={"account_length": 6})
    made = [of_invoice(*_sent("R-1", "K-00456"), six), of_supplier_invoice(_approved(), JOINER, six)]
    rest = {**full("expense"), "status": "paid", "expenseDate": "2026-11-02", "category": "phone"}
    made.append(of_expense({**rest, "stornoOf": None}, six))
    bookings = [one for one in made if isinstance(one, Booking)]
    data = b"".join(bookings_writer(head).pieces(booking_rows(bookings, head)))
    assert validate(data) == []
    assert [row[6:8] for row in rows(data)[2:]] == [
        ["1000456", "840000"],
        ["340000", "7004200"],
        ["492000", "174000"],
    ]
    assert six.parties["customer-2"] == "1000777", "an account may be as long as it is there"
    listed = [one for one in (of_customer(FARM, six), of_supplier(JOINER, six)) if isinstance(one, Party)]
    assert validate(b"".join(parties_writer(head).pieces(party_rows(listed)))) == []
    assert standard("03").of_length(4) == standard("03")


def _sent(number: str, customer: str) -> tuple[dict[str, object], dict[str, object], dict[str, object]]:
    invoice: dict[str, object] = {"invoiceNumber": number, "invoiceDate": "2026-11-02", "status": "sent"}
    amounts: dict[str, object] = {"netAmount": 100, "taxAmount": 19, "grossAmount": 119}
    return invoice, amounts, {**FARM, "customerNumber": customer}


def _approved() -> dict[str, object]:
    amounts = {"subtotalEur": 100, "taxAmountEur": 19, "totalEur": 119}
    return {"invoiceNumber": "9", "invoiceDate": "2026-11-02", "status": "Approved", **amounts}


@pytest.mark.parametrize(
    "changes", [{"creditor": "7000"}, {"employees": "17400"}, {"debtors": Range(first=100, last=999)}]
)
def test_an_account_of_another_length_is_no_account(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="digits"):
        standard("03").model_copy(update=changes).of_length(6)


@pytest.mark.parametrize(
    ("number", "account"),
    [("K-00042", "10042"), ("K-59999", "69999"), ("K-60000", None), ("K", None), ("", None)],
)
def test_debtors_have_an_account_by_their_number(number: str, account: str | None) -> None:
    assert Range(first=10_000, last=69_999).of(number) == account


@pytest.mark.parametrize(
    ("net", "tax", "rate"),
    [
        ("100", "19", "0.19"),
        ("100", "7", "0.07"),
        ("100", "0", "0"),
        ("33.33", "6.34", "0.19"),
        ("100", "12", None),
        ("0.3", "0.02", None),
    ],
)
def test_the_rate_follows_from_the_amounts_or_not_at_all(net: str, tax: str, rate: str | None) -> None:
    assert rate_of(Decimal(net), Decimal(tax)) == (None if rate is None else Decimal(rate))


def test_both_charts_know_every_category_of_expenses() -> None:
    (field,) = [one for name, one in _fields("expense") if name == "category"]
    for code in ("03", "04"):
        assert set(standard(code).expenses) == set(field)
        assert standard(code).untaxed <= set(field)


def _fields(doctype: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(name, get_args(field.annotation)) for name, field in MODELS[doctype].model_fields.items()]


def test_the_documents_of_the_models_can_be_booked() -> None:
    invoice, amounts = {**full("invoice"), "status": "paid"}, full("invoice_amount")
    assert isinstance(of_invoice(invoice, amounts, full("customer"), standard("03")), Booking)
    theirs = {**full("supplier_invoice"), "status": "Approved"}
    assert isinstance(of_supplier_invoice(theirs, full("supplier"), standard("04")), Booking)
    expense = {**full("expense"), "status": "paid"}
    assert isinstance(of_expense(expense, standard("03"), full("project"), full("expense")), Booking)


def test_a_credit_note_of_a_supplier_is_booked_on_the_other_side() -> None:
    amounts = {"subtotalEur": -100, "taxAmountEur": -19, "totalEur": -119}
    credit = of_supplier_invoice({**_approved(), **amounts}, JOINER, standard("03"))
    invoice = of_supplier_invoice({**_approved(), "totalEur": 119, "taxRate": 0.19}, JOINER, standard("03"))
    assert isinstance(credit, Booking)
    assert isinstance(invoice, Booking)
    assert (credit.amount, credit.side, invoice.side) == (Decimal(119), "H", "S")
    assert (credit.account, credit.key) == (invoice.account, invoice.key)


def test_what_is_not_due_in_the_books_is_told() -> None:
    found = [
        of_invoice({**full("invoice"), "status": "draft"}, full("invoice_amount"), FARM, standard("03")),
        of_invoice({**full("invoice"), "status": "cancelled"}, full("invoice_amount"), FARM, standard("03")),
        of_supplier_invoice({**full("supplier_invoice"), "status": "Disputed"}, JOINER, standard("03")),
        of_expense({**full("expense"), "status": "submitted"}, standard("03")),
    ]
    assert [one.rule for one in found if isinstance(one, Problem)] == ["booking.status"] * 4


def test_a_storno_takes_back_the_tax_that_was_booked() -> None:
    original = {**full("expense"), "status": "paid", "category": "hotel", "amount": 107, "taxAmount": 7}
    original |= {"stornoOf": None, "netAmount": 100}
    storno = {**original, "stornoOf": "expense-1", "taxAmount": None, "taxRate": None, "netAmount": None}
    taken_back = of_expense(storno, standard("03"), None, original)
    assert isinstance(taken_back, Booking)
    assert (taken_back.key, taken_back.reversal) == ("0008", True)
    unknown = of_expense(storno, standard("03"))
    assert isinstance(unknown, Problem)
    assert unknown.rule == "booking.original"


def test_turnover_without_tax_at_home_is_no_export() -> None:
    invoice, amounts = (
        {**full("invoice"), "status": "paid"},
        {"netAmount": 9, "taxAmount": 0, "grossAmount": 9},
    )
    at_home = of_invoice(invoice, amounts, FARM, standard("03"))
    assert isinstance(at_home, Problem)
    assert at_home.rule == "booking.untaxed"
    abroad = of_invoice(invoice, amounts, DAIRY, standard("03"))
    ours = standard("03").model_copy(update={"untaxed_at_home": Account(account="8337")}).of_length(5)
    owed = of_invoice(invoice, amounts, FARM, ours)
    assert [one.counter for one in (abroad, owed) if isinstance(one, Booking)] == ["8120", "83370"]


def test_an_invoice_of_nothing_keeps_no_month_from_being_final() -> None:
    nothing = {"netAmount": 0, "taxAmount": 0, "grossAmount": 0}
    found = of_invoice({**full("invoice"), "status": "paid"}, nothing, FARM, standard("03"))
    assert isinstance(found, Problem)
    assert found.rule == "booking.nothing"


def test_every_status_that_is_booked_is_one() -> None:
    for doctype, statuses in (
        ("invoice", INVOICES),
        ("supplier_invoice", SUPPLIER_INVOICES),
        ("expense", EXPENSES),
    ):
        (known,) = [values for name, values in _fields(doctype) if name == "status"]
        assert set(statuses) < set(known)


def test_a_debtor_is_not_missing_for_a_long_address() -> None:
    address = {**DAIRY["billingAddress"], "street": "Wilhelm-von-Humboldt-Straße am Marktplatz"}  # type: ignore[dict-item]
    address |= {"streetNumber": "117b"}
    more = {"email": f"{'x' * 60}@example.com", "website": f"https://example.com/{'x' * 60}"}
    party = of_customer({**DAIRY, **more, "billingAddress": address}, standard("03"))
    assert isinstance(party, Party)
    writer = parties_writer(header("03"))
    data = b"".join(writer.pieces(party_rows([party])))
    assert validate(data) == []
    (row,) = rows(data)[2:]
    assert (row[15], row[28:33:4], row[34]) == ("Wilhelm-von-Humboldt-Straße am 117b", ["", ""], "")


def test_whoever_has_no_account_is_told() -> None:
    found = of_customer({**FARM, "customerNumber": None}, standard("03"))
    assert isinstance(found, Problem)
    found = of_supplier(JOINER, standard("03"))
    assert isinstance(found, Problem)
    assert not isinstance(of_supplier(JOINER, chart("03")), Problem)
    assert not isinstance(of_customer(DAIRY, chart("03")), Problem)


def test_an_account_that_the_chart_gives_to_somebody_is_nobody_else_s() -> None:
    owners = Owners(standard("03").model_copy(update={"parties": {"customer-2": "10042"}}))
    assert owners.owner("10042", "customer-1") == "customer-2"
    assert [owners.owner("10043", one) for one in ("customer-3", "customer-1")] == ["customer-3"] * 2


def test_the_header_is_the_published_sample() -> None:
    sample = Header(
        adviser=29098,
        client=55003,
        fiscal_year=date(2024, 1, 1),
        chart="03",
        first=date(2024, 1, 1),
        last=date(2024, 8, 31),
        created=datetime(2024, 1, 30, 14, 4, 40, 439_000, UTC),
        label="Buchungsstapel",
        initials="WD",
        origin="RE",
        exported_by="",
    )
    line = next(bookings_writer(sample).pieces([])).decode("cp1252").split("\r\n")[0]
    assert line == (
        '"EXTF";700;21;"Buchungsstapel";13;20240130140440439;;"RE";"";"";29098;55003;20240101;4;20240101;20240831;'
        '"Buchungsstapel";"WD";1;0;0;"EUR";;"";;;"03";;;"";""'
    )

"""A row of `lexware-invoices` as an invoice to mirror, or why it is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from kompass.accounting.reading import Row
from kompass.accounting.row_errors import ErrorType, RowError, row_error, validation
from kompass.domain.money import CENT
from kompass.domain.values import CODE

MOST_EURO = 100_000_000
MOST_DAYS = 3653
"""Between the day of an invoice and the one when it is due."""


@dataclass(frozen=True, slots=True)
class Amounts:
    net: Decimal
    tax: Decimal
    gross: Decimal


@dataclass(frozen=True, slots=True)
class Stated:
    """What Lexware says that an invoice is about, whether it can be mirrored or not."""

    number: str
    issued_on: date
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class MirroredInvoice:
    line: int
    number: str
    issued_on: date
    customer_id: str
    amounts: Amounts
    due: date | None = None
    status: str | None = None
    """As Lexware calls it."""


@dataclass(frozen=True, slots=True)
class Books:
    """What is known before the file."""

    customers: Mapping[str, str]
    """`name_key` of the customer's number -> id of the document."""
    names: Mapping[str, tuple[str, ...]]
    """`name_key` of the company's name -> the ids of those who have it."""
    invoices: Mapping[str, Amounts]
    """`number_key` of the invoice -> what is mirrored of it already; drafts may change, and aren't here."""


def number_key(number: str) -> str:
    """What an invoice is told by: `r-2026-00001` is no other one than `R-2026-00001`."""
    return number.casefold()


def name_key(text: str) -> str:
    """What customers are found by: case and the number of blanks don't count."""
    return " ".join(text.split()).casefold()


class InvoiceRows:
    """The rows of one file. It remembers their numbers, so that none is taken twice."""

    def __init__(self, books: Books, today: date) -> None:
        self._books = books
        self._today = today
        self._numbers: dict[str, int] = {}
        self.stated: dict[str, Stated] = {}
        """`number_key` -> what the first row of that number says that is sound by itself."""

    def invoice_of(self, row: Row) -> MirroredInvoice | list[RowError]:
        """The invoice, or all that is wrong with the row."""
        if row.problems:
            return validation(row.problems)
        values = row.values
        number: str = values["Rechnungsnummer"].strip()
        amounts = Amounts(values["Nettobetrag"], values["MwSt"], values["Bruttobetrag"])
        errors = self._own(row, number, amounts)
        if not errors:
            self.stated.setdefault(number_key(number), Stated(number, values["Datum"], amounts))
        errors += self._against_books(row, number, amounts)
        found = self._customers(values["Kunde"])
        if len(found) != 1:
            errors.append(_customer(row, len(found)))
        self._numbers.setdefault(number_key(number), row.line)
        if errors:
            return errors
        return MirroredInvoice(
            row.line, number, values["Datum"], found[0], amounts, values.get("Fällig"), values.get("Status")
        )

    def _own(self, row: Row, number: str, amounts: Amounts) -> list[RowError]:
        """What is wrong with the row whatever else there is."""
        errors: list[RowError] = []

        def wrong(kind: ErrorType, rule: str, reason: str, grund: str, column: str) -> None:
            errors.append(row_error(kind, rule, reason, grund, row.line, column, row.values[column]))

        if not re.fullmatch(CODE.strip("^$"), number):
            wrong(
                ErrorType.VALIDATION,
                "invoice.number",
                "must be made of letters, digits and - . / _",
                "darf nur Buchstaben, Ziffern und - . / _ enthalten",
                "Rechnungsnummer",
            )
        if not date(1990, 1, 1) <= row.values["Datum"] <= self._today:
            wrong(
                ErrorType.VALIDATION,
                "invoice.day",
                "must be from 1990 until today",
                "muss zwischen 1990 und heute liegen",
                "Datum",
            )
        due: date | None = row.values.get("Fällig")
        if due is not None and abs((due - row.values["Datum"]).days) > MOST_DAYS:
            wrong(
                ErrorType.VALIDATION,
                "invoice.due",
                "must be within ten years of Datum",
                "muss innerhalb von zehn Jahren um Datum liegen",
                "Fällig",
            )
        if abs(amounts.net + amounts.tax - amounts.gross) > CENT:
            expected = amounts.net + amounts.tax
            wrong(
                ErrorType.AMOUNT,
                "invoice.sum",
                f"must be Nettobetrag + MwSt = {expected:.2f}, give or take 0.01",
                f"muss Nettobetrag + MwSt = {expected:.2f} sein, auf 0,01 genau",
                "Bruttobetrag",
            )
        return errors

    def _against_books(self, row: Row, number: str, amounts: Amounts) -> list[RowError]:
        errors: list[RowError] = []
        if not all(0 <= amount <= MOST_EURO for amount in (amounts.net, amounts.tax, amounts.gross)):
            errors.append(
                row_error(
                    ErrorType.VALIDATION,
                    "invoice.amount",
                    "must be from 0 to 100,000,000: credit notes aren't mirrored",
                    "muss zwischen 0 und 100.000.000 liegen: Gutschriften werden nicht gespiegelt",
                    row.line,
                    "Bruttobetrag",
                    amounts.gross,
                )
            )
        earlier = self._numbers.get(number_key(number))
        if earlier is not None:
            errors.append(
                row_error(
                    ErrorType.DUPLICATE,
                    "invoice.twice",
                    f"is in line {earlier} already",
                    f"steht schon in Zeile {earlier}",
                    row.line,
                    "Rechnungsnummer",
                    number,
                )
            )
        known = self._books.invoices.get(number_key(number))
        if known is not None and abs(known.gross - amounts.gross) > CENT:
            errors.append(
                row_error(
                    ErrorType.AMOUNT,
                    "invoice.changed",
                    f"is mirrored with {known.gross:.2f} EUR, and an invoice doesn't change",
                    f"ist mit {known.gross:.2f} EUR gespiegelt, und eine Rechnung ändert sich nicht",
                    row.line,
                    "Bruttobetrag",
                    amounts.gross,
                )
            )
        return errors

    def _customers(self, named: str) -> tuple[str, ...]:
        key = name_key(named)
        by_number = self._books.customers.get(key)
        return (by_number,) if by_number is not None else self._books.names.get(key, ())


def _customer(row: Row, found: int) -> RowError:
    if found:
        reason, grund = (
            f"are {found} customers; name the number",
            f"sind {found} Kunden; bitte die Nummer nennen",
        )
    else:
        reason, grund = "is no customer's number or name", "ist weder Nummer noch Name eines Kunden"
    return row_error(
        ErrorType.NOT_FOUND, "invoice.customer", reason, grund, row.line, "Kunde", row.values["Kunde"]
    )

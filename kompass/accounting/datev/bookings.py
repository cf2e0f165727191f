"""Documents as bookings: an invoice of ours, a supplier's, an expense.

What can't be booked without knowing more (an invoice with several rates of tax, a customer without a number)
is a `Problem`: a person books it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal, TypeVar

from kompass.accounting.datev.charts import Chart, rate_of
from kompass.accounting.datev.parties import HOME, country_of, debtor
from kompass.accounting.problems import Problem
from kompass.domain.money import amount

Body = Mapping[str, Any]
_T = TypeVar("_T")
INVOICES = ("sent", "partial_paid", "paid", "overdue")
SUPPLIER_INVOICES = ("Approved", "Paid")
EXPENSES = ("approved", "paid")
"""Statuses in which a document of each kind belongs in the books."""
_FOREIGN = re.compile(r"[^A-Za-z0-9_$&%*+/-]")
_COST_CENTRE = re.compile(r"[^A-Za-z0-9_ ]")


@dataclass(frozen=True, slots=True)
class Booking:
    """One line of a batch."""

    amount: Decimal
    """Gross, above 0."""
    side: Literal["S", "H"]
    """Debit or credit, of `account`."""
    account: str
    counter: str
    day: date
    voucher: str
    """Belegfeld 1: by it payments find their invoice, so it is never cut."""
    text: str
    key: str | None = None
    due: date | None = None
    cost_centre: str | None = None
    reversal: bool = False
    """Generalumkehr: takes back a booking on the side it was made on."""


def of_invoice(invoice: Body, amounts: Body, customer: Body, chart: Chart) -> Booking | Problem:
    """Debtor against revenue. `amounts` is the invoice's companion; a credit note has a negative gross."""
    number = str(invoice.get("invoiceNumber") or "")
    if invoice.get("status") not in INVOICES:
        return _status(number, invoice, INVOICES)
    net, tax, gross = (amount(amounts.get(name)) for name in ("netAmount", "taxAmount", "grossAmount"))
    day = _day(invoice.get("invoiceDate"))
    if not number or day is None or net is None or tax is None or gross is None:
        return _problem(
            "booking.incomplete", number, "invoiceNumber, invoiceDate, netAmount, taxAmount, grossAmount"
        )
    if not gross:
        return _nothing(number)
    account = debtor(customer, chart)
    if account is None:
        return _problem("booking.debtor", number, "customerNumber")
    rate = rate_of(abs(net), abs(tax))
    at_home = rate == 0 and country_of(customer.get("billingAddress")) == HOME
    revenue = chart.untaxed_at_home if at_home else _rated(chart.revenue, rate)
    if revenue is None:
        return _untaxed(number) if at_home else _rates(number, net, tax)
    return Booking(
        amount=abs(gross),
        side="S" if gross > 0 else "H",
        account=account,
        counter=revenue.account,
        day=day,
        voucher=voucher(number),
        text=f"{number} {customer.get('companyName') or ''}".strip(),
        key=revenue.key,
        due=_day(invoice.get("dueDate")),
    )


def of_supplier_invoice(invoice: Body, supplier: Body, chart: Chart) -> Booking | Problem:
    """Purchases against the creditor; a credit note has a negative total."""
    number = str(invoice.get("invoiceNumber") or "")
    if invoice.get("status") not in SUPPLIER_INVOICES:
        return _status(number, invoice, SUPPLIER_INVOICES)
    gross, day = amount(invoice.get("totalEur")), _day(invoice.get("invoiceDate"))
    if not number or day is None or gross is None:
        return _problem("booking.incomplete", number, "invoiceNumber, invoiceDate, totalEur")
    if not gross:
        return _nothing(number)
    net, tax = amount(invoice.get("subtotalEur")), amount(invoice.get("taxAmountEur"))
    rate = amount(invoice.get("taxRate"))
    if net is not None and tax is not None:
        rate = rate_of(abs(net), abs(tax))
    purchases = _rated(chart.purchases, rate)
    if purchases is None:
        return _rates(number, net or gross, tax or Decimal(0))
    return Booking(
        amount=abs(gross),
        side="S" if gross > 0 else "H",
        account=purchases.account,
        counter=chart.parties.get(str(supplier.get("_id")), chart.creditor),
        day=day,
        voucher=voucher(number),
        text=f"{number} {supplier.get('companyName') or ''}".strip(),
        key=purchases.key,
        due=_day(invoice.get("dueDate")),
    )


def of_expense(
    expense: Body, chart: Chart, project: Body | None = None, original: Body | None = None
) -> Booking | Problem:
    """Expense against what is owed to the employee. A Storno takes back what was booked of its `original`,
    of which it repeats the amount but not the tax.
    """
    number = str(expense.get("receiptNumber") or "")
    if expense.get("status") not in EXPENSES:
        return _status(number, expense, EXPENSES)
    reversal = bool(expense.get("stornoOf"))
    if reversal and original is None:
        return _problem("booking.original", number, "stornoOf")
    taxed = expense if original is None else original
    gross, day = amount(expense.get("amount")), _day(expense.get("expenseDate"))
    category = str(taxed.get("category"))
    account = chart.expenses.get(category)
    if not number or day is None or not gross or account is None:
        return _problem("booking.incomplete", number, "receiptNumber, expenseDate, amount, category")
    rate = Decimal(0) if category in chart.untaxed else _expense_rate(taxed, gross)
    key = None if rate == 0 else _rated(chart.input_tax, rate)
    if rate is None or (rate != 0 and key is None):
        return _rates(number, gross, amount(taxed.get("taxAmount")) or Decimal(0))
    centre = _COST_CENTRE.sub(" ", str((project or {}).get("projectNumber") or "")) or None
    return Booking(
        amount=gross,
        side="S",
        account=account,
        counter=chart.employees,
        day=day,
        voucher=voucher(number),
        text=f"{expense.get('title') or ''} {expense.get('createdBy') or ''}".strip(),
        key=key,
        cost_centre=centre,
        reversal=reversal,
    )


def voucher(number: str) -> str:
    """The number in signs that Belegfeld 1 may have; others become `-`."""
    return _FOREIGN.sub("-", number)


def _expense_rate(expense: Body, gross: Decimal) -> Decimal | None:
    tax = amount(expense.get("taxAmount"))
    if tax is not None:
        return rate_of(gross - tax, tax)
    return amount(expense.get("taxRate")) or Decimal(0)


def _rated(table: Mapping[str, _T], rate: Decimal | None) -> _T | None:
    """What a chart has for a rate, however many zeros it is written with."""
    if rate is None:
        return None
    return next((found for text, found in table.items() if Decimal(text) == rate), None)


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _status(number: str, body: Body, allowed: tuple[str, ...]) -> Problem:
    status, names = body.get("status"), ", ".join(allowed)
    return Problem(
        "booking.status",
        f"is {status}, and only what is {names} is booked",
        f"ist {status}; gebucht wird nur, was {names} ist",
        value=number,
    )


def _nothing(number: str) -> Problem:
    return Problem(
        "booking.nothing",
        "comes to 0.00 EUR: there is nothing to book",
        "beträgt 0,00 EUR: es ist nichts zu buchen",
        value=number,
    )


def _problem(rule: str, number: str, fields: str) -> Problem:
    return Problem(
        rule, f"can't be booked without {fields}", f"kann ohne {fields} nicht gebucht werden", value=number
    )


def _untaxed(number: str) -> Problem:
    return Problem(
        "booking.untaxed",
        "has no tax, though its customer is in Germany, and the chart has no account for that"
        " (untaxed_at_home): book it by hand",
        "weist keine Steuer aus, obwohl der Kunde in Deutschland sitzt, und der Kontenrahmen hat kein Konto"
        " dafür (untaxed_at_home): von Hand buchen",
        value=number,
    )


def _rates(number: str, net: Decimal, tax: Decimal) -> Problem:
    return Problem(
        "booking.rate",
        f"has {tax:.2f} EUR of tax on {net:.2f} EUR: not one rate that the chart has; book it by hand",
        f"hat {tax:.2f} EUR Steuer auf {net:.2f} EUR".replace(".", ",")
        + ": kein einzelner Satz des Kontenrahmens; von Hand buchen",
        value=number,
    )

"""Customers and suppliers as the books' debtors and creditors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kompass.accounting.datev.charts import Chart
from kompass.accounting.problems import Problem

Body = Mapping[str, Any]
COUNTRIES: Mapping[str, str] = {
    name: code
    for code, names in {
        "DE": ("deutschland", "germany", "de"),
        "AT": ("österreich", "austria", "at"),
        "CH": ("schweiz", "switzerland", "ch"),
        "LI": ("liechtenstein", "li"),
        "LU": ("luxemburg", "luxembourg", "lu"),
        "FR": ("frankreich", "france", "fr"),
        "BE": ("belgien", "belgium", "be"),
        "NL": ("niederlande", "netherlands", "nl"),
        "DK": ("dänemark", "denmark", "dk"),
        "PL": ("polen", "poland", "pl"),
        "CZ": ("tschechien", "czechia", "cz"),
        "IT": ("italien", "italy", "it"),
        "ES": ("spanien", "spain", "es"),
    }.items()
    for name in names
}
"""Names that addresses use -> ISO 3166. An address in another country has its name in the file nowhere."""

HOME = "DE"


def country_of(address: object) -> str | None:
    """Of an address as documents have it; None for one that isn't in the table."""
    name = address.get("country") if isinstance(address, Mapping) else None
    return COUNTRIES.get(str(name or "").strip().casefold())


@dataclass(frozen=True, slots=True)
class Party:
    account: str
    name: str
    address: Mapping[str, Any]
    vat_number: str = ""
    phone: str = ""
    email: str = ""
    website: str = ""
    number: str = ""
    days_to_pay: int | None = None
    """A supplier's terms; up to 99."""

    @property
    def country(self) -> str | None:
        return country_of(self.address)

    def street(self, longest: int) -> str:
        """With its number; a long street is cut before that."""
        street, number = str(self.address.get("street") or ""), str(self.address.get("streetNumber") or "")
        return f"{street[: max(0, longest - len(number) - 1)].rstrip()} {number}" if number else street


class Owners:
    """Whose an account is: of whoever the chart gives it to, else of whoever is asked about first."""

    def __init__(self, chart: Chart) -> None:
        self._owners = {account: docid for docid, account in chart.parties.items()}

    def owner(self, account: str, docid: str) -> str:
        """The id of the customer or supplier. `docid`: of one who would have it."""
        return self._owners.setdefault(account, docid)


def debtor(customer: Body, chart: Chart) -> str | None:
    """A customer's account; None if the chart gives him none, and his number makes none."""
    number = str(customer.get("customerNumber") or "")
    return chart.parties.get(str(customer.get("_id"))) or chart.debtors.of(number)


def of_customer(customer: Body, chart: Chart) -> Party | Problem:
    number = str(customer.get("customerNumber") or "")
    account = debtor(customer, chart)
    if account is None:
        last = chart.debtors.last - chart.debtors.first
        return Problem(
            "party.number",
            f"needs a customerNumber up to {last}, or an account in the chart",
            f"braucht eine Kundennummer bis {last} oder ein Konto im Kontenrahmen",
            value=str(customer.get("companyName") or ""),
        )
    return _party(customer, account, number)


def of_supplier(supplier: Body, chart: Chart) -> Party | Problem:
    """Suppliers have no number of ours, so each needs an account in the chart."""
    account = chart.parties.get(str(supplier.get("_id")))
    if account is None:
        return Problem(
            "party.number",
            "needs an account in the chart",
            "braucht ein Konto im Kontenrahmen",
            value=str(supplier.get("companyName") or ""),
        )
    terms = supplier.get("paymentTerms")
    days = terms.get("daysUntilDue") if isinstance(terms, Mapping) else None
    return _party(supplier, account, "", days if isinstance(days, int) and days < 100 else None)


def _party(body: Body, account: str, number: str, days: int | None = None) -> Party:
    address = body.get("billingAddress")
    return Party(
        account=account,
        name=str(body.get("companyName") or ""),
        address=address if isinstance(address, Mapping) else {},
        vat_number=str(body.get("vatNumber") or ""),
        phone=str(body.get("phone") or ""),
        email=str(body.get("email") or ""),
        website=str(body.get("website") or ""),
        number=number,
        days_to_pay=days,
    )

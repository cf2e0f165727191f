"""The invoices as documents have them, for matching and for comparing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from kompass.access.companions import companion_id
from kompass.accounting.invoices import Amounts, name_key, number_key
from kompass.accounting.invoices import Books as Known
from kompass.accounting.matching import Invoice, Tolerance
from kompass.domain.money import amount
from kompass.lexware.books import Body, Books, pages
from kompass.lexware.mirroring import Saying
from replication.store.sqlite import SqliteDatabase

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Mirror:
    """One invoice with its amounts."""

    id: str
    number: str
    customer_id: str
    status: str
    issued: str | None
    due: str | None
    net: Decimal
    tax: Decimal
    gross: Decimal
    paid: Decimal
    dunning: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """All of them, and the customers that they may name."""

    invoices: Sequence[Mirror]
    customer_numbers: dict[str, str]
    """Id -> number."""
    names: dict[str, tuple[str, ...]]
    """`name_key` of a company -> ids of those who have it."""

    def with_said(self, said: Mapping[str, Saying]) -> Ledger:
        """The same, with what documents don't say yet."""
        return replace(self, invoices=[_as_said(one, said.get(one.id)) for one in self.invoices])

    def open(self) -> Iterator[Invoice]:
        """As payments are matched with them. One that is said to be paid, and of which no such payment came,
        is still open for it.
        """
        tolerance = Tolerance()
        for one in self.invoices:
            if not one.number:
                continue  # no row can name it
            is_short = one.paid + tolerance.settles(one.gross) < one.gross
            status = "sent" if one.status == "paid" and is_short else one.status
            number = self.customer_numbers.get(one.customer_id)
            yield Invoice(one.id, one.number, number, one.gross, one.paid, status)

    def known(self) -> Known:
        """As rows of invoices are judged with them."""
        return Known(
            {name_key(number): docid for docid, number in self.customer_numbers.items()},
            self.names,
            {
                number_key(one.number): Amounts(one.net, one.tax, one.gross)
                for one in self.invoices
                if one.status != "draft"
            },
        )


def _as_said(one: Mirror, said: Saying | None) -> Mirror:
    if said is None:
        return one
    paid = said.amounts.get("paidAmount")
    return replace(
        one,
        status=said.body.get("status", one.status),
        paid=one.paid if paid is None else Decimal(str(paid)),
    )


async def ledger(database: SqliteDatabase) -> Ledger:
    """What the documents say now."""
    numbers: dict[str, str] = {}
    names: dict[str, tuple[str, ...]] = {}
    async for page in pages(database, "customer"):
        with database.reading() as reading:
            for body in Books(reading).several(page):
                if isinstance(number := body.get("customerNumber"), str):
                    numbers[body["_id"]] = number
                if isinstance(name := body.get("companyName"), str):
                    names[name_key(name)] = (*names.get(name_key(name), ()), body["_id"])
    invoices: list[Mirror] = []
    async for page in pages(database, "invoice"):
        amounts = {docid: companion_id("invoice_amount", docid) for docid in page}
        with database.reading() as reading:
            books = Books(reading)
            found = {one["_id"]: one for one in books.several([*amounts.values()])}
            invoices += [_mirror(body, found.get(amounts[body["_id"]], {})) for body in books.several(page)]
    return Ledger(invoices, numbers, names)


def _mirror(body: Body, amounts: Body) -> Mirror:
    dunning = body.get("dunningLevel")
    return Mirror(
        body["_id"],
        _text(body.get("invoiceNumber")),
        _text(body.get("customerId")),
        _text(body.get("status")),
        body.get("invoiceDate"),
        body.get("dueDate"),
        _euro(amounts.get("netAmount")),
        _euro(amounts.get("taxAmount")),
        _euro(amounts.get("grossAmount")),
        _euro(amounts.get("paidAmount")),
        dunning if type(dunning) is int else 0,
    )


def _euro(value: Any) -> Decimal:
    return amount(value) or _ZERO


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

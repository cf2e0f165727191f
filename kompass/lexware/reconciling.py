"""A month of invoices: as Lexware's lists have it, as the documents have it, as the read store has it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from kompass.accounting.invoices import Amounts, Stated, number_key
from kompass.domain.money import CENT
from kompass.lexware.ledger import Ledger
from kompass.lexware.store import LexwareStore

MONTH = re.compile(r"(19|20)[0-9]{2}-(0[1-9]|1[0-2])")
TOLERANCE = Decimal(10)
"""EUR by which the sums of a month may differ."""
MOST_ROWS = 1000
"""Differences that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Of a month."""

    invoices: int
    net: Decimal
    tax: Decimal
    gross: Decimal

    def shown(self) -> Mapping[str, Any]:
        return {
            "invoices": self.invoices,
            "net": f"{self.net:.2f}",
            "tax": f"{self.tax:.2f}",
            "gross": f"{self.gross:.2f}",
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """One invoice of which not everybody says the same."""

    number: str
    what: str
    """`missing here`, `missing in Lexware`, or `amount`."""
    lexware: Decimal | None
    """Gross."""
    documents: Decimal | None


@dataclass(frozen=True, slots=True)
class Comparison:
    month: str
    lexware: Sums
    documents: Sums
    differences: Sequence[Difference]

    @property
    def count_gap(self) -> int:
        return abs(self.lexware.invoices - self.documents.invoices)

    @property
    def sum_gap(self) -> Decimal:
        return abs(self.lexware.gross - self.documents.gross)


def compare(store: LexwareStore, books: Ledger, month: str) -> Comparison:
    """Drafts don't count: Lexware doesn't list them. Blocks."""
    said = {
        number_key(number): Stated(number, date.fromisoformat(issued), Amounts(*map(Decimal, amounts)))
        for number, issued, *amounts in store.rows(
            "SELECT number, issued, net, tax, gross FROM said WHERE issued >= ? AND issued <= ?",
            (f"{month}-01", f"{month}-31"),
        )
    }
    here = {
        number_key(one.number): Stated(
            one.number, date.fromisoformat(one.issued), Amounts(one.net, one.tax, one.gross)
        )
        for one in books.invoices
        if one.issued is not None and one.issued[:7] == month and one.status != "draft"
    }
    differences = []
    for key in sorted(said.keys() | here.keys()):
        theirs, ours = said.get(key), here.get(key)
        what = _difference(theirs, ours)
        if what is not None:
            one = ours or theirs
            assert one is not None
            gross = [None if each is None else each.amounts.gross for each in (theirs, ours)]
            differences.append(Difference(one.number, what, *gross))
    return Comparison(month, _sums(said.values()), _sums(here.values()), differences)


def _difference(theirs: Stated | None, ours: Stated | None) -> str | None:
    if ours is None:
        return "missing here"
    if theirs is None:
        return "missing in Lexware"
    return "amount" if abs(theirs.amounts.gross - ours.amounts.gross) > CENT else None


def heard_of(store: LexwareStore, months: Sequence[str]) -> list[str]:
    """Those of these months of which Lexware has sent invoices."""
    return [
        month
        for month in months
        if store.rows(
            "SELECT 1 FROM said WHERE issued >= ? AND issued <= ? LIMIT 1", (f"{month}-01", f"{month}-31")
        )
    ]


def _sums(rows: Collection[Stated]) -> Sums:
    net, tax, gross = (
        sum((getattr(one.amounts, name) for one in rows), Decimal(0)) for name in ("net", "tax", "gross")
    )
    return Sums(len(rows), net, tax, gross)

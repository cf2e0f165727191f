"""A month of invoices: as Lexware's lists have it, as the documents have it, as the read store has it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kompass.lexware.ledger import Ledger
from kompass.lexware.store import LexwareStore

MONTH = re.compile(r"(19|20)[0-9]{2}-(0[1-9]|1[0-2])")
TOLERANCE = Decimal(10)
"""EUR by which the sums of a month may differ."""
MOST_ROWS = 1000
"""Differences that are named; the others are counted."""
_CENT = Decimal("0.01")


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
        number: (Decimal(net), Decimal(tax), Decimal(gross))
        for number, net, tax, gross in store.rows(
            "SELECT number, net, tax, gross FROM said WHERE issued >= ? AND issued <= ?",
            (f"{month}-01", f"{month}-31"),
        )
    }
    here = {
        one.number: (one.net, one.tax, one.gross)
        for one in books.invoices
        if (one.issued or "")[:7] == month and one.status != "draft"
    }
    differences = []
    for number in sorted(said.keys() | here.keys()):
        theirs, ours = said.get(number), here.get(number)
        if ours is None:
            what = "missing here"
        elif theirs is None:
            what = "missing in Lexware"
        elif abs(theirs[2] - ours[2]) > _CENT:
            what = "amount"
        else:
            continue
        differences.append(Difference(number, what, theirs[2] if theirs else None, ours[2] if ours else None))
    return Comparison(month, _sums(said.values()), _sums(here.values()), differences)


def heard_of(store: LexwareStore, months: Sequence[str]) -> list[str]:
    """Those of these months of which Lexware has sent invoices."""
    return [
        month
        for month in months
        if store.rows(
            "SELECT 1 FROM said WHERE issued >= ? AND issued <= ? LIMIT 1", (f"{month}-01", f"{month}-31")
        )
    ]


def _sums(rows: Any) -> Sums:
    found = list(rows)
    net, tax, gross = (sum((row[place] for row in found), Decimal(0)) for place in range(3))
    return Sums(len(found), net, tax, gross)

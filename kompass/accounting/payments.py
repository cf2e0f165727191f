"""A row of `lexware-payments` as a payment, or why it is none.

Here a row is judged by itself; which invoice it pays is `matching`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from unicodedata import normalize

from kompass.accounting.reading import Row
from kompass.accounting.row_errors import ErrorType, RowError, row_error, validation


class Claim(StrEnum):
    """What the row says of the invoice after this payment."""

    PAID = "paid"
    PARTIAL = "partial"
    OPEN = "open"
    REVERSED = "reversed"


CLAIMS: Mapping[str, Claim] = {
    **dict.fromkeys(("paid", "bezahlt", "ausgeglichen", "vollständig", "beglichen"), Claim.PAID),
    **dict.fromkeys(
        ("partial", "partially paid", "teilweise", "teilzahlung", "teilweise bezahlt"), Claim.PARTIAL
    ),
    **dict.fromkeys(("open", "offen", "sent", "overdue", "überfällig"), Claim.OPEN),
    **dict.fromkeys(("reversed", "reversal", "storno", "storniert", "rücklastschrift"), Claim.REVERSED),
}
"""Words of the column `Status`, in any case."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came in; with a negative amount, money that went back."""

    line: int
    invoice_number: str
    paid_on: date
    amount: Decimal
    """Euros and cents, never 0."""
    customer_number: str | None = None
    gross: Decimal | None = None
    """What Lexware says that the invoice is about."""
    method: str | None = None
    claim: Claim | None = None
    nth: int = 1
    """Of equal ones in one file; see `numbered`."""

    @property
    def fingerprint(self) -> str:
        """What tells that the same payment comes again in a later file: a SHA-256."""
        parts = (
            self.invoice_number.casefold(),
            (self.customer_number or "").casefold(),
            self.paid_on.isoformat(),
            f"{self.amount:.2f}",
            (self.method or "").casefold(),
            *((str(self.nth),) if self.nth > 1 else ()),
        )
        return hashlib.sha256(normalize("NFC", "\x1f".join(parts)).encode()).hexdigest()


def numbered(payments: Iterable[Payment]) -> list[Payment]:
    """The same; each knows how many equal ones are before it. Two instalments of one day look the same, so
    the second one of a file is another payment than the first, whichever files they come in.
    """
    count: Counter[str] = Counter()
    found = []
    for one in payments:
        count[one.fingerprint] += 1
        found.append(replace(one, nth=count[one.fingerprint]))
    return found


def payment_of(row: Row, today: date) -> Payment | list[RowError]:
    """The payment, or all that is wrong with the row."""
    if row.problems:
        return validation(row.problems)
    values = row.values
    errors: list[RowError] = []
    paid_on: date = values["PaymentDate"]
    if paid_on > today:
        errors.append(
            _wrong("payment.future", "lies in the future", "liegt in der Zukunft", row, "PaymentDate")
        )
    if paid_on.year < 1990:
        errors.append(_wrong("payment.past", "is before 1990", "liegt vor 1990", row, "PaymentDate"))
    amount: Decimal = values["PaymentAmount"]
    if amount == 0:
        errors.append(_wrong("payment.nothing", "must not be 0", "darf nicht 0 sein", row, "PaymentAmount"))
    gross: Decimal | None = values.get("GrossAmount")
    if gross is not None and gross <= 0:
        errors.append(
            _wrong("payment.gross", "must be above 0", "muss größer als 0 sein", row, "GrossAmount")
        )
    status: str | None = values.get("Status")
    claim = None if status is None else CLAIMS.get(status.strip().casefold())
    if status is not None and claim is None:
        known = ", ".join(sorted(CLAIMS))
        errors.append(
            _wrong(
                "payment.status", f"must be one of: {known}", f"muss eins davon sein: {known}", row, "Status"
            )
        )
    if claim is Claim.REVERSED and amount > 0:
        amount = -amount
    if errors:
        return errors
    return Payment(
        line=row.line,
        invoice_number=values["InvoiceNumber"].strip(),
        paid_on=paid_on,
        amount=amount,
        customer_number=_stripped(values.get("CustomerNumber")),
        gross=gross,
        method=_stripped(values.get("PaymentMethod")),
        claim=claim,
    )


def _stripped(text: str | None) -> str | None:
    return None if text is None else text.strip() or None


def _wrong(rule: str, reason: str, grund: str, row: Row, column: str) -> RowError:
    return row_error(ErrorType.VALIDATION, rule, reason, grund, row.line, column, row.values[column])

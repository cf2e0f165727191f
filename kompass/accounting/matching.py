"""Which invoice a payment pays, and what is left: rules over what is open, without guessing.

A payment is applied by itself only to the invoice that it names. What could be meant otherwise is listed for
a person to choose from. Payments are taken in their order, each with what those before it left open:

| the amount against what is open | outcome | applied |
|---|---|---|
| the same | exact | all |
| differs by no more than the tolerance | tolerance, the invoice is settled | at most what was open |
| less | partial, or underpaid if the row says that the invoice is paid | all |
| more, or nothing was open | overpaid | what was open; the rest is a person's to decide |
| negative, at most what was paid | reversed | all |
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from kompass.accounting.payments import Claim, Payment
from kompass.accounting.row_errors import ErrorType

_ZERO = Decimal(0)
MOST_CANDIDATES = 5


class Outcome(StrEnum):
    EXACT = "exact"
    TOLERANCE = "tolerance"
    PARTIAL = "partial"
    UNDERPAID = "underpaid"
    OVERPAID = "overpaid"
    REVERSED = "reversed"
    REPEATED = "repeated"
    """Came in an earlier file: nothing to do."""
    DUPLICATE = "duplicate"
    """Is in this file already."""
    CANDIDATES = "candidates"
    """Names no invoice, or another customer's; there are some that it could be."""
    MISMATCH = "mismatch"
    """Names an invoice that it doesn't fit."""
    UNKNOWN = "unknown"


APPLIED = frozenset(
    {Outcome.EXACT, Outcome.TOLERANCE, Outcome.PARTIAL, Outcome.UNDERPAID, Outcome.OVERPAID, Outcome.REVERSED}
)
"""Outcomes that change an invoice."""
FOR_A_PERSON = frozenset(
    {
        Outcome.UNDERPAID,
        Outcome.OVERPAID,
        Outcome.DUPLICATE,
        Outcome.CANDIDATES,
        Outcome.MISMATCH,
        Outcome.UNKNOWN,
    }
)
"""Outcomes that somebody in the accounts has to look at."""
ERRORS: Mapping[Outcome, ErrorType] = {
    Outcome.UNDERPAID: ErrorType.AMOUNT,
    Outcome.OVERPAID: ErrorType.AMOUNT,
    Outcome.DUPLICATE: ErrorType.DUPLICATE,
    Outcome.CANDIDATES: ErrorType.NOT_FOUND,
    Outcome.MISMATCH: ErrorType.AMOUNT,
    Outcome.UNKNOWN: ErrorType.NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far amounts may differ and still be the same."""

    share: Decimal = Decimal("0.01")
    """Of the invoice's gross."""
    most: Decimal = Decimal(10)
    """Euros, however large the invoice is; for what settles it."""

    def settles(self, gross: Decimal) -> Decimal:
        return min(self.share * gross, self.most)


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as the books have it before the file."""

    id: str
    number: str
    customer_number: str | None
    gross: Decimal
    paid: Decimal = _ZERO
    status: str = "sent"


@dataclass(frozen=True, slots=True)
class Match:
    """What becomes of one payment. `applied + rest` is its amount."""

    payment: Payment
    outcome: Outcome
    reason: str
    grund: str
    invoice: Invoice | None = None
    applied: Decimal = _ZERO
    rest: Decimal = _ZERO
    paid: Decimal = _ZERO
    """What is paid of the invoice with this."""
    settled: bool = False
    candidates: tuple[Invoice, ...] = ()

    @property
    def needs_person(self) -> bool:
        return self.outcome in FOR_A_PERSON

    @property
    def status(self) -> str | None:
        """The invoice's status with this; None if it doesn't change."""
        if self.invoice is None or self.outcome not in APPLIED:
            return None
        if self.settled:
            return "paid"
        return "partial_paid" if self.paid > 0 else "sent"


def match_all(
    payments: Iterable[Payment],
    invoices: Iterable[Invoice],
    *,
    seen: Collection[str] = (),
    tolerance: Tolerance = Tolerance(),
) -> Iterator[Match]:
    """A match for each payment, in their order, as they are `numbered`. `seen`: fingerprints of payments of
    earlier files.
    """
    ledger = _Ledger(invoices, tolerance)
    for payment in payments:
        if payment.fingerprint in seen:
            yield _told(
                payment, Outcome.REPEATED, "came in an earlier file", "kam schon in einer früheren Datei"
            )
        elif payment.nth > 1:
            yield _told(
                payment,
                Outcome.DUPLICATE,
                "is in this file already: assign it if it was paid more than once",
                "steht schon in dieser Datei: bitte zuordnen, wenn mehrmals gezahlt wurde",
            )
        else:
            yield ledger.match(payment)


def _told(
    payment: Payment,
    outcome: Outcome,
    reason: str,
    grund: str,
    invoice: Invoice | None = None,
    candidates: tuple[Invoice, ...] = (),
) -> Match:
    """A match that applies nothing."""
    return Match(payment, outcome, reason, grund, invoice, rest=payment.amount, candidates=candidates)


def alike(number: str) -> tuple[int, ...]:
    """What numbers that people wrote differently have in common: `R-2026-00456`, `re 2026/456`."""
    return tuple(int(digits) for digits in re.findall("[0-9]{1,12}", number))


class _Ledger:
    """What is open, while payments are applied."""

    def __init__(self, invoices: Iterable[Invoice], tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._by_number: dict[str, Invoice] = {}
        self._alike: dict[tuple[int, ...], list[Invoice]] = defaultdict(list)
        self._by_gross: dict[Decimal, list[Invoice]] = defaultdict(list)
        self._of_customer: dict[str, list[Invoice]] = defaultdict(list)
        self._paid: dict[str, Decimal] = {}
        self._settled: set[str] = set()
        for invoice in invoices:
            self._by_number[invoice.number.casefold()] = invoice
            self._alike[alike(invoice.number)].append(invoice)
            self._by_gross[invoice.gross].append(invoice)
            if invoice.customer_number:
                self._of_customer[invoice.customer_number.casefold()].append(invoice)
            self._paid[invoice.id] = invoice.paid
            if invoice.status == "paid" or invoice.paid >= invoice.gross:
                self._settled.add(invoice.id)

    def match(self, payment: Payment) -> Match:
        invoice = self._by_number.get(payment.invoice_number.casefold()) or self._meant(payment)
        if invoice is None:
            return self._unnamed(payment)
        wrong = self._misfit(payment, invoice)
        if wrong is not None:
            return wrong
        return self._reversed(payment, invoice) if payment.amount < 0 else self._applied(payment, invoice)

    def _meant(self, payment: Payment) -> Invoice | None:
        """The one invoice whose number is written differently, if the customer's number says the same."""
        found = self._alike.get(alike(payment.invoice_number), ()) if alike(payment.invoice_number) else ()
        return found[0] if len(found) == 1 and _same_customer(payment, found[0]) else None

    def _unnamed(self, payment: Payment) -> Match:
        named = f"there is no invoice {payment.invoice_number}"
        german = f"eine Rechnung {payment.invoice_number} gibt es nicht"
        found = self._could_be(payment)
        if not found:
            return _told(payment, Outcome.UNKNOWN, named, german)
        numbers = ", ".join(one.number for one in found)
        return _told(
            payment,
            Outcome.CANDIDATES,
            f"{named}; it could be {numbers}",
            f"{german}; gemeint sein könnte {numbers}",
            candidates=found,
        )

    def _could_be(self, payment: Payment) -> tuple[Invoice, ...]:
        """Open invoices with a number alike, of the customer with this amount open, or of this amount."""
        found = list(
            self._alike.get(alike(payment.invoice_number), ()) if alike(payment.invoice_number) else ()
        )
        own = self._of_customer.get((payment.customer_number or "").casefold(), ())
        found += [one for one in own if self._open(one) == payment.amount]
        if payment.customer_number is None:
            found += self._by_gross.get(payment.amount, ())
        unique = {one.id: one for one in found if one.id not in self._settled and one.status != "cancelled"}
        return tuple(sorted(unique.values(), key=lambda one: one.number)[:MOST_CANDIDATES])

    def _misfit(self, payment: Payment, invoice: Invoice) -> Match | None:
        """A match that says why the payment doesn't fit the invoice that it names."""
        if invoice.status in ("cancelled", "draft"):
            return _told(
                payment,
                Outcome.MISMATCH,
                f"{invoice.number} is {invoice.status}",
                f"{invoice.number} ist {'storniert' if invoice.status == 'cancelled' else 'ein Entwurf'}",
                invoice,
            )
        if payment.customer_number and invoice.customer_number and not _same_customer(payment, invoice):
            return _told(
                payment,
                Outcome.CANDIDATES,
                f"{invoice.number} is of {invoice.customer_number}, not of {payment.customer_number}",
                f"{invoice.number} gehört zu {invoice.customer_number}, nicht zu {payment.customer_number}",
                candidates=(invoice,),
            )
        if (
            payment.gross is not None
            and abs(payment.gross - invoice.gross) > self._tolerance.share * invoice.gross
        ):
            return _told(
                payment,
                Outcome.MISMATCH,
                f"the row says {payment.gross:.2f} EUR, and {invoice.number} is {invoice.gross:.2f} EUR",
                f"laut Zeile {payment.gross:.2f} EUR, {invoice.number} lautet auf {invoice.gross:.2f} EUR",
                invoice,
            )
        return None

    def _open(self, invoice: Invoice) -> Decimal:
        return invoice.gross - self._paid[invoice.id]

    def _reversed(self, payment: Payment, invoice: Invoice) -> Match:
        paid = self._paid[invoice.id]
        if -payment.amount > paid:
            return _told(
                payment,
                Outcome.MISMATCH,
                f"takes back {-payment.amount:.2f} EUR of {invoice.number}, and {paid:.2f} EUR are paid",
                f"nimmt {-payment.amount:.2f} EUR von {invoice.number} zurück, bezahlt sind {paid:.2f} EUR",
                invoice,
            )
        self._settled.discard(invoice.id)
        self._paid[invoice.id] = paid + payment.amount
        return self._done(
            payment, invoice, Outcome.REVERSED, payment.amount, "is taken back", "wurde zurückgebucht"
        )

    def _applied(self, payment: Payment, invoice: Invoice) -> Match:
        amount, still = payment.amount, self._open(invoice)
        if invoice.id in self._settled or still <= 0:
            reason, grund = f"{invoice.number} was paid already", f"{invoice.number} war schon bezahlt"
            return self._done(payment, invoice, Outcome.OVERPAID, _ZERO, reason, grund)
        applied = min(amount, still)
        self._paid[invoice.id] += applied
        tolerated = self._tolerance.settles(invoice.gross)
        if abs(still - amount) <= tolerated:
            self._settled.add(invoice.id)
            if amount == still:
                return self._done(
                    payment, invoice, Outcome.EXACT, applied, "pays what is open", "zahlt, was offen ist"
                )
            reason = f"differs by {still - amount:.2f} EUR, which is tolerated"
            grund = f"weicht um {still - amount:.2f} EUR ab, was toleriert wird"
            return self._done(payment, invoice, Outcome.TOLERANCE, applied, reason, grund)
        if amount > still:
            self._settled.add(invoice.id)
            reason, grund = f"{amount - still:.2f} EUR too much", f"{amount - still:.2f} EUR zu viel"
            return self._done(payment, invoice, Outcome.OVERPAID, applied, reason, grund)
        reason = f"{still - amount:.2f} EUR are still open"
        grund = f"{still - amount:.2f} EUR sind noch offen"
        outcome = Outcome.UNDERPAID if payment.claim is Claim.PAID else Outcome.PARTIAL
        return self._done(payment, invoice, outcome, applied, reason, grund)

    def _done(
        self, payment: Payment, invoice: Invoice, outcome: Outcome, applied: Decimal, reason: str, grund: str
    ) -> Match:
        return Match(
            payment,
            outcome,
            reason,
            grund,
            invoice,
            applied,
            payment.amount - applied,
            self._paid[invoice.id],
            invoice.id in self._settled,
        )


def _same_customer(payment: Payment, invoice: Invoice) -> bool:
    ours, theirs = invoice.customer_number, payment.customer_number
    return bool(ours and theirs) and str(ours).casefold() == str(theirs).casefold()

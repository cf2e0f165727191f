"""Payments, one by one: what follows from a match, and how it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

import apsw
import orjson

from kompass.accounting.matching import ERRORS, Match
from kompass.accounting.payments import Claim, Payment
from kompass.accounting.problems import Problem
from kompass.accounting.row_errors import RowError
from kompass.domain.money import json_number
from kompass.lexware import errors
from kompass.lexware.errors import Found, SyncError
from kompass.lexware.mirroring import Saying
from kompass.lexware.store import LexwareStore


def tell_of(saying: Saying, match: Match) -> None:
    """What the invoice of a payment shall say after it."""
    assert match.invoice is not None
    saying.body["status"] = match.status
    saying.body["paidDate"] = match.payment.paid_on.isoformat() if match.settled else None
    saying.amounts["paidAmount"] = json_number(match.paid)


def error_of(match: Match) -> RowError:
    """What somebody has to look at."""
    problem = Problem(f"payment.{match.outcome.value}", match.reason, match.grund)
    payment = match.payment
    return RowError(ERRORS[match.outcome], problem.at(payment.line, "InvoiceNumber", payment.invoice_number))


def detail_of(match: Match) -> dict[str, Any]:
    """What is needed to settle it by hand."""
    payment = {name: _plain(value) for name, value in asdict(match.payment).items() if name != "line"}
    return {
        "payment": payment,
        "applied": f"{match.applied:.2f}",
        "rest": f"{match.rest:.2f}",
        "invoice": None if match.invoice is None else match.invoice.number,
        "candidates": [one.number for one in match.candidates],
    }


def payment_in(detail: Any) -> Payment:
    """The payment that an error is about."""
    said = dict(detail["payment"])
    return Payment(
        line=0,
        invoice_number=said["invoice_number"],
        paid_on=date.fromisoformat(said["paid_on"]),
        amount=Decimal(said["amount"]),
        customer_number=said["customer_number"],
        gross=None if said["gross"] is None else Decimal(said["gross"]),
        method=said["method"],
        claim=None if said["claim"] is None else Claim(said["claim"]),
        nth=int(said.get("nth", 1)),  # the first errors that were kept say nothing of it
    )


def _plain(value: Any) -> str | None:
    return None if value is None else str(value)


def keep(connection: apsw.Connection, match: Match, fingerprint: str, arrival: str) -> None:
    """Within a transaction: this payment was taken."""
    payment = match.payment
    connection.execute(
        "INSERT OR REPLACE INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fingerprint, arrival, payment.line, None if match.invoice is None else match.invoice.id,
            payment.invoice_number, payment.customer_number or "", payment.paid_on.isoformat(),
            f"{payment.amount:.2f}", f"{match.applied:.2f}", match.outcome.value,
        ),
    )  # fmt: skip


def keep_late(
    connection: apsw.Connection, error: SyncError, match: Match, person: str, resolution: str, at: float
) -> None:
    """Within a transaction: the payment that an error is about was taken after all, which settles it. What is
    left of it is another one.
    """
    keep(connection, match, error.entity_id, error.source)
    errors.resolve(connection, error.num, person, resolution, at)
    errors.settle(connection, "payment", [error.entity_id], resolution, at)  # earlier programs made several
    if match.needs_person:
        row = error_of(match)
        left = Found("in", "payment", error.entity_id, row.type, row.problem, error.source, detail_of(match))
        errors.add(connection, left, at)


def keep_ignored(connection: apsw.Connection, error: SyncError) -> None:
    """Within a transaction: this payment came, and is for nothing."""
    payment = payment_in(error.detail)
    connection.execute(
        "INSERT OR IGNORE INTO payments VALUES (?, ?, 0, NULL, ?, ?, ?, ?, '0.00', 'ignored')",
        (
            error.entity_id, error.source, payment.invoice_number, payment.customer_number or "",
            payment.paid_on.isoformat(), f"{payment.amount:.2f}",
        ),
    )  # fmt: skip


def seen(store: LexwareStore, payments: Sequence[Payment]) -> set[str]:
    """Which of these were taken before, by their fingerprints."""
    marks = orjson.dumps([one.fingerprint for one in payments]).decode()
    rows = store.rows(
        "SELECT fingerprint FROM payments WHERE fingerprint IN (SELECT value FROM json_each(?))", (marks,)
    )
    return {row[0] for row in rows}

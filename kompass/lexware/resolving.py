"""What a person does about an error: a payment is assigned to an invoice, or it is settled with a reason."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

from kompass.accounting.matching import Outcome, match_all
from kompass.leases import Lease
from kompass.lexware import errors, mirroring, rematching, taken
from kompass.lexware.errors import SyncError
from kompass.lexware.ledger import Ledger, ledger
from kompass.lexware.mirroring import Saying
from kompass.lexware.store import LexwareStore
from kompass.sync.gate.gate import Gate

_REFUSED = frozenset({Outcome.MISMATCH, Outcome.CANDIDATES, Outcome.UNKNOWN})


class ResolutionError(Exception):
    """It can't be settled like this."""

    def __init__(self, said: str, gesagt: str, *, missing: bool = False) -> None:
        """`missing`: there is no such thing."""
        super().__init__(said)
        self.gesagt = gesagt
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Resolution:
    action: Literal["assign", "ignore", "retry"]
    reason: str = ""
    invoice: str = ""
    """Number of the invoice that a payment is assigned to."""


async def resolve(
    store: LexwareStore, lease: Lease, gate: Gate, num: int, resolution: Resolution, person: str
) -> SyncError:
    """The error as it is then. Raises `ResolutionError`, `LeaseLostError`, `ProtocolError`."""
    await mirroring.drain(store, lease, gate)
    error = await asyncio.to_thread(errors.one, store, num)
    if error is None:
        raise ResolutionError("There is no such error.", "Einen solchen Fehler gibt es nicht.", missing=True)
    if error.resolved_at is not None:
        raise ResolutionError(
            f"{error.resolved_by} has settled it already.", f"{error.resolved_by} hat ihn schon erledigt."
        )
    if resolution.action == "assign":
        books = await ledger(gate.database)
        await asyncio.to_thread(
            _assign, store, lease, books, error, resolution, person, gate.now().timestamp()
        )
    elif resolution.action == "retry" and error.entity_type == "payment":
        matches = await rematching.again(store, lease, gate, num=num, person=person)
        if not matches:
            raise _nothing_to_try()
        if matches[0].status is None:
            raise ResolutionError(f"{matches[0].reason}.", f"{matches[0].grund}.")
    else:
        await asyncio.to_thread(_settle, store, lease, error, resolution, person, gate.now().timestamp())
    await mirroring.drain(store, lease, gate)
    found = await asyncio.to_thread(errors.one, store, num)
    assert found is not None
    return found


def _nothing_to_try() -> ResolutionError:
    return ResolutionError(
        "There is nothing to be tried again.", "Es gibt nichts, was sich wiederholen ließe."
    )


def _assign(
    store: LexwareStore, lease: Lease, books: Ledger, error: SyncError, resolution: Resolution, person: str,
    now: float,
) -> None:  # fmt: skip
    if error.entity_type != "payment" or "payment" not in error.detail:
        raise ResolutionError("This is no payment.", "Das ist keine Zahlung.")
    if error.detail["applied"] != "0.00":
        raise ResolutionError(
            f"It was applied to {error.detail['invoice']} already, as far as that was open.",
            f"Sie ist schon auf {error.detail['invoice']} gebucht, soweit dort offen war.",
        )
    wanted = resolution.invoice.strip().casefold()
    refused = mirroring.refused(store)
    invoices = [one for one in books.with_said(refused).open() if one.number.casefold() == wanted]
    if not invoices:
        raise ResolutionError(
            f"There is no invoice {resolution.invoice[:40]}.",
            f"Eine Rechnung {resolution.invoice[:40]} gibt es nicht.",
        )
    payment = taken.payment_in(error.detail)
    # Whoever assigns it knows better than the row whose it is and what it is about.
    meant = replace(payment, invoice_number=invoices[0].number, customer_number=None, gross=None, nth=1)
    (match,) = match_all([meant], invoices)
    if match.outcome in _REFUSED:
        raise ResolutionError(f"{match.reason}.", f"{match.grund}.")
    saying = refused.get(invoices[0].id, Saying(invoices[0].id))
    taken.tell_of(saying, match)
    with store.writing() as connection:
        lease.check(connection)
        said = f"assigned to {invoices[0].number}" + (f": {resolution.reason}" if resolution.reason else "")
        errors.resolve(connection, error.num, person, said, now)
        taken.keep(connection, match, error.entity_id, error.source)
        mirroring.say(connection, {saying.invoice: saying})


def _settle(
    store: LexwareStore, lease: Lease, error: SyncError, resolution: Resolution, person: str, now: float
) -> None:
    with store.writing() as connection:
        lease.check(connection)
        if resolution.action == "retry":
            if error.entity_type != "invoice" or not mirroring.again(connection, error.entity_id):
                raise _nothing_to_try()
        elif error.detail.get("applied") == "0.00" and error.entity_id:
            # It came, and nobody wants it: it isn't told again if it comes once more.
            payment = taken.payment_in(error.detail)
            connection.execute(
                "INSERT OR IGNORE INTO payments VALUES (?, ?, 0, NULL, ?, ?, ?, ?, '0.00', 'ignored')",
                (
                    error.entity_id, error.source, payment.invoice_number, payment.customer_number or "",
                    payment.paid_on.isoformat(), f"{payment.amount:.2f}",
                ),
            )  # fmt: skip
        said = f"{resolution.action}: {resolution.reason}" if resolution.reason else resolution.action
        errors.resolve(connection, error.num, person, said, now)

"""What a person does about an error: a payment is assigned to an invoice, or it is settled with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import apsw

from kompass.accounting.invoices import number_key
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
    now = gate.now().timestamp()
    if resolution.action == "retry" and error.entity_type == "payment":
        matches = await rematching.again(store, lease, gate, num=num, person=person)
        if not matches:
            raise _nothing_to_try()
        if matches[0].status is None:
            raise ResolutionError(f"{matches[0].reason}.", f"{matches[0].grund}.")
        await gate.settled("lexware.retry", [num])
    else:
        if resolution.action == "assign":
            books = await ledger(gate.database)
            write = await asyncio.to_thread(_assigned, store, books, error, resolution)
        else:
            write = await asyncio.to_thread(_settled, store, error, resolution)
        # Before it is: whoever is in the chain may have been broken off, and nobody is missing there.
        await gate.settled(f"lexware.{resolution.action}", [num])
        await asyncio.to_thread(_written, store, lease, write, person, now)
    await mirroring.drain(store, lease, gate)
    found = await asyncio.to_thread(errors.one, store, num)
    assert found is not None
    return found


_Write = Callable[[apsw.Connection, str, float], None]
"""Notes within a transaction that the error is settled, and what follows: by whom, when."""


def _written(store: LexwareStore, lease: Lease, write: _Write, person: str, now: float) -> None:
    with store.writing() as connection:
        lease.check(connection)
        write(connection, person, now)


def _nothing_to_try() -> ResolutionError:
    return ResolutionError(
        "There is nothing to be tried again.", "Es gibt nichts, was sich wiederholen ließe."
    )


def _assigned(store: LexwareStore, books: Ledger, error: SyncError, resolution: Resolution) -> _Write:
    if error.entity_type != "payment" or "payment" not in error.detail:
        raise ResolutionError("This is no payment.", "Das ist keine Zahlung.")
    if error.detail["applied"] != "0.00":
        raise ResolutionError(
            f"It was applied to {error.detail['invoice']} already, as far as that was open.",
            f"Sie ist schon auf {error.detail['invoice']} gebucht, soweit dort offen war.",
        )
    wanted = number_key(resolution.invoice.strip())
    refused = mirroring.refused(store)
    invoices = [one for one in books.with_said(refused).open() if number_key(one.number) == wanted]
    if not invoices:
        raise ResolutionError(
            f"There is no invoice {resolution.invoice[:40]}.",
            f"Eine Rechnung {resolution.invoice[:40]} gibt es nicht.",
        )
    invoice = invoices[0]
    payment = replace(taken.payment_in(error.detail), line=error.line or 0)
    # Whoever assigns it knows better than the row whose it is and what it is about.
    meant = replace(payment, invoice_number=invoice.number, customer_number=None, gross=None, nth=1)
    (match,) = match_all([meant], invoices)
    if match.outcome in _REFUSED or not match.applied:
        raise ResolutionError(f"{match.reason}.", f"{match.grund}.")
    saying = refused.get(invoice.id, Saying(invoice.id))
    taken.tell_of(saying, match)

    because = f": {resolution.reason}" if resolution.reason else ""

    def write(connection: apsw.Connection, person: str, now: float) -> None:
        taken.keep_late(connection, error, match, person, f"assigned to {invoice.number}{because}", now)
        mirroring.say(connection, {saying.invoice: saying})

    return write


def _settled(store: LexwareStore, error: SyncError, resolution: Resolution) -> _Write:
    is_retry = resolution.action == "retry"
    if is_retry and (error.entity_type != "invoice" or error.entity_id not in mirroring.refused(store)):
        raise _nothing_to_try()

    said = f"{resolution.action}: {resolution.reason}" if resolution.reason else resolution.action

    def write(connection: apsw.Connection, person: str, now: float) -> None:
        errors.resolve(connection, error.num, person, said, now)
        if is_retry:
            mirroring.again(connection, error.entity_id)
        elif error.detail.get("applied") == "0.00" and error.entity_id:
            # It came, and nobody wants it: it isn't told again if it comes once more.
            taken.keep_ignored(connection, error)

    return write

"""Payments that were for no invoice, once more: theirs may be there now, or the payment that is taken back.

By the same rules as those of a file: nothing but the invoice that a row named is ever paid without a person.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from kompass.access.lexware import AUTHOR
from kompass.accounting.matching import Match, match_all
from kompass.leases import Lease
from kompass.lexware import errors, mirroring, taken
from kompass.lexware.errors import SyncError
from kompass.lexware.ledger import Ledger, ledger
from kompass.lexware.mirroring import Saying
from kompass.lexware.store import LexwareStore
from kompass.sync.gate.gate import Gate


async def again(
    store: LexwareStore, lease: Lease, gate: Gate, *, num: int | None = None, person: str = AUTHOR
) -> list[Match]:
    """Matches all of them, or the one with this number, and writes what follows. Returns what came of each.
    Raises `LeaseLostError`, `ProtocolError`.
    """
    waiting = await asyncio.to_thread(errors.unmatched, store)
    waiting = list({one.entity_id: one for one in waiting}.values())  # earlier programs made several of one
    if num is not None:
        waiting = [one for one in waiting if one.num == num]
    if not waiting:
        return []
    await gate.database.fresh()
    books = await ledger(gate.database)
    at = gate.now().timestamp()
    found = await asyncio.to_thread(_matched, store, lease, books, waiting, person, at)
    await mirroring.drain(store, lease, gate)
    return found


def _matched(
    store: LexwareStore, lease: Lease, books: Ledger, waiting: list[SyncError], person: str, at: float
) -> list[Match]:
    refused = mirroring.refused(store)
    payments = [replace(taken.payment_in(one.detail), line=one.line or 0, nth=1) for one in waiting]
    matches = list(match_all(payments, books.with_said(refused).open()))
    said: dict[str, Saying] = {}
    with store.writing() as connection:
        lease.check(connection)
        for error, match in zip(waiting, matches, strict=True):
            if match.invoice is None or match.status is None:
                continue
            docid = match.invoice.id
            saying = said.setdefault(docid, refused.get(docid, Saying(docid)))
            taken.tell_of(saying, match)
            taken.keep_late(connection, error, match, person, f"matched with {match.invoice.number}", at)
        mirroring.say(connection, said)
    return matches

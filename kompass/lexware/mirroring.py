"""What invoices shall say, until their documents do.

It is noted in the same transaction as what it follows from, as values and not as changes: however often a
document is written, it says the same in the end. Nothing is lost, and nothing paid twice, whatever breaks off
between the file and the documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import apsw
import orjson
import structlog

from kompass.access.companions import companion_id
from kompass.accounting.problems import Problem
from kompass.accounting.row_errors import ErrorType
from kompass.domain.refusals import Refusal
from kompass.leases import Lease
from kompass.lexware import errors
from kompass.lexware.store import LexwareStore
from kompass.sync.gate.gate import Gate
from kompass.sync.gate.mirroring import Mirrored
from replication.protocol.errors import ProtocolError

AT_ONCE = 100
"""Invoices that are written in one transaction."""
DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts to write, as long as what is in the way may pass."""
_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kompass:lexware:invoice")

log = structlog.get_logger(__name__)
pause = asyncio.sleep


@dataclass(slots=True)
class Saying:
    """What one invoice shall say."""

    invoice: str
    body: dict[str, Any] = field(default_factory=dict)
    amounts: dict[str, Any] = field(default_factory=dict)


def invoice_id(number: str) -> str:
    """Of the document that is made for a number."""
    return f"invoice-{uuid5(_NAMESPACE, number.casefold())}"


def say(connection: apsw.Connection, said: Mapping[str, Saying]) -> None:
    """Within a transaction: notes it, over what was to be said before."""
    for docid, one in said.items():
        connection.execute(
            "INSERT INTO mirror VALUES (?1, 1, 1, ?2, ?3, '') ON CONFLICT (invoice) DO UPDATE SET"
            " version = version + 1, open = 1, body = excluded.body, amounts = excluded.amounts",
            (docid, orjson.dumps(one.body).decode(), orjson.dumps(one.amounts).decode()),
        )


def count_open(store: LexwareStore) -> int:
    """Invoices whose documents don't say yet what they shall."""
    return int(store.rows("SELECT count(*) FROM mirror WHERE open = 1")[0][0])


async def drain(store: LexwareStore, lease: Lease, gate: Gate) -> int:
    """Writes what is noted. Returns how many couldn't be written; each of them is an error that is told.
    Raises `ProtocolError` for what is still in the way after the last attempt.
    """
    refused = 0
    after = ""
    while rows := await asyncio.to_thread(
        store.rows,
        "SELECT invoice, version, body, amounts FROM mirror WHERE open = 1 AND invoice > ? ORDER BY invoice"
        " LIMIT ?",
        (after, AT_ONCE),
    ):
        after = rows[-1][0]
        outcomes = await _tried(gate, [_group(*row) for row in rows])
        refused += sum(one is not None for one in outcomes)
        await asyncio.to_thread(_done, store, lease, rows, outcomes, gate.now().timestamp())
    return refused


async def _tried(gate: Gate, groups: Sequence[Sequence[Mirrored]]) -> list[Refusal | None]:
    for delay in DELAYS:
        try:
            return await gate.mirror(groups)
        except ProtocolError as error:
            if error.status not in (409, 503):
                raise
            log.warning("invoices can't be written now: it is tried again", why=error.reason)
        await pause(delay)
    return await gate.mirror(groups)


def _group(docid: str, version: int, body: str, amounts: str) -> list[Mirrored]:
    group = [Mirrored(docid, "invoice", orjson.loads(body))] if body != "{}" else []
    if amounts != "{}":
        told = {"invoiceId": docid, **orjson.loads(amounts)}
        group.append(Mirrored(companion_id("invoice_amount", docid), "invoice_amount", told))
    return group


def _done(
    store: LexwareStore,
    lease: Lease,
    rows: Sequence[tuple[str, int, str, str]],
    outcomes: Sequence[Refusal | None],
    now: float,
) -> None:
    written = [docid for (docid, *_), refusal in zip(rows, outcomes, strict=True) if refusal is None]
    with store.writing() as connection:
        lease.check(connection)
        errors.settle(connection, "invoice", written, "its document says it now", now)
        for (docid, version, _, _), refusal in zip(rows, outcomes, strict=True):
            why = "" if refusal is None else refusal.reason
            # 2: it is refused, which doesn't change until it shall say something else.
            connection.execute(
                "UPDATE mirror SET open = ?, why = ? WHERE invoice = ? AND version = ?",
                (0 if refusal is None else 2, why, docid, version),
            )
            if refusal is None:
                continue
            problem = Problem(refusal.rule, refusal.reason, refusal.grund)
            errors.add(
                connection,
                errors.Found("in", "invoice", docid, ErrorType.VALIDATION, problem, "documents"),
                now,
            )


def refused(store: LexwareStore) -> dict[str, Saying]:
    """What couldn't be written, by invoice: it counts, though the documents don't say it."""
    rows = store.rows("SELECT invoice, body, amounts FROM mirror WHERE open = 2")
    return {row[0]: Saying(row[0], orjson.loads(row[1]), orjson.loads(row[2])) for row in rows}


def again(connection: apsw.Connection, docid: str) -> None:
    """Within a transaction: it is tried once more to write it."""
    connection.execute(
        "UPDATE mirror SET open = 1, version = version + 1 WHERE invoice = ? AND open <> 0", (docid,)
    )

"""What an erasure means for what was exchanged: nothing that is kept here names anybody any more.

Lexware keeps what it has, and has to: whom an erasure concerns is told to whoever keeps its books. Here the
truth about customers and invoices is in documents, so files that came or went are not needed any longer, and
what is kept about them loses every text that stood in one. Numbers, days, amounts and who settled what stay.
What wasn't fetched yet is taken back, and goes out again as it is then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import apsw
import orjson

from kompass.leases import Lease
from kompass.lexware import errors, runs
from kompass.lexware.inbox import Inbox
from kompass.lexware.runs import Run, State
from kompass.lexware.store import LexwareStore
from kompass.lexware.targets import Target
from kompass.privacy.consumers import Consumers
from kompass.privacy.tickets import Kind
from kompass.sqlfile import fetch
from kompass.sync.gate.gate import Gate

CONSUMER = "lexware"
_SAID = "What it said was removed: somebody was erased."
_GESAGT = "Was dort stand, wurde entfernt: jemand wurde gelöscht."
_AT_ONCE = 500


async def due(gate: Gate) -> list[int]:
    """Tickets that aren't worked off. Enrols the exchange the first time."""
    consumers = Consumers(gate)
    if consumers.find(CONSUMER) is None:
        await consumers.enrol(CONSUMER)
    tickets = consumers.tickets(CONSUMER)
    withdrawn = [one.num for one in tickets if one.kind is not Kind.ERASURE]
    if withdrawn:
        await consumers.confirm(CONSUMER, withdrawn)  # nothing here is for a purpose of consent
    return [one.num for one in tickets if one.kind is Kind.ERASURE]


async def erase(
    store: LexwareStore, leases: tuple[Lease, Lease], gate: Gate, target: Target | None, inbox: Inbox | None,
    tickets: list[int],
) -> None:  # fmt: skip
    """Works tickets off, and confirms them. `leases`: of export and import. Whatever breaks off is begun
    again. Raises `TargetError`, `InboxError`, `LeaseLostError`, `apsw.BusyError`.
    """
    for run in await asyncio.to_thread(_with_files, store):
        await _taken_back(store, leases[0], target, run)
    if inbox is not None:
        await asyncio.to_thread(inbox.clear)
    await asyncio.to_thread(_blank, store, leases)
    await asyncio.to_thread(store.forget)
    await Consumers(gate).confirm(CONSUMER, tickets)


async def _taken_back(store: LexwareStore, lease: Lease, target: Target | None, run: Run) -> None:
    is_unfetched = run.state is not State.DELIVERED
    if target is not None and target.name in (run.target or target.name):
        is_unfetched |= await target.erase(run.draft, run.file)

    def noted() -> None:
        with store.writing() as connection:
            lease.check(connection)
            if is_unfetched:
                runs.withdraw(connection, run.num)
            connection.execute("DELETE FROM pieces WHERE run = ?", (run.num,))
            connection.execute("UPDATE runs SET draft = '', error = '' WHERE num = ?", (run.num,))

    await asyncio.to_thread(noted)


def _with_files(store: LexwareStore) -> list[Run]:
    """Runs of which a file may be somewhere here."""
    found = [*runs.undelivered(store)]
    before = 2**62
    while page := runs.listed(store, before=before):
        found += [one for one in page if one.state is State.DELIVERED]
        before = page[-1].num
    return found


def _blank(store: LexwareStore, leases: Iterable[Lease]) -> None:
    after = 0
    while True:
        with store.writing() as connection:
            for lease in leases:
                lease.check(connection)
            if after == 0:
                _blank_small(connection)
            rows = fetch(
                connection,
                "SELECT num, detail FROM errors WHERE num > ? ORDER BY num LIMIT ?",
                (after, _AT_ONCE),
            )
            for num, detail in rows:
                connection.execute(
                    "UPDATE errors SET reason = ?, grund = ?, value = '', source = '', detail = ?,"
                    # What goes out has headings of its own, by which an error is told again.
                    " heading = iif(direction = 'out', heading, '') WHERE num = ?",
                    (_SAID, _GESAGT, orjson.dumps(errors.bare(orjson.loads(detail))).decode(), num),
                )
            if not rows:
                return
            after = rows[-1][0]


def _blank_small(connection: apsw.Connection) -> None:
    runs.drop(connection, "state = 'collecting'")  # of what broke off
    connection.execute("UPDATE payments SET number = '', customer = ''")
    # People say there whom it is about; what they did stands before it.
    connection.execute(
        "UPDATE errors SET resolution = substr(resolution, 1, instr(resolution, ':') - 1)"
        " WHERE instr(resolution, ':') > 0"
    )
    connection.execute("UPDATE mirror SET why = '' WHERE why <> ''")
    connection.execute("DELETE FROM notes WHERE name = 'poll'")
    # What stood in the column of an invoice's number may have been anything.
    connection.execute(
        "UPDATE errors SET entity_id = '' WHERE direction = 'in' AND entity_type = 'invoice' AND source <> ''"
        " AND source <> 'documents' AND entity_id NOT LIKE 'row:%' AND entity_id NOT LIKE 'file:%'"
    )
    for sha256, num, text in fetch(connection, "SELECT sha256, num, report FROM arrivals"):
        report = orjson.loads(text)
        report |= {"name": f"file {num}", "said": "", "gesagt": "", "findings": [], "unknown": []}
        for problem in report["problems"]:
            problem |= {"value": "", "column": "", "reason": _SAID, "grund": _GESAGT}
        connection.execute(
            "UPDATE arrivals SET name = ?, kept = '', report = ? WHERE sha256 = ?",
            (report["name"], orjson.dumps(report).decode(), sha256),
        )

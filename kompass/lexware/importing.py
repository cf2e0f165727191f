"""Takes a file of Lexware's: what its rows say is noted in one transaction, then written into documents.

Idempotent by file (its SHA-256, under whatever name) and by row (a payment's fingerprint, an invoice's
number). A bad row is told and never stops the others; the same file may come again once there is what it
lacked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import apsw
import structlog

from kompass.accounting.invoices import Amounts, InvoiceRows, MirroredInvoice, number_key
from kompass.accounting.matching import Match, Outcome, match_all
from kompass.accounting.payments import Payment, numbered, payment_of
from kompass.accounting.problems import Problem, UnreadableError, quoted
from kompass.accounting.row_errors import ErrorType, RowError
from kompass.domain.money import json_number
from kompass.leases import Lease
from kompass.lexware import arrivals, errors, mirroring, rematching, taken
from kompass.lexware.arrivals import Report
from kompass.lexware.files_in import FileIn, FileKind, digest, parse
from kompass.lexware.ledger import Ledger, Mirror, ledger
from kompass.lexware.mirroring import Saying
from kompass.lexware.statuses import STATUSES, status_of
from kompass.lexware.store import LexwareStore
from kompass.sync.gate.gate import Gate

ZONE = ZoneInfo("Europe/Berlin")
MOST_UNKNOWN = 100
"""Headings that weren't read, and that a report names."""
_ZERO = Decimal(0)
log = structlog.get_logger(__name__)


async def take(
    store: LexwareStore,
    lease: Lease | None,
    gate: Gate,
    data: bytes,
    name: str,
    person: str,
    *,
    kind: FileKind | None = None,
    manifest: bytes | None = None,
) -> Report:
    """What became of the file. Without a lease nothing does, and the report says what would.

    Raises `LeaseLostError`, and `ProtocolError` if documents can't be written now: what the file says is
    noted then, and written later.
    """
    now = gate.now()
    sha256 = digest(data)
    known = await asyncio.to_thread(arrivals.one, store, sha256)
    is_done = known is not None and known.state == "done"
    if known is not None and is_done and not known.wrong:
        if lease is not None:
            await mirroring.drain(store, lease, gate)
        return _repeated(known, name)
    try:
        file = await asyncio.to_thread(parse, data, kind, manifest)
    except UnreadableError as error:
        report = Report(name, sha256, kind.value if kind else "", "refused")
        report.said = f"The file {error.problem.reason}."
        report.gesagt = f"Die Datei {error.problem.grund}."
        report.tell(error.problem)
        if lease is not None:
            await asyncio.to_thread(_refuse, store, lease, report, error.problem, person, now)
        return report
    if lease is not None:
        await mirroring.drain(store, lease, gate)  # what is known is in the documents then
    await gate.database.fresh()
    books = await ledger(gate.database)
    took = await asyncio.to_thread(_taken, store, books, file, name, now)
    if known is not None and is_done and not took.said:
        return _repeated(known, name)  # what was wrong in it still is
    if lease is None:
        return took.report
    await asyncio.to_thread(took.note, lease, person)
    await mirroring.drain(store, lease, gate)
    if took.said:
        await rematching.again(store, lease, gate)
    return took.report


def _repeated(known: arrivals.Arrival, name: str) -> Report:
    day = datetime.fromtimestamp(known.at, ZONE)
    report = Report(name, known.sha256, known.kind, "repeated", rows=known.rows)
    report.said = f"The same file came as {known.name} on {day:%Y-%m-%d %H:%M}: nothing has changed."
    report.gesagt = f"Dieselbe Datei kam am {day:%d.%m.%Y %H:%M} als {known.name}: nichts hat sich geändert."
    return report


def _refuse(
    store: LexwareStore, lease: Lease, report: Report, problem: Problem, person: str, now: datetime
) -> None:
    with store.writing() as connection:
        lease.check(connection)
        arrivals.add(connection, report, person, now.timestamp())
        entity = FileKind(report.kind).entity if report.kind else "payment"
        found = errors.Found(
            "in", entity, f"file:{report.sha256}", ErrorType.VALIDATION, problem, report.name
        )
        errors.add(connection, found, now.timestamp())


def _taken(store: LexwareStore, books: Ledger, file: FileIn, name: str, now: datetime) -> _Taking:
    kinds = {FileKind.PAYMENTS: _Payments, FileKind.INVOICES: _Invoices}
    return kinds[file.kind](store, books, file, name, now)


class _Taking:
    """A file against the books: what is to be noted."""

    def __init__(self, store: LexwareStore, books: Ledger, file: FileIn, name: str, now: datetime) -> None:
        self.store = store
        self.file = file
        self.now = now
        self.today = now.astimezone(ZONE).date()
        self.report = Report(name, file.sha256, file.kind.value, rows=len(file.rows))
        self.report.findings = [
            {
                "what": one.what, "value": one.value, "sure": str(one.sure), "reason": one.reason,
                "grund": one.grund,
            }
            for one in file.findings
        ]  # fmt: skip
        self.report.unknown = [quoted(heading) for heading in file.unknown[:MOST_UNKNOWN]]
        self.refused = mirroring.refused(store)
        """What the documents don't say yet."""
        self.books = books.with_said(self.refused)
        self.said: dict[str, Saying] = {}
        self.found: list[errors.Found] = []
        self.settled: list[str] = []
        """Of which nothing is wrong any more."""
        self.counts: Counter[str] = Counter()
        self.judge()
        self.report.outcomes = dict(self.counts)

    def judge(self) -> None:
        raise NotImplementedError

    def also(self, connection: apsw.Connection) -> None:
        """What else is noted."""
        raise NotImplementedError

    def note(self, lease: Lease, person: str) -> None:
        """All of it, in one transaction."""
        with self.store.writing() as connection:
            lease.check(connection)
            arrivals.add(connection, self.report, person, self.now.timestamp())
            self.also(connection)
            mirroring.say(connection, self.said)
            at = self.now.timestamp()
            came = "it came again and fits"
            errors.settle(connection, self.file.kind.entity, self.settled, came, at)
            errors.settle(connection, self.file.kind.entity, [f"file:{self.file.sha256}"], came, at)
            still = [found.entity_id for found in self.found]
            errors.settle_others(connection, self.rows_mark, still, came, at)
            for found in self.found[: errors.MOST_OF_ONE]:
                errors.add(connection, found, at)

    def wrong(self, entity_id: str, row: RowError, **detail: Any) -> None:
        """A row, or a part of it, that somebody has to look at."""
        self.report.tell(row.problem)
        self.found.append(
            errors.Found(
                "in", self.file.kind.entity, entity_id, row.type, row.problem, self.report.name, detail
            )
        )

    def place(self, row: RowError) -> str:
        """What tells an error again that is about nothing but a cell of this file."""
        return f"{self.rows_mark}{row.problem.line}:{row.problem.column}"

    @property
    def rows_mark(self) -> str:
        return f"row:{self.file.sha256}:"

    def saying(self, docid: str) -> Saying:
        if docid not in self.said:
            before = self.refused.get(docid)
            self.said[docid] = Saying(docid) if before is None else before
        return self.said[docid]


class _Payments(_Taking):
    def judge(self) -> None:
        payments: list[Payment] = []
        for row in self.file.rows:
            payment = payment_of(row, self.today)
            if isinstance(payment, Payment):
                payments.append(payment)
                continue
            self.counts["wrong"] += 1
            for error in payment:
                self.wrong(self.place(error), error)
        payments = numbered(payments)
        self.matches = list(match_all(payments, self.books.open(), seen=taken.seen(self.store, payments)))
        for match in self.matches:
            self._match(match)
        read = sum((one.amount for one in payments), _ZERO)
        applied = sum((one.applied for one in self.matches), _ZERO)
        self.report.sums = {"read": f"{read:.2f}", "applied": f"{applied:.2f}"}
        self.report.wrong = self.counts["wrong"] + sum(one.needs_person for one in self.matches)

    def _match(self, match: Match) -> None:
        self.counts[match.outcome.value] += 1
        payment = match.payment
        if match.status is not None:
            assert match.invoice is not None
            taken.tell_of(self.saying(match.invoice.id), match)
        if match.needs_person:
            self.wrong(payment.fingerprint, taken.error_of(match), **taken.detail_of(match))
        elif match.outcome is not Outcome.REPEATED:
            self.settled.append(payment.fingerprint)

    def also(self, connection: apsw.Connection) -> None:
        for match in self.matches:
            if match.status is not None:
                taken.keep(connection, match, match.payment.fingerprint, self.file.sha256)


class _Invoices(_Taking):
    def judge(self) -> None:
        rows = InvoiceRows(self.books.known(), self.today)
        mirrors = {number_key(one.number): one for one in self.books.invoices}
        gross = _ZERO
        for row in self.file.rows:
            invoice = rows.invoice_of(row)
            problems = invoice if isinstance(invoice, list) else _words(invoice, row.values)
            if isinstance(invoice, list) or problems:
                self.counts["wrong"] += 1
                number = row.values.get("Rechnungsnummer")
                for error in problems:
                    self.wrong(str(number).strip()[:40] if number else self.place(error), error)
                continue
            gross += invoice.amounts.gross
            known = mirrors.get(number_key(invoice.number))
            self.settled.append(invoice.number)
            self._new(invoice, row.values) if known is None else self._again(known, invoice, row.values)
        self.stated = rows.stated.values()
        self.report.sums = {"read": f"{gross:.2f}"}
        self.report.wrong = self.counts["wrong"]

    def _new(self, invoice: MirroredInvoice, values: Any) -> None:
        self.counts["new"] += 1
        one = self.saying(mirroring.invoice_id(invoice.number))
        one.body |= {**_told(invoice), "status": status_of(invoice.status) or "sent"}
        if values.get("Mahnstufe") is not None:
            one.body["dunningLevel"] = values["Mahnstufe"]
        one.amounts |= {**_amounts(invoice.amounts), "paidAmount": 0}

    def _again(self, known: Mirror, invoice: MirroredInvoice, values: Any) -> None:
        changes: dict[str, Any] = {}
        status = status_of(invoice.status)
        if status is not None and status != known.status and _may_follow(known, status):
            changes["status"] = status
        dunning = values.get("Mahnstufe")
        if dunning is not None and dunning != known.dunning:
            changes["dunningLevel"] = dunning
        amounts: dict[str, Any] = {}
        if known.status == "draft":  # until it is sent everything may change
            now = {"customerId": known.customer_id, "invoiceDate": known.issued, "dueDate": known.due}
            told = _told(invoice)
            changes |= {name: told[name] for name, value in now.items() if told.get(name, value) != value}
            if invoice.amounts != Amounts(known.net, known.tax, known.gross):
                amounts = _amounts(invoice.amounts)
        self.counts["changed" if changes or amounts else "same"] += 1
        if changes or amounts:
            one = self.saying(known.id)
            one.body |= changes
            one.amounts |= amounts

    def also(self, connection: apsw.Connection) -> None:
        """What Lexware says, whether it can be mirrored or not: a month is compared with that."""
        for one in self.stated:
            connection.execute(
                "INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?, ?, ?)",
                (
                    one.number, self.file.sha256, one.issued_on.isoformat(), f"{one.amounts.net:.2f}",
                    f"{one.amounts.tax:.2f}", f"{one.amounts.gross:.2f}",
                ),
            )  # fmt: skip


def _told(invoice: MirroredInvoice) -> dict[str, Any]:
    told = {
        "invoiceNumber": invoice.number,
        "customerId": invoice.customer_id,
        "invoiceDate": invoice.issued_on.isoformat(),
    }
    return told if invoice.due is None else {**told, "dueDate": invoice.due.isoformat()}


def _amounts(amounts: Amounts) -> dict[str, Any]:
    return {
        "netAmount": json_number(amounts.net),
        "taxAmount": json_number(amounts.tax),
        "grossAmount": json_number(amounts.gross),
    }


def _may_follow(known: Mirror, status: str) -> bool:
    """A list that is older than a payment doesn't take it back."""
    if known.paid <= 0 or status in ("paid", "cancelled"):
        return True
    return status == "overdue" and known.status != "paid"


def _words(invoice: MirroredInvoice, values: Any) -> list[RowError]:
    found: list[RowError] = []
    if invoice.status is not None and status_of(invoice.status) is None:
        known = ", ".join(sorted(STATUSES))
        problem = Problem("invoice.status", f"must be one of: {known}", f"muss eins davon sein: {known}")
        found.append(RowError(ErrorType.VALIDATION, problem.at(invoice.line, "Status", invoice.status)))
    dunning = values.get("Mahnstufe")
    if dunning is not None and not 0 <= dunning <= 9:
        problem = Problem("invoice.dunning", "must be from 0 to 9", "muss zwischen 0 und 9 liegen")
        found.append(RowError(ErrorType.VALIDATION, problem.at(invoice.line, "Mahnstufe", str(dunning))))
    return found

"""Takes a file of Lexware's: what its rows say is noted in one transaction, then written into documents.

Idempotent by file (its SHA-256, under whatever name) and by row (a payment's fingerprint, an invoice's
number). A bad row is told and never stops the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import apsw
import orjson
import structlog

from kompass.accounting.invoices import InvoiceRows, MirroredInvoice, number_key
from kompass.accounting.matching import ERRORS, Match, Outcome, match_all
from kompass.accounting.payments import Payment, payment_of
from kompass.accounting.problems import Problem, UnreadableError, quoted
from kompass.accounting.row_errors import ErrorType, RowError
from kompass.domain.money import json_number
from kompass.leases import Lease
from kompass.lexware import arrivals, errors, mirroring
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
    if known is not None and known.state == "done":
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
    if lease is None:
        return took.report
    await asyncio.to_thread(took.note, lease, person)
    await mirroring.drain(store, lease, gate)
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
        self.books = replace(books, invoices=[self._as_said(one) for one in books.invoices])
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
            for found in self.found[: errors.MOST_OF_ONE]:
                errors.add(connection, found, at)

    def _as_said(self, one: Mirror) -> Mirror:
        said = self.refused.get(one.id)
        if said is None:
            return one
        paid = said.amounts.get("paidAmount")
        return replace(
            one,
            status=said.body.get("status", one.status),
            paid=one.paid if paid is None else Decimal(str(paid)),
        )

    def wrong(self, entity_id: str, row: RowError, **detail: Any) -> None:
        """A row, or a part of it, that somebody has to look at."""
        self.report.tell(row.problem)
        self.found.append(
            errors.Found(
                "in", self.file.kind.entity, entity_id, row.type, row.problem, self.report.name, detail
            )
        )

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
                self.wrong("", error)
        self.matches = list(match_all(payments, self.books.open(), seen=seen(self.store, payments)))
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
            tell_of(self.saying(match.invoice.id), match)
        if match.needs_person:
            problem = Problem(f"payment.{match.outcome.value}", match.reason, match.grund).at(
                payment.line, "InvoiceNumber", payment.invoice_number
            )
            # Of one that is in the file twice, the first one is what is settled or not.
            mark = "" if match.outcome is Outcome.DUPLICATE else payment.fingerprint
            self.wrong(mark, RowError(ERRORS[match.outcome], problem), **detail_of(match))
        elif match.outcome is not Outcome.REPEATED:
            self.settled.append(payment.fingerprint)

    def also(self, connection: apsw.Connection) -> None:
        for match in self.matches:
            if match.status is not None:
                keep(connection, match, match.payment.fingerprint, self.file.sha256)


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
                    self.wrong(str(number).strip()[:40] if number else "", error)
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
        one.body |= {
            "invoiceNumber": invoice.number,
            "customerId": invoice.customer_id,
            "invoiceDate": invoice.issued_on.isoformat(),
            "status": status_of(invoice.status) or "sent",
        }
        if invoice.due is not None:
            one.body["dueDate"] = invoice.due.isoformat()
        if values.get("Mahnstufe") is not None:
            one.body["dunningLevel"] = values["Mahnstufe"]
        one.amounts |= {
            "netAmount": json_number(invoice.amounts.net),
            "taxAmount": json_number(invoice.amounts.tax),
            "grossAmount": json_number(invoice.amounts.gross),
            "paidAmount": 0,
        }

    def _again(self, known: Mirror, invoice: MirroredInvoice, values: Any) -> None:
        changes: dict[str, Any] = {}
        status = status_of(invoice.status)
        if status is not None and status != known.status and _may_follow(known, status):
            changes["status"] = status
        dunning = values.get("Mahnstufe")
        if dunning is not None and dunning != known.dunning:
            changes["dunningLevel"] = dunning
        if known.status == "draft" and invoice.due is not None:
            changes["dueDate"] = invoice.due.isoformat()
        self.counts["changed" if changes else "same"] += 1
        if changes:
            self.saying(known.id).body |= changes

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


# -- payments, one by one --------------------------------------------------------------------------


def tell_of(saying: Saying, match: Match) -> None:
    """What the invoice of a payment shall say after it."""
    assert match.invoice is not None
    saying.body["status"] = match.status
    saying.body["paidDate"] = match.payment.paid_on.isoformat() if match.settled else None
    saying.amounts["paidAmount"] = json_number(match.paid)


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


def seen(store: LexwareStore, payments: Sequence[Payment]) -> set[str]:
    """Which of these were taken before, by their fingerprints."""
    marks = orjson.dumps([one.fingerprint for one in payments]).decode()
    rows = store.rows(
        "SELECT fingerprint FROM payments WHERE fingerprint IN (SELECT value FROM json_each(?))", (marks,)
    )
    return {row[0] for row in rows}

"""Documents as files for DATEV: read as somebody sees them, booked, written, checked before they go out."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from kompass.access.companions import companion_id
from kompass.accounting.catalogue import profile
from kompass.accounting.datev.bookings import Booking, of_expense, of_invoice, of_supplier_invoice
from kompass.accounting.datev.charts import Chart
from kompass.accounting.datev.files import (
    batches,
    booking_rows,
    bookings_writer,
    parties_writer,
    party_rows,
)
from kompass.accounting.datev.header import Header
from kompass.accounting.datev.parties import Party, of_customer, of_supplier
from kompass.accounting.datev.validating import validate
from kompass.accounting.problems import Problem
from kompass.accounting.writing import Writer
from kompass.exports.books import Books
from kompass.exports.reading import PAGE, Body, Named, pages
from kompass.resources.catalogue import RESOURCES
from kompass.resources.filters import parse
from kompass.resources.lists import Question
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext

MOST_TOLD = 1000
_STATUS = "booking.status"
"""The rule of what isn't ready to be booked: a draft, or something cancelled."""
_DAYS = {"invoices": "invoiceDate", "supplier-invoices": "invoiceDate", "expenses": "expenseDate"}


class UnsoundError(Exception):
    """A file isn't as DATEV describes it: nobody gets it. The text is for whoever can mend the program."""


@dataclass(frozen=True, slots=True)
class Period:
    first: date
    last: date

    def months(self) -> Iterator[Period]:
        """Its months, of the first and the last one the days that are in it."""
        here = self.first
        while here <= self.last:
            after = (here.replace(day=1) + timedelta(days=32)).replace(day=1)
            yield Period(here, min(self.last, after - timedelta(days=1)))
            here = after


@dataclass(slots=True)
class Problems:
    """What is in none of the files, and why: a person books it."""

    told: list[tuple[str, str, Problem]] = field(default_factory=list)
    """Type of document, its id, and what is wrong."""
    waiting: int = 0
    """Documents that aren't ready: drafts, what is cancelled, what isn't approved."""

    def add(self, doctype: str, docid: str, problem: Problem) -> None:
        if problem.rule == _STATUS:
            self.waiting += 1
            return
        self.told.append((doctype, docid, problem))

    @property
    def count(self) -> int:
        return len(self.told)

    def as_json(self) -> list[dict[str, Any]]:
        """The first ones, for a manifest."""
        return [
            {
                "document": docid,
                "type": doctype,
                "number": problem.value,
                "field": problem.column,
                "rule": problem.rule,
                "reason": problem.reason,
                "grund": problem.grund,
            }
            for doctype, docid, problem in self.told[:MOST_TOLD]
        ]

    def as_csv(self) -> bytes:
        """All of them for people: `Zeile;Feld;Fehler;Wert;Grund`."""
        rows = [
            (None, problem.column or doctype, problem.rule, problem.value or docid, problem.grund)
            for doctype, docid, problem in self.told
        ]
        return Writer(profile("problems")).some(rows)


@dataclass(frozen=True, slots=True)
class File:
    name: str
    data: bytes
    rows: int
    sums: Mapping[str, Decimal]
    """Of bookings: what is in debit and in credit of their accounts."""
    first: date | None = None
    last: date | None = None

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "file": self.name,
            "rows": self.rows,
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "sums": {name: f"{number:.2f}" for name, number in self.sums.items()},
        }
        if self.first is not None and self.last is not None:
            told |= {"from": self.first.isoformat(), "to": self.last.isoformat()}
        return told


# -- bookings --------------------------------------------------------------------------------------


async def bookings(
    view: PersonalDatabase, period: Period, chart: Chart, problems: Problems
) -> list[tuple[Booking, str, str]]:
    """What is booked of a period, each with the type and the id of its document."""
    named = Named(view)
    found: list[tuple[Booking, str, str]] = []
    for name, day in _DAYS.items():
        doctype = RESOURCES[name].type
        given = [(f"{day}.gte", period.first.isoformat()), (f"{day}.lte", period.last.isoformat())]
        async with aclosing(_bodies(view, name, given)) as read:
            async for bodies in read:
                await named.known(_needed(bodies))
                for body in bodies:
                    booked = _booked(doctype, body, named, chart)
                    if isinstance(booked, Problem):
                        problems.add(doctype, str(body["_id"]), booked)
                    else:
                        found.append((booked, doctype, str(body["_id"])))
                await asyncio.sleep(0)
    return found


async def _bodies(
    view: PersonalDatabase, name: str, given: Sequence[tuple[str, str]]
) -> AsyncGenerator[list[Body], None]:
    resource = RESOURCES[name]
    question = Question(resource, "createdAt", False, parse(resource.fields, given), PAGE)
    async with aclosing(pages(view, question)) as found:
        async for page in found:
            yield [jsontext.decode(document.text) for document in page]


def _needed(bodies: Sequence[Body]) -> Iterator[str]:
    for body in bodies:
        if body["type"] == "invoice":
            yield companion_id("invoice_amount", str(body["_id"]))
        for name in ("customerId", "supplierId", "projectId"):
            if isinstance(body.get(name), str):
                yield body[name]


def _booked(doctype: str, body: Body, named: Named, chart: Chart) -> Booking | Problem:
    def other(name: str) -> Body:
        docid = body.get(name)
        return (named(docid) if isinstance(docid, str) else None) or {}

    if doctype == "invoice":
        amounts = named(companion_id("invoice_amount", str(body["_id"]))) or {}
        return of_invoice(body, amounts, other("customerId"), chart)
    if doctype == "supplier_invoice":
        return of_supplier_invoice(body, other("supplierId"), chart)
    return of_expense(body, chart, other("projectId"))


def booking_files(
    booked: Sequence[tuple[Booking, str, str]],
    period: Period,
    books: Books,
    chart: Chart,
    problems: Problems,
    now: datetime,
    *,
    final: bool,
) -> Iterator[File]:
    """A file for each month that has bookings, several for one that has very many. Raises `UnsoundError`."""
    of = {id(booking): (doctype, docid) for booking, doctype, docid in booked}
    months = {(one.first.year, one.first.month): one for one in period.months()}
    parts: dict[tuple[int, int], int] = {}
    for batch in batches(booking for booking, _, _ in booked):
        key = (batch[0].day.year, batch[0].day.month)
        month, parts[key] = months[key], parts.get(key, 0) + 1
        header = Header(
            adviser=books.adviser,
            client=books.client,
            fiscal_year=books.year_of(month.first),
            account_length=books.account_length,
            chart=chart.code,
            first=month.first,
            last=month.last,
            created=now,
            label=f"KOMPASS {key[1]:02}/{key[0]}" + (f" {parts[key]}" if parts[key] > 1 else ""),
            final=final,
        )
        writer = bookings_writer(header)
        data = b"".join(writer.pieces(booking_rows(batch, header)))
        left_out = {problem.line for problem in writer.problems}
        for problem in writer.problems:
            assert problem.line is not None
            problems.add(*of[id(batch[problem.line - 1])], problem)
        written = [one for place, one in enumerate(batch, 1) if place not in left_out]
        if not written:
            continue
        sums = {"Soll": Decimal(0), "Haben": Decimal(0)}
        for one in written:
            sums["Soll" if one.side == "S" else "Haben"] += -one.amount if one.reversal else one.amount
        name = f"EXTF_Buchungsstapel_{key[0]}-{key[1]:02}_{parts[key]}.csv"
        yield _sound(File(name, data, writer.written, sums, month.first, month.last))


# -- debtors and creditors -------------------------------------------------------------------------


async def parties(view: PersonalDatabase, chart: Chart, problems: Problems) -> list[tuple[Party, str, str]]:
    """Customers and suppliers that have an account, each with the type and the id of its document."""
    found: list[tuple[Party, str, str]] = []
    taken: dict[str, str] = {}
    for name, make in (("customers", of_customer), ("suppliers", of_supplier)):
        doctype = RESOURCES[name].type
        async with aclosing(_bodies(view, name, ())) as read:
            async for bodies in read:
                for body in bodies:
                    party, docid = make(body, chart), str(body["_id"])
                    if isinstance(party, Party) and party.account in taken:
                        party = _taken(party, taken[party.account])
                    if isinstance(party, Problem):
                        problems.add(doctype, docid, party)
                    else:
                        taken[party.account] = party.name
                        found.append((party, doctype, docid))
                await asyncio.sleep(0)
    return found


def _taken(party: Party, other: str) -> Problem:
    return Problem(
        "party.taken",
        f"has the account {party.account}, which {other} has as well",
        f"hat das Konto {party.account}, das auch {other} hat",
        value=party.name,
    )


def party_file(
    found: Sequence[tuple[Party, str, str]], books: Books, chart: Chart, problems: Problems, now: datetime
) -> File:
    """Raises `UnsoundError`."""
    year = books.year_of(now.date())
    header = Header(
        adviser=books.adviser,
        client=books.client,
        fiscal_year=year,
        account_length=books.account_length,
        chart=chart.code,
        first=year,
        last=year,
        created=now,
    )
    writer = parties_writer(header)
    data = b"".join(writer.pieces(party_rows(party for party, _, _ in found)))
    for problem in writer.problems:
        assert problem.line is not None
        problems.add(*found[problem.line - 1][1:], problem)
    return _sound(File("EXTF_DebitorenKreditoren.csv", data, writer.written, {}))


def _sound(file: File) -> File:
    wrong = validate(file.data)
    if wrong:
        first = wrong[0]
        raise UnsoundError(f"{file.name}, line {first.line}, {first.column}: {first.reason}")
    return file

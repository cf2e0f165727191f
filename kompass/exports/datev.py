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
from kompass.accounting.datev.bookings import INVOICES, Booking, of_expense, of_invoice, of_supplier_invoice
from kompass.accounting.datev.charts import Chart
from kompass.accounting.datev.files import (
    batches,
    booking_rows,
    bookings_writer,
    parties_writer,
    party_rows,
)
from kompass.accounting.datev.header import Header
from kompass.accounting.datev.parties import Owners, Party, debtor, of_customer, of_supplier
from kompass.accounting.datev.validating import validate
from kompass.accounting.problems import Problem
from kompass.accounting.writing import Writer
from kompass.exports.batches import Before, told
from kompass.exports.books import Books
from kompass.exports.reading import PAGE, Body, Named, pages
from kompass.exports.unbooked import Problems
from kompass.resources.catalogue import RESOURCES
from kompass.resources.filters import parse
from kompass.resources.lists import Question
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext

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


@dataclass(frozen=True, slots=True)
class File:
    name: str
    data: bytes
    rows: int
    sums: Mapping[str, Decimal]
    """Of bookings: what is in debit and in credit of their accounts."""
    first: date | None = None
    last: date | None = None
    booked: Mapping[str, str] = field(default_factory=dict)
    """Of bookings: id of a document -> what was booked of it, in a line."""

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "file": self.name,
            "rows": self.rows,
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "sums": {name: f"{number:.2f}" for name, number in self.sums.items()},
        }
        if self.first is not None and self.last is not None:
            shown |= {"from": self.first.isoformat(), "to": self.last.isoformat()}
        return shown


# -- bookings --------------------------------------------------------------------------------------


Found = tuple[Booking, str, str]
"""A booking, the type and the id of its document."""


async def bookings(view: PersonalDatabase, period: Period, chart: Chart, problems: Problems) -> list[Found]:
    """What is booked of a period."""
    named = Named(view)
    found: list[Found] = []
    owners: Owners | None = None
    for name, day in _DAYS.items():
        doctype = RESOURCES[name].type
        days = [(f"{day}.gte", period.first.isoformat()), (f"{day}.lte", period.last.isoformat())]
        undated = [(f"{day}.exists", "false"), ("status.in", ",".join(INVOICES))]
        for given in (days, undated) if name == "invoices" else (days,):
            async with aclosing(_bodies(view, name, given)) as read:
                async for bodies in read:
                    if owners is None and doctype == "invoice":
                        owners = await _owners(view, named, chart)
                    await named.known(_needed(bodies))
                    for body in bodies:
                        booked, docid = _booked(doctype, body, named, chart), str(body["_id"])
                        if owners is not None and doctype == "invoice" and isinstance(booked, Booking):
                            customer = str(body.get("customerId"))
                            is_his = owners.owner(booked.account, customer) == customer
                            booked = booked if is_his else _shared(booked, body)
                        if isinstance(booked, Problem):
                            problems.add(doctype, docid, booked)
                        else:
                            found.append((booked, doctype, docid))
                    await asyncio.sleep(0)
    return found


def due(found: Sequence[Found], before: Mapping[str, Before], problems: Problems) -> list[Found]:
    """What no batch has. `before`: what was booked of documents last; what differs since is told."""
    for booking, doctype, docid in found:
        if docid in before and before[docid].booking != (now := told(booking)):
            problems.changed(doctype, docid, booking.voucher, before[docid], now)
    return [one for one in found if one[2] not in before]


def _shared(booking: Booking, invoice: Body) -> Problem:
    return Problem(
        "booking.shared",
        f"belongs on account {booking.account}, which another customer has",
        f"gehört auf Konto {booking.account}, das ein anderer Kunde hat",
        value=str(invoice.get("invoiceNumber")),
    )


async def _owners(view: PersonalDatabase, named: Named, chart: Chart) -> Owners:
    """Who has which account, whoever has bookings: the same as in the file of debtors."""
    owners = Owners(chart)
    async with aclosing(_bodies(view, "customers", ())) as read:
        async for bodies in read:
            for body in bodies:
                if (account := debtor(body, chart)) is not None:
                    owners.owner(account, str(body["_id"]))
            named.keep(bodies)
            await asyncio.sleep(0)
    return owners


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
        for name in ("customerId", "supplierId", "projectId", "stornoOf"):
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
    return of_expense(body, chart, other("projectId"), other("stornoOf") or None)


def booking_files(
    booked: Sequence[Found],
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
        name = f"EXTF_Buchungsstapel_{key[0]}-{key[1]:02}_{parts[key]}.csv"
        left_out = _left_out(writer)
        for place, problem in left_out.items():
            problems.add(*of[id(batch[place - 1])], problem)
        problems.notes += ((name, note) for note in writer.notes)
        written = [one for place, one in enumerate(batch, 1) if place not in left_out]
        if not written:
            continue
        sums = {"Soll": Decimal(0), "Haben": Decimal(0)}
        for one in written:
            sums["Soll" if one.side == "S" else "Haben"] += -one.amount if one.reversal else one.amount
        told_of = {of[id(one)][1]: told(one) for one in written}
        yield _sound(File(name, data, writer.written, sums, month.first, month.last, told_of))


def _left_out(writer: Writer) -> dict[int, Problem]:
    """The places of rows that aren't in the file, and the first thing that is wrong with each."""
    found: dict[int, Problem] = {}
    for problem in writer.problems:
        assert problem.line is not None
        found.setdefault(problem.line, problem)
    return found


# -- debtors and creditors -------------------------------------------------------------------------


async def parties(view: PersonalDatabase, chart: Chart, problems: Problems) -> list[tuple[Party, str, str]]:
    """Customers and suppliers that have an account, each with the type and the id of its document."""
    found: list[tuple[Party, str, str]] = []
    owners, names = Owners(chart), dict[str, str]()
    for name, make in (("customers", of_customer), ("suppliers", of_supplier)):
        doctype = RESOURCES[name].type
        async with aclosing(_bodies(view, name, ())) as read:
            async for bodies in read:
                for body in bodies:
                    party, docid = make(body, chart), str(body["_id"])
                    if isinstance(party, Party) and (owner := owners.owner(party.account, docid)) != docid:
                        party = _taken(party, names.get(owner, owner))
                    if isinstance(party, Problem):
                        problems.add(doctype, docid, party)
                    else:
                        names[docid] = party.name
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
    for place, problem in _left_out(writer).items():
        problems.add(*found[place - 1][1:], problem)
    name = "EXTF_DebitorenKreditoren.csv"
    problems.notes += ((name, note) for note in writer.notes)
    return _sound(File(name, data, writer.written, {}))


def _sound(file: File) -> File:
    wrong = validate(file.data)
    if wrong:
        first = wrong[0]
        raise UnsoundError(f"{file.name}, line {first.line}, {first.column}: {first.reason}")
    return file

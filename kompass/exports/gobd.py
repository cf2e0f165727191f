"""Data-carrier exchange for a tax audit: a ZIP file of tables, the chain of writes, their index and its DTD.

It is made while it is sent, from the documents that whoever asks may read, and from those entries of the
chain that he gets.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import orjson

from kompass.access import Principal
from kompass.accounting.catalogue import profile
from kompass.accounting.gobd.index import DTD_NAME, INDEX_NAME, Supplier, Table, auditable, dtd, index_xml
from kompass.accounting.writing import Writer
from kompass.archives import Archive
from kompass.audit.reading import Query
from kompass.audit.table import rows_of as audit_rows
from kompass.domain.registry import MODELS
from kompass.exports.datev import Period
from kompass.exports.making import ZONE, Exports
from kompass.exports.reading import PAGE, pages
from kompass.exports.tables import rows_of, table
from kompass.exports.texts import Csv
from kompass.resources.catalogue import RESOURCES
from kompass.resources.filters import parse
from kompass.resources.lists import Question
from kompass.sync.audit_desk import AuditDesk
from kompass.sync.personal import PersonalDatabase

DAYS: Mapping[str, str | None] = {
    "customers": None,
    "customer-finances": None,
    "suppliers": None,
    "materials": None,
    "projects": None,
    "offers": "offerDate",
    "contracts": "contractDate",
    "invoices": "invoiceDate",
    "invoice-amounts": None,
    "purchase-orders": "orderDate",
    "supplier-contracts": None,
    "supplier-invoices": "invoiceDate",
    "deliveries": None,
    "inventory-movements": "movementDate",
    "project-costs": None,
    "time-entries": None,
    "time-entry-costs": None,
    "tours": None,
    "hotel-stays": None,
    "mileage-logs": "date",
    "expenses": "expenseDate",
}
"""What matters for taxes, and the day by which a document belongs to a period; None: all are there. What has
no day is in every period: nothing of it may be missing.
"""
AUDIT = "audit.csv"
MANIFEST = "manifest.json"


async def exchange(
    view: PersonalDatabase,
    desk: AuditDesk,
    principal: Principal,
    exports: Exports,
    period: Period,
    supplier: Supplier,
    now: datetime,
) -> AsyncGenerator[bytes, None]:
    """The pieces of the ZIP file."""
    archive = Archive(level=1)
    tables, told = _tables(period), []
    for name, one in tables.items():
        file, encoder = _Told(one.url), Csv(one.profile, rows_of(one.profile), keeps_all=True)
        with archive.entry(one.url) as entry:
            for question in _questions(name, period):
                async with aclosing(pages(view, question)) as found:
                    async for page in found:
                        async with exports.turn:
                            data = await asyncio.to_thread(encoder.add, page)
                            await asyncio.to_thread(entry.write, file.seen(data))
                        if ready := archive.take():
                            yield ready
            entry.write(file.seen(b"".join(encoder.end())))
        told.append({**file.as_json(), "rows": encoder.told.rows, "changed": encoder.told.changed})
    async with aclosing(_audited(archive, desk, principal, exports, period, told)) as pieces:
        async for piece in pieces:
            yield piece
    every = [*tables.values(), _audit_table(period)]
    archive.write(INDEX_NAME, index_xml(supplier, every))
    archive.write(DTD_NAME, dtd())
    manifest = {
        "exported_at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "exported_by": principal.name,
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "files": told,
    }
    archive.write(MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    archive.close()
    yield archive.take()


def _questions(name: str, period: Period) -> Iterator[Question]:
    resource, day = RESOURCES[name], DAYS[name]
    filters: list[list[tuple[str, str]]] = [[]]
    if day is not None:
        filters = [[(f"{day}.gte", period.first.isoformat()), (f"{day}.lte", period.last.isoformat())]]
        if not MODELS[resource.type].model_fields[day].is_required():
            filters.append([(f"{day}.exists", "false")])
    for given in filters:
        yield Question(resource, "createdAt", False, parse(resource.fields, given), PAGE)


class _Told:
    """What a file has become."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._digest = hashlib.sha256()
        self._size = 0

    def seen(self, data: bytes) -> bytes:
        self._digest.update(data)
        self._size += len(data)
        return data

    def as_json(self) -> dict[str, Any]:
        return {"file": self._name, "bytes": self._size, "sha256": self._digest.hexdigest()}


def _tables(period: Period) -> dict[str, Table]:
    found = {}
    for name, day in DAYS.items():
        resource = RESOURCES[name]
        written = auditable(table(resource.type))
        first, last = (None, None) if day is None else (period.first, period.last)
        found[name] = Table(f"{resource.type}.csv", written, "", first, last)
    return found


def _audit_table(period: Period) -> Table:
    return Table(AUDIT, auditable(profile("audit")), "", period.first, period.last)


async def _audited(
    archive: Archive,
    desk: AuditDesk,
    principal: Principal,
    exports: Exports,
    period: Period,
    told: list[dict[str, Any]],
) -> AsyncGenerator[bytes, None]:
    """The entries of the chain of the period, the latest first, and to the end of today if it isn't over."""
    writer, file = Writer(auditable(profile("audit")), keeps_all=True), _Told(AUDIT)
    query: Query | None = Query(since=_stamp(period.first), until=_stamp(period.last + timedelta(days=1)))
    with archive.entry(AUDIT) as entry:
        while query is not None:
            async with exports.turn:
                page = await asyncio.to_thread(desk.page, principal, query, PAGE)
                rows: Sequence[Sequence[str]] = [row for one in page.entries for row in audit_rows(one)]
                data = await asyncio.to_thread(writer.some, rows)
                await asyncio.to_thread(entry.write, file.seen(data))
            if ready := archive.take():
                yield ready
            query = None if page.before is None else replace(query, before=page.before)
    told.append({**file.as_json(), "rows": writer.written, "changed": writer.changed})


def _stamp(day: date) -> int:
    """When a day begins where the documents' days are counted: milliseconds since 1970, as in the chain."""
    return round(datetime.combine(day, time(), ZONE).timestamp() * 1000)

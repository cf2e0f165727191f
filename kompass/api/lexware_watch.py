"""`/api/v1/lexware`: how the exchange with Lexware is, and whether a month is the same everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.api.endpoints import Endpoint, Parameter
from kompass.api.language import german
from kompass.api.lexware import allowed
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.lexware.reconciling import MONTH, MOST_ROWS, TOLERANCE, Comparison
from kompass.readstore.reading import ReadStoreDownError

_REPORT = "invoices"
_SAID: Mapping[str, str] = {
    "missing here": "fehlt hier",
    "missing in Lexware": "fehlt in Lexware",
    "amount": "anderer Betrag",
}


class LexwareExportTold(TypedDict):
    run: int
    kind: str
    at: float
    rows: int


class LexwareImportTold(TypedDict):
    name: str
    at: float
    state: str


class LexwareAlert(TypedDict):
    name: str
    detail: str
    since: float


class LexwareSkipped(TypedDict):
    name: str
    detail: str


class LexwareStatus(TypedDict):
    export: LexwareExportTold | None
    imported: LexwareImportTold | None
    undelivered: int
    why: str
    openErrors: int
    openDocuments: int
    skipped: list[LexwareSkipped]
    alerts: list[LexwareAlert]


class MonthSums(TypedDict):
    invoices: int
    net: str
    tax: str
    gross: str


class MonthDifference(TypedDict):
    number: str
    what: str
    lexware: str | None
    documents: str | None


class Reconciliation(TypedDict):
    """`readStore` is null if it can't be asked; `detail` says why."""

    month: str
    lexware: MonthSums
    documents: MonthSums
    readStore: MonthSums | None
    detail: str
    agrees: bool
    tolerance: str
    differences: list[MonthDifference]
    more: int


async def told(request: Request) -> Response:
    """`GET status`."""
    _, exchange = allowed(request)
    found = await asyncio.to_thread(exchange.status)
    text, why = ("gesagt", "warum") if german(request) else ("said", "why")
    alerts = [{"name": one["name"], "detail": one[text], "since": one["since"]} for one in found["alerts"]]
    skipped = [{"name": one["name"], "detail": one[why]} for one in found["skipped"]]
    return JSONResponse({**found, "alerts": alerts, "skipped": skipped})


async def reconciled(request: Request) -> Response:
    """`GET reconciliation?month=2026-10`: as Lexware's lists, the documents and the read store have it."""
    principal, exchange = allowed(request)
    month = request.query_params.get("month", "")
    if MONTH.fullmatch(month) is None:
        raise Problem(400, "month is written 2026-10.")
    found = await exchange.reconcile(month)
    there, why = await _stored(request, principal.name, month)
    rows = found.differences[:MOST_ROWS]
    return JSONResponse(
        {
            "month": month,
            "lexware": found.lexware.shown(),
            "documents": found.documents.shown(),
            "readStore": there,
            "detail": why,
            "agrees": _agrees(found, there),
            "tolerance": f"{TOLERANCE:.2f}",
            "differences": [
                {
                    "number": one.number,
                    "what": _SAID[one.what] if german(request) else one.what,
                    "lexware": None if one.lexware is None else f"{one.lexware:.2f}",
                    "documents": None if one.documents is None else f"{one.documents:.2f}",
                }
                for one in rows
            ],
            "more": len(found.differences) - len(rows),
        }
    )


async def _stored(request: Request, person: str, month: str) -> tuple[Mapping[str, Any] | None, str]:
    """The month in the read store, as he sees it, or why it can't be told."""
    services = services_of(request)
    documents = services.access
    with documents.database.reading() as reading:
        held = documents.index.channels_held(reading, person)
    try:
        page = await services.reports.report(_REPORT, person, held, limit=1000, offset=0)
    except ReadStoreDownError as error:
        return None, str(error)
    for row in page.rows:
        one = dict(zip(page.columns, row, strict=True))
        if one["month"] == month:
            amounts = {name: _euro(one[f"{name}_amount"]) for name in ("net", "tax", "gross")}
            return {"invoices": one["invoices"], **amounts}, ""
    return {"invoices": 0, "net": "0.00", "tax": "0.00", "gross": "0.00"}, ""


def _euro(value: Any) -> str:
    return f"{Decimal(str(value)):.2f}"


def _agrees(found: Comparison, stored: Mapping[str, Any] | None) -> bool:
    """Whether what is known differs by no more than is tolerated."""
    if found.sum_gap > TOLERANCE:
        return False
    return stored is None or abs(Decimal(stored["gross"]) - found.lexware.gross) <= TOLERANCE


ROUTES = [
    Endpoint("GET", "/lexware/status", told, "How the exchange with Lexware is", answer=LexwareStatus),
    Endpoint(
        "GET",
        "/lexware/reconciliation",
        reconciled,
        "A month of invoices in Lexware, in documents and in the read store",
        answer=Reconciliation,
        parameters=(
            Parameter(
                "month", "As 2026-10.", {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}, needed=True
            ),
        ),
    ),
]

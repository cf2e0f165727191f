"""`/api/v1/datev` and `/api/v1/gobd`: files for the tax consultant and the tax auditor, for GF and BUCH.

What is in them is what the caller may read. Who took out what is entered into the chain of writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, Literal

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from typing_extensions import TypedDict

from kompass.access.principals import Role
from kompass.accounting.datev.charts import Chart
from kompass.accounting.gobd.index import Supplier
from kompass.api.authentication import caller_with
from kompass.api.documents import view_of
from kompass.api.endpoints import BYTES, Endpoint, Parameter, a_flag, a_number, a_word
from kompass.api.exports import attachment
from kompass.api.parameters import MOST_POSITION, flag, number
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.api.streaming import begun
from kompass.archives import Archive
from kompass.exports import gobd
from kompass.exports.batches import Batches, BatchesError, MeanwhileError
from kompass.exports.books import Books, BooksError, read_books
from kompass.exports.datev import (
    File,
    Period,
    UnsoundError,
    parties,
    party_file,
)
from kompass.exports.drafts import Wish, draft
from kompass.exports.making import ZONE, Exports, file_name
from kompass.exports.unbooked import Problems
from kompass.sync.audit_desk import AuditDesk

NOT_BOOKED = "nicht_gebucht.csv"
"""What is in none of the files, and why."""
MANIFEST = "manifest.json"
LONGEST = 366
"""Days of a period."""

log = structlog.get_logger(__name__)


DatevBatch = TypedDict(
    "DatevBatch",
    {
        "num": int,
        "books": str,
        "exported_by": str,
        "exported_at": str,
        "from": str,
        "to": str,
        "final": bool,
        "again": bool,
        "files": list[dict[str, Any]],
    },
)


class DatevBatches(TypedDict):
    batches: list[DatevBatch]
    next: int | None


async def booked(request: Request) -> Response:
    """`POST /datev/bookings`: what no batch has yet of a period, a file for each month, in a ZIP file. Unless
    it is a dry run it is a batch then.
    """
    principal = caller_with(request, Role.GF, Role.BUCH)
    period, books, now = _period(request), _books(request), datetime.now(UTC)
    chart, final, again, dry = (
        _chart(request, books),
        flag(request, "final") is True,
        flag(request, "again") is True,
        flag(request, "dry_run") is True,
    )
    if final and period.last >= now.astimezone(ZONE).date():
        raise Problem(409, "Only a period that is over can be final.")
    view, batches = await view_of(request), _batches(request)
    async with _exports(request).turn:
        with _told():
            made = await draft(view, batches, books, Wish(period, chart, final, again), now)
    problems = made.problems
    if final and problems.unbooked:
        told = [{"pointer": f"/{one['document']}", "detail": one["reason"]} for one in problems.as_json()]
        raise Problem(
            409,
            f"{problems.unbooked} documents of the period can't be booked, so it can't be final.",
            members={"errors": told},
        )
    manifest = _manifest(principal.name, now, chart, made.files, problems) | made.as_json() | {"batch": None}
    if dry:
        return JSONResponse(manifest)
    digests = _digests(made.files)
    await services_of(request).gate_now().exported(principal, "datev.bookings", *made.days, digests)
    with _told():
        at = manifest["exported_at"]
        manifest["batch"] = await asyncio.to_thread(made.remember, batches, principal.name, at)
    return _zip(file_name("datev_bookings", "zip", now), made.files, problems, manifest)


async def listed(request: Request) -> Response:
    """`GET /datev/batches`: what was taken out, the latest first."""
    caller_with(request, Role.GF, Role.BUCH)
    limit = number(request, "limit", 50, 1, 200)
    before = number(request, "before", MOST_POSITION, 1, MOST_POSITION)
    with _told():
        found = await asyncio.to_thread(
            lambda: list(_batches(request).listed(before=before, limit=limit + 1))
        )
    following = found[limit - 1]["num"] if len(found) > limit else None
    return JSONResponse({"batches": found[:limit], "next": following})


async def debtors(request: Request) -> Response:
    """`GET /datev/accounts`: debtors and creditors, in a ZIP file."""
    principal = caller_with(request, Role.GF, Role.BUCH)
    books, now = _books(request), datetime.now(UTC)
    chart, dry = _chart(request, books), flag(request, "dry_run") is True
    view, problems = await view_of(request), Problems()
    async with _exports(request).turn:
        found = await parties(view, chart, problems)
        with _told():
            file = await asyncio.to_thread(party_file, found, books, chart, problems, now)
    manifest = _manifest(principal.name, now, chart, [file], problems)
    if dry or request.method == "HEAD":
        return JSONResponse(manifest)
    today = now.astimezone(ZONE).date().isoformat()
    await (
        services_of(request).gate_now().exported(principal, "datev.accounts", today, today, _digests([file]))
    )
    return _zip(file_name("datev_accounts", "zip", now), [file], problems, manifest)


async def audited(request: Request) -> Response:
    """`GET /gobd/export`: tables with their index for data-carrier exchange, in a ZIP file."""
    principal = caller_with(request, Role.GF, Role.BUCH)
    period, books, now = _period(request), _books(request), datetime.now(UTC)
    services, view = services_of(request), await view_of(request)
    headers = attachment(file_name("gobd", "zip", now))
    if request.method == "HEAD":
        return Response(headers=headers, media_type="application/zip")
    days = (period.first.isoformat(), period.last.isoformat())
    await services.gate_now().exported(principal, "gobd", *days)
    desk = AuditDesk(services.access.database, services.index)
    supplier = Supplier(books.company, books.location)
    pieces = gobd.exchange(view, desk, principal, _exports(request), period, supplier, now)
    return StreamingResponse(await begun(pieces), headers=headers, media_type="application/zip")


# -- what is asked for -----------------------------------------------------------------------------


def _period(request: Request) -> Period:
    first, last = _day(request, "from"), _day(request, "to")
    if not first <= last or (last - first).days >= LONGEST:
        raise Problem(400, "from is before to, and a period has a year at most.")
    return Period(first, last)


def _day(request: Request, name: str) -> date:
    text = request.query_params.get(name)
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        day = None
    if day is None or len(text or "") != 10 or not 2000 <= day.year < 2099:
        raise Problem(400, f"{name} must be a day such as 2026-11-30.")
    return day


def _books(request: Request) -> Books:
    try:
        return read_books(services_of(request).books_file)
    except BooksError as error:
        raise Problem(409, str(error)) from None


def _chart(request: Request, books: Books) -> Chart:
    text = request.query_params.get("chart", books.chart)
    if text not in ("03", "04"):
        raise Problem(400, "chart is 03 (SKR03) or 04 (SKR04).")
    code: Literal["03", "04"] = "03" if text == "03" else "04"
    return books.chart_of(code)


def _batches(request: Request) -> Batches:
    batches = services_of(request).batches
    assert batches is not None
    return batches


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong with files and what is remembered of them, as it is answered."""
    try:
        yield
    except UnsoundError as error:
        raise Problem(500, f"Nothing was made, because it would be wrong: {error}") from None
    except MeanwhileError:
        raise Problem(409, "Somebody else has taken out bookings meanwhile: ask again.") from None
    except BatchesError as error:
        log.error("what went to DATEV can't be told", error=str(error))
        raise Problem(503, "What went to DATEV can't be told now; the server's log says why.") from None


def _exports(request: Request) -> Exports:
    exports = services_of(request).exports
    assert exports is not None
    return exports


# -- answers ---------------------------------------------------------------------------------------


def _manifest(
    who: str, now: datetime, chart: Chart, files: Sequence[File], problems: Problems
) -> dict[str, Any]:
    return {
        "exported_at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "exported_by": who,
        "chart": chart.code,
        "files": [file.as_json() for file in files],
        "left_out": problems.count,
        "waiting": len(problems.waiting),
        "not_ready": problems.not_ready_as_json(),
        "problems": problems.as_json(),
        "changed": len(problems.notes),
        "notes": problems.notes_as_json(),
    }


def _digests(files: Sequence[File]) -> list[str]:
    return [f"{file.name} sha256:{file.as_json()['sha256']}" for file in files]


def _zip(name: str, files: Sequence[File], problems: Problems, manifest: dict[str, Any]) -> Response:
    archive = Archive()
    for file in files:
        archive.write(file.name, file.data)
    if problems.count or problems.waiting:
        archive.write(NOT_BOOKED, problems.as_csv())
    archive.write(MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    archive.close()
    return Response(archive.take(), headers=attachment(name), media_type="application/zip")


_MANIFEST: dict[str, Any] = {
    "type": "object",
    "required": ["exported_at", "exported_by", "chart", "files", "left_out", "waiting", "problems"],
    "description": "With `dry_run`: what would be in the files, and what in none.",
    "properties": {
        "chart": {"type": "string"},
        "files": {
            "type": "array",
            "items": {"type": "object", "required": ["file", "rows", "bytes", "sha256", "sums"]},
        },
        "left_out": {"type": "integer"},
        "waiting": {"type": "integer"},
        "not_ready": {"type": "array", "items": {"type": "object"}, "description": "What waits, and why."},
        "problems": {"type": "array", "items": {"type": "object"}},
        "changed": {"type": "integer", "description": "Texts that were cut, or lost signs."},
        "notes": {"type": "array", "items": {"type": "object"}},
        "batch": {"type": ["integer", "null"], "description": "The number by which it is remembered."},
        "again": {"type": "boolean"},
        "booked_before": {"type": "integer", "description": "Documents that earlier batches have."},
    },
}
_DAY: dict[str, Any] = {"type": "string", "format": "date"}
_FROM = Parameter("from", "The first day.", _DAY, needed=True)
_TO = Parameter("to", "The last day; a year at most.", _DAY, needed=True)
_CHART = a_word("chart", ("03", "04"))
_AGAIN = a_flag("again", "Also what earlier batches have: DATEV would have it twice.")
_DRY = a_flag("dry_run", "Only the manifest, and nothing is entered into the chain of writes.")

ROUTES = [
    Endpoint(
        "POST",
        "/datev/bookings",
        booked,
        "Bookings for DATEV, a file for each month",
        answer=BYTES,
        media="application/zip",
        or_json=_MANIFEST,
        parameters=(_FROM, _TO, _CHART, a_flag("final", "Festschreibung."), _AGAIN, _DRY),
        problems=(409,),
    ),
    Endpoint(
        "GET",
        "/datev/batches",
        listed,
        "Bookings that were taken out, the latest first",
        answer=DatevBatches,
        parameters=(
            a_number("limit", 1, 200, 50),
            a_number("before", 1, MOST_POSITION, about="`next` of the page before."),
        ),
    ),
    Endpoint(
        "GET",
        "/datev/accounts",
        debtors,
        "Debtors and creditors for DATEV",
        answer=BYTES,
        media="application/zip",
        or_json=_MANIFEST,
        parameters=(_CHART, _DRY),
        problems=(409,),
    ),
    Endpoint(
        "GET",
        "/gobd/export",
        audited,
        "Tables with their index for a tax audit",
        answer=BYTES,
        media="application/zip",
        parameters=(_FROM, _TO),
        problems=(409,),
    ),
]

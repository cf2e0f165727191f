"""`/api/v1/lexware`: files that come from Lexware, and what in them somebody has to look at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.accounting.problems import quoted
from kompass.api.authentication import body_of, call_of
from kompass.api.endpoints import BYTES, Endpoint, a_flag, a_number, a_text, a_word
from kompass.api.language import german
from kompass.api.lexware import allowed
from kompass.api.lexware_watch import LexwareSkipped
from kompass.api.parameters import MOST_POSITION, flag, number
from kompass.api.problems import Problem
from kompass.audit import Door, acting, of_principal
from kompass.leases import LeaseLostError
from kompass.lexware import arrivals, errors
from kompass.lexware.arrivals import Arrival, Report
from kompass.lexware.errors import SyncError
from kompass.lexware.exchange import BusyError
from kompass.lexware.files_in import MOST_BYTES, FileKind
from kompass.lexware.inbox import InboxError
from kompass.lexware.resolving import Resolution, ResolutionError

PAGE = 50
MOST = 200
_KINDS = [one.value for one in FileKind]
_ENTITIES = ["contract", "customer", "invoice", "payment"]


class LexwareProblem(TypedDict):
    line: int | None
    column: str
    value: str
    rule: str
    detail: str


class LexwareFinding(TypedDict):
    what: str
    value: str
    sure: str
    detail: str


class LexwareReport(TypedDict):
    """What became of a file."""

    name: str
    sha256: str
    kind: str
    state: str
    detail: str
    rows: int
    wrong: int
    outcomes: dict[str, int]
    sums: dict[str, str]
    problems: list[LexwareProblem]
    findings: list[LexwareFinding]
    unknown: list[str]


class LexwareArrival(TypedDict):
    num: int
    sha256: str
    name: str
    kind: str
    state: str
    kept: str
    person: str
    at: float
    rows: int
    wrong: int


class LexwareArrivalReport(LexwareArrival):
    report: LexwareReport


class LexwareArrivals(TypedDict):
    files: list[LexwareArrival]
    next: int | None


class LexwarePolled(TypedDict):
    reports: list[LexwareReport]
    waiting: list[str]
    skipped: list[LexwareSkipped]


class SyncErrorTold(TypedDict):
    id: int
    syncDirection: str
    entityType: str
    entityId: str
    errorType: str
    rule: str
    errorMessage: str
    source: str
    line: int | None
    column: str
    value: str
    detail: dict[str, Any]
    retryCount: int
    at: float
    resolvedBy: str | None
    resolvedAt: float | None
    resolution: str | None


class SyncErrors(TypedDict):
    errors: list[SyncErrorTold]
    next: int | None


class GivenResolution(BaseModel):
    """What somebody does about an error."""

    model_config = ConfigDict(extra="forbid", strict=True)

    action: Literal["assign", "ignore", "retry"]
    reason: Annotated[str, Field(max_length=500)] = ""
    invoice: Annotated[str, Field(max_length=40)] = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.action == "assign" and not self.invoice.strip():
            raise ValueError("assign needs invoice: the number of the invoice that it is for")
        if self.action == "ignore" and len(self.reason.strip()) < 3:
            raise ValueError("ignore needs a reason")
        return self


async def sent(request: Request) -> Response:
    """`POST imports`: the bytes of a file. Asked again it changes nothing."""
    principal, exchange = allowed(request)
    query = request.query_params
    kind, name = query.get("kind"), quoted(query.get("name") or "upload.csv")
    if kind is not None and kind not in _KINDS:
        raise Problem(400, f"kind is one of {', '.join(_KINDS)}.")
    dry = flag(request, "dryRun") is True
    data = await call_of(request).body(MOST_BYTES)
    with acting(of_principal(principal, Door.REST)):
        try:
            report = await exchange.take(
                data, name, principal.name, kind=None if kind is None else FileKind(kind),
                dry_run=dry,
            )  # fmt: skip
        except (BusyError, LeaseLostError) as error:
            raise Problem(409, str(error)) from None
    if report.state == "refused":
        said = report.gesagt if german(request) else report.said
        raise Problem(422, said, members={"report": _report(report, request)})
    return JSONResponse(_report(report, request))


async def polled(request: Request) -> Response:
    """`POST imports/poll`: looks into the folder now."""
    principal, exchange = allowed(request)
    with acting(of_principal(principal, Door.REST)):
        try:
            found = await exchange.poll(principal.name)
        except InboxError as error:
            raise Problem(503, str(error)) from None
        except (BusyError, LeaseLostError) as error:
            raise Problem(409, str(error)) from None
    return JSONResponse(
        {
            "reports": [_report(one, request) for one in found.reports],
            "waiting": found.waiting,
            "skipped": [
                {"name": one.name, "detail": one.warum if german(request) else one.why}
                for one in found.skipped
            ],
        }
    )


async def listed(request: Request) -> Response:
    """`GET imports`: files that came, the latest first."""
    _, exchange = allowed(request)
    limit = number(request, "limit", PAGE, 1, MOST)
    before = number(request, "before", MOST_POSITION, 1, MOST_POSITION)

    def look() -> list[Arrival]:
        store = exchange.store
        return [] if store is None else arrivals.listed(store, before=before, limit=limit + 1)

    found = await asyncio.to_thread(look)
    following = found[limit - 1].num if len(found) > limit else None
    return JSONResponse({"files": [_arrival(one) for one in found[:limit]], "next": following})


async def one(request: Request) -> Response:
    """`GET imports/{num}`: with its report."""
    _, exchange = allowed(request)
    num = request.path_params["num"]

    def look() -> Arrival | None:
        store = exchange.store
        return None if store is None else arrivals.numbered(store, num)

    found = await asyncio.to_thread(look)
    if found is None:
        raise Problem(404, "There is no such file.")
    return JSONResponse({**_arrival(found), "report": _report(Report(**found.report), request)})


async def wrong(request: Request) -> Response:
    """`GET errors`: those that are open, unless `state` says otherwise, from a number on."""
    _, exchange = allowed(request)
    query = request.query_params
    state, entity = query.get("state", "open"), query.get("entity")
    if state not in ("open", "resolved", "all"):
        raise Problem(400, "state is open, resolved or all.")
    if entity is not None and entity not in _ENTITIES:
        raise Problem(400, f"entity is one of {', '.join(_ENTITIES)}.")
    limit = number(request, "limit", PAGE, 1, MOST)
    after = number(request, "after", 0, 0, MOST_POSITION)

    def look() -> list[SyncError]:
        store = exchange.store
        if store is None:
            return []
        return errors.listed(store, state=state, entity_type=entity, after=after, limit=limit + 1)

    found = await asyncio.to_thread(look)
    following = found[limit - 1].num if len(found) > limit else None
    shown = [each.shown(german=german(request)) for each in found[:limit]]
    return JSONResponse({"errors": shown, "next": following})


async def resolved(request: Request) -> Response:
    """`POST errors/{num}/resolution`: assigns a payment, ignores with a reason, or tries again to write."""
    principal, exchange = allowed(request)
    given = await body_of(request, GivenResolution)
    num = request.path_params["num"]
    resolution = Resolution(given.action, given.reason.strip(), given.invoice.strip())
    with acting(of_principal(principal, Door.REST)):
        try:
            found = await exchange.resolve(num, resolution, principal.name)
        except ResolutionError as error:
            said = error.gesagt if german(request) else str(error)
            raise Problem(404 if error.missing else 409, said) from None
        except (BusyError, LeaseLostError) as error:
            raise Problem(409, str(error)) from None
    return JSONResponse(found.shown(german=german(request)))


def _arrival(one: Arrival) -> Mapping[str, Any]:
    return {
        name: getattr(one, name)
        for name in ("num", "sha256", "name", "kind", "state", "kept", "person", "at", "rows", "wrong")
    }


def _report(report: Report, request: Request) -> Mapping[str, Any]:
    is_german = german(request)
    why = "grund" if is_german else "reason"
    return {
        "name": report.name,
        "sha256": report.sha256,
        "kind": report.kind,
        "state": report.state,
        "detail": report.gesagt if is_german else report.said,
        "rows": report.rows,
        "wrong": report.wrong,
        "outcomes": report.outcomes,
        "sums": report.sums,
        "problems": [
            {
                "line": each["line"], "column": each["column"], "value": each["value"], "rule": each["rule"],
                "detail": each[why],
            }
            for each in report.problems
        ],
        "findings": [
            {"what": each["what"], "value": each["value"], "sure": each["sure"], "detail": each[why]}
            for each in report.findings
        ],
        "unknown": report.unknown,
    }  # fmt: skip


ROUTES = [
    Endpoint(
        "POST",
        "/lexware/imports",
        sent,
        "Takes a file of payments or invoices; a bad row stops no other",
        answer=LexwareReport,
        body=BYTES,
        body_media="text/csv",
        example="InvoiceNumber;PaymentDate;PaymentAmount\nR-2026-00001;02.11.2026;119,00\n",
        parameters=(
            a_text("name", "What the file is called."),
            a_word("kind", _KINDS),
            a_flag("dryRun", "Only tell what it would come to."),
        ),
        problems=(409,),
    ),
    Endpoint(
        "POST",
        "/lexware/imports/poll",
        polled,
        "Looks into the folder where Lexware's files come",
        answer=LexwarePolled,
        problems=(409,),
    ),
    Endpoint(
        "GET",
        "/lexware/imports",
        listed,
        "Files that came, the latest first",
        answer=LexwareArrivals,
        parameters=(
            a_number("limit", 1, MOST, PAGE),
            a_number("before", 1, MOST_POSITION, about="`next` of the page before."),
        ),
    ),
    Endpoint(
        "GET", "/lexware/imports/{num:number}", one, "One, with its report", answer=LexwareArrivalReport
    ),
    Endpoint(
        "GET",
        "/lexware/errors",
        wrong,
        "What didn't fit, and has to be looked at",
        answer=SyncErrors,
        parameters=(
            a_word("state", ("open", "resolved", "all"), "open"),
            a_word("entity", _ENTITIES),
            a_number("after", 0, MOST_POSITION, 0, "`next` of the page before."),
            a_number("limit", 1, MOST, PAGE),
        ),
    ),
    Endpoint(
        "POST",
        "/lexware/errors/{num:number}/resolution",
        resolved,
        "Settles one",
        answer=SyncErrorTold,
        body=GivenResolution,
        example={"action": "assign", "invoice": "R-2026-00001", "reason": "Verwendungszweck"},
        problems=(409,),
    ),
]

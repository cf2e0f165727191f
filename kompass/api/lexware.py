"""`/api/v1/lexware`: what goes to Lexware and comes from it, for BUCH and GF, if they read all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from typing_extensions import TypedDict

from kompass.access import Action
from kompass.access.lexware import READS
from kompass.access.principals import Principal, Role
from kompass.access.rules import Rule
from kompass.accounting.problems import Problem as CellProblem
from kompass.api.authentication import body_of, caller_with
from kompass.api.endpoints import BYTES, Endpoint, a_number
from kompass.api.language import german
from kompass.api.parameters import MOST_POSITION, number
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.audit import Door, acting, of_principal
from kompass.leases import LeaseLostError
from kompass.lexware import runs
from kompass.lexware.exchange import BusyError, Exchange
from kompass.lexware.exporting import MOST_CHOSEN, ExportError, Sheet, Wish
from kompass.lexware.runs import Kind, Mode, Run

PAGE = 50
MOST = 200
MOST_TOLD = 100
"""Rows of which is told why they were left out, or what was cut."""


class WishedExport(BaseModel):
    """What shall be exported: what is due, unless `again` names a run or `ids` name documents."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["contracts", "customers"]
    again: Annotated[int, Field(ge=1, le=MOST_POSITION)] | None = None
    ids: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=200)]],
            Field(min_length=1, max_length=MOST_CHOSEN),
        ]
        | None
    ) = None
    dry_run: Annotated[bool, Field(alias="dryRun")] = False

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.again is not None and self.ids is not None:
            raise ValueError("name a run or documents, not both")
        return self

    def wish(self, person: str) -> Wish:
        mode = Mode.AGAIN if self.again else Mode.CHOSEN if self.ids else Mode.DUE
        return Wish(Kind(self.kind), person, mode, self.again, tuple(dict.fromkeys(self.ids or ())))


class LexwareRun(TypedDict):
    num: int
    kind: str
    mode: str
    of: int | None
    state: str
    file: str
    person: str
    at: float
    rows: int
    leftOut: int
    cut: int
    bytes: int
    sha256: str
    sums: dict[str, str]
    attempts: int
    delivered: float | None
    target: str
    error: str


class LexwareRowProblem(TypedDict):
    id: str
    column: str
    rule: str
    detail: str
    value: str


class LexwareExport(TypedDict):
    """A run, or with `dryRun` what it would be; `run` is null then."""

    run: LexwareRun | None
    rows: int
    leftOut: int
    sums: dict[str, str]
    problems: list[LexwareRowProblem]
    notes: list[LexwareRowProblem]


class LexwareRuns(TypedDict):
    runs: list[LexwareRun]
    next: int | None


async def exported(request: Request) -> Response:
    """`POST exports`: 201 with the run; with `dryRun` 200, and nothing has happened."""
    principal, exchange = allowed(request)
    wished = await body_of(request, WishedExport)
    wish = wished.wish(principal.name)
    run: Run | None = None
    with acting(of_principal(principal, Door.REST)):
        try:
            if wished.dry_run:
                sheet = await exchange.preview(wish)
            else:
                run, sheet = await exchange.export(wish)
        except ExportError as error:
            raise Problem(422, str(error)) from None
        except (BusyError, LeaseLostError) as error:
            raise Problem(409, str(error)) from None
    answer = {
        "run": None if run is None else shown(run),
        "rows": sheet.figures["rows"],
        "leftOut": sheet.figures["left_out"],
        "sums": sheet.figures["sums"],
        "problems": [_told(docid, one, request) for docid, one in sheet.problems[:MOST_TOLD]],
        "notes": [_told(docid, one, request) for docid, one in _cut(sheet)],
    }
    return JSONResponse(answer, 200 if run is None else 201)


def _cut(sheet: Sheet) -> list[tuple[str, CellProblem]]:
    return [("", one) for one in sheet.notes[:MOST_TOLD]]


async def listed(request: Request) -> Response:
    """`GET exports`: the latest first."""
    _, exchange = allowed(request)
    limit = number(request, "limit", PAGE, 1, MOST)
    before = number(request, "before", MOST_POSITION, 1, MOST_POSITION)

    def look() -> list[Run]:
        store = exchange.store
        return [] if store is None else runs.listed(store, before=before, limit=limit + 1)

    found = await asyncio.to_thread(look)
    following = found[limit - 1].num if len(found) > limit else None
    return JSONResponse({"runs": [shown(one) for one in found[:limit]], "next": following})


async def one(request: Request) -> Response:
    """`GET exports/{num}`."""
    _, exchange = allowed(request)
    return JSONResponse(shown(await _run(exchange, request)))


async def fetched(request: Request) -> Response:
    """`GET exports/{num}/file`: its bytes, as long as they are kept."""
    _, exchange = allowed(request)
    run = await _run(exchange, request)
    store = exchange.opened()
    pieces = runs.pieces(store, run.num)

    def following() -> bytes | None:
        return next(pieces, None)

    first = await asyncio.to_thread(following)
    if first is None:
        raise Problem(404, "This file isn't kept any more: export the run again.")

    async def rest() -> AsyncIterator[bytes]:
        piece: bytes | None = first
        while piece is not None:
            yield piece
            piece = await asyncio.to_thread(following)

    headers = {
        "content-disposition": f'attachment; filename="{run.file}"',
        "content-length": str(run.bytes),
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(rest(), media_type="text/csv; charset=utf-8", headers=headers)


async def _run(exchange: Exchange, request: Request) -> Run:
    num = request.path_params["num"]

    def look() -> Run | None:
        store = exchange.store
        return None if store is None else runs.one(store, num)

    found = await asyncio.to_thread(look)
    if found is None or found.state is runs.State.COLLECTING:
        raise Problem(404, "There is no such run.")
    return found


# -- who, and how it is shown ----------------------------------------------------------------------


def allowed(request: Request) -> tuple[Principal, Exchange]:
    """Who asks, if he reads whatever is exchanged; and what does it. Raises 401, 403, 503."""
    principal = caller_with(request, Role.BUCH, Role.GF)
    services = services_of(request)
    documents = services.access
    with documents.database.reading() as reading:
        matrix = documents.index.matrix(reading)
    for doctype in sorted(READS):
        if not any(Rule.ALL in matrix.rules(doctype, role, Action.READ) for role in principal.roles):
            raise Problem(403, f"This is for who reads every {doctype}.")
    if services.lexware is None:
        raise Problem(503, "This server exchanges nothing with Lexware.")
    return principal, services.lexware


def shown(run: Run) -> Mapping[str, Any]:
    return {
        "num": run.num,
        "kind": run.kind.value,
        "mode": run.mode.value,
        "of": run.of,
        "state": run.state.value,
        "file": run.file,
        "person": run.person,
        "at": run.at,
        "rows": run.rows,
        "leftOut": run.left_out,
        "cut": run.changed,
        "bytes": run.bytes,
        "sha256": run.sha256,
        "sums": dict(run.sums),
        "attempts": run.attempts,
        "delivered": run.delivered,
        "target": run.target,
        "error": run.error,
    }


def _told(docid: str, problem: CellProblem, request: Request) -> Mapping[str, Any]:
    return {
        "id": docid,
        "column": problem.column,
        "rule": problem.rule,
        "detail": problem.grund if german(request) else problem.reason,
        "value": problem.value,
    }


ROUTES = [
    Endpoint(
        "POST",
        "/lexware/exports",
        exported,
        "Makes a file for Lexware and delivers it",
        answer=LexwareExport,
        status=201,
        answers={200: LexwareExport},
        body=WishedExport,
        example={"kind": "contracts", "dryRun": True},
        problems=(409,),
    ),
    Endpoint(
        "GET",
        "/lexware/exports",
        listed,
        "Runs of the export, the latest first",
        answer=LexwareRuns,
        parameters=(
            a_number("limit", 1, MOST, PAGE),
            a_number("before", 1, MOST_POSITION, about="`next` of the page before."),
        ),
    ),
    Endpoint("GET", "/lexware/exports/{num:number}", one, "One run", answer=LexwareRun),
    Endpoint(
        "GET", "/lexware/exports/{num:number}/file", fetched, "Its file", answer=BYTES, media="text/csv"
    ),
]

"""`/api/v1/reports`: figures about everything that the one who asks may read."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.api.authentication import caller
from kompass.api.endpoints import Endpoint, Parameter, a_number
from kompass.api.parameters import number
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.readstore.reading import MOST_ROWS, ReadStoreDownError, allowed
from kompass.readstore.reports import REPORTS
from kompass.sync.positions import position

_MOST_OFFSET = 1_000_000


class ReportName(TypedDict):
    name: str
    about: str


class Reports(TypedDict):
    reports: list[ReportName]


class Behind(TypedDict):
    state: str
    behind: int


class Report(TypedDict):
    """`rows`: a list of values for each, in the order of `columns`."""

    report: str
    about: str
    columns: list[str]
    rows: list[list[Any]]
    limit: int
    offset: int
    more: bool
    index: Behind


async def listed(request: Request) -> Response:
    """The reports that say something to the one who asks."""
    principal = caller(request)
    documents = services_of(request).access
    with documents.database.reading() as reading:
        matrix = documents.index.matrix(reading)
    return JSONResponse(
        {
            "reports": [
                {"name": name, "about": report.about}
                for name, report in REPORTS.items()
                if allowed(report, principal.roles, matrix)
            ]
        }
    )


async def shown(request: Request) -> Response:
    """`GET /reports/{name}?limit=…&offset=…`: rows of a report, over what he may read himself."""
    principal = caller(request)
    name = request.path_params["name"]
    report = REPORTS.get(name)
    if report is None:
        raise Problem(404, f"There is no such report; there are: {', '.join(REPORTS)}.")
    limit = number(request, "limit", MOST_ROWS, 1, MOST_ROWS)
    offset = number(request, "offset", 0, 0, _MOST_OFFSET)
    services = services_of(request)
    documents = services.access
    with documents.database.reading() as reading:
        matrix = documents.index.matrix(reading)
        held = documents.index.channels_held(reading, principal.name)
    if not allowed(report, principal.roles, matrix):
        raise Problem(403, "None of your roles reads what this report is about.")
    try:
        page = await services.reports.report(name, principal.name, held, limit=limit, offset=offset)
    except ReadStoreDownError as error:
        raise Problem(503, str(error), headers={"retry-after": "5"}) from None
    with documents.database.reading() as reading:
        behind = documents.index.pending(reading, principal.name, position(page.position))
    return JSONResponse(
        {
            "report": name,
            "about": report.about,
            "columns": list(page.columns),
            "rows": page.rows,
            "limit": limit,
            "offset": offset,
            "more": page.more,
            "index": {"state": "behind" if behind else "current", "behind": behind},
        }
    )


ROUTES = [
    Endpoint("GET", "/reports", listed, "The reports that say something to the caller", answer=Reports),
    Endpoint(
        "GET",
        "/reports/{name}",
        shown,
        "Rows of a report, over what the caller may read",
        answer=Report,
        parameters=(
            Parameter("name", "", {"type": "string", "enum": list(REPORTS)}, place="path"),
            a_number("limit", 1, MOST_ROWS, MOST_ROWS),
            a_number("offset", 0, _MOST_OFFSET, 0),
        ),
    ),
]

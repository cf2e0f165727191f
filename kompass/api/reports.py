"""`/api/v1/reports`: figures about everything that the one who asks may read."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kompass.api.authentication import caller
from kompass.api.parameters import number, only
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.readstore.reading import MOST_ROWS, ReadStoreDownError, allowed
from kompass.readstore.reports import REPORTS
from kompass.sync.positions import position

_MOST_OFFSET = 1_000_000


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
    only(request, ("limit", "offset"))
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
    Route("/reports", listed, methods=["GET"]),
    Route("/reports/{name}", shown, methods=["GET"]),
]

"""The table of resources, and the application that serves them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from kompass.api import (
    access,
    accounting,
    audit,
    bulk,
    calendars,
    conflicts,
    devices,
    document_attachments,
    document_parts,
    documents,
    einvoices,
    exports,
    feed,
    imports,
    job_service,
    jobs,
    lexware,
    lexware_imports,
    lexware_watch,
    login,
    printing,
    privacy,
    privacy_tickets,
    quarantine,
    reference,
    reports,
    search,
    session,
    users,
)
from kompass.api.authentication import Authentication
from kompass.api.limiting import RateLimit
from kompass.api.problems import (
    Problem,
    answer_failure,
    answer_http_exception,
    answer_nobody,
    answer_problem,
    answer_protocol_error,
)
from kompass.api.services import Services
from replication.protocol.errors import ProtocolError

PREFIX = "/api/v1"

RESOURCES: Sequence[Sequence[BaseRoute]] = (
    login.ROUTES,
    session.ROUTES,
    devices.ROUTES,
    quarantine.ROUTES,
    privacy.ROUTES,
    privacy_tickets.ROUTES,
    conflicts.ROUTES,
    access.ROUTES,
    users.ROUTES,
    audit.ROUTES,
    accounting.ROUTES,
    feed.ROUTES,
    job_service.ROUTES,
    jobs.ROUTES,
    lexware.ROUTES,
    lexware_imports.ROUTES,
    lexware_watch.ROUTES,
    search.ROUTES,
    reports.ROUTES,
    exports.ROUTES,  # before documents: `export` is no id
    imports.ROUTES,
    documents.ROUTES,
    bulk.ROUTES,
    document_parts.ROUTES,
    document_attachments.ROUTES,
    printing.ROUTES,
    einvoices.ROUTES,
    calendars.ROUTES,
    reference.ROUTES,
)
"""Each resource's routes, with paths below `PREFIX`."""


class ByName:
    """ASGI application: finds the routes by the first segment of the path, for there are hundreds of them."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        """Raises `ValueError` for a route that has no name there."""
        self.routes = routes
        named: dict[str, list[BaseRoute]] = {}
        for route in routes:
            name = route.path.split("/")[1] if isinstance(route, Route) else ""
            if not name or "{" in name:
                raise ValueError(f"{route!r} doesn't begin with a name")
            named.setdefault(name, []).append(route)
        self._routers = {name: Router(each, redirect_slashes=False) for name, each in named.items()}
        self._nowhere = Router()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/").partition("/")[0]
        await self._routers.get(name, self._nowhere)(scope, receive, send)


def create_api(services: Services) -> ASGIApp:
    """The ASGI application for everything below `/api`."""
    routes = [route for resource in RESOURCES for route in resource]
    app = Starlette(
        routes=[Mount(PREFIX, app=ByName(routes))],
        exception_handlers={
            Problem: answer_problem,
            ProtocolError: answer_protocol_error,
            HTTPException: answer_http_exception,
            ClientDisconnect: answer_nobody,
            Exception: answer_failure,
        },
    )
    app.router.redirect_slashes = False
    app.state.services = services
    inner: ASGIApp = app if services.limits is None else RateLimit(app, services.limits)
    return Authentication(inner, services.server)

"""The table of resources, and the application that serves them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from kompass.api import (
    access,
    accounting,
    audit,
    bulk,
    calendars,
    conflicts,
    devices,
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
    printing.ROUTES,
    einvoices.ROUTES,
    calendars.ROUTES,
    reference.ROUTES,
)
"""Each resource's routes, with paths below `PREFIX`."""


def create_api(services: Services) -> ASGIApp:
    """The ASGI application for everything below `/api`."""
    routes = [route for resource in RESOURCES for route in resource]
    app = Starlette(
        routes=[Mount(PREFIX, routes=routes)],
        exception_handlers={
            Problem: answer_problem,
            ProtocolError: answer_protocol_error,
            HTTPException: answer_http_exception,
            Exception: answer_failure,
        },
    )
    app.router.redirect_slashes = False
    app.state.services = services
    inner: ASGIApp = app if services.limits is None else RateLimit(app, services.limits)
    return Authentication(inner, services.server)

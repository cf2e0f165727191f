"""`/metrics`: figures for Prometheus, for administrators of the server and whoever has the role `_metrics`.

The document server's own come first, as `/_node/_local/_prometheus` has them.
"""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kompass.api.authentication import Authentication, call_of
from kompass.api.problems import Problem
from kompass.identity.setup import IdentityServices
from kompass.sync.index import FeedIndex
from replication.http import node, statistics
from replication.http.access import METRICS_ROLE
from replication.http.server import Server


class Metrics:
    """Answers to whoever has logged in as one of those."""

    def __init__(self, index: FeedIndex, identity: IdentityServices) -> None:
        self._index = index
        self._identity = identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Problem as problem:
            response = problem.response()
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise Problem(405, "Figures are only read.", headers={"allow": "GET, HEAD"})
        call = call_of(request)
        if call.principal.name is None:
            raise Problem(401, f"Log in as somebody with the role {METRICS_ROLE}.")
        if not call.principal.is_server_admin and METRICS_ROLE not in call.principal.roles:
            raise Problem(403, f"Figures are for administrators of the server and the role {METRICS_ROLE}.")
        documents = bytes((await node.prometheus(call)).body)
        own = "".join(f"{line}\n" for line in self._lines())
        return Response(documents + own.encode(), headers={"content-type": statistics.PROMETHEUS_TYPE})

    def _lines(self) -> Iterator[str]:
        yield from _figure(
            "access_disagreements_total",
            "counter",
            "documents that the access index showed somebody and the rules did not",
            self._index.disagreements.count,
        )
        users = self._identity.sync
        if users is None:
            return
        yield from _figure(
            "keycloak_failures_total", "counter", "attempts to follow Keycloak that failed", users.failures
        )
        yield from _figure(
            "keycloak_up", "gauge", "whether the latest attempt succeeded", int(users.last_error is None)
        )
        if users.last_success is not None:
            yield from _figure(
                "keycloak_last_success_timestamp_seconds",
                "gauge",
                "when Keycloak was last asked with success",
                round(users.last_success, 3),
            )


def _figure(name: str, kind: str, description: str, value: float) -> list[str]:
    full = f"kompass_{name}"
    return [f"# HELP {full} {description}", f"# TYPE {full} {kind}", f"{full} {value}"]


def metrics(server: Server, index: FeedIndex, identity: IdentityServices) -> ASGIApp:
    """The ASGI application."""
    return Authentication(Metrics(index, identity), server)

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
from kompass.sync.index import FeedIndex
from replication.http import node, statistics
from replication.http.access import METRICS_ROLE
from replication.http.server import Server


class Metrics:
    """Answers to whoever has logged in as one of those."""

    def __init__(self, index: FeedIndex) -> None:
        self._index = index

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


def _figure(name: str, kind: str, description: str, value: float) -> list[str]:
    full = f"kompass_{name}"
    return [f"# HELP {full} {description}", f"# TYPE {full} {kind}", f"{full} {value}"]


def metrics(server: Server, index: FeedIndex) -> ASGIApp:
    """The ASGI application."""
    return Authentication(Metrics(index), server)

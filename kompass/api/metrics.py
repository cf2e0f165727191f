"""`/metrics`: figures for Prometheus, for administrators of the server and whoever has the role `_metrics`.

The document server's own come first, as `/_node/_local/_prometheus` has them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kompass.api.authentication import Authentication, call_of
from kompass.api.problems import Problem
from kompass.feed.desk import FeedDesk
from kompass.feed.ledger import State, Status
from kompass.identity.setup import IdentityServices
from kompass.jobs.desk import JobsDesk
from kompass.lexware.exchange import Exchange
from kompass.privacy.desk import ErasureDesk
from kompass.sync.index import FeedIndex
from replication.http import node, statistics
from replication.http.access import METRICS_ROLE
from replication.http.server import Server

log = structlog.get_logger(__name__)


class Metrics:
    """Answers to whoever has logged in as one of those."""

    def __init__(
        self,
        index: FeedIndex,
        identity: IdentityServices,
        feed: FeedDesk,
        jobs: JobsDesk,
        erasures: ErasureDesk,
        lexware: Exchange,
    ) -> None:
        self._index = index
        self._erasures = erasures
        self._lexware = lexware
        self._feed = feed
        self._jobs = jobs
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
        lines = list(self._lines())
        besides = (
            ("feed", self._of_feed),
            ("jobs", self._of_jobs),
            ("erasures", self._erasures.figures),
            ("lexware", self._lexware.figures),
        )
        for what, beside in besides:
            try:
                lines += await asyncio.to_thread(beside)
            except Exception:
                log.exception("there are no figures of what runs beside the server", what=what)
        own = "".join(f"{line}\n" for line in lines)
        return Response(documents + own.encode(), headers={"content-type": statistics.PROMETHEUS_TYPE})

    def _of_feed(self) -> list[str]:
        return list(_feed_lines(self._feed.statuses(), time.time()))

    def _of_jobs(self) -> list[str]:
        return list(_job_lines(self._jobs.status()))

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


def _feed_lines(statuses: Sequence[tuple[Status, int]], now: float) -> Iterator[str]:
    """Of each sink of the change feed, as it last told of itself."""
    figures: Sequence[tuple[str, str, str, Callable[[Status, int], float]]] = (
        ("lag_changes", "gauge", "changes that the sink has not seen", lambda one, _: one.lag),
        (
            "lag_seconds",
            "gauge",
            "seconds since the sink was last at the end of the feed",
            lambda one, _: round(one.lag_seconds(now), 1),
        ),
        ("documents_per_second", "gauge", "documents the sink has stored of late", lambda one, _: one.rate),
        ("documents_total", "counter", "documents the sink has stored", lambda one, _: one.applied),
        ("errors_total", "counter", "what failed in the sink or on the way to it", lambda one, _: one.errors),
        ("dead_letters", "gauge", "documents that the sink could not store", lambda _, dead: dead),
        (
            "up",
            "gauge",
            "whether the sink can be reached and is followed",
            lambda one, _: int(one.state not in (State.UNAVAILABLE, State.STOPPED) and now - one.at < 60),
        ),
    )
    for name, kind, description, value in figures if statuses else ():
        full = f"kompass_feed_{name}"
        yield f"# HELP {full} {description}"
        yield f"# TYPE {full} {kind}"
        for status, dead in statuses:
            yield f'{full}{{sink="{status.sink}"}} {value(status, dead)}'


def _job_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Of reminders, mails and webhooks; nothing as long as there were none."""
    if told["state"] == "not begun":
        return
    yield "# HELP kompass_jobs jobs that are known, by queue and state"
    yield "# TYPE kompass_jobs gauge"
    for queue, states in sorted(told["queues"].items()):
        for state, count in sorted(states.items()):
            yield f'kompass_jobs{{queue="{queue}",state="{state}"}} {count}'
    yield from _figure(
        "jobs_late_seconds", "gauge", "how long the oldest job waits that is due", told["late_seconds"]
    )
    yield from _figure("jobs_up", "gauge", "whether jobs are handed out", int(told["state"] == "following"))


def _figure(name: str, kind: str, description: str, value: float) -> list[str]:
    full = f"kompass_{name}"
    return [f"# HELP {full} {description}", f"# TYPE {full} {kind}", f"{full} {value}"]


def metrics(
    server: Server,
    index: FeedIndex,
    identity: IdentityServices,
    feed: FeedDesk,
    jobs: JobsDesk,
    erasures: ErasureDesk,
    lexware: Exchange,
) -> ASGIApp:
    """The ASGI application."""
    return Authentication(Metrics(index, identity, feed, jobs, erasures, lexware), server)

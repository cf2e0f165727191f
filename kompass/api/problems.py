"""Errors of the API: problem details by RFC 9457."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Scope

from replication.protocol.errors import ProtocolError

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer other than success. `detail` says what was wrong and what to do."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        """`members`: what the body has besides."""
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members or {}

    def body(self) -> dict[str, Any]:
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }

    def response(self) -> Response:
        return Response(orjson.dumps(self.body()), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def problem_response(status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> Response:
    return Problem(status, detail, headers=headers).response()


def problem_of(error: ProtocolError) -> Problem:
    """The same error as the document server would answer it, as a problem."""
    return Problem(error.status, error.reason, headers=error.headers, members=error.members)


async def answer_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def answer_protocol_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProtocolError)
    return problem_of(error).response()


async def answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail, headers = str(error.detail), error.headers
    if error.status_code == 404:
        detail = "There is no such resource."
    elif error.status_code == 405:
        asked = {**request.scope, "root_path": request.scope.get("app_root_path", "")}  # as it came
        allowed = ", ".join(sorted(_methods(request.app.routes, asked)))
        detail, headers = f"{request.method} can't be done here; these can: {allowed}.", {"allow": allowed}
    return problem_response(error.status_code, detail, headers=headers)


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """What may be done at an address: each method is a route of its own. A word in a path comes before what
    stands for any.
    """
    found: dict[str, set[str]] = {}
    for route in routes:
        match, child = route.matches(scope)
        if match is not Match.NONE and isinstance(route, Mount):
            return _methods(route.routes, {**scope, **child})
        if match is not Match.NONE and isinstance(route, Route):
            found.setdefault(route.path, set()).update(route.methods or ())
    words = {path: len(re.sub(r"\{[^}]*\}", "", path)) for path in found}
    return found[max(found, key=words.__getitem__)] if found else set()


async def answer_failure(_: Request, __: Exception) -> Response:
    return problem_response(500, "The server failed; its log tells more.")

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

from kompass.api.language import german, in_german
from replication.http.metrics import CLIENT_LEFT
from replication.protocol.errors import ProtocolError

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 100
"""Places that are told."""


class Problem(Exception):
    """An answer other than success. `detail` says in English what was wrong and what to do;
    `kompass.api.german` has it in German.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        """`members`: what the body has besides; texts of `errors` are in English, too, and the first hundred
        are told.
        """
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members or {}

    def body(self, *, german: bool = False) -> dict[str, Any]:
        told: dict[str, Any] = {"detail": self.detail, **self.members}
        if "errors" in told:
            told["errors"] = told["errors"][:_MOST_ERRORS]
        if german:
            told = {name: _in_german(name, value) for name, value in told.items()}
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            **told,
        }

    def response(self, *, german: bool = False) -> Response:
        language = "de" if german else "en"
        return Response(
            orjson.dumps(self.body(german=german)),
            self.status,
            headers={"content-language": language, **self.headers},
            media_type=MEDIA_TYPE,
        )


def _in_german(name: str, value: Any) -> Any:
    if name == "detail":
        return in_german(value)
    if name == "errors":
        return [{**one, "detail": in_german(one["detail"])} for one in value]
    return value


def pointer(*names: object) -> str:
    """A place in what was sent, by names and numbers from the top, as a JSON Pointer (RFC 6901)."""
    return "".join(f"/{str(one).replace('~', '~0').replace('/', '~1')}" for one in names)


def problem_of(error: ProtocolError) -> Problem:
    """The same error as the document server would answer it, as a problem."""
    return Problem(error.status, error.reason, headers=error.headers, members=error.members)


async def answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response(german=german(request))


async def answer_protocol_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProtocolError)
    return problem_of(error).response(german=german(request))


async def answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail, headers = str(error.detail), error.headers
    if error.status_code == 404:
        detail = "There is no such resource."
    elif error.status_code == 405:
        asked = {**request.scope, "root_path": request.scope.get("app_root_path", "")}  # as it came
        allowed = ", ".join(sorted(_methods(request.app.routes, asked)))
        detail, headers = f"{request.method} can't be done here; these can: {allowed}.", {"allow": allowed}
    return Problem(error.status_code, detail, headers=headers).response(german=german(request))


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


async def answer_failure(request: Request, _: Exception) -> Response:
    return Problem(500, "The server failed; its log tells more.").response(german=german(request))


async def answer_nobody(request: Request, _: Exception) -> Response:
    """The client has left: nobody reads it, and nothing has failed."""
    return Response(status_code=CLIENT_LEFT)

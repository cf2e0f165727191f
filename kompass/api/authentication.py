"""Who calls the API: by cookie, Basic or a token, by the same rules as on the CouchDB side.

`Authentication` wraps the whole API and is the only place that looks at credentials. Handlers ask `caller`
or `caller_with`, which answer 401 and 403 by themselves.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kompass.access.principals import Principal, Role
from kompass.api.language import german
from kompass.api.problems import Problem, pointer, problem_of
from kompass.api.services import services_of
from kompass.identity.gate import principal_of
from replication.http import cors, session
from replication.http.call import Call
from replication.http.server import Server
from replication.protocol.errors import ProtocolError

MAX_BODY = 256 * 1024

CALL = "kompass.call"

Model = TypeVar("Model", bound=BaseModel)


class Authentication:
    """ASGI middleware: finds out who asks before the API is called."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(
            scope=scope,
            receive=receive,
            server=self._server,
            method=scope["method"],
            segments=["api", "v1"],
            request_id=f"api-{secrets.token_hex(6)}",
        )

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                for name, value in call.response_headers.items():
                    if name.lower().encode("latin-1") not in present:
                        message["headers"].append((name.encode("latin-1"), value.encode("latin-1")))
                if b"cache-control" not in present:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        refusal = await self._refusal(call)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        await self._app({**scope, CALL: call}, receive, send_with_headers)

    async def _refusal(self, call: Call) -> Response | None:
        """What to answer instead of calling the API, if anything."""
        try:
            cors.apply(call)
            if cors.is_preflight(call):
                return cors.preflight(call)
            cors.check_origin(call)
        except ProtocolError as error:
            return problem_of(error).response(german=german(Request(call.scope)))
        try:
            await session.authenticate(call)
        except ProtocolError as error:
            problem = problem_of(error)
            if problem.status == 400:  # what isn't shaped like credentials is none
                problem.status = 401
            return problem.response(german=german(Request(call.scope)))
        return None


def call_of(request: Request) -> Call:
    """The request as the document server knows it."""
    call = request.scope[CALL]
    assert isinstance(call, Call)
    return call


def caller(request: Request) -> Principal:
    """Who asks, with the roles that both his login and his record in the database have.

    Raises 401 for somebody who has not logged in.
    """
    call = call_of(request)
    principal = principal_of(call)
    if principal is None:
        raise Problem(401, "Log in first: POST name and password, or a token, to /api/v1/session.")
    documents = services_of(request).access
    with documents.database.reading() as reading:
        recorded = documents.index.roles(reading, principal.name) or frozenset()
    if call.principal.is_server_admin:
        recorded |= {Role.ADMIN}
    return replace(principal, roles=principal.roles & recorded)


def caller_with(request: Request, *roles: Role) -> Principal:
    """Who asks, if he has one of `roles`. Raises 401 and 403."""
    principal = caller(request)
    if principal.roles.isdisjoint(roles):
        raise Problem(403, f"This is for {', '.join(roles)} only.")
    return principal


async def body_of(request: Request, model: type[Model], most: int = MAX_BODY) -> Model:
    """The request's JSON body of at most so many bytes.

    Raises 400, 413, 415 and 422, which says what is wrong where.
    """
    call = call_of(request)
    call.require_json()
    try:
        return model.model_validate_json(await call.body(most))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        if found[0]["type"] == "json_invalid":
            raise Problem(400, "The body is not JSON in UTF-8.") from None
        errors = [{"pointer": pointer(*each["loc"]), "detail": each["msg"]} for each in found]
        raise Problem(422, "The body has members that can't be.", members={"errors": errors}) from None

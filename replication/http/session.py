"""Logging in: who asks, by cookie or Basic, and the `_session` endpoint."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call, Principal
from replication.http.responses import json_response
from replication.protocol import errors

EVERYBODY_ADMIN = Principal(None, ("_admin",))


async def authenticate(call: Call) -> None:
    if not call.server.config.admins:
        call.principal = EVERYBODY_ADMIN
        call.authenticated_by = "default"


async def show(call: Call) -> Response:
    info: dict[str, object] = {"authentication_handlers": ["cookie", "default"]}
    if call.authenticated_by:
        info["authenticated"] = call.authenticated_by
    user = {"name": call.principal.name, "roles": list(call.principal.roles)}
    return json_response({"ok": True, "userCtx": user, "info": info})


async def login(call: Call) -> Response:
    raise errors.unauthorized("Name or password is incorrect.")


async def logout(call: Call) -> Response:
    return json_response({"ok": True})

"""`/api/v1/session`: logging in, who one is, logging out.

The same sessions as the CouchDB side's `_session`: one cookie counts everywhere.
"""

from __future__ import annotations

from typing import Any, NotRequired

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.access.principals import Principal
from kompass.api.authentication import call_of, caller
from kompass.api.endpoints import Endpoint
from kompass.api.problems import Problem
from kompass.identity.devices import Device, as_text
from kompass.identity.gate import caller_of
from replication.http import session


class DeviceName(TypedDict):
    id: str
    name: str


class Session(TypedDict):
    """Who asks."""

    name: str
    roles: list[str]
    authenticated_by: str
    device: DeviceName | None
    lease_until: str | None


class Login(TypedDict):
    """Name and password; nothing of both with a token."""

    name: NotRequired[str]
    password: NotRequired[str]


class LoggedIn(TypedDict):
    """Who has logged in."""

    name: str | None
    roles: list[str]


async def show(request: Request) -> Response:
    """Who asks, with which roles, from which device. 401 for somebody who has not logged in."""
    call = call_of(request)
    return JSONResponse(_shown(caller(request), caller_of(call).device, call.authenticated_by))


async def log_in(request: Request) -> Response:
    """Exchanges name and password (JSON or a form), or a token in `Authorization`, for a cookie."""
    call = call_of(request)
    answer = await session.login(call)
    body: dict[str, Any] = orjson.loads(bytes(answer.body))
    cookie = {"set-cookie": answer.headers["set-cookie"]}
    if answer.status_code != 200:
        members = {name: value for name, value in body.items() if name not in ("error", "reason")}
        raise Problem(answer.status_code, body["reason"], headers=cookie, members=members)
    del body["ok"]
    return JSONResponse(body, headers=cookie)


async def log_out(request: Request) -> Response:
    answer = await session.logout(call_of(request))
    return Response(status_code=204, headers={"set-cookie": answer.headers["set-cookie"]})


def _shown(principal: Principal, device: Device | None, by: str) -> Session:
    return {
        "name": principal.name,
        "roles": sorted(principal.roles),
        "authenticated_by": "password" if by == "default" else by,
        "device": None if device is None else {"id": device.key, "name": device.name},
        "lease_until": None if device is None else as_text(device.lease_until),
    }


ROUTES = [
    Endpoint("GET", "/session", show, "Who one is, with which roles, from which device", answer=Session),
    Endpoint(
        "POST",
        "/session",
        log_in,
        "Logs in with name and password, or a token in `Authorization`: the answer sets a cookie",
        answer=LoggedIn,
        body=Login,
        body_needed=False,
        example={"name": "gf1", "password": "kompass-demo"},
        public=True,
    ),
    Endpoint("DELETE", "/session", log_out, "Logs out", public=True),
]

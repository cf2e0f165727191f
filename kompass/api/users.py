"""`/api/v1/users`: who there is, and who may do what: for GF and ADMIN.

Roles of GF and ADMIN are given and taken by GF alone, and nobody changes his own.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.access.principals import Principal, Role
from kompass.api.authentication import body_of, call_of, caller, caller_with
from kompass.api.endpoints import Endpoint
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.identity.records import Record, Records

MAY_ADMINISTER = (Role.GF, Role.ADMIN)
BY_GF = frozenset({Role.GF, Role.ADMIN})
"""Roles that only GF gives and takes."""


class UserChange(BaseModel):
    """What becomes of a user; what isn't given stays."""

    model_config = ConfigDict(extra="forbid")

    roles: Annotated[list[Role], Field(max_length=len(Role))] | None = None
    active: StrictBool | None = None
    reason: Annotated[str, Field(min_length=3, max_length=500)]

    @model_validator(mode="after")
    def _something(self) -> UserChange:
        if self.roles is None and self.active is None:
            raise ValueError("give roles, or active, or both")
        return self


class User(TypedDict):
    """Somebody who has a record."""

    name: str
    roles: list[str]
    active: bool


class Users(TypedDict):
    users: list[User]


async def listed(request: Request) -> Response:
    """Everybody who has a record, by name."""
    caller_with(request, *MAY_ADMINISTER)
    records = await services_of(request).identity.records.all()
    return JSONResponse({"users": [_shown(record) for record in sorted(records, key=lambda one: one.name)]})


async def shown(request: Request) -> Response:
    """One's own record, or anybody's for GF and ADMIN."""
    principal = caller(request)
    name = request.path_params["name"]
    if name != principal.name:
        caller_with(request, *MAY_ADMINISTER)
    return JSONResponse(_shown(await _found(services_of(request).identity.records, name)))


async def changed(request: Request) -> Response:
    """Gives and takes roles, lets in and locks out. What it takes away goes from running feeds in seconds."""
    principal = caller_with(request, *MAY_ADMINISTER)
    name = request.path_params["name"]
    wanted = await body_of(request, UserChange)
    records = services_of(request).identity.records
    record = await _found(records, name)
    if name == principal.name:
        raise Problem(403, "Nobody changes his own roles: ask somebody else with GF.")
    is_server_admin = call_of(request).principal.is_server_admin
    _check(principal, record, wanted, is_server_admin=is_server_admin)
    reason = f"{wanted.reason} (by {principal.name})"
    if wanted.roles is not None:
        record = await records.record_roles(name, wanted.roles, reason)
    if wanted.active is not None:
        record = await (records.enable if wanted.active else records.disable)(name, reason)
    return JSONResponse(_shown(record))


def _check(principal: Principal, record: Record, wanted: UserChange, *, is_server_admin: bool) -> None:
    if is_server_admin or Role.GF in principal.roles:
        return
    moved = record.roles ^ frozenset(record.roles if wanted.roles is None else wanted.roles)
    if moved & BY_GF:
        named = ", ".join(sorted(moved & BY_GF))
        raise Problem(403, f"{named} can be given and taken by GF only.")
    if wanted.active is not None and record.roles & BY_GF:
        raise Problem(403, "Somebody with GF or ADMIN can be locked out and let in by GF only.")


async def _found(records: Records, name: str) -> Record:
    record = await records.find(name)
    if record is None or record.deleted:
        raise Problem(404, "There is no such user.")
    return record


def _shown(record: Record) -> User:
    return {"name": record.name, "roles": sorted(record.roles), "active": record.active}


ROUTES = [
    Endpoint("GET", "/users", listed, "Everybody who has a record, by name", answer=Users),
    Endpoint("GET", "/users/{name}", shown, "One's own record; anybody's for GF and ADMIN", answer=User),
    Endpoint(
        "PATCH",
        "/users/{name}",
        changed,
        "Gives and takes roles, lets in and locks out",
        answer=User,
        body=UserChange,
        example={"roles": ["INNEN"], "reason": "moved to the office"},
    ),
]

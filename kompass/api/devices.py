"""`/api/v1/devices`: one's own devices, and for ADMIN and GF everybody's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.access.principals import Principal, Role
from kompass.api.authentication import body_of, caller, caller_with
from kompass.api.endpoints import Endpoint, a_flag, a_number, a_text
from kompass.api.parameters import flag, number
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.identity.devices import MAX_DOCUMENTS, MAX_TEXT, Device, clean_text
from kompass.sync.held import documents_held

OFFICE = (Role.ADMIN, Role.GF)
"""Who looks after everybody's devices."""

PAGE = 100
"""Devices in an answer to a question for all, unless `limit` says another number."""

MAX_PAGE = 1000


class DeviceChange(BaseModel):
    """What may be set of a device; what isn't given stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] | None = None
    app_version: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] | None = None
    documents: Annotated[int, Field(ge=0, le=MAX_DOCUMENTS)] | None = None
    """How many documents the device holds: for the device itself to say."""


class ShownDevice(TypedDict):
    """A device. Times are texts."""

    id: str
    user: str
    name: str
    implicit: bool
    app_version: str | None
    created: str
    last_seen: str
    last_sync: str | None
    documents: int | None
    revoked: bool
    lost: bool
    lease_until: str


class CountedDevice(ShownDevice):
    documents_estimated: int | None
    """What the server thinks that it holds."""


class Devices(TypedDict):
    devices: list[CountedDevice]
    next: NotRequired[str]


async def listed(request: Request) -> Response:
    """One's own devices; with `all=true` everybody's in pages, `next` being the `after` of the next one."""
    devices = services_of(request).identity.devices
    limit = number(request, "limit", PAGE, 1, MAX_PAGE)
    if flag(request, "all") is not True:
        own = await devices.of_user(caller(request).name)
        return JSONResponse({"devices": await _with_estimates(request, own)})
    caller_with(request, *OFFICE)
    page = await devices.page(request.query_params.get("after"), limit)
    answer: dict[str, object] = {"devices": await _with_estimates(request, page)}
    if len(page) == limit:
        answer["next"] = page[-1].key
    return JSONResponse(answer)


async def shown(request: Request) -> Response:
    device = await _device(request, caller(request))
    return JSONResponse((await _with_estimates(request, [device]))[0])


async def changed(request: Request) -> Response:
    """Sets name, version of the application or number of documents."""
    device = await _device(request, caller(request))
    members = (await body_of(request, DeviceChange)).model_dump(exclude_none=True)
    for name in ("name", "app_version"):
        if name in members:
            members[name] = clean_text(members[name])
            if not members[name]:
                raise Problem(422, f"{name} needs a character that can be seen.")
    device = await services_of(request).identity.devices.change(device.key, members)
    return JSONResponse(device.shown())


async def revoked(request: Request) -> Response:
    """Ends the device's sessions; it can't log in again until an office restores it."""
    device = await _device(request, caller(request))
    return JSONResponse((await services_of(request).identity.devices.revoke(device.key)).shown())


async def lost(request: Request) -> Response:
    """The same, and the device is told to erase what it holds when it comes next."""
    device = await _device(request, caller(request))
    return JSONResponse((await services_of(request).identity.devices.mark_lost(device.key)).shown())


async def restored(request: Request) -> Response:
    """Takes both back: for ADMIN and GF."""
    device = await _device(request, caller_with(request, *OFFICE))
    return JSONResponse((await services_of(request).identity.devices.restore(device.key)).shown())


async def _with_estimates(request: Request, devices: Sequence[Device]) -> list[dict[str, Any]]:
    """Devices as they are shown, with what the server thinks they hold."""
    access = services_of(request).access
    found = []
    for device in devices:
        held = documents_held(access.database, access.index, device.user, device.key)
        found.append({**device.shown(), "documents_estimated": held})
        await asyncio.sleep(0)  # counting takes its time, and there may be many
    return found


async def _device(request: Request, principal: Principal) -> Device:
    """The device of the path. 404 for one that is somebody else's as for one that isn't there."""
    device = await services_of(request).identity.devices.find(request.path_params["id"])
    if device is None or (device.user != principal.name and principal.roles.isdisjoint(OFFICE)):
        raise Problem(404, "There is no such device.")
    return device


ROUTES = [
    Endpoint(
        "GET",
        "/devices",
        listed,
        "One's own devices; with `all=true` everybody's, in pages",
        answer=Devices,
        parameters=(
            a_flag("all", "Everybody's: for ADMIN and GF."),
            a_number("limit", 1, MAX_PAGE, PAGE),
            a_text("after", "`next` of the page before."),
        ),
    ),
    Endpoint("GET", "/devices/{id}", shown, "One", answer=CountedDevice),
    Endpoint(
        "PATCH",
        "/devices/{id}",
        changed,
        "Sets its name, the version of its application, the number of its documents",
        answer=ShownDevice,
        body=DeviceChange,
        example={"name": "Tablet of the van"},
    ),
    Endpoint("POST", "/devices/{id}/revoke", revoked, "Ends its sessions for good", answer=ShownDevice),
    Endpoint("POST", "/devices/{id}/lost", lost, "The same; it erases what it holds", answer=ShownDevice),
    Endpoint("POST", "/devices/{id}/restore", restored, "Takes both back", answer=ShownDevice),
]

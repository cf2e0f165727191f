"""`/api/v1/calendars`: subscriptions of one's own meetings, tours, tasks and milestones.

The address of a subscription is its secret: calendars ask without a login. What they get is asked for anew
each time, with the rights that its person has then.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Annotated, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.access.principals import Principal, Role
from kompass.api.authentication import body_of, caller
from kompass.api.documents import is_known
from kompass.api.endpoints import BYTES, Endpoint
from kompass.api.problems import Problem
from kompass.api.services import Services, services_of
from kompass.calendars.events import Event
from kompass.calendars.gathering import gathered
from kompass.calendars.store import (
    AN_HOUR,
    MOST,
    CalendarStore,
    CalendarStoreError,
    Kind,
    Subscription,
    TooManyError,
    TooOftenError,
)
from kompass.domain.values import LINE
from kompass.resources.gathering import TooMany

T = TypeVar("T")

ICS = "text/calendar"
log = structlog.get_logger(__name__)
_NONE = "There is no such calendar."
_MISSING = "icalendar is not installed: pip install 'kompass[office]'"


class WantedCalendar(BaseModel):
    """A subscription as somebody wants it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=LINE)] = "KOMPASS"
    kinds: Annotated[list[Kind], Field(min_length=1, max_length=len(Kind))] = list(Kind)


class ShownCalendar(TypedDict):
    """A subscription, without its address."""

    id: str
    name: str
    kinds: Sequence[Kind]
    createdAt: str
    lastUsedAt: str | None


class NewCalendar(ShownCalendar):
    """`url`: the address, which nobody is told again."""

    url: str


class Calendars(TypedDict):
    calendars: list[ShownCalendar]


async def listed(request: Request) -> Response:
    """`GET`: one's own."""
    who = caller(request)
    found = await _do(request, lambda store: store.of(who.name))
    return JSONResponse(Calendars(calendars=[_shown(one) for one in found]))


async def made(request: Request) -> Response:
    """`POST`: another one, with its address, which nobody is told again."""
    who = caller(request)
    wanted = await body_of(request, WantedCalendar)
    if find_spec("icalendar") is None:
        raise Problem(503, _MISSING)
    try:
        one, token = await _do(request, lambda store: store.made(who.name, wanted.name, wanted.kinds))
    except TooManyError:
        raise Problem(409, f"There may be at most {MOST} calendars: revoke one first.") from None
    url = f"{str(request.base_url).rstrip('/')}/api/v1/calendars/{token}.ics"
    return JSONResponse({**_shown(one), "url": url}, 201)


async def revoked(request: Request) -> Response:
    """`DELETE {id}`: its address is worth nothing any more."""
    who = caller(request)
    if not await _do(request, lambda store: store.revoke(who.name, request.path_params["id"])):
        raise Problem(404, _NONE)
    return Response(status_code=204)


async def fetched(request: Request) -> Response:
    """`GET {token}.ics`: what its person may read now. Nobody has to log in for it."""
    if find_spec("icalendar") is None:
        raise Problem(503, _MISSING)
    token = request.path_params["token"]
    try:
        one = await _do(request, lambda store: store.fetched(token))
    except TooOftenError as error:
        wait = {"retry-after": str(error.seconds)}
        raise Problem(429, f"A calendar may be fetched {AN_HOUR} times an hour.", headers=wait) from None
    if one is None:
        raise Problem(404, _NONE)
    roles = await _roles(request, one.person)
    if not roles:
        raise Problem(410, "Nobody may read this calendar any more.")
    services = services_of(request)
    assert services.views is not None
    database = services.access.database
    await database.fresh()
    view = services.views.of(database, Principal(one.person, roles))
    today = services.gate_now().now().date()
    try:
        events = await gathered(view, one.person, one.kinds, today)
    except TooMany as error:
        raise Problem(422, f"{error} Make calendars of fewer kinds.") from None
    text = await asyncio.to_thread(_written, one.name, events)
    etag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    headers = {"etag": etag, "cache-control": "private, no-cache", "x-content-type-options": "nosniff"}
    if is_known(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type=f"{ICS}; charset=utf-8")


def _written(name: str, events: Sequence[Event]) -> bytes:
    from kompass.calendars.writing import written

    return written(name, events)


async def _roles(request: Request, person: str) -> frozenset[Role]:
    """What he may be now; none if he is disabled or gone."""
    services = services_of(request)
    record = await services.identity.records.find(person)
    if record is None or record.deleted:
        await forget_gone(services)
        return frozenset()
    if not record.active:
        return frozenset()
    with services.access.database.reading() as reading:
        return record.roles & (services.index.roles(reading, person) or frozenset())


async def calendars_of(request: Request, person: str) -> list[ShownCalendar]:
    """Those of anybody."""
    if services_of(request).calendars is None:
        return []
    return [_shown(one) for one in await _do(request, lambda store: store.of(person))]


async def forget_gone(services: Services) -> None:
    """Subscriptions of people whose accounts are no more, as after an erasure."""
    store = services.calendars
    if store is None:
        return
    try:
        for person in await asyncio.to_thread(store.people):
            record = await services.identity.records.find(person)
            if record is None or record.deleted:
                await asyncio.to_thread(store.forget, person)
    except CalendarStoreError as error:
        log.warning("calendars of people who are gone are still there", error=str(error))


async def _do(request: Request, work: Callable[[CalendarStore], T]) -> T:
    store = services_of(request).calendars
    if store is None:
        raise Problem(503, "There are no calendars here.")
    try:
        return await asyncio.to_thread(work, store)
    except CalendarStoreError as error:
        raise Problem(503, str(error)) from None


def _shown(one: Subscription) -> ShownCalendar:
    last_used = None if one.last_used is None else _moment(one.last_used)
    return ShownCalendar(
        id=one.id, name=one.name, kinds=list(one.kinds), createdAt=_moment(one.made), lastUsedAt=last_used
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


ROUTES = [
    Endpoint("GET", "/calendars", listed, "One's own subscriptions", answer=Calendars),
    Endpoint(
        "POST",
        "/calendars",
        made,
        "A new subscription, with its secret address",
        answer=NewCalendar,
        status=201,
        body=WantedCalendar,
        example={"name": "KOMPASS unterwegs", "kinds": ["meetings", "tours"]},
        problems=(409,),
    ),
    Endpoint("DELETE", "/calendars/{id}", revoked, "Its address is worth nothing any more"),
    Endpoint(
        "GET",
        "/calendars/{token}.ics",
        fetched,
        "The calendar, for whoever has its address",
        answer=BYTES,
        media=ICS,
        problems=(410, 422),
        public=True,
        added=True,
    ),
]

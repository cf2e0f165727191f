"""`/api/v1/privacy/tickets` and `consumers`: who has to remove what was erased, and who has.

Tickets are for every device, those of consumers for the service that follows the feed, GF and ADMIN.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.access.principals import Role
from kompass.api.authentication import MAX_BODY, body_of, call_of, caller, caller_with
from kompass.api.endpoints import Endpoint, a_flag, a_number
from kompass.api.parameters import MOST_POSITION, flag, number
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.identity.services import is_feed
from kompass.privacy import enrolments, tickets
from kompass.privacy.consumers import MOST, NAME, Consumers, Standing, UnknownConsumerError
from kompass.sync.admitting import admitted

PAGE = 100
_NO_CONSUMER = "No such consumer is enrolled: PUT it first."


class Acknowledgement(BaseModel):
    """Who has removed what a ticket names: without `consumer`, the device that asks."""

    model_config = ConfigDict(extra="forbid", strict=True)

    consumer: Annotated[str, Field(max_length=64)] | None = None


class Enrolling(BaseModel):
    """A consumer of the feed that is new."""

    model_config = ConfigDict(extra="forbid", strict=True)

    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    """The last ticket that doesn't concern it."""


class Confirmation(BaseModel):
    """Tickets that a consumer has worked off."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tickets: Annotated[list[Annotated[int, Field(ge=1, le=2**53)]], Field(max_length=MOST)]


class Cleaned(TypedDict):
    id: str
    cleanFrom: str


class ShownTicket(TypedDict):
    ticket: int
    kind: str
    at: str
    documents: list[Cleaned]
    seq: NotRequired[str]
    purpose: NotRequired[str]
    subject: NotRequired[str]
    acknowledged: NotRequired[dict[str, str]]
    waitingFor: NotRequired[list[str]]


class Tickets(TypedDict):
    tickets: list[ShownTicket]
    next: NotRequired[int]


class ShownConsumer(TypedDict):
    name: str
    since: str
    after: int
    open: int
    oldest: str | None
    why: NotRequired[str]


class Enrolled(TypedDict):
    consumers: list[ShownConsumer]


class Confirmed(TypedDict):
    unknown: list[int]


async def ticketed(request: Request) -> Response:
    """`GET tickets`: for a device those that it hasn't acknowledged, with the documents its user sees; for GF
    and ADMIN all of them, with who has and who hasn't. A page, after the number `after`, by number.
    """
    who = caller(request)
    after = number(request, "after", 0, 0, MOST_POSITION)
    access = services_of(request).access
    with access.database.reading() as reading:
        if not who.roles.isdisjoint({Role.GF, Role.ADMIN}) and flag(request, "own") is not True:
            rows = []
            for one in tickets.listed(reading, after=after, limit=PAGE):
                got = tickets.acknowledged(reading, one.num)
                done = {name: at.isoformat() for name, at in got.items()}
                open_for = enrolments.waits_for(reading, one.num)
                rows.append({**one.shown(reading.epochs), "acknowledged": done, "waitingFor": open_for})
        else:
            admitted(access.index, reading, who)
            own = tickets.listed(reading, after=after, limit=PAGE, unseen_by=_device(who))
            rows = [
                one.shown(reading.epochs, lambda docids: access.index.sees(reading, who.name, docids))
                for one in own
            ]
    return JSONResponse(_page(rows))


async def acknowledged(request: Request) -> Response:
    """`POST tickets/{num}/acknowledge`."""
    who = caller(request)
    given = await body_of(request, Acknowledgement)
    if given.consumer is not None:
        who = caller_with(request, Role.GF, Role.ADMIN)
    consumer = _device(who) if given.consumer is None else given.consumer
    if given.consumer is not None and NAME.fullmatch(given.consumer) is None:
        raise Problem(422, "consumer must be a name of lower-case letters, digits, dots and hyphens.")
    num = request.path_params["num"]
    gate = services_of(request).gate_now()
    known = await gate.database.transact(
        lambda writing: tickets.acknowledge(writing, num, consumer, gate.now())
    )
    if not known:
        raise Problem(404, "There is no such ticket.")
    return Response(status_code=204)


async def consumed(request: Request) -> Response:
    """`GET consumers`: who has to remove what was made of documents, how far each is, and `why` it can't go
    on now if it says so.
    """
    _consuming(request)
    services = services_of(request)
    found = await asyncio.to_thread(Consumers(services.gate_now()).all)
    why = {} if services.erasures is None else await asyncio.to_thread(services.erasures.hindrance.why)
    told = [{**_standing(one), **({"why": why[one.name]} if one.name in why else {})} for one in found]
    return JSONResponse({"consumers": told})


async def enrolled(request: Request) -> Response:
    """`PUT consumers/{name}`: from now on every ticket waits for it; with `{"after": n}` those after the
    n-th. Again it changes nothing.
    """
    _consuming(request)
    call = call_of(request)
    given = await body_of(request, Enrolling) if await call.body(MAX_BODY) else Enrolling()
    try:
        standing = await _consumers(request).enrol(request.path_params["name"], after=given.after)
    except ValueError as error:
        raise Problem(422, str(error)) from None
    return JSONResponse(_standing(standing))


async def dismissed(request: Request) -> Response:
    """`DELETE consumers/{name}`: it is there no more, and nothing waits for it."""
    caller_with(request, Role.GF, Role.ADMIN)
    if not await _consumers(request).dismiss(request.path_params["name"]):
        raise Problem(404, _NO_CONSUMER)
    return Response(status_code=204)


async def waiting(request: Request) -> Response:
    """`GET consumers/{name}/tickets`: those that wait for it, after the number `after`, by number."""
    _consuming(request)
    after = number(request, "after", 0, 0, MOST_POSITION)
    gate = services_of(request).gate_now()
    try:
        found = Consumers(gate).tickets(request.path_params["name"], after=after, limit=PAGE)
    except UnknownConsumerError:
        raise Problem(404, _NO_CONSUMER) from None
    epochs = gate.database.epochs
    return JSONResponse(_page([one.shown(epochs) for one in found]))


def _page(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """With where to go on, if it is full."""
    return {"tickets": rows, **({"next": rows[-1]["ticket"]} if len(rows) == PAGE else {})}


async def confirmed(request: Request) -> Response:
    """`POST consumers/{name}/tickets`: nothing of what these name is left there. Again it changes nothing."""
    _consuming(request)
    given = await body_of(request, Confirmation)
    try:
        unknown = await _consumers(request).confirm(request.path_params["name"], given.tickets)
    except UnknownConsumerError:
        raise Problem(404, _NO_CONSUMER) from None
    return JSONResponse({"unknown": unknown})


def _consumers(request: Request) -> Consumers:
    return Consumers(services_of(request).gate_now())


def _consuming(request: Request) -> None:
    """For the service that follows the feed, GF and ADMIN. Raises 401 and 403."""
    if not is_feed(call_of(request).principal):
        caller_with(request, Role.GF, Role.ADMIN)


def _standing(one: Standing) -> dict[str, Any]:
    return {
        "name": one.name,
        "since": one.since.isoformat(),
        "after": one.after,
        "open": one.open,
        "oldest": None if one.oldest is None else one.oldest.isoformat(),
    }


def _device(who: Any) -> str:
    return f"device:{who.name}:{who.device or ''}"


ROUTES = [
    Endpoint(
        "GET",
        "/privacy/tickets",
        ticketed,
        "What has to be removed: of a device, or of everybody for GF and ADMIN",
        answer=Tickets,
        parameters=(
            a_number("after", 0, MOST_POSITION, 0, "`next` of the page before."),
            a_flag("own", "Only those of one's own device."),
        ),
    ),
    Endpoint(
        "POST",
        "/privacy/tickets/{num:number}/acknowledge",
        acknowledged,
        "Nothing of it is left there",
        body=Acknowledgement,
        example={},
    ),
    Endpoint("GET", "/privacy/consumers", consumed, "Who has to remove copies", answer=Enrolled),
    Endpoint(
        "PUT",
        "/privacy/consumers/{name}",
        enrolled,
        "Tickets wait for it from now on",
        answer=ShownConsumer,
        body=Enrolling,
        body_needed=False,
        example={"after": 0},
    ),
    Endpoint("DELETE", "/privacy/consumers/{name}", dismissed, "Nothing waits for it any more"),
    Endpoint(
        "GET",
        "/privacy/consumers/{name}/tickets",
        waiting,
        "Tickets that wait for it",
        answer=Tickets,
        parameters=(a_number("after", 0, MOST_POSITION, 0, "`next` of the page before."),),
    ),
    Endpoint(
        "POST",
        "/privacy/consumers/{name}/tickets",
        confirmed,
        "Nothing of what these name is left there",
        answer=Confirmed,
        body=Confirmation,
        example={"tickets": [1]},
    ),
]

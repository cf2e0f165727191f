"""`/api/v1/jobs`: what is to be done, was done and could not be, and who is called: for ADMIN and
administrators of the server. They needn't be able to read documents: nothing here quotes one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, NotRequired, TypeVar

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from typing_extensions import TypedDict

from kompass.access.principals import Role
from kompass.api.authentication import body_of, call_of, caller_with
from kompass.api.endpoints import Endpoint, Parameter, a_number, a_text, a_word
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.identity.services import is_service
from kompass.jobs import receivers
from kompass.jobs.desk import JobsDesk, missing, shown, shown_webhook
from kompass.jobs.receivers import WebhookError
from kompass.jobs.store import Entry, JobState, JobStore
from replication.protocol.errors import ProtocolError

T = TypeVar("T")

MOST = 200
PAGE = 100
HEARTBEAT = 15.0
"""Seconds after which a stream says that it lives."""
LOOK = 0.25
STREAM_SECONDS = 900
"""After that a stream ends; clients begin another one where it was."""

_NO_JOB = "There is no such job."
_NO_WEBHOOK = "There is no such webhook."
log = structlog.get_logger(__name__)

_STATES = frozenset(one.value for one in JobState)


class GivenWebhook(BaseModel):
    """A webhook as somebody wants it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Annotated[str, Field(max_length=2000)]
    events: Annotated[list[str], Field(max_length=500)]
    fields: Annotated[list[str], Field(max_length=receivers.MOST_FIELDS)] = []
    person: Annotated[str, Field(max_length=200)]
    secret: Annotated[str, Field(max_length=200)] | None = None
    active: bool = True


class JobsStatus(TypedDict):
    state: str
    why: str
    queues: dict[str, dict[str, int]]
    late_seconds: float
    webhooks: dict[str, int]


class Jobs(TypedDict):
    jobs: list[Entry]
    next: NotRequired[int]


class ShownWebhook(TypedDict):
    name: str
    url: str
    events: list[str]
    fields: list[str]
    person: str
    active: bool
    secret: NotRequired[str]


class Webhooks(TypedDict):
    webhooks: list[ShownWebhook]


class ShownDelivery(TypedDict):
    num: int
    job: str
    at: float
    attempt: int
    status: int | None
    milliseconds: int
    error: str


class Deliveries(TypedDict):
    deliveries: list[ShownDelivery]


async def told(request: Request) -> Response:
    """`GET status`."""
    desk = _desk(request)
    return JSONResponse(await asyncio.to_thread(desk.status))


async def listed(request: Request) -> Response:
    """`GET`: by what happened last, from `after` on; `state`, `trigger`, `limit`."""
    query = request.query_params
    after = _number(query.get("after", "0"), "after", 2**53)
    limit = _number(query.get("limit", "50"), "limit", MOST)
    state = query.get("state")
    if state is not None and state not in _STATES:
        raise Problem(400, f"state is one of {', '.join(sorted(_STATES))}.")
    trigger = query.get("trigger")
    found = await _do(
        request, lambda store: store.entries(state, trigger=trigger, after=after, limit=limit + 1)
    )
    answer: dict[str, Any] = {"jobs": [shown(one) for one in found[:limit]]}
    if len(found) > limit:
        answer["next"] = found[limit - 1].change
    return JSONResponse(answer)


async def one(request: Request) -> Response:
    """`GET {id}`."""
    entry = await _do(request, lambda store: store.entry(request.path_params["id"]))
    if entry is None:
        raise Problem(404, _NO_JOB)
    return JSONResponse(shown(entry))


async def replayed(request: Request) -> Response:
    """`POST {id}/replay`: it is done, or tried, once more, under the same id."""
    if not await _do(request, lambda store: store.replay(request.path_params["id"])):
        raise Problem(404, f"{_NO_JOB[:-1]}, or a worker has it.")
    return Response(status_code=202)


async def dropped(request: Request) -> Response:
    """`DELETE {id}`: it isn't done."""
    if not await _do(request, lambda store: store.drop(request.path_params["id"])):
        raise Problem(404, f"{_NO_JOB[:-1]} that waits or was given up.")
    return Response(status_code=204)


async def followed(request: Request) -> Response:
    """`GET events`: what happens to jobs, as server-sent events: `job` with the job, its number as the id of
    the event. `Last-Event-ID`, or `after`, says where to go on; without either it begins now. It ends after
    `seconds`.
    """
    desk = _desk(request)
    given = request.headers.get("last-event-id") or request.query_params.get("after")
    after = _number(given, "after", 2**53) if given is not None else None
    seconds = _number(request.query_params.get("seconds", str(STREAM_SECONDS)), "seconds", STREAM_SECONDS)
    return StreamingResponse(
        _events(request, desk, after, seconds),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def _events(
    request: Request, desk: JobsDesk, after: int | None, seconds: float
) -> AsyncIterator[bytes]:
    beat = time.monotonic()
    ends = beat + seconds
    yield b"retry: 2000\n\n"
    while True:
        store = desk.store
        if store is not None and after is None:
            after = await asyncio.to_thread(store.latest)
        entries: list[Entry] = []
        if store is not None:
            entries = await asyncio.to_thread(store.entries, after=after or 0, limit=PAGE)
        if entries and not await _may_still(request):
            return
        for entry in entries:
            after = entry.change
            yield b"id: %d\nevent: job\ndata: %s\n\n" % (after, orjson.dumps(shown(entry)))
        if entries:
            beat = time.monotonic()
        elif time.monotonic() - beat >= HEARTBEAT:
            beat = time.monotonic()
            yield b": \n\n"
        if len(entries) >= PAGE:
            continue
        if time.monotonic() >= ends:
            return
        await asyncio.sleep(LOOK)


# -- webhooks ----------------------------------------------------------------------------------


async def hooks(request: Request) -> Response:
    """`GET webhooks`: without their secrets."""
    found = await _do(request, receivers.webhooks, Role.GF)
    return JSONResponse({"webhooks": [shown_webhook(each) for each in found]})


async def hooked(request: Request) -> Response:
    """`PUT webhooks/{name}`: makes or changes it. Its secret is in the answer only if it is new.

    It reads as whoever makes it. Otherwise ADMIN, who reads no documents of the business, would have them
    sent to him as somebody else; administrators of the server read everything anyway, and name whom they
    like.
    """
    desk = _desk(request, Role.GF)
    given = await body_of(request, GivenWebhook)
    name = request.path_params["name"]
    asking = call_of(request).principal
    if not asking.is_server_admin and given.person != asking.name:
        raise Problem(403, "It reads as you yourself; only administrators of the server name somebody else.")

    def putting() -> tuple[bool, receivers.Webhook]:
        store = desk.opened()
        before = receivers.webhook(store, name)
        made = receivers.put(
            store, name, given.url, given.events, given.fields, given.person,
            secret=given.secret, active=given.active,
        )  # fmt: skip
        return before is None or before.secret != made.secret, made

    try:
        is_new, made = await asyncio.to_thread(putting)
    except WebhookError as error:
        raise Problem(422, f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    log.info("a webhook was made or changed", webhook=name, reads_as=made.person, by=asking.name)
    answer = shown_webhook(made)
    if is_new:
        answer["secret"] = made.secret
    return JSONResponse(answer, 201 if is_new else 200)


async def unhooked(request: Request) -> Response:
    """`DELETE webhooks/{name}`: with its history."""
    name = request.path_params["name"]
    if not await _do(request, lambda store: receivers.remove(store, name), Role.GF):
        raise Problem(404, _NO_WEBHOOK)
    log.info("a webhook was removed", webhook=name, by=call_of(request).principal.name)
    return Response(status_code=204)


async def history(request: Request) -> Response:
    """`GET webhooks/{name}/deliveries`: the latest call first; `limit`. A job of it is delivered again by
    `POST {id}/replay`.
    """
    name = request.path_params["name"]
    limit = _number(request.query_params.get("limit", "50"), "limit", receivers.MOST_HISTORY)

    def found(store: JobStore) -> list[receivers.Delivery] | None:
        return receivers.history(store, name, limit=limit) if receivers.webhook(store, name) else None

    deliveries = await _do(request, found, Role.GF)
    if deliveries is None:
        raise Problem(404, _NO_WEBHOOK)
    rows = [
        {
            "num": each.num, "job": each.job, "at": each.at, "attempt": each.attempt, "status": each.status,
            "milliseconds": each.milliseconds, "error": each.error,
        }
        for each in deliveries
    ]  # fmt: skip
    return JSONResponse({"deliveries": rows})


# -- who, and where ----------------------------------------------------------------------------


def _desk(request: Request, *others: Role) -> JobsDesk:
    """For ADMIN, `others`, and administrators of the server."""
    principal = call_of(request).principal
    if is_service(principal):
        raise Problem(403, "This is for people.")
    if not principal.is_server_admin:
        caller_with(request, Role.ADMIN, *others)
    desk = services_of(request).jobs
    if desk is None:
        raise Problem(503, "This server has no jobs.")
    return desk


async def _may_still(request: Request) -> bool:
    """Whether whoever reads a stream would be let in now as well."""
    call = call_of(request)
    try:
        await call.server.identity.renew(call)
        _desk(request)
    except (Problem, ProtocolError):
        return False
    return True


async def _do(request: Request, work: Callable[[JobStore], T], *others: Role) -> T:
    store = _desk(request, *others).store
    if store is None:
        why = missing() or "none have been made on this server's directory yet."
        raise Problem(503, f"There are no jobs: {why}")
    return await asyncio.to_thread(work, store)


def _number(text: str, name: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > most:
        raise Problem(400, f"{name} must be a number up to {most}.")
    return int(text)


ROUTES = [
    Endpoint("GET", "/jobs/status", told, "How far jobs are", answer=JobsStatus),
    Endpoint(
        "GET",
        "/jobs/events",
        followed,
        "What happens to jobs, as server-sent events",
        answer={"type": "string"},
        media="text/event-stream",
        parameters=(
            a_number("after", 0, 2**53, about="The number of the last event that was read."),
            a_number("seconds", 0, STREAM_SECONDS, STREAM_SECONDS, "After these it ends."),
            Parameter("Last-Event-ID", "As `after`.", {"type": "string"}, place="header"),
        ),
    ),
    Endpoint("GET", "/jobs/webhooks", hooks, "Who is called when something happens", answer=Webhooks),
    Endpoint(
        "PUT",
        "/jobs/webhooks/{name}",
        hooked,
        "Makes or changes one; its secret is told if it is new",
        answer=ShownWebhook,
        answers={201: ShownWebhook},
        body=GivenWebhook,
        example={
            "url": "https://n8n.example/webhook/kompass",
            "events": ["offer.sent"],
            "fields": ["offerNumber"],
            "person": "gf1",
        },
    ),
    Endpoint("DELETE", "/jobs/webhooks/{name}", unhooked, "Removes it with its history"),
    Endpoint(
        "GET",
        "/jobs/webhooks/{name}/deliveries",
        history,
        "Its calls, the latest first",
        answer=Deliveries,
        parameters=(a_number("limit", 0, receivers.MOST_HISTORY, 50),),
    ),
    Endpoint(
        "GET",
        "/jobs",
        listed,
        "Jobs by what happened last",
        answer=Jobs,
        parameters=(
            a_word("state", sorted(_STATES)),
            a_text("trigger"),
            a_number("after", 0, 2**53, 0, "`next` of the page before."),
            a_number("limit", 0, MOST, 50),
        ),
    ),
    Endpoint("GET", "/jobs/{id}", one, "One", answer=Entry),
    Endpoint("DELETE", "/jobs/{id}", dropped, "It isn't done"),
    Endpoint("POST", "/jobs/{id}/replay", replayed, "It is done, or tried, once more", status=202),
]

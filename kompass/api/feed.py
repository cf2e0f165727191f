"""`/api/v1/feed`: who may read what changed, for the service that follows the feed; how far the sinks are and
what they could not store, for ADMIN.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NotRequired

import apsw
import structlog
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.access.principals import Role
from kompass.api.authentication import body_of, call_of, caller_with
from kompass.api.endpoints import Endpoint, a_number, a_text
from kompass.api.parameters import MOST_POSITION, number
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.audit import heads
from kompass.feed.desk import FeedDesk, shown_letter
from kompass.feed.ledger import DeadLetter, Ledger, LedgerError
from kompass.identity.services import is_feed
from kompass.sync.index import following
from kompass.sync.index.following import PersonStanding
from replication.store.sqlite import Reading

MOST_IDS = 2000
MOST_ASKED = 16 * 1024 * 1024
"""Bytes of a question."""
MOST_MOVED = 2000

log = structlog.get_logger(__name__)

_NO_CONSUMER = "No consumer of the feed has run on this server's directory."
_NO_LETTER = "There is no such letter: the document was stored, or the letter dropped."

_ID = Annotated[str, Field(max_length=2048)]


class Question(BaseModel):
    """What a page of changes needs besides."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: Annotated[list[_ID], Field(max_length=MOST_IDS)] = []
    since: Annotated[str, Field(max_length=200)]
    """Where the page begins, exclusive, as the database writes it."""
    until: Annotated[str, Field(max_length=200)]
    """Where it ends, inclusive."""
    limit: Annotated[int, Field(ge=1, le=MOST_MOVED)] = MOST_MOVED
    """Of `moved`."""
    history: Annotated[str, Field(max_length=60)] | None = None
    """What the last answer said of it."""


class PersonState(TypedDict):
    name: str
    active: bool
    roles: list[str]
    channels: list[str]


class People(TypedDict):
    people: list[PersonState]
    epoch: str
    update_seq: int
    history: str


class Standings(People):
    """As of one moment."""

    channels: dict[str, list[str]]
    positions: dict[str, int]
    revs: dict[str, str | None]
    moved: list[str]
    until: str
    position: int


class SinkState(TypedDict):
    sink: str
    state: str
    lag: int | None
    lag_seconds: float
    dead: int


class FeedStatus(TypedDict):
    running: bool
    sinks: list[SinkState]
    absent: dict[str, str]


class Letters(TypedDict):
    letters: list[DeadLetter]
    next: NotRequired[int]


async def asked(request: Request) -> Response:
    """`POST access`: as of one moment.

    - `channels`, `positions`, `revs`: of the documents asked for, and of those in `moved`. A document whose
      `revs` isn't the one on the page has changed again; null is one that was purged.
    - `moved`: what came to other channels between the two, or was purged, without a change of its own.
    - `people`: whose roles or channels changed between the two.
    - `until`, `position`: up to where `moved` is complete; the end of the page, or before it.
    - `history`: to be brought with the next question; `continues` tells whether what was brought is part of
      this database's past. If not, it was restored from an older copy.
    """
    _only_the_service(request)
    question = await body_of(request, Question, MOST_ASKED)
    access = services_of(request).access
    with access.database.reading() as reading:
        epochs, latest = reading.epochs, reading.update_seq
        since, until = epochs.resolve(question.since, latest), epochs.resolve(question.until, latest)
        moved = following.moved(reading, since, until, question.limit)
        standings = following.standings(reading, {*question.ids, *moved.ids})
        people = following.people(reading, since, moved.upto)
        answer = {
            "channels": {docid: sorted(one.channels) for docid, one in standings.items()},
            "positions": {docid: one.place for docid, one in standings.items()},
            "revs": {docid: one.rev for docid, one in standings.items()},
            "moved": moved.ids,
            "people": [_person(one) for one in people],
            "until": epochs.format(moved.upto),
            "position": moved.upto,
            **_state(reading),
            "continues": question.history is None or heads.continues(reading, question.history),
        }
    return JSONResponse(answer)


async def everybody(request: Request) -> Response:
    """`GET people`: all of them as they are now, and where the database is then."""
    _only_the_service(request)
    access = services_of(request).access
    with access.database.reading() as reading:
        people = [_person(one) for one in following.people(reading)]
        answer = {"people": people, **_state(reading)}
    return JSONResponse(answer)


async def told(request: Request) -> Response:
    """`GET status`: how far each sink is, and why others are not there."""
    desk = _desk(request)
    with _usable():
        return JSONResponse(await asyncio.to_thread(desk.status))


async def dead(request: Request) -> Response:
    """`GET dead`: documents that a sink could not store, the first one first; `sink`, `after`, `limit`."""
    ledger = _ledger(request)
    query = request.query_params
    after = number(request, "after", 0, 0, MOST_POSITION)
    limit = number(request, "limit", 50, 1, 200)
    letters = await ledger.do(lambda: ledger.letters(query.get("sink"), after=after, limit=limit + 1))
    answer: dict[str, Any] = {"letters": [shown_letter(one) for one in letters[:limit]]}
    if len(letters) > limit:
        answer["next"] = letters[limit - 1].num
    return JSONResponse(answer)


async def shown(request: Request) -> Response:
    """`GET dead/{num}`."""
    ledger = _ledger(request)
    letter = await ledger.do(ledger.letter, request.path_params["num"])
    if letter is None:
        raise Problem(404, _NO_LETTER)
    return JSONResponse(shown_letter(letter))


async def replayed(request: Request) -> Response:
    """`POST dead/{num}/replay`: it is tried again, as the document is now."""
    ledger = _ledger(request)
    if not await ledger.do(ledger.replay, request.path_params["num"]):
        raise Problem(404, _NO_LETTER)
    return Response(status_code=202)


async def dropped(request: Request) -> Response:
    """`DELETE dead/{num}`: the sink goes without the document until it changes."""
    ledger = _ledger(request)
    if not await ledger.do(ledger.drop, request.path_params["num"]):
        raise Problem(404, _NO_LETTER)
    return Response(status_code=204)


async def rebuilt(request: Request) -> Response:
    """`POST rebuilds/{sink}`: a new generation is made beside the old one; `GET status` tells how far."""
    ledger = _ledger(request)
    sink = str(request.path_params["sink"])
    if sink not in await ledger.do(ledger.statuses):
        raise Problem(404, "There is no such sink.")
    await ledger.do(ledger.ask_rebuild, sink, "somebody asked for it")
    return Response(status_code=202)


def _desk(request: Request) -> FeedDesk:
    """For ADMIN, and administrators of the server."""
    if not call_of(request).principal.is_server_admin:
        caller_with(request, Role.ADMIN)
    desk = services_of(request).feed
    if desk is None:
        raise Problem(503, _NO_CONSUMER)
    return desk


def _ledger(request: Request) -> Ledger:
    desk = _desk(request)
    with _usable():
        ledger = desk.ledger
    if ledger is None:
        raise Problem(503, _NO_CONSUMER)
    return ledger


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except (LedgerError, apsw.Error) as error:
        log.exception("the list of the feed can't be used")
        raise Problem(503, "The list of the feed can't be used: the server's log tells why.") from error


def _state(reading: Reading) -> dict[str, Any]:
    return {
        "epoch": reading.epochs.current,
        "update_seq": reading.update_seq,
        "history": heads.head(reading),
    }


def _person(one: PersonStanding) -> dict[str, Any]:
    return {
        "name": one.name,
        "active": one.active,
        "roles": sorted(one.roles),
        "channels": sorted(one.channels),
    }


def _only_the_service(request: Request) -> None:
    """Raises 401 and 403 for everybody but the service, and administrators of the server."""
    principal = call_of(request).principal
    if principal.name is None:
        raise Problem(401, "This is for the service that follows the feed: it brings its secret as a token.")
    if not is_feed(principal) and not principal.is_server_admin:
        raise Problem(403, "This is for the service that follows the feed.")


ROUTES = [
    Endpoint(
        "POST",
        "/feed/access",
        asked,
        "Who may read what a page of changes names: for the service that follows the feed",
        answer=Standings,
        body=Question,
        example={"ids": ["customer-1"], "since": "0", "until": "now"},
    ),
    Endpoint("GET", "/feed/people", everybody, "Everybody's roles and channels", answer=People),
    Endpoint("GET", "/feed/status", told, "How far each copy of the documents is", answer=FeedStatus),
    Endpoint(
        "GET",
        "/feed/dead",
        dead,
        "Documents that a copy could not store",
        answer=Letters,
        parameters=(
            a_text("sink", "Of this copy."),
            a_number("after", 0, MOST_POSITION, 0, "`next` of the page before."),
            a_number("limit", 1, 200, 50),
        ),
    ),
    Endpoint("GET", "/feed/dead/{num:number}", shown, "One", answer=DeadLetter),
    Endpoint("DELETE", "/feed/dead/{num:number}", dropped, "The copy goes without it"),
    Endpoint("POST", "/feed/dead/{num:number}/replay", replayed, "It is tried again", status=202),
    Endpoint("POST", "/feed/rebuilds/{sink}", rebuilt, "The copy is made anew", status=202),
]

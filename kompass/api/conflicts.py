"""`/api/v1/conflicts`: what two people changed differently, for its author, those concerned, and GF."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.access.principals import Principal
from kompass.api.authentication import body_of, caller
from kompass.api.endpoints import Endpoint, a_flag, a_number, a_text
from kompass.api.language import german
from kompass.api.parameters import MOST_POSITION, flag, number, number_or_none
from kompass.api.problems import Problem
from kompass.api.refusals import problem
from kompass.api.services import services_of
from kompass.sync.conflicts.desk import Answer, ChoiceError, ConflictDesk, ConflictError, Value
from kompass.sync.conflicts.record import State
from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

PAGE = 50
"""Conflicts in an answer, unless `limit` says another number."""

MAX_PAGE = 200

MAX_BULK = 100

_Path = Annotated[str, Field(max_length=500)]
_Word = Literal["mine", "theirs", "merge"]


class Given(BaseModel):
    """A value in place of both."""

    model_config = ConfigDict(extra="forbid")

    value: Any


class Decision(BaseModel):
    """How to settle a conflict."""

    model_config = ConfigDict(extra="forbid")

    conflict_id: Annotated[str, Field(max_length=64)] | None = Field(default=None, alias="conflictId")
    strategy: Literal["local", "server", "manual", "newest"]
    fields: Annotated[dict[_Path, _Word | Given], Field(max_length=1000)] = {}
    resolved_data: dict[_Path, Any] = Field(default={}, max_length=1000, alias="resolvedData")

    def answer(self) -> Answer:
        choices = {
            path: Value(one.value) if isinstance(one, Given) else one for path, one in self.fields.items()
        }
        return Answer(self.strategy, choices, self.resolved_data)


class Bulk(BaseModel):
    """The same choice for several."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=MAX_BULK)]
    strategy: Literal["local", "server", "newest"]


class Conflict(TypedDict):
    """What two people changed differently, as far as the caller may read it."""

    id: str
    state: str


class Conflicts(TypedDict):
    conflicts: list[Conflict]
    next: NotRequired[int]


class Settled(TypedDict):
    id: str
    state: str
    rev: str | None


class Unsettled(TypedDict):
    id: str
    status: int
    detail: str


class Outcomes(TypedDict):
    results: list[Settled | Unsettled]


async def listed(request: Request) -> Response:
    """`GET`: the latest first. One's own and those one is told of; for GF everybody's, unless `mine=true`."""
    query = request.query_params
    states = query.get("state", State.OPEN.value).split(",")
    unknown = [state for state in states if state not in State._value2member_map_]
    if unknown:
        raise Problem(400, f"state must be some of {', '.join(State)}, separated by commas.")
    found, following = _desk(request).page(
        caller(request),
        everybody=flag(request, "mine") is not True,
        states=[State(state) for state in states],
        doctype=query.get("entityType"),
        docid=query.get("entityId"),
        escalated=flag(request, "escalated"),
        before=number_or_none(request, "before", 1, MOST_POSITION),
        limit=number(request, "limit", PAGE, 1, MAX_PAGE),
    )
    answer: dict[str, Any] = {"conflicts": found}
    if following is not None:
        answer["next"] = following
    return _json(answer)


async def shown(request: Request) -> Response:
    """`GET {id}`: with the server's values of now. 404 for one that he may not see as for none."""
    found = _desk(request).find(caller(request), request.path_params["id"])
    if found is None:
        raise Problem(404, "There is no such conflict.")
    return _json(found)


async def resolved(request: Request) -> Response:
    """`POST {id}/resolve`: an edit of the document by who asks, which closes the conflict for everybody."""
    wanted = await body_of(request, Decision)
    conflict = request.path_params["id"]
    if wanted.conflict_id not in (None, conflict):
        raise Problem(422, f"The address is about {conflict}; conflictId can't be another one.")
    rev = await _settled(request, caller(request), conflict, wanted.answer())
    return JSONResponse({"id": conflict, "state": State.RESOLVED.value, "rev": rev})


async def all_resolved(request: Request) -> Response:
    """`POST resolve`: several with one choice, each by itself: one that can't be settled stops no other."""
    wanted = await body_of(request, Bulk)
    principal = caller(request)
    results: list[dict[str, Any]] = []
    for conflict in dict.fromkeys(wanted.ids):
        try:
            rev = await _settled(request, principal, conflict, Answer(wanted.strategy, {}, {}))
            results.append({"id": conflict, "state": State.RESOLVED.value, "rev": rev})
        except Problem as error:
            detail = error.body(german=german(request))["detail"]
            results.append({"id": conflict, "status": error.status, "detail": detail})
    return JSONResponse({"results": results})


async def _settled(request: Request, principal: Principal, conflict: str, answer: Answer) -> str | None:
    try:
        return await _desk(request).resolve(principal, conflict, answer)
    except ChoiceError as error:
        raise Problem(422, str(error)) from None
    except ConflictError as error:
        raise Problem(409, str(error)) from None
    except ProtocolError as error:
        if error.status == 404:
            raise Problem(404, "There is no such conflict.") from None
        if error.status == 409:
            raise Problem(409, "The document keeps changing: look at the conflict again.") from None
        raise problem(request, error) from None


def _desk(request: Request) -> ConflictDesk:
    return services_of(request).conflicts


def _json(value: Any) -> Response:
    # Numbers of any size stay what they are.
    return Response(jsontext.encode(value), media_type="application/json")


ROUTES = [
    Endpoint(
        "GET",
        "/conflicts",
        listed,
        "One's own and those one is told of, the latest first; for GF everybody's",
        answer=Conflicts,
        parameters=(
            a_text("state", f"Some of {', '.join(State)}, separated by commas; `open` without."),
            a_flag("mine", "Only one's own."),
            a_text("entityType", "Of documents of this type."),
            a_text("entityId", "Of this document."),
            a_flag("escalated", "Whether management was told."),
            a_number("before", 1, MOST_POSITION, about="`next` of the page before."),
            a_number("limit", 1, MAX_PAGE, PAGE),
        ),
    ),
    Endpoint(
        "POST",
        "/conflicts/resolve",
        all_resolved,
        "Settles several with one choice, each by itself",
        answer=Outcomes,
        body=Bulk,
        example={"ids": ["0123456789abcdef0123456789abcdef"], "strategy": "server"},
    ),
    Endpoint("GET", "/conflicts/{id}", shown, "One, with the server's values of now", answer=Conflict),
    Endpoint(
        "POST",
        "/conflicts/{id}/resolve",
        resolved,
        "Settles it: an edit of the document that closes the conflict for everybody",
        answer=Settled,
        body=Decision,
        example={"strategy": "manual", "fields": {"phone": "mine"}},
        problems=(409,),
    ),
]

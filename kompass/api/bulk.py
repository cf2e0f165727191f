"""`/api/v1/bulk`: many writes of documents in one request, each as if it had come alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from kompass.api import changes, documents
from kompass.api.endpoints import Endpoint
from kompass.api.language import german
from kompass.api.once import KEY, Done, Turn, Working, again, begun, kept_of
from kompass.api.problems import Problem, pointer, problem_of
from kompass.requests import Kept
from kompass.resources.catalogue import RESOURCES, Resource
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

MOST_OPERATIONS = 100

_Resource = Annotated[str, Field(max_length=100, examples=["customers"])]
_Id = Annotated[str, Field(min_length=1, max_length=200)]
_Rev = Annotated[str, Field(min_length=1, max_length=200, pattern='^[^"]*$')]


class _Operation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    resource: _Resource


class CreateOperation(_Operation):
    """A new document."""

    op: Literal["create"]
    document: dict[str, Any]


class _Of(_Operation):
    id: _Id
    rev: _Rev | None = None
    """The revision that was seen; `*` for whichever is there. Needed, as `If-Match` is."""


class ReplaceOperation(_Of):
    """The document anew."""

    op: Literal["replace"]
    document: dict[str, Any]


class UpdateOperation(_Of):
    """Some of its members; null takes one away."""

    op: Literal["update"]
    document: dict[str, Any]


class DeleteOperation(_Of):
    op: Literal["delete"]


class ActionOperation(_Of):
    """A step, with members that go with it."""

    op: Literal["action"]
    action: Annotated[str, Field(min_length=1, max_length=100)]
    document: dict[str, Any] = {}


BulkOperation = Annotated[
    CreateOperation | ReplaceOperation | UpdateOperation | DeleteOperation | ActionOperation,
    Field(discriminator="op"),
]


class BulkWrite(BaseModel):
    """Done one after the other; one that can't be done stops no other."""

    model_config = ConfigDict(extra="forbid", strict=True)

    operations: Annotated[list[BulkOperation], Field(min_length=1, max_length=MOST_OPERATIONS)]


class BulkOutcome(TypedDict):
    """`status`: as if it had come alone. `problem`: what would have been answered, for a refusal."""

    status: int
    id: NotRequired[str]
    rev: NotRequired[str]
    problem: NotRequired[dict[str, Any]]


class BulkResults(TypedDict):
    """In the order of the operations."""

    results: list[BulkOutcome]


async def written(request: Request) -> Response:
    """`POST`: what has become of each. 200, whatever that is."""
    view = await documents.view_of(request)
    wanted = await _asked(request)
    turn = await begun(request, view.principal.name)
    if turn is None:
        outcomes, _ = await _all(request, view, wanted, None)
        return _told(outcomes)
    if turn.outcomes and all(turn.outcomes):
        return _told([_done(await again(view, one)) for one in turn.outcomes if one is not None])
    async with Working(request, turn) as working:
        outcomes, working.outcomes = await _all(request, view, wanted, turn)
    return _told(outcomes)


async def _all(
    request: Request, view: PersonalDatabase, wanted: BulkWrite, turn: Turn | None
) -> tuple[list[BulkOutcome], list[Kept | None]]:
    """One after the other, but for those that were done before; none after a failure of the server."""
    outcomes: list[BulkOutcome] = []
    kept: list[Kept | None] = []
    failure: Problem | None = None
    before = (turn.outcomes if turn else ()) or (None,) * len(wanted.operations)
    for number, (one, known) in enumerate(zip(wanted.operations, before, strict=True)):
        try:
            if failure is not None:
                raise failure
            if known is None:
                done = await _do(request, view, one, turn.of(number) if turn else None)
            else:
                done = await again(view, known)
        except Problem as error:
            problem = error
        except ProtocolError as error:
            problem = problem_of(error)
        else:
            outcomes.append(_done(done))
            kept.append(kept_of(done))
            continue
        failure = problem if problem.status >= 500 else None
        outcomes.append(_refused(one, problem, german=german(request)))
        kept.append(None)
    return outcomes, kept


async def _asked(request: Request) -> BulkWrite:
    """Numbers of any size stay what they are. Raises 400, 413, 415 and 422."""
    sent = await documents.body(request, "application/json")
    try:
        return BulkWrite.model_validate(sent)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        errors = [{"pointer": _pointer(each["loc"]), "detail": each["msg"]} for each in found]
        raise Problem(422, "These are no operations.", members={"errors": errors}) from None


def _pointer(place: tuple[int | str, ...]) -> str:
    """Without the name of the kind of operation, which is no member."""
    return pointer(*place[:2], *place[3:])


def _refused(one: BulkOperation, problem: Problem, *, german: bool) -> BulkOutcome:
    told: BulkOutcome = {"status": problem.status, "problem": problem.body(german=german)}
    if not isinstance(one, CreateOperation):
        told["id"] = one.id
    return told


async def _do(request: Request, view: PersonalDatabase, one: BulkOperation, turn: Turn | None) -> Done:
    resource = _resource(one.resource)
    if isinstance(one, CreateOperation):
        return await changes.create(request, view, resource, one.document, turn)
    tags = () if one.rev is None else ("*",) if one.rev == "*" else (f'"{one.rev}"',)
    if isinstance(one, ReplaceOperation):
        return await changes.replace(request, view, resource, one.id, tags, one.document)
    if isinstance(one, UpdateOperation):
        return await changes.patch(request, view, resource, one.id, tags, one.document)
    if isinstance(one, ActionOperation):
        return await changes.act(request, view, resource, one.id, tags, one.action, one.document)
    return await changes.remove(request, view, resource, one.id, tags)


def _resource(name: str) -> Resource:
    found = RESOURCES.get(name)
    if found is None:
        raise Problem(404, f"There is no resource {name[:60]}.")
    if found.server_made:
        raise Problem(403, f"Nobody but the server writes {name}.")
    return found


def _done(done: Done) -> BulkOutcome:
    return {"status": done.status, "id": done.id, "rev": done.rev}


def _told(outcomes: list[BulkOutcome]) -> Response:
    answer: BulkResults = {"results": outcomes}
    return Response(jsontext.encode(answer), media_type="application/json")


_EXAMPLE = {
    "operations": [
        {"op": "create", "resource": "comments", "document": {"parentId": "offer-1", "content": "Gut"}},
        {
            "op": "update",
            "resource": "customers",
            "id": "customer-1",
            "rev": "*",
            "document": {"phone": "02251 1"},
        },
        {"op": "action", "resource": "offers", "id": "offer-1", "rev": "3-a", "action": "send"},
    ]
}

ROUTES = [
    Endpoint(
        "POST",
        "/bulk",
        written,
        f"Up to {MOST_OPERATIONS} writes, each as if it had come alone",
        answer=BulkResults,
        body=BulkWrite,
        example=_EXAMPLE,
        parameters=(KEY,),
        problems=(409,),
    ),
]

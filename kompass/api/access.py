"""`/api/v1/access`: why somebody sees a document or doesn't, and what a change would do. For GF and ADMIN."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.access.matrix import MatrixError
from kompass.access.principals import Role
from kompass.api.authentication import body_of, caller_with
from kompass.api.endpoints import Endpoint, Parameter
from kompass.api.problems import Problem
from kompass.api.refusals import pointer_of
from kompass.api.services import services_of
from kompass.sync import explaining

MAY_ASK = (Role.GF, Role.ADMIN)
MOST_CHANGES = 1000


class DryRun(BaseModel):
    """A change to try: members of documents, or another permission matrix."""

    model_config = ConfigDict(extra="forbid")

    changes: Annotated[dict[str, dict[str, Any]], Field(max_length=MOST_CHANGES)] | None = None
    """By document, what it would say instead; null takes a member away."""
    matrix: dict[str, Any] | None = None
    """`matrixVersion` and `overrides`, as in a `permission_matrix` document."""

    @model_validator(mode="after")
    def _one_of_them(self) -> DryRun:
        if (self.changes is None) == (self.matrix is None):
            raise ValueError("give either changes or matrix")
        return self


_NAMED = {"type": "string", "minLength": 1}


class Effects(TypedDict):
    effects: list[explaining.Effect]


async def explained(request: Request) -> Response:
    """The whole answer for `user` and `doc`."""
    caller_with(request, *MAY_ASK)
    user, docid = request.query_params.get("user"), request.query_params.get("doc")
    if not user or not docid:
        raise Problem(400, "Say whom and what: ?user=NAME&doc=ID.")
    documents = services_of(request).access
    with documents.database.reading() as reading:
        answer = explaining.answer(reading, documents.index, user, docid)
    return JSONResponse(asdict(answer))


async def tried(request: Request) -> Response:
    """Who would gain and who would lose how many documents, and some of them."""
    caller_with(request, *MAY_ASK)
    wanted = await body_of(request, DryRun)
    changes: dict[str, dict[str, Any]]
    if wanted.matrix is not None:
        try:
            changes = explaining.matrix_change(wanted.matrix)
        except MatrixError as error:
            errors = [
                {"pointer": pointer_of(one.path, "matrix"), "detail": one.text} for one in error.problems
            ]
            raise Problem(422, "The matrix can't be used.", members={"errors": errors}) from None
    else:
        changes = wanted.changes or {}
    for docid in changes:
        if docid.startswith("_"):
            raise Problem(422, f"{docid} is no document of the business.")
    documents = services_of(request).access
    effects = await explaining.dry_run(documents.database, documents.index, changes)
    return JSONResponse({"effects": [asdict(one) for one in effects]})


ROUTES = [
    Endpoint(
        "GET",
        "/access/explain",
        explained,
        "Why somebody sees a document or doesn't",
        answer=explaining.Answer,
        parameters=(
            Parameter("user", "Whom.", _NAMED, needed=True),
            Parameter("doc", "What.", _NAMED, needed=True),
        ),
    ),
    Endpoint(
        "POST",
        "/access/dry-run",
        tried,
        "Who would gain and who would lose what by a change that isn't made",
        answer=Effects,
        body=DryRun,
        example={"changes": {"customer-1": {"owner": "adm1"}}},
    ),
]

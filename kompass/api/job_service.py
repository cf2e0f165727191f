"""`/api/v1/jobs/service`: what the service that does jobs asks of the server, and gives back to it. For it
alone.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from kompass.access.principals import Principal, Role
from kompass.api.authentication import body_of, call_of
from kompass.api.endpoints import Endpoint, Parameter
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.domain.keys import ROLE
from kompass.domain.users import NOWHERE
from kompass.identity.services import is_jobs
from kompass.jobs import receivers
from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

MOST_IDS = 50
MOST_DOCUMENT = 128 * 1024
"""Bytes of what a job writes."""

_ID = Annotated[str, Field(max_length=2048)]


class Looking(BaseModel):
    """Whose eyes, and at what."""

    model_config = ConfigDict(extra="forbid", strict=True)

    person: Annotated[str, Field(min_length=1, max_length=200)]
    ids: Annotated[list[_ID], Field(max_length=MOST_IDS)]


class Viewed(TypedDict):
    active: bool
    email: str
    name: str
    documents: dict[str, dict[str, Any]]


class Names(TypedDict):
    people: list[str]


class Receiver(TypedDict):
    url: str
    secret: str
    fields: list[str]
    person: str


async def viewed(request: Request) -> Response:
    """`POST view`: `documents` of those ids that the person may read now, as he reads them, his `name`, his
    `email` (empty if he gets none), and whether he is `active`. 404 if there is no such person.
    """
    _only_the_service(request)
    asked = await body_of(request, Looking)
    services = services_of(request)
    access = services.access
    with access.database.reading() as reading:
        winner = reading.winner(f"user-{asked.person}")
        roles = access.index.roles(reading, asked.person)
    if winner is None or winner.deleted:
        raise Problem(404, "There is no such person.")
    user: Any = jsontext.decode(winner.text)
    documents = {}
    if roles is not None and services.views is not None:
        view = services.views.of(access.database, Principal(asked.person, roles))
        found = await view.winners(asked.ids)
        documents = {docid: jsontext.decode(each.text) for docid, each in found.items() if not each.deleted}
    email = _text(user.get("email"))
    answer = {
        "active": roles is not None,
        "email": "" if email.endswith(f"@{NOWHERE}") else email,
        "name": _text(user.get("displayName")) or asked.person,
        "documents": documents,
    }
    return Response(jsontext.encode(answer), media_type="application/json")


async def people(request: Request) -> Response:
    """`GET people?role=…`: names of the active ones that have it, sorted."""
    _only_the_service(request)
    role = request.query_params.get("role", "")
    if role not in set(Role):
        raise Problem(400, "There is no such role.")
    services = services_of(request)
    access = services.access
    names = []
    with access.database.reading() as reading:
        for docid in services.gate_now().facts(reading).sharing(ROLE, role):
            name = docid.removeprefix("user-")
            roles = access.index.roles(reading, name)
            if roles is not None and role in roles:
                names.append(name)
    return Response(jsontext.encode({"people": sorted(names)}), media_type="application/json")


async def receiver(request: Request) -> Response:
    """`GET webhooks/{name}`: with its secret. 404 if there is none, or it is switched off."""
    _only_the_service(request)
    desk = services_of(request).jobs
    store = desk.store if desk is not None else None
    name = request.path_params["name"]
    found = await asyncio.to_thread(receivers.webhook, store, name) if store is not None else None
    if found is None or not found.active:
        raise Problem(404, "There is no such webhook.")
    answer = {"url": found.url, "secret": found.secret, "fields": found.fields, "person": found.person}
    return Response(jsontext.encode(answer), media_type="application/json")


async def written(request: Request) -> Response:
    """`PUT documents/{id}`: 201 if it was written, 200 if there is, or was, such a document; 403 with the
    reason for what the service may not write.
    """
    _only_the_service(request)
    call = call_of(request)
    call.require_json()
    try:
        body = jsontext.decode_request(await call.body(MOST_DOCUMENT))
    except ProtocolError as error:
        raise Problem(error.status, error.reason) from None
    if not isinstance(body, dict):
        raise Problem(422, "The body has to be a document.")
    is_new = await services_of(request).gate_now().create_as_service(request.path_params["id"], body)
    return Response(status_code=201 if is_new else 200, content=b"{}", media_type="application/json")


def _only_the_service(request: Request) -> None:
    """Raises 401 and 403 for everybody else, administrators included: they write as themselves."""
    principal = call_of(request).principal
    if principal.name is None:
        raise Problem(401, "This is for the service that does jobs: it brings its secret as a token.")
    if not is_jobs(principal):
        raise Problem(403, "This is for the service that does jobs.")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


ROUTES = [
    Endpoint(
        "POST",
        "/jobs/service/view",
        viewed,
        "Documents as a person reads them: for the service that does jobs",
        answer=Viewed,
        body=Looking,
        example={"person": "adm1", "ids": ["customer-1"]},
        problems=(404,),
    ),
    Endpoint(
        "GET",
        "/jobs/service/people",
        people,
        "Who has a role",
        answer=Names,
        parameters=(Parameter("role", "", {"type": "string", "enum": [str(one) for one in Role]}, True),),
    ),
    Endpoint("GET", "/jobs/service/webhooks/{name}", receiver, "A webhook with its secret", answer=Receiver),
    Endpoint(
        "PUT",
        "/jobs/service/documents/{id:path}",
        written,
        "Writes a document that the service may write",
        answer={"type": "object"},
        answers={201: {"type": "object"}},
        body={"type": "object"},
        example={"type": "notification", "recipientId": "adm1", "isRead": False},
        problems=(409,),
    ),
]

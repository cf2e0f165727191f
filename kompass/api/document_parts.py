"""What belongs to a document: its actions, its history, and comments about it."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kompass.api import audit, changes, documents
from kompass.api.authentication import call_of
from kompass.api.parameters import taking
from kompass.api.services import services_of
from kompass.domain.ownership import owner
from kompass.resources import actions
from kompass.resources.catalogue import RESOURCES, Resource
from kompass.resources.writes import MOST_DOCUMENT

COMMENTS = RESOURCES["comments"]
_OF_HISTORY = [one.name for one in (*audit.PARAMETERS, audit.LIMIT)]


async def steps(resource: Resource, request: Request) -> Response:
    """`GET {id}/actions`: what the caller may do with the document next."""
    view = await documents.view_of(request)
    document = await documents.found(view, resource, request)
    body = orjson.loads(document.text)
    services = services_of(request)
    with services.access.database.reading() as reading:
        owns = owner(body, services.gate_now().facts(reading)) == view.principal.name
    found = actions.allowed(resource.type, body, view.principal, owns)
    return JSONResponse({"actions": [asdict(one) for one in found]})


async def step(resource: Resource, request: Request) -> Response:
    """`POST {id}/actions/{action}`: takes it. The body has members that go with it, if there are any."""
    view, docid = await documents.view_of(request), request.path_params["id"]
    tags, name = documents.tags_of(request, "if-match"), request.path_params["action"]
    has_body = await call_of(request).body(MOST_DOCUMENT)
    sent = await documents.body(request, *documents.PATCH_TYPES) if has_body else {}
    return await documents.answer(
        request, view, lambda _: changes.act(request, view, resource, docid, tags, name, sent)
    )


async def history(resource: Resource, request: Request) -> Response:
    """`GET {id}/history`: who wrote what of it and when, the latest first, as `/audit` tells it."""
    view = await documents.view_of(request)
    document = await documents.found(view, resource, request)
    return await audit.told(request, {**request.query_params, "document": document.id})


async def comments(resource: Resource, request: Request) -> Response:
    """`GET {id}/comments`: a page of those about it, as of any list."""
    view = await documents.view_of(request)
    document = await documents.found(view, resource, request)
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "parentId"]
    query = QueryParams([*given, ("parentId", document.id)])
    return await documents.page(COMMENTS, request, view, query)


async def commented(resource: Resource, request: Request) -> Response:
    """`POST {id}/comments`: another one; `content` is all it needs."""
    view = await documents.view_of(request)
    document = await documents.found(view, resource, request)
    sent = {**await documents.body(request, "application/json"), "parentId": document.id}
    return await documents.answer(
        request, view, lambda turn: changes.create(request, view, COMMENTS, sent, turn)
    )


def _routes(resource: Resource) -> list[Route]:
    one = f"/{resource.name}/{{id}}"
    routes = [
        Route(f"{one}/history", taking(_OF_HISTORY, partial(history, resource)), methods=["GET"]),
        Route(f"{one}/comments", partial(comments, resource), methods=["GET"]),
        Route(f"{one}/comments", taking((), partial(commented, resource)), methods=["POST"]),
    ]
    if actions.names(resource.type):
        routes += [
            Route(f"{one}/actions", taking((), partial(steps, resource)), methods=["GET"]),
            Route(f"{one}/actions/{{action}}", taking((), partial(step, resource)), methods=["POST"]),
        ]
    return routes


ROUTES = [route for resource in RESOURCES.values() for route in _routes(resource)]

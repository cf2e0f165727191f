"""What belongs to a document: its actions, its history, comments about it, and its attachments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kompass.api import audit, changes, documents
from kompass.api.authentication import call_of
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.domain.ownership import owner
from kompass.resources import actions
from kompass.resources.catalogue import RESOURCES, Resource
from kompass.resources.writes import MOST_DOCUMENT
from kompass.sync.opening import DATABASE
from replication.http import attachments
from replication.http.call import Call
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev

COMMENTS = RESOURCES["comments"]


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
    if "document" in request.query_params:
        raise Problem(400, "The address says which document.")
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


async def attached(resource: Resource, request: Request) -> Response:
    """`GET {id}/attachments`: their names, types, sizes in bytes and digests."""
    view = await documents.view_of(request)
    document = await documents.found(view, resource, request)
    infos = await view.attachments(document.id, parse_rev(document.rev)) if document.has_attachments else {}
    told = [
        {"name": name, "contentType": info.content_type, "length": info.length, "digest": info.digest}
        for name, info in sorted(infos.items())
    ]
    return JSONResponse({"attachments": told}, headers={"etag": f'"{document.rev}"'})


async def attachment(resource: Resource, request: Request) -> Response:
    """`GET`, `PUT`, `DELETE {id}/attachments/{name}`: as at the document's address; `If-Match` to write."""
    view = await documents.view_of(request)
    reading = request.method in {"GET", "HEAD"}
    document = await (documents.found if reading else documents.seen)(view, resource, request)
    call, name = call_of(request), request.path_params["name"]
    # There the revision that was seen is named, and `*` means none.
    headers = [(key, value) for key, value in request.scope["headers"] if key != b"if-match"]
    query = b"" if reading else f"rev={document.rev}".encode()
    there = Call(
        scope={**request.scope, "headers": headers, "query_string": query},
        receive=request.receive,
        server=call.server,
        method=request.method,
        segments=[DATABASE, document.id, name],
        request_id=call.request_id,
        principal=call.principal,
        docid=document.id,
        rest=(name,),
    )
    try:
        return await _AT_ADDRESS[request.method](there)
    except ProtocolError as error:
        if error.status == 409:  # since it was looked at
            raise changes.changed_meanwhile() from None
        raise


_AT_ADDRESS: dict[str, Callable[[Call], Awaitable[Response]]] = {
    "GET": attachments.get,
    "HEAD": attachments.get,
    "PUT": attachments.put,
    "DELETE": attachments.delete,
}


def _routes(resource: Resource) -> list[Route]:
    one = f"/{resource.name}/{{id}}"
    routes = [
        Route(f"{one}/history", partial(history, resource), methods=["GET"]),
        Route(f"{one}/comments", partial(comments, resource), methods=["GET"]),
        Route(f"{one}/comments", partial(commented, resource), methods=["POST"]),
        Route(f"{one}/attachments", partial(attached, resource), methods=["GET"]),
        Route(
            f"{one}/attachments/{{name:path}}",
            partial(attachment, resource),
            methods=["GET", "PUT", "DELETE"],
        ),
    ]
    if actions.names(resource.type):
        routes += [
            Route(f"{one}/actions", partial(steps, resource), methods=["GET"]),
            Route(f"{one}/actions/{{action}}", partial(step, resource), methods=["POST"]),
        ]
    return routes


ROUTES = [route for resource in RESOURCES.values() for route in _routes(resource)]

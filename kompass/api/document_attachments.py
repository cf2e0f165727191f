"""What is attached to a document: names, and bytes in pieces both ways.

Reading is that of the document's own address. Writing is a change of the document like any other: who made
it and when is written there, too.
"""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kompass.api import changes, documents
from kompass.api.authentication import call_of
from kompass.api.changes import Attached
from kompass.api.once import Done
from kompass.api.parameters import taking
from kompass.api.problems import Problem
from kompass.resources.catalogue import RESOURCES, Resource
from kompass.sync.opening import DATABASE
from replication.http import attachments
from replication.http.call import Call
from replication.protocol.errors import ProtocolError
from replication.store.values import Document


async def listed(resource: Resource, request: Request) -> Response:
    """`GET {id}/attachments`: their names, types, sizes in bytes and digests."""
    view = await documents.view_of(request)
    await documents.found(view, resource, request)
    there = await view.with_attachments(request.path_params["id"])
    if there is None or there[0].deleted:
        raise Problem(404, changes.ABSENT)
    document, infos = there
    told = [
        {"name": name, "contentType": info.content_type, "length": info.length, "digest": info.digest}
        for name, info in sorted(infos.items())
    ]
    return JSONResponse({"attachments": told}, headers={"etag": f'"{document.rev}"'})


async def shown(resource: Resource, request: Request) -> Response:
    """`GET {id}/attachments/{name}`, with ranges."""
    view = await documents.view_of(request)
    document = await documents.found(view, resource, request)
    return await attachments.get(_at_address(request, document))


async def stored(resource: Resource, request: Request) -> Response:
    """`PUT {id}/attachments/{name}`: beside those there are, or instead of one."""
    view = await documents.view_of(request)
    document = await documents.seen(view, resource, request)
    call, tags = _at_address(request, document), documents.tags_of(request, "if-match")
    upload = attachments.announced(call)
    staged = await attachments.received(call, view, upload)

    def added(attached: Attached) -> Attached:
        return {**attached, upload.name: staged}

    try:
        return _told(await changes.attach(request, view, resource, document.id, tags, added, 201))
    except (Problem, ProtocolError):
        await view.discard_attachments([staged])
        raise


async def removed(resource: Resource, request: Request) -> Response:
    """`DELETE {id}/attachments/{name}`."""
    view = await documents.view_of(request)
    docid, name = request.path_params["id"], request.path_params["name"]
    tags = documents.tags_of(request, "if-match")

    def without(attached: Attached) -> Attached:
        if name not in attached:
            raise Problem(404, "There is no such attachment.")
        return {each: kept for each, kept in attached.items() if each != name}

    return _told(await changes.attach(request, view, resource, docid, tags, without, 200))


def _at_address(request: Request, document: Document) -> Call:
    """The request as it would be at the document's own address."""
    call, name = call_of(request), request.path_params["name"]
    headers = [(key, value) for key, value in request.scope["headers"] if key != b"if-match"]
    return Call(
        scope={**request.scope, "headers": headers, "query_string": b""},
        receive=request.receive,
        server=call.server,
        method=request.method,
        segments=[DATABASE, document.id, name],
        request_id=call.request_id,
        principal=call.principal,
        docid=document.id,
        rest=(name,),
    )


def _told(done: Done) -> Response:
    answer = {"ok": True, "id": done.id, "rev": done.rev}
    return JSONResponse(answer, done.status, headers={"etag": f'"{done.rev}"'})


def _routes(resource: Resource) -> list[Route]:
    all_of_them = f"/{resource.name}/{{id}}/attachments"
    one = f"{all_of_them}/{{name:path}}"
    return [
        Route(all_of_them, taking((), partial(listed, resource)), methods=["GET"]),
        Route(one, taking((), partial(shown, resource)), methods=["GET"]),
        Route(one, taking((), partial(stored, resource)), methods=["PUT"]),
        Route(one, taking((), partial(removed, resource)), methods=["DELETE"]),
    ]


ROUTES = [route for resource in RESOURCES.values() for route in _routes(resource)]

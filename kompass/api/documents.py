"""`/api/v1/NAME` for each type of documents: lists, reading and writing, as the caller may.

What is written passes the same gate as what devices push. `ETag` is the revision; who changes a document says
with `If-Match` which one he has seen.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kompass.api import changes
from kompass.api.authentication import call_of, caller
from kompass.api.once import Done, Turn, once
from kompass.api.parameters import number, taking
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.resources import lists
from kompass.resources.catalogue import RESOURCES, Resource
from kompass.resources.filters import FilterError, parse
from kompass.resources.writes import MOST_DOCUMENT
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext
from replication.store.values import Document

LIMIT = 50
"""Documents of a page, unless `limit` says another number."""
MOST_LIMIT = 200
MOST_FIELDS = 50
PATCH_TYPES = ("application/merge-patch+json", "application/json")
_TAGS = re.compile(r'(?:W/)?"[^"]*"|[^,\s][^,]*')
_PARAMETERS = ("sort", "limit", "cursor", "fields")


# -- reading ---------------------------------------------------------------------------------------


async def listed(resource: Resource, request: Request) -> Response:
    """`GET`: a page, the latest changes first unless `sort` names a field (`-` in front: descending)."""
    return await page(resource, request, await view_of(request), request.query_params)


async def page(resource: Resource, request: Request, view: PersonalDatabase, query: QueryParams) -> Response:
    """The answer to a list's parameters."""
    for name in _PARAMETERS:
        if len(query.getlist(name)) > 1:
            raise Problem(400, f"Give {name} once.")
    given = [(name, value) for name, value in query.multi_items() if name not in _PARAMETERS]
    sort = query.get("sort", "-modifiedAt")
    field = sort.removeprefix("-")
    if field not in resource.sortable:
        raise Problem(400, f"sort can't be {sort[:60]}; it is one of {', '.join(resource.sortable)}.")
    limit = number(request, "limit", LIMIT, 1, MOST_LIMIT)
    wanted = fields_of(request, resource)
    try:
        filters = parse(resource.fields, given)
        question = lists.Question(resource, field, sort.startswith("-"), filters, limit)
        there = await lists.page(view, question, query.get("cursor"))
    except (FilterError, lists.CursorError) as error:
        raise Problem(400, str(error)) from None
    headers = {}
    if there.following is not None:
        address = request.url.include_query_params(cursor=there.following)
        headers["link"] = f'<{address.path}?{address.query}>; rel="next"'
    # Spliced: what is stored is JSON already, and numbers of any size stay what they are.
    items = b",".join(lists.picked(document, wanted) for document in there.items)
    text = b'{"items":[%b],"next":%b}' % (items, orjson.dumps(there.following))
    return Response(text, headers=headers, media_type="application/json")


async def shown(resource: Resource, request: Request) -> Response:
    """`GET {id}`: the document as it is now."""
    wanted = fields_of(request, resource)
    document = await found(await view_of(request), resource, request)
    etag = f'"{document.rev}"'
    if is_known(request, etag):
        return Response(status_code=304, headers={"etag": etag})
    return _document(document, wanted)


# -- writing ---------------------------------------------------------------------------------------


async def created(resource: Resource, request: Request) -> Response:
    """`POST`: a new document. It gets an id, its author and its times."""
    view = await view_of(request)
    sent = await body(request, "application/json")
    return await answer(request, view, lambda turn: changes.create(request, view, resource, sent, turn))


async def replaced(resource: Resource, request: Request) -> Response:
    """`PUT {id}`: the document anew; what isn't sent isn't there any more, but for what the server writes."""
    view, docid = await view_of(request), request.path_params["id"]
    tags, sent = tags_of(request, "if-match"), await body(request, "application/json")
    return await answer(request, view, lambda _: changes.replace(request, view, resource, docid, tags, sent))


async def patched(resource: Resource, request: Request) -> Response:
    """`PATCH {id}`: some of its members; null takes one away (RFC 7396)."""
    view, docid = await view_of(request), request.path_params["id"]
    tags, patch = tags_of(request, "if-match"), await body(request, *PATCH_TYPES)
    return await answer(request, view, lambda _: changes.patch(request, view, resource, docid, tags, patch))


async def removed(resource: Resource, request: Request) -> Response:
    """`DELETE {id}`."""
    view, docid = await view_of(request), request.path_params["id"]
    tags = tags_of(request, "if-match")
    return await answer(request, view, lambda _: changes.remove(request, view, resource, docid, tags))


async def answer(
    request: Request, view: PersonalDatabase, work: Callable[[Turn | None], Awaitable[Done]]
) -> Response:
    """What comes of a write, which is done once for each idempotency key."""
    done = await once(request, view, work)
    if done.status == 204:
        return Response(status_code=204)
    headers = {"etag": f'"{done.rev}"'}
    if done.status == 201:
        headers["location"] = f"/api/v1/{done.resource}/{quote(done.id, safe='')}"
    if done.document is not None:
        return _document(done.document, None, done.status, headers)
    # For whom it is out of sight.
    text = jsontext.encode({"_id": done.id, "_rev": done.rev})
    return Response(text, done.status, headers, media_type="application/json")


# -- what they share -------------------------------------------------------------------------------


async def view_of(request: Request) -> PersonalDatabase:
    """The database as the caller sees it, with everything that was acknowledged before."""
    principal = caller(request)
    services = services_of(request)
    assert services.views is not None
    database = services.access.database
    await database.fresh()
    return services.views.of(database, principal)


async def found(view: PersonalDatabase, resource: Resource, request: Request) -> Document:
    return await changes.found(view, resource, request.path_params["id"])


async def seen(view: PersonalDatabase, resource: Resource, request: Request) -> Document:
    """The document, if its caller has seen it as it is. Raises 404, 412 and 428."""
    return await changes.seen(view, resource, request.path_params["id"], tags_of(request, "if-match"))


def tags_of(request: Request, header: str) -> tuple[str, ...]:
    """Revisions that a header names, in quotes, or `*`."""
    given = ",".join(request.headers.getlist(header))
    return tuple(one.strip() for one in _TAGS.findall(given))


def is_known(request: Request, etag: str) -> bool:
    """Whether the caller has it already, by `If-None-Match` (RFC 9110, 13.1.2)."""
    tags = tags_of(request, "if-none-match")
    return "*" in tags or etag in [tag.removeprefix("W/") for tag in tags]


async def body(request: Request, *types: str) -> dict[str, Any]:
    """A JSON object. Raises 400, 413 and 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in types:
        raise Problem(415, f"Send one of {', '.join(types)}.")
    value = jsontext.decode_request(await call_of(request).body(MOST_DOCUMENT))
    if not isinstance(value, dict):
        raise Problem(400, "The body must be a JSON object.")
    return value


def fields_of(request: Request, resource: Resource) -> tuple[str, ...] | None:
    """Top-level members that are shown beside `_id` and `_rev`; None for all."""
    text = request.query_params.get("fields")
    if text is None:
        return None
    wanted = tuple(dict.fromkeys(text.split(",")))
    known = resource.shown
    for name in wanted:
        if name not in known:
            raise Problem(400, f"{resource.name} have no field {name[:60]}.")
    return wanted


def _document(
    document: Document, wanted: Sequence[str] | None, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    told = {"etag": f'"{document.rev}"', **(headers or {})}
    return Response(lists.picked(document, wanted), status, told, media_type="application/json")


def _routes(resource: Resource) -> list[Route]:
    one, all_of_them = f"/{resource.name}/{{id}}", f"/{resource.name}"
    routes = [
        Route(all_of_them, partial(listed, resource), methods=["GET"]),
        Route(one, taking(("fields",), partial(shown, resource)), methods=["GET"]),
    ]
    if not resource.server_made:
        routes += [
            Route(all_of_them, taking((), partial(created, resource)), methods=["POST"]),
            Route(one, taking((), partial(replaced, resource)), methods=["PUT"]),
            Route(one, taking((), partial(patched, resource)), methods=["PATCH"]),
            Route(one, taking((), partial(removed, resource)), methods=["DELETE"]),
        ]
    return routes


ROUTES = [route for resource in RESOURCES.values() for route in _routes(resource)]

"""`/api/v1/offers/{id}/pdf` and its like: documents on paper, as whoever asks may read them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import quote

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.api import changes, documents
from kompass.api.endpoints import BYTES, Endpoint, Parameter
from kompass.api.problems import Problem
from kompass.api.refusals import problem
from kompass.api.services import services_of
from kompass.domain.changes import NoFacts
from kompass.domain.freezing import is_final, print_name
from kompass.printing import gathering
from kompass.printing.content import Body, Content
from kompass.printing.typesetter import NoSuchSign, NotInstalled, PrintingError, TooLarge
from kompass.resources import writes
from kompass.resources.catalogue import RESOURCES, Resource
from kompass.resources.gathering import TooMany
from kompass.sync.personal import PersonalDatabase
from replication.protocol.attachments import parse_attachments
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.values import AttachmentInfo, Document

PDF = "application/pdf"
log = structlog.get_logger(__name__)
_SAFE = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}


class Archived(TypedDict):
    """The attachment that is the print."""

    rev: str
    name: str
    length: int
    digest: str


class Printed(NamedTuple):
    content: Content
    pdf: bytes


Making = Callable[[PersonalDatabase, Body], Awaitable[Content]]
OFFERS, CONTRACTS, TOURS = (RESOURCES[name] for name in ("offers", "contracts", "tours"))


async def offer(request: Request) -> Response:
    """`GET offers/{id}/pdf`."""
    return await _shown(OFFERS, gathering.offer_content, request)


async def offer_archived(request: Request) -> Response:
    """`POST offers/{id}/archive`."""
    return await _archived(OFFERS, gathering.offer_content, request)


async def contract(request: Request) -> Response:
    """`GET contracts/{id}/pdf`."""
    return await _shown(CONTRACTS, gathering.contract_content, request)


async def contract_archived(request: Request) -> Response:
    """`POST contracts/{id}/archive`."""
    return await _archived(CONTRACTS, gathering.contract_content, request)


async def expense_sheet(request: Request) -> Response:
    """`GET tours/{id}/expense-sheet`."""
    return await _shown(TOURS, gathering.expense_sheet_content, request)


async def _shown(resource: Resource, making: Making, request: Request) -> Response:
    """The document as it is now; the same document makes the same bytes."""
    view = await documents.view_of(request)
    document = await documents.found(view, resource, request)
    content, pdf = await _made(making, request, view, document)
    etag = f'"{hashlib.sha256(pdf).hexdigest()[:32]}"'
    if documents.is_known(request, etag):
        return Response(status_code=304, headers={"etag": etag})
    name = f"{content.title.replace('/', '-')}.pdf"
    headers = {
        "content-disposition": f"inline; filename*=UTF-8''{quote(name, safe='')}",
        "etag": etag,
        **_SAFE,
    }
    return Response(pdf, headers=headers, media_type=PDF)


async def _archived(resource: Resource, making: Making, request: Request) -> Response:
    """The print becomes an attachment, named after the document's number. What was archived before stays as
    it is, also if somebody else has done that meanwhile.
    """
    view = await documents.view_of(request)
    printed: Printed | None = None

    async def work() -> Response:
        nonlocal printed
        stored = await documents.seen(view, resource, request)
        body = orjson.loads(stored.text)
        name = print_name(body)
        if not (name and is_final(body, NoFacts())):
            raise Problem(
                409,
                "Only what is final is archived: an offer that was sent, a contract that was signed.",
            )
        attached = await _attached(view, stored)
        if name in attached:
            return _told(stored.rev, attached[name], 200)
        printed = await _made(making, request, view, stored, printed)
        entry = {"content_type": PDF, "data": b64encode(printed.pdf).decode("ascii")}
        now = services_of(request).gate_now().now()
        write = writes.replaced(resource, stored, attached, body, view.principal.name, now)
        write = replace(write, attachments={**write.attachments, **parse_attachments({name: entry})})
        try:
            await services_of(request).gate_now().write_as(view.principal, write, prints=True)
        except ProtocolError as error:
            if error.status != 409:
                raise problem(request, error) from None
            status = 200
        else:
            status = 201
        stored = await documents.found(view, resource, request)
        attached = await _attached(view, stored)
        if name not in attached:
            raise Problem(412, "The document has changed meanwhile: archive it again.")
        return _told(stored.rev, attached[name], status)

    tags = documents.tags_of(request, "if-match")
    return await changes.whichever(request, request.path_params["id"], tags, work)


async def _attached(view: PersonalDatabase, stored: Document) -> dict[str, AttachmentInfo]:
    return await view.attachments(stored.id, parse_rev(stored.rev)) if stored.has_attachments else {}


async def _made(
    making: Making,
    request: Request,
    view: PersonalDatabase,
    document: Document,
    before: Printed | None = None,
) -> Printed:
    """`before`: the print of an earlier version, which is this one's as well if it says the same: printing
    takes longer than others leave a document alone.
    """
    try:
        content = await making(view, orjson.loads(document.text))
        if before is not None and content == before.content:
            return before
        return Printed(content, await services_of(request).typesetter.print(content))
    except (NoSuchSign, TooLarge, TooMany) as error:
        raise Problem(422, str(error)) from None
    except NotInstalled as error:
        raise Problem(503, str(error)) from None
    except PrintingError as error:
        log.warning("nothing can be printed", why=str(error))
        raise Problem(503, "Nothing can be printed: the server's log tells what is wrong.") from None


def _told(rev: str, info: AttachmentInfo, status: int) -> Response:
    told = Archived(rev=rev, name=info.name, length=info.length, digest=info.digest)
    return JSONResponse(told, status, {"etag": f'"{rev}"'})


_SEEN = Parameter(
    "If-Match", "The revision that was read, in quotes; `*` for any.", needed=True, place="header"
)


def _print(path: str, handler: Callable[[Request], Awaitable[Response]], summary: str) -> Endpoint:
    return Endpoint("GET", path, handler, summary, answer=BYTES, media=PDF, problems=(422,))


def _archive(path: str, handler: Callable[[Request], Awaitable[Response]], summary: str) -> Endpoint:
    return Endpoint(
        "POST",
        path,
        handler,
        summary,
        answer=Archived,
        answers={201: Archived},
        parameters=(_SEEN,),
        problems=(409, 412, 422, 428),
    )


ROUTES = [
    _print("/offers/{id}/pdf", offer, "An offer on paper"),
    _archive("/offers/{id}/archive", offer_archived, "Its print is kept with a sent offer, once"),
    _print("/contracts/{id}/pdf", contract, "A contract on paper"),
    _archive("/contracts/{id}/archive", contract_archived, "Its print is kept with a contract, once"),
    _print("/tours/{id}/expense-sheet", expense_sheet, "Receipts, journeys and nights of a tour"),
]

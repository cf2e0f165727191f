"""`/api/v1/quarantine`: work that could not be stored, for its author and for the office."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Any, NotRequired, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from typing_extensions import TypedDict

from kompass.api.authentication import body_of, call_of, caller
from kompass.api.endpoints import BYTES, Endpoint, a_flag, a_number, a_word
from kompass.api.parameters import MOST_POSITION, flag, number, number_or_none
from kompass.api.problems import Problem
from kompass.api.refusals import problem
from kompass.api.services import services_of
from kompass.domain.stamps import timestamp
from kompass.sync.quarantine import Entry, State
from kompass.sync.quarantine.desk import ClashError, Desk, DeskError, Shown
from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

PAGE = 50
"""Entries in an answer, unless `limit` says another number."""

MAX_PAGE = 200

MAX_DOCUMENT = 2_000_000
"""Bytes of a corrected document with what is around it."""

_REVISION = re.compile(r"[1-9][0-9]{0,14}-[0-9a-f]{32}")

T = TypeVar("T")


class Release(BaseModel):
    """How to release."""

    model_config = ConfigDict(extra="forbid", strict=True)

    overwrite: bool = False
    """Also where the document has changed since in the same fields."""


class QuarantineOutline(TypedDict):
    """An entry without its text."""

    id: str
    state: str
    user: str
    device: str | None
    docId: str
    rev: str | None
    deleted: bool
    rule: str
    reason: str
    grund: str
    fields: list[str]
    received: str


class QuarantineEntries(TypedDict):
    entries: list[QuarantineOutline]
    next: NotRequired[int]


class QuarantineEntry(QuarantineOutline):
    """An entry."""

    document: dict[str, Any] | None
    attachments: dict[str, dict[str, Any]]
    current: dict[str, Any] | None


class Correction(TypedDict):
    """`rev`: of the document that the author has seen; null if there was none."""

    document: dict[str, Any]
    rev: NotRequired[str | None]


class Written(TypedDict):
    id: str
    rev: str | None


async def listed(request: Request) -> Response:
    """`GET`: the latest first. One's own; for the office everybody's, unless `own=true`."""
    query = request.query_params
    state = query.get("state")
    if state is not None and state not in State._value2member_map_:
        raise Problem(400, f"state must be one of {', '.join(State)}.")
    entries, following = await _desk(request).page(
        caller(request),
        everybody=flag(request, "own") is not True,
        state=None if state is None else State(state),
        limit=number(request, "limit", PAGE, 1, MAX_PAGE),
        before=number_or_none(request, "before", 1, MOST_POSITION),
    )
    answer: dict[str, Any] = {"entries": [_outline(entry) for entry in entries]}
    if following is not None:
        answer["next"] = following
    return JSONResponse(answer)


async def shown(request: Request) -> Response:
    """`GET {id}`: the text that was sent, and the document as it is now."""
    # Numbers of any size stay what they are.
    return Response(jsontext.encode(_whole(await _entry(request))), media_type="application/json")


async def attachment(request: Request) -> Response:
    """`GET {id}/attachments/{name}`: bytes that were sent with it, to be saved and never shown as a page."""
    found = await _entry(request)
    info = found.attachments.get(request.path_params["name"])
    if info is None:
        raise Problem(404, "There is no such attachment.")
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(info.name, safe='')}",
        "content-length": str(info.stored_length),
        "content-security-policy": "sandbox",
        "x-content-type-options": "nosniff",
    }
    if info.encoding is not None:
        headers["content-encoding"] = info.encoding
    pieces = _desk(request).read_attachment(info)
    return StreamingResponse(pieces, media_type="application/octet-stream", headers=headers)


async def released(request: Request) -> Response:
    """`POST {id}/release`: onto the document as it is now, in the name of who asks."""
    how = await body_of(request, Release)
    found = await _entry(request)
    rev = await _done(request, _desk(request).release(caller(request), found, overwrite=how.overwrite))
    return JSONResponse({"id": found.entry.docid, "rev": rev})


async def corrected(request: Request) -> Response:
    """`POST {id}/correct`: `{"document", "rev"}`, `rev` of the document that the author has seen, or null."""
    call = call_of(request)
    call.require_json()
    found = await _entry(request)
    value = jsontext.decode(await call.body(MAX_DOCUMENT))
    if not isinstance(value, dict) or not value.keys() <= {"document", "rev"}:
        raise Problem(422, "The body must be an object with document and rev, and nothing else.")
    document, rev = value.get("document"), value.get("rev")
    if not isinstance(document, dict):
        raise Problem(422, "document must be an object: the corrected document.")
    if rev is not None and (not isinstance(rev, str) or _REVISION.fullmatch(rev) is None):
        raise Problem(422, "rev must be the revision of the document that you have seen, or null.")
    if document.get("_id", found.entry.docid) != found.entry.docid:
        raise Problem(422, f"The entry is about {found.entry.docid}; _id can't be another one.")
    given = {name: member for name, member in document.items() if name not in ("_id", "_rev", "_attachments")}
    written = await _done(request, _desk(request).correct(caller(request), found, given, rev))
    return JSONResponse({"id": found.entry.docid, "rev": written})


async def discarded(request: Request) -> Response:
    """`POST {id}/discard`."""
    found = await _entry(request)
    await _done(request, _desk(request).discard(caller(request), found))
    return Response(status_code=204)


async def _done(request: Request, work: Awaitable[T]) -> T:
    """Answers why something can't be done: 409 if entry or document have changed, else as any write."""
    try:
        return await work
    except ClashError as error:
        members = {"fields": list(error.fields), "rev": error.rev}
        raise Problem(409, str(error), members=members) from None
    except DeskError as error:
        raise Problem(409, str(error)) from None
    except ProtocolError as error:
        raise problem(request, error) from None


def _desk(request: Request) -> Desk:
    return services_of(request).desk


async def _entry(request: Request) -> Shown:
    """The entry of the path. 404 for one that he may not see as for one that isn't there."""
    found = await _desk(request).find(caller(request), request.path_params["id"])
    if found is None:
        raise Problem(404, "There is no such entry.")
    return found


def _outline(entry: Entry) -> QuarantineOutline:
    return {
        "id": entry.id,
        "state": entry.state.value,
        "user": entry.user,
        "device": entry.device,
        "docId": entry.docid,
        "rev": entry.document_rev,
        "deleted": entry.deleted,
        "rule": entry.refusal.rule,
        "reason": entry.refusal.reason,
        "grund": entry.refusal.grund,
        "fields": list(entry.refusal.fields),
        "received": timestamp(entry.received),
    }


def _whole(found: Shown) -> dict[str, Any]:
    entry = found.entry
    attachments = {
        name: {"content_type": info.content_type, "length": info.length, "digest": info.digest}
        for name, info in found.attachments.items()
    }
    return {
        **_outline(entry),
        "document": None if entry.deleted else entry.document,
        "attachments": attachments,
        "current": None if found.winner is None else jsontext.decode(found.winner.text),
    }


ROUTES = [
    Endpoint(
        "GET",
        "/quarantine",
        listed,
        "One's own entries, the latest first; for the office everybody's",
        answer=QuarantineEntries,
        parameters=(
            a_flag("own", "Only one's own."),
            a_word("state", State),
            a_number("before", 1, MOST_POSITION, about="`next` of the page before."),
            a_number("limit", 1, MAX_PAGE, PAGE),
        ),
    ),
    Endpoint(
        "GET",
        "/quarantine/{id}",
        shown,
        "What was sent, and the document as it is now",
        answer=QuarantineEntry,
    ),
    Endpoint(
        "GET",
        "/quarantine/{id}/attachments/{name:path}",
        attachment,
        "Bytes that were sent with it",
        answer=BYTES,
        media="application/octet-stream",
    ),
    Endpoint(
        "POST",
        "/quarantine/{id}/release",
        released,
        "Writes it onto the document as it is now",
        answer=Written,
        body=Release,
        example={"overwrite": False},
        problems=(409,),
    ),
    Endpoint(
        "POST",
        "/quarantine/{id}/correct",
        corrected,
        "Writes a corrected document instead",
        answer=Written,
        body=Correction,
        example={"document": {"type": "contact", "lastName": "Meyer"}, "rev": None},
        problems=(409,),
    ),
    Endpoint("POST", "/quarantine/{id}/discard", discarded, "Gives it up", problems=(409,)),
]

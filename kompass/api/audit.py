"""`/api/v1/audit`: the chain of writes, as far as it is somebody's to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, NotRequired

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from typing_extensions import TypedDict

from kompass.access import Principal
from kompass.access.principals import Role
from kompass.api.authentication import caller, caller_with
from kompass.api.endpoints import Endpoint, a_number, a_text
from kompass.api.exports import attachment
from kompass.api.parameters import MOST_POSITION, number, number_or_none
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.audit.inspecting import Report, inspect, opened
from kompass.audit.reading import Query, Shown
from kompass.audit.table import lines
from kompass.exports.making import file_name
from kompass.sync.audit_desk import AuditDesk
from replication.protocol import jsontext

PAGE = 50
MAX_PAGE = 200
_CSV_PAGE = 500


class AuditChange(TypedDict):
    field: str
    old: Any
    new: Any


class AuditEntry(TypedDict):
    """An entry of the chain, as far as the caller gets it."""

    num: int
    hash: str
    decision: str
    reason: str | None
    changes: list[AuditChange]
    values: str


class AuditEntries(TypedDict):
    entries: list[AuditEntry]
    next: NotRequired[int]


class AuditFinding(TypedDict):
    entry: int
    what: str


class Verification(TypedDict):
    ok: bool
    entries: int
    hash: str
    checkpoint: int
    findings: list[AuditFinding]


class PublicKey(TypedDict):
    id: str
    public: str
    since: str
    signature: str


class Keys(TypedDict):
    keys: list[PublicKey]


async def listed(request: Request) -> Response:
    """`GET`: entries, the latest first, by `document`, `user`, `from`, `to`; `limit`, `before` for more."""
    return await told(request, request.query_params)


async def told(request: Request, query: Mapping[str, str]) -> Response:
    """The same to these parameters."""
    principal, asked = _asked(request, query)
    limit = number(request, "limit", PAGE, 1, MAX_PAGE)
    page = await asyncio.to_thread(_desk(request).page, principal, asked, limit)
    answer: dict[str, Any] = {"entries": [as_json(one) for one in page.entries]}
    if page.before is not None:
        answer["next"] = page.before
    return Response(jsontext.encode(answer), media_type="application/json")


async def exported(request: Request) -> Response:
    """`GET export`: the same as a table (CSV), all of it."""
    principal, query = _asked(request, request.query_params)
    desk = _desk(request)

    async def text() -> AsyncIterator[bytes]:
        at: Query | None = query
        head = True
        while at is not None:
            page = await asyncio.to_thread(desk.page, principal, at, _CSV_PAGE)
            yield "".join(lines(page.entries, head=head)).encode("utf-8")
            head = False
            at = None if page.before is None else at.following(page.before)

    headers = attachment(file_name("audit", "csv", datetime.now(UTC)))
    return StreamingResponse(text(), media_type="text/csv; charset=utf-8", headers=headers)


async def verified(request: Request) -> Response:
    """`GET verification`: whether the chain is as it was written, from the entry `from` on."""
    caller_with(request, Role.GF, Role.BUCH, Role.ADMIN)
    start = number(request, "from", 1, 1, MOST_POSITION)
    chain = services_of(request).chain

    def look() -> Report:
        with opened(chain.file) as connection:
            return inspect(connection, chain.keys.known(), start=start)

    async with chain.verifying:
        report = await asyncio.to_thread(look)
    findings = [{"entry": one.entry, "what": one.what} for one in report.findings]  # and of no document
    return JSONResponse(
        {
            "ok": not findings,
            "entries": report.entries,
            "hash": report.hash,
            "checkpoint": report.checkpoint,
            "findings": findings,
        }
    )


async def keys(request: Request) -> Response:
    """`GET keys`: the public keys that checkpoints are signed with, each signed by the one before it."""
    caller(request)
    keys = await asyncio.to_thread(services_of(request).chain.keys.known)
    return JSONResponse({"keys": [key.as_json() for key in keys]})


def as_json(shown: Shown) -> dict[str, Any]:
    """An entry for an answer."""
    return {
        **shown.entry,
        "hash": shown.hash,
        "reason": shown.reason,
        "changes": [
            {"field": one.field, "old": _value(one.old), "new": _value(one.new)} for one in shown.changes
        ],
        "values": shown.values,
    }


def _value(text: str | None) -> Any:
    return None if text is None else jsontext.decode(text)


def _desk(request: Request) -> AuditDesk:
    services = services_of(request)
    return AuditDesk(services.access.database, services.index)


def _asked(request: Request, query: Mapping[str, str]) -> tuple[Principal, Query]:
    principal = caller(request)
    return principal, Query(
        document=query.get("document"),
        user=query.get("user"),
        since=_time(request, "from"),
        until=_time(request, "to"),
        before=number_or_none(request, "before", 1, MOST_POSITION),
    )


def _time(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
        return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Problem(400, f"{name} must be a time as 2026-03-01 or 2026-03-01T08:00:00Z.") from None


PARAMETERS = (
    a_text("user", "Of this person."),
    a_text("from", "A time as 2026-03-01 or 2026-03-01T08:00:00Z; of then and later."),
    a_text("to", "As `from`; of before then."),
    a_number("before", 1, MOST_POSITION, about="`next` of the page before."),
)
"""Of one document's entries."""
LIMIT = a_number("limit", 1, MAX_PAGE, PAGE)
_DOCUMENT = a_text("document", "Of this document.")

ROUTES = [
    Endpoint(
        "GET",
        "/audit",
        listed,
        "Entries, the latest first",
        answer=AuditEntries,
        parameters=(_DOCUMENT, *PARAMETERS, LIMIT),
    ),
    Endpoint(
        "GET",
        "/audit/export",
        exported,
        "All of the same as a table",
        answer={"type": "string"},
        media="text/csv",
        parameters=(_DOCUMENT, *PARAMETERS),
    ),
    Endpoint(
        "GET",
        "/audit/verification",
        verified,
        "Whether the chain is as it was written",
        answer=Verification,
        parameters=(a_number("from", 1, MOST_POSITION, 1, "The first entry that is looked at."),),
    ),
    Endpoint("GET", "/audit/keys", keys, "Public keys that checkpoints are signed with", answer=Keys),
]

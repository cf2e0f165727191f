"""`/api/v1/privacy/subjects`: a copy of what is stored about a person, his erasure, and consents.

Copies and erasures are for GF: they need somebody who may read all of it, and ADMIN reads no documents of the
business.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from typing_extensions import TypedDict

from kompass.access.principals import Role
from kompass.api.authentication import body_of, caller, caller_with
from kompass.api.calendars import calendars_of, forget_gone
from kompass.api.endpoints import BYTES, Endpoint
from kompass.api.problems import Problem
from kompass.api.services import Services, services_of
from kompass.api.streaming import begun
from kompass.audit import Door, acting, of_principal
from kompass.privacy import consents, enrolments
from kompass.privacy.accounts import Account, Accounts, ActiveUserError
from kompass.privacy.erasing import AlreadyErasedError, HeldError, Rewriting
from kompass.privacy.exporting import export
from kompass.privacy.finding import UnknownSubjectError
from kompass.privacy.service import Privacy
from kompass.privacy.sweep import login_of
from kompass.sync.admitting import admitted

_UNKNOWN = "There is no such customer, contact, lead or user."


class Wish(BaseModel):
    """An erasure."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(min_length=10, max_length=500)]
    dry_run: Annotated[bool, Field(alias="dryRun")] = False
    """Only tell what would happen."""


class Rewritten(TypedDict):
    id: str
    type: str
    fields: list[str]
    attachmentsRemoved: list[str]
    attachmentsKept: list[str]


class ShownAccount(TypedDict):
    record: bool
    active: bool
    devices: int


class Elsewhere(TypedDict):
    system: str
    issuer: str
    user: str
    id: str | None
    remove: str


class _OfAccount(TypedDict):
    account: NotRequired[ShownAccount]
    elsewhere: NotRequired[list[Elsewhere]]


class ErasurePreview(_OfAccount):
    """What an erasure would do."""

    subjects: dict[str, Any]
    documents: list[Rewritten]
    legalHold: list[str]
    shared: list[str]
    texts: int
    auditEntries: int
    refused: NotRequired[Any]


class ErasureDone(_OfAccount):
    """What it has done."""

    erasure: int
    ticket: int
    documents: list[Rewritten]
    forgotten: int
    auditEntries: int
    filesClean: bool
    waitingFor: list[str]


class ShownConsent(TypedDict):
    purpose: str
    granted: bool
    at: str
    by: str
    rev: str
    wording: str | None


class Consents(TypedDict):
    consents: list[ShownConsent]


async def exported(request: Request) -> Response:
    """`GET subjects/{id}/export`: a ZIP file of everything about him."""
    caller_with(request, Role.GF)
    subject = request.path_params["id"]
    services = services_of(request)
    login = login_of(subject)
    calendars = [] if login is None else await calendars_of(request, login)
    pieces = export(services.gate_now(), Accounts(services.server.store), subject, calendars)
    try:
        body = await begun(pieces)
    except UnknownSubjectError:
        raise Problem(404, _UNKNOWN) from None
    headers = {
        "content-disposition": 'attachment; filename="export.zip"',
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(body, media_type="application/zip", headers=headers)


async def erased(request: Request) -> Response:
    """`POST subjects/{id}/erasure`: pseudonymises him everywhere, or tells what that would do."""
    who = caller_with(request, Role.GF)
    wish = await body_of(request, Wish)
    subject = request.path_params["id"]
    services = services_of(request)
    privacy = Privacy(services.gate_now(), Accounts(services.server.store))
    try:
        if wish.dry_run:
            preview = await privacy.preview(subject)
            return JSONResponse(
                {
                    "subjects": dict(preview.subjects),
                    "documents": [_outline(one) for one in preview.rewritten],
                    "legalHold": list(preview.held),
                    "shared": sorted(set(preview.shared.values())),
                    "texts": preview.documents,
                    "auditEntries": preview.entries,
                    **_account(services, preview.account),
                    **({} if preview.account is None else {"refused": preview.refused}),
                }
            )
        with acting(of_principal(who, Door.SERVER)):
            done = await privacy.erase(subject, by=who.name, reason=wish.reason)
    except UnknownSubjectError:
        raise Problem(404, _UNKNOWN) from None
    except AlreadyErasedError:
        raise Problem(409, "He was erased before.") from None
    except ActiveUserError as error:
        raise Problem(409, str(error), members={"active": True}) from None
    except HeldError as error:
        raise Problem(409, str(error), members={"legalHold": list(error.docids)}) from None
    await forget_gone(services)
    with services.access.database.reading() as reading:
        open_for = enrolments.waits_for(reading, done.ticket)
    return JSONResponse(
        {
            "erasure": done.erasure.num,
            "ticket": done.ticket,
            "documents": [_outline(one) for one in done.rewritten],
            "forgotten": done.forgotten,
            "auditEntries": done.entries,
            "filesClean": done.is_clean,
            "waitingFor": open_for,
            **_account(services, done.account),
        }
    )


def _account(services: Services, account: Account | None) -> dict[str, Any]:
    """What a user has besides his document, and what must be removed in Keycloak by whoever rules there."""
    if account is None:
        return {}
    told: dict[str, Any] = {
        "account": {
            "record": account.record is not None,
            "active": account.record is not None and account.record.active,
            "devices": len(account.devices),
        }
    }
    provider = services.identity.provider
    if provider is not None:
        subject = None if account.record is None else account.record.subject
        told["elsewhere"] = [
            {
                "system": "Keycloak",
                "issuer": provider.issuer,
                "user": account.name,
                "id": subject,
                "remove": "the user with his sessions, attributes, login and admin events, and what is linked"
                " to him by identity providers or user federation",
            }
        ]
    return told


def _outline(one: Rewriting) -> dict[str, Any]:
    return {
        "id": one.docid,
        "type": one.doctype,
        "fields": list(one.fields),
        "attachmentsRemoved": list(one.files),
        "attachmentsKept": list(one.kept_files),
    }


async def consented(request: Request) -> Response:
    """`GET subjects/{id}/consents`: what a customer agreed to and withdrew, for whoever reads him."""
    who = caller(request)
    subject = request.path_params["id"]
    access = services_of(request).access
    with access.database.reading() as reading:
        admitted(access.index, reading, who)
        if subject not in access.index.sees(reading, who.name, [subject]):
            raise Problem(404, _UNKNOWN)
        given = consents.listed(reading, subject)
    rows = [
        {
            "purpose": one.purpose.value,
            "granted": one.granted,
            "at": one.at.isoformat(),
            "by": one.by,
            "rev": one.rev,
            "wording": one.wording,
        }
        for one in given
    ]
    return JSONResponse({"consents": rows})


ROUTES = [
    Endpoint(
        "GET",
        "/privacy/subjects/{id}/export",
        exported,
        "Everything that is stored about a person",
        answer=BYTES,
        media="application/zip",
    ),
    Endpoint(
        "POST",
        "/privacy/subjects/{id}/erasure",
        erased,
        "Pseudonymises a person everywhere, or tells what that would do",
        answer=ErasureDone | ErasurePreview,
        body=Wish,
        example={"reason": "Request under Art. 17 of 2026-03-01", "dryRun": True},
        problems=(409,),
    ),
    Endpoint(
        "GET",
        "/privacy/subjects/{id}/consents",
        consented,
        "What a customer agreed to and withdrew",
        answer=Consents,
    ),
]

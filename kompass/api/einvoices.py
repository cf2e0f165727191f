"""`/api/v1/supplier-invoices/import`: a ZUGFeRD, Factur-X or XRechnung file becomes an invoice."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.access.policy import UNKNOWN
from kompass.api import changes, documents
from kompass.api.authentication import call_of
from kompass.api.endpoints import BYTES, Endpoint, a_flag, a_text
from kompass.api.language import german
from kompass.api.parameters import flag
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.einvoices import matching
from kompass.einvoices.importing import PDF, XML, Original, document, warnings
from kompass.einvoices.invoices import Invoice, Line, Tax, UnfitError, invoice
from kompass.einvoices.reading import MOST_BYTES, UnreadableError, Words
from kompass.resources import writes
from kompass.resources.catalogue import RESOURCES
from kompass.resources.gathering import TooMany
from kompass.sync.personal import PersonalDatabase
from replication.protocol.attachments import parse_attachments

INVOICES = RESOURCES["supplier-invoices"]
_TYPES = (PDF, XML, "text/xml", "application/octet-stream")


class ReadLine(TypedDict):
    name: str
    quantity: str
    unit: str
    priceEur: str
    netEur: str
    taxPercent: str | None


class ReadTax(TypedDict):
    percent: str | None
    netEur: str
    taxEur: str


class ReadInvoice(TypedDict):
    """What the file says; amounts as texts, so that nothing is rounded."""

    format: str
    number: str
    kind: str
    date: str
    dueDate: str | None
    seller: str
    sellerVatId: str
    buyer: str
    orderNumber: str
    netEur: str
    taxEur: str
    grossEur: str
    dueEur: str
    payeeAccounts: list[str]
    paymentTerms: str
    lines: list[ReadLine]
    taxes: list[ReadTax]


class ImportedInvoice(TypedDict):
    """`id` and `rev` are null in a dry run."""

    id: str | None
    rev: str | None
    supplierId: str
    purchaseOrderId: str | None
    notes: list[str]
    read: ReadInvoice


async def imported(request: Request) -> Response:
    """`POST`: the file is the body."""
    dry = flag(request, "dryRun") is True
    view = await documents.view_of(request)
    services = services_of(request)
    if services.invoices.missing is not None:
        raise Problem(503, services.invoices.missing)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise Problem(415, f"Send one of {', '.join(_TYPES[:2])}.")
    original = Original(await call_of(request).body(MOST_BYTES))
    try:
        terms = await services.invoices.read(original.data)
        found = invoice(terms.terms)
    except UnreadableError as error:
        said = error.words.grund if german(request) else error.words.reason
        raise Problem(422, said, members={"rule": f"einvoice.{error.problem}"}) from None
    except UnfitError as error:
        raise _unfit(request, error) from None
    try:
        supplier = await _supplier(request, view, found)
        await _not_there_yet(request, view, found, original, str(supplier["_id"]))
        order = await matching.order(view, found, str(supplier["_id"]))
        contract = await matching.contract(view, found, str(supplier["_id"]))
        known = await matching.accounts(view, str(supplier["_id"]))
    except TooMany as error:
        raise Problem(422, f"{error} Say with supplierId whose it is.") from None
    notes = list(warnings(found, supplier, known))
    if found.order and order is None:
        number = found.order[:60]
        notes.append(
            Words(
                f"There is no order {number} to this supplier.",
                f"Zu diesem Lieferanten gibt es keine Bestellung {number}.",
            )
        )
    answer = ImportedInvoice(
        id=None,
        rev=None,
        supplierId=str(supplier["_id"]),
        purchaseOrderId=None if order is None else str(order["_id"]),
        notes=[one.grund if german(request) else one.reason for one in notes],
        read=_read(found, terms.format),
    )
    if dry:
        return JSONResponse(answer)
    told = [one.grund for one in notes]
    body = document(found, original, str(supplier["_id"]), order, contract, told)
    docid, rev = await _stored(request, view, original, body)
    headers = {"location": f"/api/v1/supplier-invoices/{docid}", "etag": f'"{rev}"'}
    return JSONResponse({**answer, "id": docid, "rev": rev}, 201, headers)


async def _stored(
    request: Request, view: PersonalDatabase, original: Original, body: Mapping[str, Any]
) -> tuple[str, str]:
    """Id and revision of the new document."""
    entry = {"content_type": original.content_type, "data": b64encode(original.data).decode("ascii")}
    attached = parse_attachments({original.name: entry})
    now = services_of(request).gate_now().now()
    for docid in original.ids:
        write = writes.created(INVOICES, {**body, "_id": docid}, view.principal.name, now)
        try:
            return docid, await changes.pushed(request, view, replace(write, attachments=attached))
        except Problem as error:
            if error.status == 412:  # two at once: the other one was first
                raise _twice(request, "file") from None
            if error.members.get("rule") != UNKNOWN:
                raise
            # One with this id was deleted.
    raise Problem(409, "This file was imported and deleted too often: enter the invoice by hand.")


async def _supplier(request: Request, view: PersonalDatabase, found: Invoice) -> Mapping[str, Any]:
    """The one who sells, or whom the caller names. Raises 422."""
    named = request.query_params.get("supplierId")
    candidates: Sequence[Mapping[str, Any]]
    if named is not None:
        one = await matching.supplier(view, named)
        candidates = [] if one is None else [one]
    else:
        candidates = await matching.suppliers(view, found.seller)
    if len(candidates) == 1:
        return candidates[0]
    seller = f"{found.seller.name} ({found.seller.vat_id or '-'})"
    ids = [str(one["_id"]) for one in candidates[:20]]
    if candidates:
        reason = f"Several suppliers are {seller}: say which with supplierId."
        grund = f"Mehrere Lieferanten passen zu {seller}: bitte mit supplierId angeben, welcher."
    else:
        reason = f"No supplier is {seller}: create him first, or name one with supplierId."
        grund = f"Kein Lieferant passt zu {seller}: bitte erst anlegen oder mit supplierId nennen."
    said = grund if german(request) else reason
    members: dict[str, object] = {"rule": "einvoice.supplier", "suppliers": ids}
    raise Problem(422, said, members=members)


async def _not_there_yet(
    request: Request, view: PersonalDatabase, found: Invoice, original: Original, supplier: str
) -> None:
    """Raises 409 for what was imported, or entered by hand, before."""
    for docid, stored in (await view.winners(original.ids)).items():
        if not stored.deleted:
            raise _twice(request, "file", docid)
    before = await matching.earlier(view, found.number, supplier)
    if before is not None:
        raise _twice(request, "number", str(before["_id"]))


def _twice(request: Request, why: str, docid: str | None = None) -> Problem:
    reason, grund = {
        "file": ("This file was imported before.", "Diese Datei wurde schon importiert."),
        "number": (
            "There is an invoice of this supplier with this number.",
            "Zu diesem Lieferanten gibt es schon eine Rechnung mit dieser Nummer.",
        ),
    }[why]
    members: dict[str, object] = {"rule": f"einvoice.{why}"}
    if docid is not None:
        members["id"] = docid
    return Problem(409, grund if german(request) else reason, members=members)


def _unfit(request: Request, error: UnfitError) -> Problem:
    in_german = german(request)
    errors = [
        {"pointer": f"/{one.term}", "detail": one.grund if in_german else one.reason}
        for one in error.problems
    ]
    members: dict[str, object] = {"rule": "einvoice.unfit", "errors": errors}
    return Problem(422, errors[0]["detail"], members=members)


def _read(found: Invoice, told: str) -> ReadInvoice:
    return ReadInvoice(
        format=told,
        number=found.said_number,
        kind=found.kind,
        date=found.issued.isoformat(),
        dueDate=None if found.due is None else found.due.isoformat(),
        seller=found.seller.name,
        sellerVatId=found.seller.vat_id,
        buyer=found.buyer,
        orderNumber=found.order,
        netEur=f"{found.net:f}",
        taxEur=f"{found.tax:f}",
        grossEur=f"{found.gross:f}",
        dueEur=f"{found.to_pay:f}",
        payeeAccounts=list(found.accounts),
        paymentTerms=found.terms,
        lines=[_line(one) for one in found.lines],
        taxes=[_tax(one) for one in found.taxes],
    )


def _line(one: Line) -> ReadLine:
    return ReadLine(
        name=one.name,
        quantity=f"{one.quantity:f}",
        unit=one.unit,
        priceEur=f"{one.price:f}",
        netEur=f"{one.net:f}",
        taxPercent=None if one.tax_percent is None else f"{one.tax_percent:f}",
    )


def _tax(one: Tax) -> ReadTax:
    percent = None if one.percent is None else f"{one.percent:f}"
    return ReadTax(percent=percent, netEur=f"{one.net:f}", taxEur=f"{one.tax:f}")


ROUTES = [
    Endpoint(
        "POST",
        "/supplier-invoices/import",
        imported,
        "An electronic invoice becomes one that waits for approval",
        answer=ImportedInvoice,
        answers={201: ImportedInvoice},
        body=BYTES,
        body_media=PDF,
        example="%PDF-1.7",
        parameters=(
            a_flag("dryRun", "Only tell what would become of it."),
            a_text("supplierId", "Whose it is, if the file doesn't tell.", most=200),
        ),
        problems=(409,),
    )
]

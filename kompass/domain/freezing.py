"""What of a document is final, from when on, and what may still change: the table of the GoBD.

A document becomes final by its state, or by another document that uses it. What is final changes by a
correction of management alone, with a reason (`kompass.domain.corrections`); amounts not even so: they are
cancelled by a Storno and made anew (`kompass.domain.storno`). Attachments are final with their document.

Rows with `gobd=False` keep what somebody has approved from changing under his signature; nothing is sealed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kompass.access.fields import same
from kompass.domain.changes import Body, Change, Facts, status_of
from kompass.domain.corrections import correction, irreparable
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings

HOUSEKEEPING = frozenset(
    {
        "_id",
        "_rev",
        "modifiedBy",
        "modifiedAt",
        "version",
        "schemaVersion",
        "legalHold",
        "legalHoldReason",
        "correctionReason",
        "changeLog",
        "erasures",
        "finalized",
        "immutableAt",
        "immutableHash",
        "immutableAttachments",
    }
)
"""Fields that are never frozen; who writes them is said elsewhere."""


FILES = ("_attachments", "attachments")
"""Attachments, and the list that people see of them."""


class Attached(StrEnum):
    """What may happen to attachments of a final document."""

    FREE = "may change"
    KEPT = "stay, more may come"
    PRINTED = "stay, its print may come"
    """One more may come, once, from the server: what is named after the document's number (`print_name`)."""
    ORIGINAL = "its original stays, others may change"
    """The one that `pdfUrl` names, which then names no other one."""
    FIXED = "stay as they are"


@dataclass(frozen=True, slots=True)
class Use:
    """Documents that make another one final by naming it."""

    type: str
    field: str
    except_in: frozenset[str] = frozenset()
    """States in which they don't count yet."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """What is locked, and from when on."""

    states: frozenset[str] = frozenset()
    uses: tuple[Use, ...] = ()
    link: str = ""
    """A field of the document itself that names a use."""
    locked: frozenset[str] | None = None
    """None: everything but what follows."""
    allowed: frozenset[str] = frozenset()
    once: frozenset[str] = frozenset()
    """May be written while there is nothing in them."""
    attached: Attached = Attached.FREE
    gobd: bool = True

    def applies(self, body: Body, facts: Facts) -> bool:
        if status_of(body) in self.states:
            return True
        if self.link and body.get(self.link) is not None:
            return True
        if not self.uses:
            return False
        return body.get("finalized") is True or any(
            status_of(other) not in use.except_in
            for use in self.uses
            for other in facts.referring(use.type, use.field, str(body.get("_id")))
        )

    def locks(self, field: str) -> bool:
        """Files aside."""
        if field in HOUSEKEEPING or field in FILES:
            return False
        if self.locked is not None:
            return field in self.locked
        return field not in self.allowed and field not in self.once


def _states(*names: str) -> frozenset[str]:
    return frozenset(names)


_fields = _states
_PAYMENT = _fields("paidAt", "paidBy", "paidDate", "paymentReference")
_AMOUNTS = _fields(
    "quantity", "unitPriceEur", "taxRate", "totalNetEur", "taxAmountEur", "totalGrossEur", "projectId"
)
_STATUS = _fields("status")

FREEZES: Mapping[str, tuple[Freeze, ...]] = {
    "customer": (
        Freeze(
            uses=(Use("invoice", "customerId", except_in=_states("draft")),),
            locked=_fields("companyName", "vatNumber", "billingAddress"),
        ),
    ),
    "location": (
        Freeze(
            uses=(Use("project", "locationId"),),
            locked=_fields("deliveryAddress"),
        ),
    ),
    "offer": (
        Freeze(
            states=_states("sent", "viewed", "accepted", "rejected", "expired", "superseded"),
            allowed=_fields("status", "notes"),
            once=_fields(
                "contractId",
                "supersededBy",
                "rejectionReason",
                "sentAt",
                "viewedAt",
                "acceptedAt",
                "rejectedAt",
            ),
            attached=Attached.PRINTED,
        ),
    ),
    "contract": (
        Freeze(
            states=_states("signed", "active", "completed", "terminated"),
            allowed=_fields("status", "notes"),
            once=_fields("projectId", "supersededBy", "terminationReason", "terminatedAt"),
            attached=Attached.KEPT,
        ),
    ),
    "invoice": (
        Freeze(
            states=_states("sent", "partial_paid", "paid", "overdue", "cancelled"),
            allowed=_fields("status", "paidDate", "paidAmount", "dunningLevel"),
            attached=Attached.FIXED,
        ),
    ),
    "time_entry": (Freeze(states=_states("approved"), attached=Attached.FIXED),),
    "expense": (
        Freeze(
            states=_states("approved", "paid"),
            allowed=_STATUS,
            once=_PAYMENT,
            attached=Attached.FIXED,
        ),
    ),
    "project_cost": (
        Freeze(states=_states("paid"), attached=Attached.FIXED),
        Freeze(
            states=_states("invoiced"),
            locked=_AMOUNTS | {"supplierName", "invoiceNumber", "invoiceDate", "invoicePdfUrl"},
            attached=Attached.KEPT,
        ),
        Freeze(states=_states("received"), locked=_AMOUNTS, attached=Attached.KEPT),
    ),
    "mileage_log": (
        Freeze(uses=(Use("expense", "mileageLogId"),), link="expenseId", attached=Attached.FIXED),
    ),
    "purchase_order": (
        Freeze(
            states=_states(
                "approved", "sent_to_supplier", "confirmed_by_supplier", "partially_delivered", "delivered"
            ),
            locked=_fields("supplierId", "projectId", "lineItems", "shippingEur", "approvedBy", "approvedAt"),
            attached=Attached.KEPT,
            gobd=False,
        ),
    ),
    "supplier_contract": (
        Freeze(
            states=_states("active", "completed", "terminated"),
            locked=_fields(
                "supplierId",
                "projectId",
                "contractValueEur",
                "milestones",
                "approvedBy",
                "approvedAt",
                "countersignedBy",
            ),
            attached=Attached.KEPT,
            gobd=False,
        ),
    ),
    "supplier_invoice": (
        Freeze(
            states=_states("Approved", "Paid"),
            locked=_fields(
                "supplierId",
                "purchaseOrderId",
                "invoiceNumber",
                "invoiceDate",
                "subtotalEur",
                "taxAmountEur",
                "totalEur",
                "payeeIban",
                "approvedBy",
                "approvedAt",
            ),
            attached=Attached.FIXED,
            gobd=False,
        ),
        Freeze(
            states=_states("Pending", "Approved", "Paid", "Disputed"),
            locked=_fields(),
            attached=Attached.ORIGINAL,
            gobd=False,
        ),
    ),
}
"""By type; of several rows the one that locks most comes first. All that apply count."""

_PRINTED = frozenset({"offer", "contract"})
"""Types of which the server makes prints."""
_PRINT = re.compile(r"[A-Z]{1,5}-[0-9]{4}-[0-9]+\.pdf")
"""A number that a document may yet get."""

COMPANION_OF_FINAL: Mapping[str, tuple[str, str]] = {"time_entry_cost": ("timeEntryId", "time_entry")}
"""Companions that are final, all of them, as soon as their base is: type -> field, type of the base."""


def applying(body: Body, facts: Facts) -> tuple[Freeze, ...]:
    """The rows that hold for a stored document."""
    doctype = str(body.get("type"))
    companion = COMPANION_OF_FINAL.get(doctype)
    if companion is not None:
        field, base_type = companion
        base = facts.document(str(body.get(field)))
        is_final_base = base is not None and base.get("type") == base_type and is_final(base, facts)
        return (Freeze(),) if is_final_base else ()
    return tuple(freeze for freeze in FREEZES.get(doctype, ()) if freeze.applies(body, facts))


def is_final(body: Body, facts: Facts) -> bool:
    """Whether a document is final by the GoBD, wholly or in part."""
    return any(freeze.gobd for freeze in applying(body, facts))


def frozen_changes(change: Change, facts: Facts) -> tuple[str, ...]:
    """The fields that the change alters and that are final; `_attachments` if a file is."""
    before, doc = change.before, change.doc
    if before is None or doc is None:
        return ()
    rows = applying(before, facts)
    if not rows:
        return ()
    touched = []
    for field in change.changed():
        if field in FILES:
            had, has = before.get(field), doc.get(field)
            if any(_harmed(row.attached, had, has, before) for row in rows):
                touched.append(field)
        elif (
            (
                field == "pdfUrl"
                and _original(before)
                and any(row.attached is Attached.ORIGINAL for row in rows)
            )
            or any(row.locks(field) for row in rows)
            or any(field in row.once and before.get(field) not in (None, "") for row in rows)
        ):
            touched.append(field)
    return tuple(touched)


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why a final document, or the rules of its correction, forbid the change."""
    if change.doc is None:
        return None  # kompass.domain.retention
    touched = frozen_changes(change, facts)
    refusal = correction(change, touched) or _foreign_print(change)
    if refusal is not None:
        return refusal
    if not touched or change.doc.get("correctionReason") is not None:
        return None
    assert change.before is not None
    rows = applying(change.before, facts)
    names = ", ".join(touched)
    also, auch = _ways_on(change.type, touched, rows)
    may = sorted({*frozenset[str]().union(*(row.allowed | row.once for row in rows))})
    free, frei = "", ""
    if may and all(row.locked is None for row in rows):
        free, frei = f" What may still change: {', '.join(may)}.", f" Änderbar bleiben: {', '.join(may)}."
    return Refusal(
        "frozen.fields",
        f"This {change.type} is final; {names} can't change any more.{free}{also}",
        f"Dieses Dokument ({change.type}) ist festgeschrieben; {names} lässt sich nicht mehr ändern."
        f"{frei}{auch}",
        touched,
    )


def _ways_on(doctype: str, touched: tuple[str, ...], rows: tuple[Freeze, ...]) -> tuple[str, str]:
    """What somebody can do instead."""
    if all(row.attached is Attached.ORIGINAL for row in rows):
        return (
            " It is what was sent: attach another file beside it, or delete a wrong invoice.",
            " So ist es eingegangen: eine andere Datei daneben anhängen, oder eine falsche Rechnung löschen.",
        )
    if not any(row.gobd for row in rows):
        return (
            " It is approved like this: take it back a step, or cancel it and make a new one.",
            " So ist es freigegeben: einen Schritt zurück nehmen oder stornieren und neu anlegen.",
        )
    if {*FILES} & {*touched} or irreparable(doctype) & {*touched}:
        return (
            " Amounts and documents are cancelled (Storno) and made anew.",
            " Beträge und Belege werden storniert und neu angelegt.",
        )
    return (
        " GF corrects it with a reason (correctionReason, at least 10 characters).",
        " Die Geschäftsführung korrigiert mit Begründung (correctionReason, mindestens 10 Zeichen).",
    )


def print_name(body: Body) -> str:
    """What the attachment is called that is an offer or a contract as it was printed; empty as long as it has
    no number.
    """
    number = body.get("offerNumber") or body.get("contractNumber")
    return f"{number}.pdf" if isinstance(number, str) else ""


def _foreign_print(change: Change) -> Refusal | None:
    """Why a file that is called like a print isn't taken, unless the server has made it."""
    if change.prints or change.doc is None or change.type not in _PRINTED:
        return None
    known, attached = ((body or {}).get(FILES[0]) for body in (change.before, change.doc))
    for name in attached if isinstance(attached, Mapping) else ():
        if isinstance(known, Mapping) and name in known:
            continue
        if _PRINT.fullmatch(name) or name == print_name(change.doc):
            return Refusal(
                "frozen.print",
                f"{name} is called like a print, which the server makes itself (archive): give it another"
                " name.",
                f"{name} heißt wie ein Ausdruck, den der Server selbst ablegt (archive): bitte anders"
                " benennen.",
                (FILES[0],),
            )
    return None


def _original(body: Body) -> str:
    """The attachment that is what somebody sent; empty if there is none."""
    name, attached = body.get("pdfUrl"), body.get("_attachments")
    return name if isinstance(name, str) and isinstance(attached, Mapping) and name in attached else ""


def _harmed(rule: Attached, had: object, has: object, before: Body) -> bool:
    """Whether files changed, or entries of their list, that had to stay."""
    if rule is Attached.FREE:
        return False
    if rule is Attached.ORIGINAL:
        if not isinstance(had, Mapping):
            return False
        had = {name: digest for name, digest in had.items() if name == _original(before)}
        rule = Attached.KEPT
    if rule is Attached.PRINTED:
        known = had if isinstance(had, Mapping) else {}
        printed = print_name(before)
        if isinstance(has, Mapping) and printed not in known:
            has = {name: digest for name, digest in has.items() if name != printed}
        rule = Attached.FIXED
    if rule is Attached.FIXED:
        return not same(had or None, has or None)
    if isinstance(had, list):
        return not (isinstance(has, list) and same(had, has[: len(had)]))
    if isinstance(had, Mapping) and had:
        return not isinstance(has, Mapping) or any(has.get(name) != digest for name, digest in had.items())
    return False

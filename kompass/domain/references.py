"""What documents name of other documents, and what those must be.

Here it is about fitting together: the contact is the customer's, the offer was accepted. Whether somebody may
refer to a document at all the access rules judge where it says who reads the new one (`FIXED`); of others the
change says which its author may not know of (`Change.unseen`). A reference is looked at when it is written;
what it names may change afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kompass.access.fields import FIXED
from kompass.access.policy import ABSENT
from kompass.domain.changes import Body, Change, Facts, status_of
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings


@dataclass(frozen=True, slots=True)
class Reference:
    field: str
    """With one id, or a list of them."""
    to: str
    same: tuple[tuple[str, str], ...] = ()
    """Pairs of a field here and a field there that are equal; `_id` is the document's id."""
    states: frozenset[str] = frozenset()
    """One of these is the state of what is named, when it is named; empty: any."""
    later: bool = False
    """What is named may come later: the two name each other, or the list is only a convenience."""


def _to(
    field: str, to: str, *same: str | tuple[str, str], states: Iterable[str] = (), later: bool = False
) -> Reference:
    pairs = tuple((one, one) if isinstance(one, str) else one for one in same)
    return Reference(field, to, pairs, frozenset(states), later)


_CUSTOMER = _to("customerId", "customer")
_CONTACT = _to("contactPersonId", "contact", "customerId")
_PROJECT = _to("projectId", "project")
_SUPPLIER = _to("supplierId", "supplier")
_ACTIVE_SUPPLIER = _to("supplierId", "supplier", states=("Active",))
_TOUR = _to("tourId", "tour")
_ORDER = _to("purchaseOrderId", "purchase_order")
_AGREEMENT = _to("supplierContractId", "supplier_contract", "supplierId")
_SELECTED = _to("selectedSupplierId", "supplier")

REFERENCES: Mapping[str, tuple[Reference, ...]] = {
    "customer": (_to("defaultDeliveryLocationId", "location", ("_id", "customerId"), later=True),),
    "location": (_CUSTOMER, _to("primaryContactPersonId", "contact", "customerId", later=True)),
    "contact": (_CUSTOMER, _to("assignedLocationIds", "location", "customerId", later=True)),
    "lead": (_to("convertedCustomerId", "customer"), _to("convertedOpportunityId", "opportunity")),
    "opportunity": (_CUSTOMER, _CONTACT, _to("locationId", "location", "customerId")),
    "offer": (
        _CUSTOMER,
        _CONTACT,
        _to("opportunityId", "opportunity", "customerId"),
        _to("locationId", "location", "customerId"),
        _to("contractId", "contract", "customerId"),
        _to("supersededBy", "offer", "customerId"),
    ),
    "contract": (
        _CUSTOMER,
        _CONTACT,
        _to("opportunityId", "opportunity", "customerId"),
        _to("offerId", "offer", "customerId", "opportunityId", states=("accepted",)),
        _to("projectId", "project", "customerId"),
        _to("supersededBy", "contract", "customerId"),
    ),
    "project": (
        _CUSTOMER,
        _to("contractId", "contract", "customerId", states=("signed", "active")),
        _to("offerId", "offer", "customerId"),
        _to("opportunityId", "opportunity", "customerId"),
        _to("locationId", "location", "customerId"),
    ),
    "activity": (
        _CUSTOMER,
        _to("contactId", "contact", "customerId"),
        _to("locationId", "location", "customerId"),
        _to("opportunityId", "opportunity", "customerId"),
        _to("projectId", "project", "customerId"),
    ),
    "protocol": (
        _CUSTOMER,
        _to("meetingId", "meeting", "customerId"),
        _to("opportunityId", "opportunity", "customerId"),
        _to("projectId", "project", "customerId"),
    ),
    "user_task": (
        _to("relatedCustomerId", "customer"),
        _to("relatedOpportunityId", "opportunity"),
        _to("relatedProjectId", "project"),
    ),
    "project_task": (_PROJECT,),
    "time_entry": (_PROJECT, _to("taskId", "project_task", "projectId")),
    "project_cost": (_PROJECT, _SUPPLIER),
    "tour": (
        _to("meetingIds", "meeting", later=True),
        _to("hotelStayIds", "hotel_stay", later=True),
        _to("expenseIds", "expense", later=True),
        _to("mileageLogIds", "mileage_log", later=True),
    ),
    "meeting": (
        _CUSTOMER,
        _TOUR,
        _to("locationId", "location", "customerId"),
        _to("contactId", "contact", "customerId"),
        _to("opportunityId", "opportunity", "customerId"),
        _to("protocolId", "protocol", "customerId", later=True),
    ),
    "hotel_stay": (_TOUR, _to("locationId", "location")),
    "expense": (
        _TOUR,
        _to("meetingId", "meeting"),
        _PROJECT,
        _to("mileageLogId", "mileage_log"),
    ),
    "mileage_log": (_TOUR, _PROJECT, _to("meetingId", "meeting"), _to("expenseId", "expense")),
    "purchase_order": (_ACTIVE_SUPPLIER, _PROJECT, _AGREEMENT),
    "supplier_contract": (_ACTIVE_SUPPLIER, _PROJECT),
    "project_subcontractor": (_ACTIVE_SUPPLIER, _PROJECT, _AGREEMENT),
    "request_for_quote": (_to("supplierIds", "supplier", states=("Active",)), _PROJECT, _SELECTED),
    "supplier_communication": (_SUPPLIER, _PROJECT, _ORDER),
    "supplier_invoice": (
        _SUPPLIER,
        _PROJECT,
        _AGREEMENT,
        _to("purchaseOrderId", "purchase_order", "supplierId"),
    ),
    "delivery": (_SUPPLIER, _PROJECT, _ORDER, _to("locationId", "location")),
    "inventory_movement": (_to("materialId", "material"), _PROJECT, _ORDER, _to("deliveryId", "delivery")),
    "project_material_requirement": (_PROJECT, _to("materialId", "material"), _SUPPLIER, _ORDER),
}
"""By type. A field that isn't there names nothing."""


def written(change: Change) -> set[str]:
    """The ids that a change writes, of documents that the access rules don't ask about: see `FIXED`."""
    if change.doc is None:
        return set()
    found: set[str] = set()
    for reference in REFERENCES.get(change.type, ()):
        named = change.doc.get(reference.field)
        if (
            named is None
            or reference.field in FIXED
            or not (change.names_anew or change.changes(reference.field))
        ):
            continue
        found.update(one for one in (named if isinstance(named, list) else [named]) if isinstance(one, str))
    return found


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why a reference that the change writes is to nothing, or to something that doesn't fit."""
    if change.doc is None:
        return None
    for reference in REFERENCES.get(change.type, ()):
        refusal = _wrong(reference, change, change.doc, facts)
        if refusal is not None:
            return refusal
    return None


def _wrong(reference: Reference, change: Change, doc: Body, facts: Facts) -> Refusal | None:
    named = doc.get(reference.field)
    is_written = change.names_anew or change.changes(reference.field)
    fits_anew = any(own != "_id" and change.changes(own) for own, _ in reference.same)
    if named is None or not (is_written or fits_anew):
        return None
    for docid in named if isinstance(named, list) else [named]:
        known = isinstance(docid, str) and docid not in change.unseen
        target = facts.document(docid) if known else None
        if target is None and reference.later:
            continue
        if target is None:
            return Refusal(
                ABSENT,
                f"There is no such document, or you may not read it: {reference.field}.",
                "Ein Dokument, zu dem dieses gehört, gibt es nicht, oder Sie dürfen es nicht sehen. "
                f"Betroffen: {reference.field}.",
                (reference.field,),
            )
        if target.get("type") != reference.to:
            return Refusal(
                "reference.type",
                f"{reference.field} names a {reference.to}; this is none.",
                f"{reference.field} nennt ein Dokument der Art {reference.to}; dies ist keins.",
                (reference.field,),
            )
        for own, there in reference.same:
            if doc.get(own) is not None and doc.get(own) != target.get(there):
                what = "document" if own == "_id" else own
                return Refusal(
                    "reference.unfit",
                    f"{reference.field} names no {reference.to} of the same {what}.",
                    f"{reference.field} nennt kein passendes Dokument ({reference.to}): {own} ist anders.",
                    (reference.field,) if own == "_id" else (reference.field, own),
                )
        if is_written and reference.states and status_of(target) not in reference.states:
            wanted = " or ".join(sorted(reference.states))
            return Refusal(
                "reference.state",
                f"{reference.field} names a {reference.to} that is {wanted}; this one isn't.",
                f"{reference.field} nennt ein Dokument ({reference.to}) mit dem Status "
                f"{wanted.replace(' or ', ' oder ')}; dieses hat ihn nicht.",
                (reference.field,),
            )
    return None

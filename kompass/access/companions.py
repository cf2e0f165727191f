"""Companions and cards: the documents into which a business object is divided because its readers differ.

A companion holds restricted fields of a base document, a card repeats harmless ones for those who may not
read the base. Each names its base in a field and has the base's uuid in its id, so there is one of each at
most and a device can make a companion offline. Ids are compared, never taken apart to learn something.

Cards are server-written and have no author, time or version: they are written again only when their content
differs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from kompass.access.audiences import key_of, type_of
from kompass.access.fields import BELONGS

Document = dict[str, Any]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kompass:companion")


@dataclass(frozen=True, slots=True)
class Card:
    """What of a base document its card repeats."""

    type: str
    fields: tuple[str, ...]


CARDS: Mapping[str, Card] = {
    "customer": Card(
        "customer_card",
        ("companyName", "billingAddress", "email", "phone", "website", "industry", "customerType"),
    ),
    "opportunity": Card("opportunity_card", ("title", "customerId", "status", "expectedCloseDate", "owner")),
    "project": Card(
        "project_card",
        (
            "projectNumber",
            "name",
            "customerId",
            "contractId",
            "locationId",
            "status",
            "startDate",
            "endDate",
            "actualEndDate",
            "projectManagerId",
            "teamMemberIds",
            "tags",
            "description",
            "milestones",
        ),
    ),
    "invoice": Card("invoice_card", ("invoiceNumber", "customerId", "paid")),
    "tour": Card("tour_card", ("title", "ownerId", "startDate", "endDate", "region", "status")),
    "meeting": Card("meeting_card", ("tourId", "customerId", "scheduledAt", "duration", "meetingType")),
    "supplier": Card(
        "supplier_card",
        ("companyName", "email", "phone", "billingAddress", "supplierType", "serviceCategories", "status"),
    ),
    "material": Card(
        "material_card", ("materialCode", "materialName", "description", "category", "unit", "status")
    ),
    "user": Card("user_card", ("userName", "displayName", "email", "phoneNumber", "department", "active")),
}
"""Base type -> its card. `invoice_card.paid` is derived from the invoice's status."""

COMPANIONS_OF: Mapping[str, tuple[str, ...]] = {
    base: tuple(dict.fromkeys(fields.values())) for base, fields in BELONGS.items()
}
"""Base type -> the types of its companions."""

BASE_OF: Mapping[str, str] = {
    **{companion: base for base, companions in COMPANIONS_OF.items() for companion in companions},
    **{card.type: base for base, card in CARDS.items()},
}
"""Companion or card type -> the type of its base."""

BASE_FIELD: Mapping[str, str] = {
    doctype: {"time_entry": "timeEntryId"}.get(base, f"{base}Id") for doctype, base in BASE_OF.items()
}
"""Companion or card type -> the field with its base's id."""


def companion_id(doctype: str, base_id: str) -> str:
    """The id of the companion or card of that type, the same for the same base."""
    match = _UUID.search(base_id)
    unique = match.group() if match else str(uuid5(_NAMESPACE, base_id))
    return f"{doctype.replace('_', '-')}-{unique}"


def expected_fields(doctype: str) -> frozenset[str]:
    """The fields of a companion or card beside the common ones; empty for other types."""
    base = BASE_OF.get(doctype)
    if base is None:
        return frozenset()
    card = CARDS.get(base)
    if card is not None and card.type == doctype:
        return frozenset({BASE_FIELD[doctype], *card.fields})
    own = {field for field, companion in BELONGS[base].items() if companion == doctype}
    return frozenset({BASE_FIELD[doctype], *own})


def cards(doc: Mapping[str, Any]) -> list[Document]:
    """The cards that a live document shall have; the caller writes what differs from what is stored."""
    doctype = type_of(doc)
    card = CARDS.get(doctype or "")
    base_id = key_of(doc.get("_id"))
    if card is None or base_id is None or doc.get("_deleted"):
        return []
    body: Document = {
        "_id": companion_id(card.type, base_id),
        "type": card.type,
        BASE_FIELD[card.type]: base_id,
    }
    source = {**doc, "paid": doc.get("status") == "paid"} if doctype == "invoice" else doc
    body.update((field, source[field]) for field in card.fields if field in source)
    return [body]


def split(doc: Mapping[str, Any]) -> tuple[Document, list[Document]]:
    """A whole business object, as an import or a form has it, divided into base document and companions.

    Companions take author, times and version from the base; a companion without a field of its own isn't
    made.
    """
    doctype = type_of(doc)
    belongs = BELONGS.get(doctype or "", {})
    base = {field: value for field, value in doc.items() if field not in belongs}
    base_id = key_of(doc.get("_id"))
    if base_id is None:
        return dict(doc), []
    common = {
        field: doc[field]
        for field in ("createdBy", "createdAt", "modifiedBy", "modifiedAt", "version")
        if field in doc
    }
    companions: dict[str, Document] = {}
    for field, companion in belongs.items():
        if doc.get(field) is not None:
            body = companions.setdefault(
                companion,
                {
                    "_id": companion_id(companion, base_id),
                    "type": companion,
                    BASE_FIELD[companion]: base_id,
                    **common,
                },
            )
            body[field] = doc[field]
    return base, list(companions.values())


def named(doc: Mapping[str, Any]) -> list[Document]:
    """The companions that a document's misplaced fields belong in, without the fields.

    Whoever may read the document and these may read all that it says.
    """
    doctype, base_id = type_of(doc), doc["_id"]
    belongs = BELONGS.get(doctype or "", {})
    types = {belongs[field] for field in doc if field in belongs}
    return [{"type": one, "_id": base_id, BASE_FIELD[one]: base_id} for one in sorted(types)]

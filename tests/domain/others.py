"""A document of each type, for rules that more than one document takes part in."""

from __future__ import annotations

from typing import Any

from kompass.access.principals import Role
from kompass.domain import crossing, references
from kompass.domain.changes import Change, Facts
from kompass.domain.refusals import Refusal
from tests.domain.world import SETTINGS, World, user

OTHERS: dict[str, dict[str, Any]] = {
    "customer": {"companyName": "Hofladen Mayer"},
    "location": {"customerId": "customer-1"},
    "contact": {"customerId": "customer-1"},
    "opportunity": {"customerId": "customer-1", "status": "proposal"},
    "offer": {
        "customerId": "customer-1",
        "opportunityId": "opportunity-1",
        "status": "accepted",
        "totalEur": 1190,
        "offerDate": "2026-02-01",
    },
    "contract": {"customerId": "customer-1", "status": "signed"},
    "project": {"customerId": "customer-1", "status": "active", "milestones": [{"id": "m1"}, {"id": "m2"}]},
    "project_task": {"projectId": "project-1"},
    "tour": {"ownerId": "adm1", "startDate": "2026-03-02", "endDate": "2026-03-04", "status": "active"},
    "meeting": {"tourId": "tour-1", "customerId": "customer-1"},
    "protocol": {"customerId": "customer-1"},
    "hotel_stay": {"tourId": "tour-1"},
    "supplier_contract": {"supplierId": "supplier-1"},
    "delivery": {},
    "mileage_log": {},
    "expense": {},
    "supplier": {"status": "Active"},
    "purchase_order": {"supplierId": "supplier-1"},
    "material": {},
}


def world(*more: dict[str, Any], **changed: dict[str, Any]) -> World:
    """One document of each type, all fitting together, and what is given."""
    bodies = {
        doctype: {"_id": f"{doctype}-1", "type": doctype, **fields, **changed.get(doctype, {})}
        for doctype, fields in OTHERS.items()
    }
    people = [user("adm1", Role.ADM), user("plan1", Role.PLAN), user("innen1", Role.INNEN)]
    return World(*bodies.values(), *people, *more)


def new(doctype: str, **fields: Any) -> dict[str, Any]:
    return {"_id": f"{doctype}-new", "type": doctype, "createdBy": "gf1", **fields}


def check(body: Change, facts: Facts | None = None) -> Refusal | None:
    return crossing.check(body, facts or world(), SETTINGS)


UNFIT = {"contract": ["supersededBy"]}
"""References that no new document has beside its others."""


def fitting(doctype: str) -> dict[str, Any]:
    """A new document with every reference of its type, all right."""
    fields: dict[str, Any] = {}
    for reference in references.REFERENCES[doctype]:
        named = f"{reference.to}-1"
        fields[reference.field] = [named] if reference.field.endswith("Ids") else named
    for field in UNFIT.get(doctype, ()):
        fields.pop(field)
    if doctype == "customer":
        return {**new(doctype, **fields), "_id": "customer-1"}
    if doctype == "meeting":
        fields["scheduledAt"] = "2026-03-03T10:00:00.000Z"
    return new(doctype, **fields)


def customer(docid: str = "customer-new", **fields: Any) -> dict[str, Any]:
    return {
        "_id": docid,
        "type": "customer",
        "companyName": "Hofladen Müller GmbH",
        "vatNumber": "DE123456789",
        "email": "info@mueller.example",
        "billingAddress": {"street": "Hauptstr.", "streetNumber": "1", "zipCode": "89073", "city": "Ulm"},
        **fields,
    }


def running(docid: str, who: str = "innen1", **fields: Any) -> dict[str, Any]:
    return {"_id": docid, "type": "time_entry", "userId": who, "status": "in_progress", **fields}

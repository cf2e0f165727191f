"""Small companies for the tests: documents of every type, and whom they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kompass.access import Relation, document_channels, relations
from kompass.access.companions import BASE_FIELD, companion_id

Document = dict[str, Any]

ME = "me"
OTHER = "other"


class World(dict[str, Document]):
    """Documents by id, looked up the way a server would; channels are derived when they are asked for."""

    def add(self, *docs: Document) -> None:
        self.update((doc["_id"], doc) for doc in docs)

    def document(self, docid: str) -> Document | None:
        return self.get(docid)

    def channels(self, docid: str) -> frozenset[str] | None:
        doc = self.get(docid)
        return document_channels(doc, self) if doc is not None else None

    def relations(self) -> frozenset[Relation]:
        return frozenset(relation for doc in self.values() for relation in relations(doc))


CREATORS = frozenset({"activity", "protocol", "expense", "mileage_log", "comment"})
"""Types without owner or assignee: the creator's."""


def make(doctype: str, *, mine: bool, status: str = "draft", private: bool = False, **more: Any) -> Document:
    """A well-formed document that names `customer-x`, `project-x` and the like as its type does."""
    person = ME if mine else OTHER
    author = person if doctype in CREATORS else OTHER
    doc: Document = {
        "_id": f"{doctype.replace('_', '-')}-x",
        "type": doctype,
        "createdBy": author,
        "modifiedBy": author,
        "status": status,
    }
    fields: Mapping[str, Document] = {
        "customer": {"owner": person},
        "lead": {"owner": person},
        "opportunity": {"owner": person, "customerId": "customer-x"},
        "offer": {"customerId": "customer-x", "opportunityId": "opportunity-x"},
        "contract": {"customerId": "customer-x", "offerId": "offer-x", "opportunityId": "opportunity-x"},
        "project": {
            "customerId": "customer-x",
            "contractId": "contract-x",
            "offerId": "offer-x",
            "projectManagerId": person,
            "teamMemberIds": [OTHER],
        },
        "invoice": {"customerId": "customer-x", "projectId": "project-x"},
        "project_task": {"projectId": "project-x", "assignedTo": person},
        "user_task": {"assignedTo": person},
        "time_entry": {"projectId": "project-x", "userId": person},
        "tour": {"ownerId": person},
        "meeting": {"tourId": "tour-x", "customerId": "customer-x"},
        "hotel_stay": {"tourId": "tour-x"},
        "inventory_movement": {"projectId": "project-x"},
        "project_material_requirement": {"projectId": "project-x"},
        "user": {"userName": person},
        "calendar_subscription": {"userId": person},
        "notification": {"recipientId": person},
        "rejected_change": {"user": person},
        "conflict": {"user": person},
        "comment": {"parentId": "contact-x"},
        "invoice_card": {"customerId": "customer-x"},
    }
    doc |= fields.get(doctype, {})
    if doctype in ("location", "contact", "activity", "protocol"):
        doc["customerId"] = "customer-x"
    if doctype in (
        "project_cost",
        "expense",
        "mileage_log",
        "supplier_contract",
        "purchase_order",
        "project_subcontractor",
        "request_for_quote",
        "supplier_communication",
        "delivery",
        "supplier_invoice",
    ):
        doc["projectId"] = "project-x"
    if doctype in BASE_FIELD:
        base = BASE_FIELD[doctype]
        doc[base] = {"timeEntryId": "time-entry-x"}.get(base, f"{base.removesuffix('Id')}-x")
        doc["_id"] = companion_id(doctype, doc[base])
    if private:
        doc["private"] = True
    return doc | more


def company(*, customer_mine: bool, assigned: bool, mine: bool, contract: str = "signed") -> World:
    """What documents made by `make` refer to."""
    world = World()
    world.add(
        make("customer", mine=customer_mine),
        make("opportunity", mine=mine),
        make("offer", mine=mine, status="accepted"),
        make("contract", mine=mine, status=contract),
        make("project", mine=assigned),
        make("invoice", mine=mine),
        make("tour", mine=mine, status="planned"),
        make("time_entry", mine=mine),
        make("expense", mine=mine),
        make("contact", mine=mine),
    )
    return world

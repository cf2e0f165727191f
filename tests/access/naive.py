"""The permission tables a second time: plain questions to the documents, no channels, no relations, no data
tables.

Written from the business's description, on purpose in another way than `kompass.access`: one function per
question, read top to bottom. Slow, and only right for well-formed documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]
World = Mapping[str, Document]

OFFICE = ("INNEN", "KALK", "BUCH", "GF")
ALL_BUT_ADM = (*OFFICE, "PLAN")
ALL_BUSINESS = (*ALL_BUT_ADM, "ADM")
SUPPLY = (
    "supplier_contract",
    "purchase_order",
    "project_subcontractor",
    "request_for_quote",
    "supplier_communication",
    "delivery",
    "supplier_invoice",
)


def get(world: World, docid: object, kind: str) -> Document:
    """A document of that type, or one without fields."""
    found = world.get(docid) if isinstance(docid, str) else None
    return found if found is not None and found["type"] == kind else {}


def owns(me: str, customer_id: object, world: World) -> bool:
    return bool(get(world, customer_id, "customer").get("owner") == me)


def assigned(me: str, project_id: object, world: World) -> bool:
    project = get(world, project_id, "project")
    return me in (project.get("projectManagerId"), *project.get("teamMemberIds", ()))


def tour_owner(doc: Document, world: World) -> object:
    return get(world, doc.get("tourId"), "tour").get("ownerId") or doc["createdBy"]


def own(me: str, doc: Document, world: World) -> bool:
    """The owner or assignee is me, or the creator where the type has neither."""
    match doc["type"]:
        case "customer" | "lead" | "opportunity":
            return bool(doc.get("owner") == me)
        case "tour":
            return bool(doc["ownerId"] == me)
        case "tour_costs":
            return bool(get(world, doc["tourId"], "tour").get("ownerId") == me)
        case "meeting" | "hotel_stay":
            return tour_owner(doc, world) == me
        case "user_task" | "project_task":
            return bool(doc["assignedTo"] == me)
        case "time_entry":
            return bool(doc["userId"] == me)
        case "time_entry_cost":
            return bool(get(world, doc["timeEntryId"], "time_entry").get("userId") == me)
        case "activity" | "protocol" | "expense" | "mileage_log" | "comment":
            return bool(doc["createdBy"] == me)
    return False


def reads(me: str, role: str | None, doc: Document, world: World) -> bool:
    """Whether somebody with this one role (or none) reads the document."""
    customer = owns(me, doc.get("customerId"), world)
    team = assigned(me, doc.get("projectId"), world)
    mine = own(me, doc, world)
    if doc.get("private"):
        return mine and role in ALL_BUSINESS
    match doc["type"]:
        case "user":
            return doc["userName"] == me or role in ("GF", "ADMIN")
        case "notification":
            return bool(doc["recipientId"] == me)
        case "rejected_change":
            return bool(doc["user"] == me)
        case "conflict":
            return doc.get("user") == me or (role == "GF" and doc.get("status") == "escalated")
        case "calendar_subscription":
            return bool(doc["userId"] == me)
        case "comment":
            parent = world.get(doc["parentId"])
            return parent is not None and reads(me, role, parent, world)
        case "user_card" | "role":
            return role is not None
        case "permission_matrix":
            return role in ("GF", "ADMIN")
        case "customer":
            return role in ALL_BUT_ADM or (role == "ADM" and owns(me, doc["_id"], world))
        case "customer_card" | "opportunity_card" | "supplier_card" | "material_card":
            return role == "ADM"
        case "customer_finance":
            return role in ("GF", "BUCH") or (role == "ADM" and customer)
        case "customer_visit":
            return role in ("INNEN", "GF") or (role == "ADM" and customer)
        case "location" | "contact" | "contract":
            return role in ALL_BUT_ADM or (role == "ADM" and customer)
        case "lead":
            return role in ("INNEN", "GF") or (role == "ADM" and mine)
        case "opportunity":
            return role in OFFICE or (role == "ADM" and mine)
        case "offer":
            wanted = doc["status"] == "accepted" and any(
                project.get("offerId") == doc["_id"] and assigned(me, project["_id"], world)
                for project in world.values()
                if project["type"] == "project"
            )
            return role in OFFICE or (role == "ADM" and customer) or (role == "PLAN" and wanted)
        case "offer_margin":
            return role in OFFICE
        case "invoice":
            return role in ("INNEN", "BUCH", "GF") or (role == "PLAN" and team)
        case "invoice_amount":
            project = get(world, doc["invoiceId"], "invoice").get("projectId")
            return role in ("INNEN", "BUCH", "GF") or (role == "PLAN" and assigned(me, project, world))
        case "invoice_card":
            return role == "ADM" and customer
        case "activity" | "protocol":
            return role in ALL_BUT_ADM or (role == "ADM" and (customer or mine))
        case "project":
            return role in ("PLAN", "KALK", "BUCH", "GF") or (role == "ADM" and customer)
        case "project_card":
            return role == "INNEN"
        case "project_costs":
            return role in ("PLAN", "KALK", "BUCH", "GF")
        case "project_margin":
            return role in ("GF", "BUCH")
        case "project_competitor":
            return role == "GF"
        case "project_task":
            of = get(world, doc["projectId"], "project").get("customerId")
            return role in OFFICE or (role == "PLAN" and team) or (role == "ADM" and owns(me, of, world))
        case "project_cost":
            return role in ("KALK", "BUCH", "GF") or (role == "PLAN" and team)
        case "user_task":
            return role == "GF" or (role in ALL_BUSINESS and mine)
        case "time_entry":
            return (
                role in ("KALK", "BUCH", "GF")
                or (role in ("INNEN", "PLAN") and mine)
                or (role == "PLAN" and team)
            )
        case "time_entry_cost":
            return role in ("BUCH", "GF") or (role in ("INNEN", "PLAN", "KALK") and mine)
        case "tour" | "meeting":
            return role in ("PLAN", "KALK", "BUCH", "GF") or (role == "ADM" and mine)
        case "tour_card" | "meeting_card":
            return role in ("ADM", "INNEN")
        case "tour_costs" | "hotel_stay":
            return role in ("PLAN", "BUCH", "GF") or (role == "ADM" and mine)
        case "expense" | "mileage_log":
            return (
                role in ("BUCH", "GF")
                or (role in ("ADM", "INNEN", "PLAN", "KALK") and mine)
                or (role == "PLAN" and team)
            )
        case "expense_notes":
            return role in ("BUCH", "GF")
        case "supplier" | "material" | "inventory_movement" | "project_material_requirement":
            return role in ALL_BUT_ADM
        case "material_stock":
            return role in ALL_BUT_ADM
        case kind if kind in SUPPLY:
            return role in OFFICE or (role == "PLAN" and team)
    return False


TARGETS = {
    "customerId": "customer",
    "projectId": "project",
    "opportunityId": "opportunity",
    "offerId": "offer",
    "contractId": "contract",
    "tourId": "tour",
    "expenseId": "expense",
    "timeEntryId": "time_entry",
    "parentId": None,
}


def refers(me: str, roles: frozenset[str], doc: Document, world: World) -> bool:
    """Whether everything a new document names as its parent is there and visible."""
    for field, kind in TARGETS.items():
        if field not in doc:
            continue
        target = world.get(doc[field])
        if target is None or (kind is not None and target["type"] != kind):
            return False
        visible = any(reads(me, role, target, world) for role in (*roles, None))
        if field == "projectId" and "INNEN" in roles:
            visible = True  # by the project's card
        if doc["type"] == "project" and field in ("offerId", "opportunityId"):
            contract = get(world, doc.get("contractId"), "contract")
            visible = visible or contract.get(field) == doc[field]
        if not visible:
            return False
    return True


def creates(me: str, role: str, doc: Document, world: World) -> bool:
    """Whether the role may make such a document, what it refers to being visible."""
    customer = owns(me, doc.get("customerId"), world)
    team = assigned(me, doc.get("projectId"), world)
    mine = own(me, doc, world)
    if doc.get("private") and not mine:
        return False
    match doc["type"]:
        case "customer" | "lead":
            return role in ("INNEN", "GF") or (role == "ADM" and mine)
        case "customer_finance" | "expense_notes":
            return role in ("BUCH", "GF")
        case "customer_visit":
            return role in ("INNEN", "GF") or (role == "ADM" and customer)
        case "location" | "contact":
            return role in ("INNEN", "PLAN", "GF") or (role == "ADM" and customer)
        case "opportunity":
            return role in ("INNEN", "KALK", "GF") or (role == "ADM" and mine)
        case "offer":
            return role in ("INNEN", "KALK", "GF") or (role == "ADM" and customer)
        case "offer_margin":
            return role in ("INNEN", "KALK", "GF")
        case "contract":
            return role in ("INNEN", "GF")
        case "activity" | "protocol" | "comment":
            return role in ALL_BUSINESS
        case "project":
            signed = get(world, doc.get("contractId"), "contract").get("status") == "signed"
            return role == "GF" or (role == "PLAN" and signed)
        case "project_margin" | "project_competitor" | "time_entry_cost":
            return role == "GF"
        case "project_task":
            return role in ("INNEN", "KALK", "GF") or (role == "PLAN" and team)
        case "project_cost":
            return role in ("KALK", "GF") or (role == "PLAN" and team)
        case "user_task":
            return role in ("GF", "PLAN") or (role in ALL_BUSINESS and mine)
        case "time_entry":
            return role == "GF" or (role in ("INNEN", "PLAN", "KALK") and mine)
        case "tour" | "meeting" | "hotel_stay":
            return role == "GF" or (role == "ADM" and mine)
        case "expense" | "mileage_log":
            return role in ALL_BUSINESS
        case "supplier":
            return role in ("INNEN", "PLAN", "KALK", "GF")
        case "material" | "inventory_movement" | "project_material_requirement":
            return role in ("INNEN", "PLAN", "KALK", "GF")
        case kind if kind in SUPPLY:
            return role in ("INNEN", "GF") or (role == "PLAN" and team)
    return False


def updates(me: str, role: str, doc: Document, world: World, fresh: bool) -> bool:
    """Whether the role may change something harmless in the stored document, which is visible."""
    customer = owns(me, doc.get("customerId"), world)
    mine = own(me, doc, world)
    status = doc.get("status")
    match doc["type"]:
        case "customer":
            return role in ("INNEN", "GF") or (role == "ADM" and mine)
        case "contract":
            return role == "GF" or (role == "INNEN" and status in ("draft", "pending_signature"))
        case "offer":
            return role in ("INNEN", "GF")
        case "activity" | "protocol":
            return role in ("PLAN", "GF") or (role in ALL_BUSINESS and mine and fresh)
        case "comment":
            return role in ALL_BUSINESS and mine
        case "project":
            return role == "GF" or (role == "PLAN" and assigned(me, doc["_id"], world))
        case "project_cost":
            return (
                role == "GF"
                or (role == "PLAN" and assigned(me, doc["projectId"], world))
                or (role == "KALK" and status == "planned")
            )
        case "user_task":
            return role == "GF" or (role in ALL_BUSINESS and mine)
        case "expense":
            return role == "GF" or (role in ALL_BUSINESS and mine and status in ("draft", "rejected"))
        case "mileage_log":
            return role == "GF" or (role in ALL_BUSINESS and mine)
        case "supplier":
            return role in ("INNEN", "GF")
        case "inventory_movement":
            return False
        case kind if kind in SUPPLY:
            return role in ("INNEN", "GF")
        case "customer_visit":
            return role in ("INNEN", "GF") or (role == "ADM" and customer)
    return creates(me, role, doc, world)


def dismisses(me: str, doc: Document) -> bool:
    """Whoever was told that his change was refused may have done with it, in whatever role."""
    return doc["type"] == "rejected_change" and doc.get("user") == me


def deletes(me: str, role: str, doc: Document, world: World) -> bool:
    """Whether the role may delete the stored document, which is visible."""
    mine = own(me, doc, world)
    status = doc.get("status")
    match doc["type"]:
        case "location" | "contact" | "opportunity":
            return role in ("INNEN", "GF")
        case "offer":
            return (role == "INNEN" and status == "draft") or (role == "GF" and status in ("draft", "sent"))
        case "contract":
            return role in ("INNEN", "GF") and status in ("draft", "pending_signature")
        case "project_task":
            return (
                role == "GF"
                or (role in ("INNEN", "KALK") and mine)
                or (role == "PLAN" and assigned(me, doc["projectId"], world))
            )
        case "project_cost":
            team = assigned(me, doc["projectId"], world)
            return status in ("planned", "ordered") and (role == "GF" or (role == "PLAN" and team))
        case "user_task" | "mileage_log":
            return role == "GF" or (role in ALL_BUSINESS and mine)
        case "time_entry":
            return role == "GF" or (role in ("INNEN", "PLAN", "KALK") and mine)
        case "tour":
            return status == "planned" and (role == "GF" or (role == "ADM" and mine))
        case "meeting" | "hotel_stay":
            return role == "GF" or (role == "ADM" and mine)
        case "expense":
            return status in ("draft", "rejected") and (role == "GF" or (role in ALL_BUSINESS and mine))
        case "comment":
            return role in ALL_BUSINESS and mine
        case "rejected_change":
            return bool(doc["user"] == me)
        case (
            "customer"
            | "lead"
            | "activity"
            | "protocol"
            | "project"
            | "supplier"
            | "material"
            | "project_material_requirement"
            | "customer_finance"
            | "customer_visit"
            | "offer_margin"
            | "project_margin"
            | "project_competitor"
            | "expense_notes"
        ):
            return role == "GF"
        case kind if kind in SUPPLY:
            return role == "GF"
    return False

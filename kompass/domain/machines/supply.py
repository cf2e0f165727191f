"""Suppliers, what is ordered of them, and material."""

from __future__ import annotations

from kompass.access.principals import Role
from kompass.domain.machines.graph import Approval, Machine, Need, by_type, edges

INNEN, PLAN, BUCH, GF = Role.INNEN, Role.PLAN, Role.BUCH, Role.GF

SUPPLIER = Machine(
    "supplier",
    "A supplier",
    "Ein Lieferant",
    ("PendingApproval", "Active", "Inactive", "Blacklisted"),
    ("PendingApproval",),
    (
        *edges("PendingApproval", "Active", GF),
        *edges("Active", "Inactive", GF),
        *edges("Inactive", "Active", GF),
        *edges(("Active", "Inactive"), "Blacklisted", GF, needs=(Need("blacklistReason", 10),)),
    ),
    deletable=frozenset({"PendingApproval", "Inactive"}),
)

MATERIAL = Machine(
    "material",
    "A material",
    "Ein Material",
    ("Active", "OutOfStock", "Discontinued"),
    ("Active",),
    (
        *edges("Active", "OutOfStock", people=True, passing=True),
        *edges("OutOfStock", "Active", people=True, passing=True),
        *edges(("Active", "OutOfStock"), "Discontinued", people=True),
        *edges("Discontinued", "Active", GF),
    ),
    deletable=frozenset({"Active", "OutOfStock", "Discontinued"}),
)

REQUIREMENT = Machine(
    "project_material_requirement",
    "A material requirement",
    "Ein Materialbedarf",
    ("estimated", "confirmed", "ordered", "delivered", "installed", "returned"),
    ("estimated",),
    (
        *edges("estimated", "confirmed", PLAN, GF),
        *edges("confirmed", "ordered", INNEN, GF),
        *edges("ordered", "delivered", INNEN, PLAN, GF),
        *edges("delivered", ("installed", "returned"), INNEN, PLAN, GF),
    ),
    deletable=frozenset({"estimated", "confirmed"}),
)

_ORDER = Approval.PURCHASE_ORDER
_REASON = (Need("rejectionReason", 10),)

PURCHASE_ORDER = Machine(
    "purchase_order",
    "A purchase order",
    "Eine Bestellung",
    (
        "draft",
        "pending_approval",
        "approved",
        "sent_to_supplier",
        "confirmed_by_supplier",
        "partially_delivered",
        "delivered",
        "cancelled",
    ),
    ("draft",),
    (
        *edges("draft", "pending_approval", INNEN, GF, passing=True),
        *edges("draft", "approved", INNEN, GF, approval=_ORDER),
        *edges("pending_approval", "approved", INNEN, BUCH, GF, approval=_ORDER),
        *edges("pending_approval", "draft", BUCH, GF, needs=_REASON),
        *edges("approved", "sent_to_supplier", INNEN, GF),
        *edges("sent_to_supplier", "confirmed_by_supplier", INNEN, GF),
        *edges("confirmed_by_supplier", ("partially_delivered", "delivered"), INNEN, GF),
        *edges("partially_delivered", "delivered", INNEN, GF),
        *edges(
            ("draft", "pending_approval", "approved", "sent_to_supplier", "confirmed_by_supplier"),
            "cancelled",
            INNEN,
            GF,
        ),
    ),
    deletable=frozenset({"draft", "pending_approval"}),
)

_CONTRACT = Approval.SUPPLIER_CONTRACT

SUPPLIER_CONTRACT = Machine(
    "supplier_contract",
    "A supplier contract",
    "Ein Lieferantenvertrag",
    ("draft", "pending_approval", "active", "completed", "terminated"),
    ("draft",),
    (
        *edges("draft", "pending_approval", INNEN, GF, passing=True),
        *edges("draft", "active", INNEN, GF, approval=_CONTRACT),
        *edges("pending_approval", "active", INNEN, GF, approval=_CONTRACT),
        *edges("pending_approval", "draft", INNEN, GF),
        *edges("active", "completed", INNEN, GF),
        *edges(
            ("draft", "pending_approval", "active"), "terminated", GF, needs=(Need("terminationReason", 10),)
        ),
    ),
    deletable=frozenset({"draft", "pending_approval"}),
)

SUPPLIER_INVOICE = Machine(
    "supplier_invoice",
    "A supplier invoice",
    "Eine Lieferantenrechnung",
    ("Pending", "Approved", "Paid", "Disputed"),
    ("Pending",),
    (
        *edges("Pending", "Approved", INNEN, BUCH, GF, approval=Approval.SUPPLIER_INVOICE),
        *edges("Pending", "Disputed", INNEN, BUCH, GF),
        *edges("Disputed", "Pending", INNEN, BUCH, GF),
        *edges("Approved", "Paid", BUCH, GF),
        *edges("Approved", "Disputed", BUCH, GF),
    ),
    deletable=frozenset({"Pending"}),
)

SUBCONTRACTOR = Machine(
    "project_subcontractor",
    "A subcontractor's assignment",
    "Ein Subunternehmereinsatz",
    ("Planned", "Confirmed", "InProgress", "Completed", "Cancelled"),
    ("Planned",),
    (
        *edges("Planned", "Confirmed", INNEN, GF, passing=True),
        *edges("Confirmed", "InProgress", INNEN, GF, passing=True),
        *edges("InProgress", "Completed", INNEN, GF),
        *edges(("Planned", "Confirmed", "InProgress"), "Cancelled", INNEN, GF),
    ),
    deletable=frozenset({"Planned", "Cancelled"}),
)

QUOTE_REQUEST = Machine(
    "request_for_quote",
    "A request for quotes",
    "Eine Angebotsanfrage",
    ("draft", "sent", "answered", "awarded", "cancelled"),
    ("draft",),
    (
        *edges("draft", "sent", INNEN, GF),
        *edges("sent", "answered", INNEN, GF),
        *edges("answered", "awarded", INNEN, GF),
        *edges(("draft", "sent", "answered"), "cancelled", INNEN, GF),
    ),
    deletable=frozenset({"draft"}),
)

SUPPLY = by_type(
    SUPPLIER,
    MATERIAL,
    REQUIREMENT,
    PURCHASE_ORDER,
    SUPPLIER_CONTRACT,
    SUPPLIER_INVOICE,
    SUBCONTRACTOR,
    QUOTE_REQUEST,
)

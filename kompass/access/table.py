"""Who may do what: document type x role x action -> record rules.

The tables look like those in docs/access.md, and a test compares them. Rights of several roles add up; what
isn't here is denied. `SERVER_WRITTEN` types have no writers: the server makes them, whatever a matrix says.

`LIMITS` narrows a right by the state of the stored document where that reads as a right ("deletes drafts").
Transitions between states, frozen fields and shapes are judged by other layers, after this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from kompass.access.principals import Role
from kompass.access.rules import Action, Rule

Rules = frozenset[Rule]
Cells = Mapping[tuple[str, Role, Action], Rules]
"""A missing cell is a denial."""

ACTIONS = {"C": Action.CREATE, "R": Action.READ, "U": Action.UPDATE, "D": Action.DELETE}

Row = Mapping[Role, str]
"""What each role may do, as in `R all, CU own`: actions, a space, record rules joined by `+`."""

ADM, INNEN, PLAN, KALK, BUCH, GF, ADMIN = (
    Role.ADM,
    Role.INNEN,
    Role.PLAN,
    Role.KALK,
    Role.BUCH,
    Role.GF,
    Role.ADMIN,
)

_SUPPLY: Row = {
    INNEN: "CRU all",
    PLAN: "CR assigned_project",
    KALK: "R all",
    BUCH: "R all",
    GF: "CRUD all",
}
_APPROVED_SUPPLY: Row = {**_SUPPLY, BUCH: "RU all"}
_OFFICE_EXPENSES = "CRUD own, R assigned_project"

TABLE: Mapping[str, Row] = {
    # sales
    "customer": {
        ADM: "R own_customer, CU own",
        INNEN: "CRU all",
        PLAN: "R all",
        KALK: "R all",
        BUCH: "R all",
        GF: "CRUD all",
    },
    "customer_card": {ADM: "R all"},
    "customer_finance": {ADM: "R own_customer", BUCH: "CRU all", GF: "CRUD all"},
    "customer_visit": {ADM: "CRU own_customer", INNEN: "CRU all", GF: "CRUD all"},
    "location": {
        ADM: "CRU own_customer",
        INNEN: "CRUD all",
        PLAN: "CRU all",
        KALK: "R all",
        BUCH: "R all",
        GF: "CRUD all",
    },
    "contact": {
        ADM: "CRU own_customer",
        INNEN: "CRUD all",
        PLAN: "CRU all",
        KALK: "R all",
        BUCH: "R all",
        GF: "CRUD all",
    },
    "lead": {ADM: "CRU own", INNEN: "CRU all", GF: "CRUD all"},
    "opportunity": {ADM: "CRU own", INNEN: "CRUD all", KALK: "CRU all", BUCH: "R all", GF: "CRUD all"},
    "opportunity_card": {ADM: "R all"},
    "offer": {
        ADM: "CR own_customer",
        INNEN: "CRUD all",
        PLAN: "R accepted_offer",
        KALK: "CR all",
        BUCH: "R all",
        GF: "CRUD all",
    },
    "offer_margin": {INNEN: "CRU all", KALK: "CRU all", BUCH: "R all", GF: "CRUD all"},
    "contract": {
        ADM: "R own_customer",
        INNEN: "CRUD all",
        PLAN: "R all",
        KALK: "R all",
        BUCH: "R all",
        GF: "CRUD all",
    },
    "invoice": {INNEN: "R all", PLAN: "R assigned_project", BUCH: "R all", GF: "R all"},
    "invoice_amount": {INNEN: "R all", PLAN: "R assigned_project", BUCH: "R all", GF: "R all"},
    "invoice_card": {ADM: "R own_customer"},
    "activity": {
        ADM: "R own_customer+own, CU own",
        INNEN: "R all+own, CU own",
        PLAN: "CRU all+own",
        KALK: "R all+own, CU own",
        BUCH: "R all+own, CU own",
        GF: "CRUD all+own",
    },
    "protocol": {
        ADM: "R own_customer+own, CU own",
        INNEN: "R all+own, CU own",
        PLAN: "CRU all+own",
        KALK: "R all+own, CU own",
        BUCH: "R all+own, CU own",
        GF: "CRUD all+own",
    },
    # projects
    "project": {
        ADM: "R own_customer",
        PLAN: "CR all, U assigned_project",
        KALK: "R all",
        BUCH: "R all",
        GF: "CRUD all",
    },
    "project_card": {INNEN: "R all"},
    "project_costs": {PLAN: "R all", KALK: "R all", BUCH: "R all", GF: "R all"},
    "project_margin": {BUCH: "R all", GF: "CRUD all"},
    "project_competitor": {GF: "CRUD all"},
    "project_task": {
        ADM: "R own_customer",
        INNEN: "CRU all, D own",
        PLAN: "CRUD assigned_project",
        KALK: "CRU all, D own",
        BUCH: "R all",
        GF: "CRUD all",
    },
    "project_cost": {PLAN: "CRUD assigned_project", KALK: "CRU all", BUCH: "RU all", GF: "CRUD all"},
    "user_task": {
        ADM: "CRUD own",
        INNEN: "CRUD own",
        PLAN: "RUD own, C all",
        KALK: "CRUD own",
        BUCH: "CRUD own",
        GF: "CRUD all",
    },
    "time_entry": {
        INNEN: "CRUD own",
        PLAN: "CRUD own, RU assigned_project",
        KALK: "R all, CUD own",
        BUCH: "R all",
        GF: "CRUD all",
    },
    "time_entry_cost": {INNEN: "R own", PLAN: "R own", KALK: "R own", BUCH: "R all", GF: "CRU all"},
    # on the road
    "tour": {ADM: "CRUD own", PLAN: "R all", KALK: "R all", BUCH: "R all", GF: "CRUD all"},
    "tour_card": {ADM: "R all", INNEN: "R all"},
    "tour_costs": {ADM: "R own", PLAN: "R all", BUCH: "R all", GF: "R all"},
    "meeting": {ADM: "CRUD own", PLAN: "R all", KALK: "R all", BUCH: "R all", GF: "CRUD all"},
    "meeting_card": {ADM: "R all", INNEN: "R all"},
    "hotel_stay": {ADM: "CRUD own", PLAN: "R all", BUCH: "R all", GF: "CRUD all"},
    "expense": {
        ADM: "CRUD own",
        INNEN: "CRUD own",
        PLAN: _OFFICE_EXPENSES,
        KALK: "CRUD own",
        BUCH: "CD own, R all, U own+all",
        GF: "CRUD all",
    },
    "expense_notes": {BUCH: "CRU all", GF: "CRUD all"},
    "mileage_log": {
        ADM: "CRUD own",
        INNEN: "CRUD own",
        PLAN: _OFFICE_EXPENSES,
        KALK: "CRUD own",
        BUCH: "CUD own, R all",
        GF: "CRUD all",
    },
    # suppliers and material
    "supplier": {INNEN: "CRU all", PLAN: "CR all", KALK: "CR all", BUCH: "R all", GF: "CRUD all"},
    "supplier_card": {ADM: "R all"},
    "supplier_contract": _APPROVED_SUPPLY,
    "purchase_order": _APPROVED_SUPPLY,
    "project_subcontractor": _SUPPLY,
    "request_for_quote": _SUPPLY,
    "supplier_communication": _SUPPLY,
    "delivery": _SUPPLY,
    "supplier_invoice": _APPROVED_SUPPLY,
    "material": {INNEN: "CRU all", PLAN: "CRU all", KALK: "CRU all", BUCH: "R all", GF: "CRUD all"},
    "material_card": {ADM: "R all"},
    "material_stock": {INNEN: "R all", PLAN: "R all", KALK: "R all", BUCH: "R all", GF: "R all"},
    "inventory_movement": {INNEN: "CR all", PLAN: "CR all", KALK: "CR all", BUCH: "R all", GF: "CR all"},
    "project_material_requirement": {
        INNEN: "CRU all",
        PLAN: "CRU all",
        KALK: "CRU all",
        BUCH: "R all",
        GF: "CRUD all",
    },
    # people and the system
    "user": {GF: "R all", ADMIN: "R all"},
    "user_card": dict.fromkeys(Role, "R all"),
    "role": dict.fromkeys(Role, "R all"),
    "permission_matrix": {GF: "R all", ADMIN: "R all"},
    "calendar_subscription": {},
    "comment": {role: "C own, UD own, U parent" for role in Role if role is not ADMIN},
    "notification": {},
    "rejected_change": {},
    "conflict": {GF: "R all"},
    "device": {},
    "quarantine": {},
}
"""Beside this, everybody reads what is about himself (`Rule.SELF`) and a comment whose parent he reads."""

SERVER_WRITTEN = frozenset(
    {
        "customer_card",
        "opportunity_card",
        "project_card",
        "tour_card",
        "meeting_card",
        "supplier_card",
        "material_card",
        "invoice_card",
        "user_card",
        "project_costs",
        "tour_costs",
        "material_stock",
        "invoice",
        "invoice_amount",
        "user",
        "role",
        "permission_matrix",
        "calendar_subscription",
        "notification",
        "rejected_change",
        "conflict",
        "device",
        "quarantine",
    }
)
"""Nobody writes these by replication: they are derived, mirrored from Lexware or made by the API."""

DISMISSED = frozenset({"rejected_change"})
"""Of these, those that whoever reads them may delete: he has dealt with what they tell him."""

COMPANIONS = frozenset(
    {
        "customer_finance",
        "customer_visit",
        "offer_margin",
        "project_margin",
        "project_competitor",
        "time_entry_cost",
        "expense_notes",
    }
)
"""Restricted parts of other documents that people write. Their readers are field rights: no matrix changes
them."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What narrows a right, judged on the stored document."""

    statuses: frozenset[str] | None = None
    """The document is in one of these."""
    only: frozenset[str] | None = None
    """Only these fields change."""
    within: timedelta | None = None
    """So long after the server received the document's first revision."""
    signed_contract: bool = False
    """The new document names a signed contract."""


def _in(*statuses: str, only: frozenset[str] | None = None) -> Limit:
    return Limit(statuses=frozenset(statuses), only=only)


_PAYMENT = frozenset({"status", "paidAt", "paidBy", "paidDate", "paymentReference"})
_APPROVING = frozenset({"status", "approvedBy", "approvedAt", "rejectionReason"})
_COUNTERSIGNING = frozenset({"countersignedBy", "countersignedAt"})
_RESOLVING = frozenset({"resolved", "resolvedAt", "resolvedBy"})
_DAY = Limit(within=timedelta(hours=24))

LIMITS: Mapping[tuple[str, Action], Mapping[Role | tuple[Role, Rule] | None, Limit | None]] = {
    ("offer", Action.DELETE): {None: _in("draft"), GF: _in("draft", "sent")},
    ("contract", Action.UPDATE): {INNEN: _in("draft", "pending_signature")},
    ("contract", Action.DELETE): {None: _in("draft", "pending_signature")},
    ("activity", Action.UPDATE): {None: _DAY, PLAN: None, GF: None},
    ("protocol", Action.UPDATE): {None: _DAY, PLAN: None, GF: None},
    ("project", Action.CREATE): {PLAN: Limit(signed_contract=True)},
    ("project_cost", Action.UPDATE): {
        KALK: _in("planned"),
        BUCH: _in("received", "invoiced", only=_PAYMENT),
    },
    ("project_cost", Action.DELETE): {None: _in("planned", "ordered")},
    ("time_entry", Action.UPDATE): {
        (PLAN, Rule.ASSIGNED_PROJECT): _in("completed", only=_APPROVING),
    },
    ("tour", Action.DELETE): {None: _in("planned")},
    ("expense", Action.UPDATE): {
        None: _in("draft", "rejected"),
        GF: None,
        (BUCH, Rule.ALL): _in("approved", only=_PAYMENT),
    },
    ("expense", Action.DELETE): {None: _in("draft", "rejected")},
    ("purchase_order", Action.UPDATE): {BUCH: _in("pending_approval", only=_APPROVING)},
    ("supplier_contract", Action.UPDATE): {BUCH: _in("pending_approval", only=_COUNTERSIGNING)},
    ("supplier_invoice", Action.UPDATE): {
        BUCH: _in("Pending", "Approved", "Disputed", only=_APPROVING | _PAYMENT),
    },
    ("comment", Action.UPDATE): {
        (role, Rule.PARENT): Limit(only=_RESOLVING) for role in Role if role is not ADMIN
    },
}
"""By role and rule, else by role, else (`None`) for every role; a matrix that grants more grants it within
these."""


def limit(doctype: str, role: Role, action: Action, rule: Rule) -> Limit | None:
    """What narrows the right of a cell, None if nothing does."""
    limits = LIMITS.get((doctype, action))
    if limits is None:
        return None
    for key in ((role, rule), role, None):
        if key in limits:
            return limits[key]
    return None


def parse(cell: str) -> dict[Action, Rules]:
    """`CRU all, D own` as rules by action."""
    rights: dict[Action, Rules] = {}
    for part in cell.split(","):
        letters, _, names = part.strip().partition(" ")
        for letter in letters:
            action = ACTIONS[letter]
            rights[action] = rights.get(action, frozenset()) | {Rule(name) for name in names.split("+")}
    return rights


DEFAULT_CELLS: Cells = {
    (doctype, role, action): rules
    for doctype, row in TABLE.items()
    for role, cell in row.items()
    for action, rules in parse(cell).items()
}

"""What becomes of a field that two people have changed, each to something else: the table, by type and field.

A rule is looked up by type and path, then for every type by path, then by the type's default, so every field
of every type has one. In a path a dot leads into an object and `[]` into each object of a list. Objects
without a rule of their own are merged member by member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kompass.access.fields import EVERYWHERE, FIXED, FIXED_ALSO, NOBODY, WRITERS
from kompass.access.table import SERVER_WRITTEN


class Rule(StrEnum):
    ASK = "ask"
    """A person decides; until then the stored value stays."""
    STATUS = "status"
    """A person decides, among the transitions that are allowed."""
    STORED = "stored"
    """What is stored stays; the other value is kept in the history."""
    DERIVED = "derived"
    """The server works it out: what is stored stays, and nothing is lost."""
    LATEST = "latest"
    """The later change counts."""
    RECENT = "recent"
    """The later change counts; a person decides if both came within `TOGETHER`."""
    UNION = "union"
    """A set: what either side added is in it, what either side took away isn't."""
    APPEND = "append"
    """A text: both are kept, the earlier one first."""
    YES = "yes"
    """A flag: true wins."""
    ITEMS = "items"
    """A list of objects: each is merged by itself, found again by `KEYS`."""


TOGETHER = 5 * 60 * 1000
"""Milliseconds. Changes that are no further apart may have come in either order: clocks differ."""

ESCALATION = 50_000
"""Euros. Where so much is involved, management decides what a person has to decide."""

KEYS = ("id", "position", "fileName", "supplierId", "task", "description")
"""What objects in a list are found again by: the first of these that all of them have, each its own."""


@dataclass(frozen=True, slots=True)
class Default:
    """What becomes of the fields of a type that have no rule of their own."""

    rule: Rule
    statuses: frozenset[str] | None = None
    """Only while the stored document is in one of these ..."""
    otherwise: Rule = Rule.ASK
    """... and this in any other."""

    def of(self, status: object) -> Rule:
        if self.statuses is None or status in self.statuses:
            return self.rule
        return self.otherwise


_DRAFT = Default(Rule.LATEST, frozenset({"draft"}), Rule.STORED)
_EXPENSE = Default(Rule.LATEST, frozenset({"draft", "rejected"}), Rule.ASK)
_SERVER = Default(Rule.DERIVED)

DEFAULTS: Mapping[str, Default] = {
    "customer": Default(Rule.ASK),
    "customer_finance": Default(Rule.STORED),
    "customer_visit": Default(Rule.LATEST),
    "location": Default(Rule.ASK),
    "contact": Default(Rule.ASK),
    "lead": Default(Rule.RECENT),
    "opportunity": Default(Rule.RECENT),
    "offer": _DRAFT,
    "offer_margin": Default(Rule.STORED),
    "contract": _DRAFT,
    "activity": Default(Rule.RECENT),
    "protocol": Default(Rule.RECENT),
    "project": Default(Rule.RECENT),
    "project_margin": Default(Rule.STORED),
    "project_competitor": Default(Rule.RECENT),
    "project_task": Default(Rule.RECENT),
    "project_cost": Default(Rule.LATEST),
    "user_task": Default(Rule.RECENT),
    "time_entry": Default(Rule.LATEST),
    "time_entry_cost": Default(Rule.STORED),
    "tour": Default(Rule.RECENT),
    "meeting": Default(Rule.RECENT),
    "hotel_stay": Default(Rule.RECENT),
    "expense": _EXPENSE,
    "expense_notes": Default(Rule.RECENT),
    "mileage_log": Default(Rule.LATEST),
    "supplier": Default(Rule.RECENT),
    "supplier_contract": _DRAFT,
    "purchase_order": _DRAFT,
    "project_subcontractor": Default(Rule.RECENT),
    "request_for_quote": _DRAFT,
    "supplier_communication": Default(Rule.RECENT),
    "delivery": Default(Rule.LATEST),
    "supplier_invoice": Default(Rule.STORED),
    "material": Default(Rule.RECENT),
    "inventory_movement": Default(Rule.STORED),
    "project_material_requirement": Default(Rule.RECENT),
    "comment": Default(Rule.RECENT),
    **dict.fromkeys(SERVER_WRITTEN, _SERVER),
}


def _all(rule: Rule, *names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


COMMON: Mapping[str, Rule] = {
    **_all(Rule.STORED, "type", "schemaVersion", "createdBy", "createdAt"),
    **_all(Rule.STATUS, "status"),
    # terms, approvals, and what was done with money
    **_all(Rule.STORED, "paymentTerms", "paymentTermsDays", "deliveryTimeDays", "terms", "currency"),
    **_all(Rule.STORED, "approvedBy", "approvedAt", "rejectedAt", "rejectionReason"),
    **_all(Rule.STORED, "countersignedBy", "countersignedAt", "submittedAt", "sentAt", "viewedAt"),
    **_all(Rule.STORED, "acceptedAt", "signedAt", "signedBy"),
    **_all(Rule.STORED, "paidAt", "paidBy", "paidDate", "paidAmount", "dunningLevel", "paymentReference"),
    **_all(Rule.STORED, "stornoOf", "supersededBy", "convertedCustomerId", "convertedOpportunityId"),
    # sets
    **_all(Rule.UNION, "tags", "serviceCategories", "functionalRoles", "departmentInfluence"),
    **_all(Rule.UNION, "assignedLocationIds", "isPrimaryContactForLocations", "teamMemberIds"),
    **_all(Rule.UNION, "participants", "mentions", "supplierIds"),
    **_all(Rule.UNION, "meetingIds", "hotelStayIds", "expenseIds", "mileageLogIds"),
    # notes
    **_all(Rule.APPEND, "notes", "deliveryNotes", "adminNotes", "outcomeNotes", "damageNotes"),
    # flags
    **_all(Rule.YES, "private", "resolved", "anonymized", "legalHold", "isHotel", "isManualEntry"),
    # lists of objects
    **_all(Rule.ITEMS, "lineItems", "items", "milestones", "nextActions", "paymentSchedule"),
    **_all(Rule.ITEMS, "deliverySchedule", "attachments", "supplierPrices", "quotes"),
}
"""For every type."""

RULES: Mapping[str, Mapping[str, Rule]] = {
    # Consents and their dates belong together: nobody may be said to consent who didn't.
    "customer": _all(Rule.ASK, "dsgvoConsent"),
    "contact": _all(Rule.STORED, "approvalLimitEur"),
    "opportunity": _all(Rule.STORED, "estimatedValue", "actualValue"),
    "offer": {
        **_all(Rule.STORED, "discountPercent", "discountAmountEur", "taxRate"),
        **_all(Rule.STORED, "lineItems[].quantity", "lineItems[].unitPriceEur", "lineItems[].taxRate"),
        **_all(Rule.DERIVED, "lineItems[].totalPriceEur"),
    },
    "contract": {
        **_all(Rule.STORED, "contractValueEur", "subtotalEur", "taxAmountEur"),
        **_all(Rule.STORED, "paymentSchedule[].amountEur", "paymentSchedule[].percent"),
        **_all(Rule.STORED, "paymentSchedule[].paidAt"),
    },
    "activity": _all(Rule.APPEND, "description", "outcome"),
    "protocol": _all(Rule.APPEND, "summary"),
    "project": {
        **_all(Rule.STORED, "contractValue", "budget", "estimatedMaterialCost", "estimatedLaborCost"),
        **_all(Rule.STORED, "estimatedSubcontractorCost", "estimatedTotalCost"),
        **_all(Rule.STATUS, "milestones[].status"),
    },
    # The later change of these counts, of amounts as well.
    "project_cost": _all(Rule.LATEST, "paidAt", "paidDate", "paymentReference"),
    "hotel_stay": _all(Rule.STORED, "pricePerNightEur"),
    "supplier": _all(Rule.STORED, "totalSpendEur"),
    "supplier_contract": _all(
        Rule.STORED, "contractValueEur", "milestones[].percent", "milestones[].amountEur"
    ),
    "purchase_order": {
        **_all(Rule.STORED, "lineItems[].quantity", "lineItems[].unitPriceEur", "lineItems[].taxRate"),
        **_all(Rule.DERIVED, "lineItems[].totalPriceEur"),
        **_all(Rule.STORED, "subtotalEur", "taxRate", "taxAmountEur", "shippingEur", "totalEur"),
    },
    "project_subcontractor": _all(Rule.STORED, "estimatedCostEur", "actualCostEur"),
    "request_for_quote": _all(Rule.STORED, "quotes[].totalEur"),
    "project_material_requirement": {
        **_all(Rule.STORED, "estimatedUnitPriceEur", "actualUnitPriceEur"),
        **_all(Rule.STORED, "estimatedTotalCostEur", "actualTotalCostEur"),
        **_all(Rule.STATUS, "deliveryStatus"),
    },
    "material": _all(Rule.STORED, "supplierPrices[].unitPriceEur"),
    "delivery": _all(Rule.LATEST, "status"),
    "comment": _all(Rule.APPEND, "content"),
}
"""Type -> path -> rule, where it isn't that of every type."""

AMOUNTS: Mapping[str, tuple[str, ...]] = {
    "customer_finance": ("creditLimit",),
    "opportunity": ("estimatedValue", "actualValue"),
    "offer": ("totalEur", "subtotalEur"),
    "contract": ("contractValueEur", "subtotalEur"),
    "project": ("contractValue", "budget", "estimatedTotalCost"),
    "project_cost": ("totalGrossEur", "totalNetEur"),
    "supplier_contract": ("contractValueEur",),
    "purchase_order": ("totalEur", "subtotalEur"),
    "supplier_invoice": ("totalEur", "subtotalEur"),
    "project_subcontractor": ("estimatedCostEur", "actualCostEur"),
}
"""Type -> the fields that say how much money is involved."""

GROUPS: tuple[tuple[str, ...], ...] = (
    ("street", "streetNumber"),
    ("zipCode", "city"),
    ("latitude", "longitude"),
)
"""Members of an object that make sense together alone: changes of two of them are changes of one thing."""


FINAL = ("frozen.", "status.", "retention.", "deletion.", "approval.", "correction.", "storno.", "field.")
"""Begin the names of rules that refuse a change whatever somebody else changed at the same time. If any other
one refuses a merge whose parts are right by themselves, a person is asked.
"""


def is_final(rule: str) -> bool:
    """Whether a branch is refused whose merge this rule refuses."""
    return rule.startswith(FINAL)


def declared(doctype: str, pattern: str) -> Rule | None:
    """The rule that a path has by the tables; None if its type's default counts.

    What only the server writes, and what a document belongs to, is no matter of these tables.
    """
    if pattern in EVERYWHERE or WRITERS.get(doctype, {}).get(pattern) == NOBODY:
        return Rule.DERIVED
    if pattern in FIXED or pattern in FIXED_ALSO.get(doctype, ()):
        return Rule.STORED
    return RULES.get(doctype, {}).get(pattern) or COMMON.get(pattern)


def default(doctype: str, status: object) -> Rule:
    """What counts for a field without a rule of its own. `status` is the stored document's."""
    known = DEFAULTS.get(doctype)
    return Rule.ASK if known is None else known.of(status if isinstance(status, str) else None)


def rule_of(doctype: str, pattern: str, status: object = None) -> Rule:
    """The rule of a field. Total: what no table knows is decided by a person."""
    return declared(doctype, pattern) or default(doctype, status)

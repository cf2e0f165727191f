"""Rights on single fields: where a field belongs, who writes it, who moves a document.

Readers need no table of their own: who reads a document reads all of it, and a field that fewer people may
read belongs to a companion document (`BELONGS`). A write is a changed value: compared with the stored
document, or with "nothing" when there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kompass.access.audiences import AUDIENCES
from kompass.access.principals import Role

BELONGS: Mapping[str, Mapping[str, str]] = {
    "customer": {
        "creditLimit": "customer_finance",
        "paymentTerms": "customer_finance",
        "accountBalance": "customer_finance",
        "lastVisitDate": "customer_visit",
        "visitFrequencyDays": "customer_visit",
        "preferredVisitTime": "customer_visit",
    },
    "offer": {
        "costBasisEur": "offer_margin",
        "marginEur": "offer_margin",
        "marginPercent": "offer_margin",
    },
    "invoice": {
        "netAmount": "invoice_amount",
        "taxAmount": "invoice_amount",
        "grossAmount": "invoice_amount",
        "paidAmount": "invoice_amount",
    },
    "project": {
        "actualMaterialCost": "project_costs",
        "actualLaborCost": "project_costs",
        "actualSubcontractorCost": "project_costs",
        "actualExpensesCost": "project_costs",
        "actualTotalCost": "project_costs",
        "budgetStatus": "project_costs",
        "profitMargin": "project_margin",
        "actualMargin": "project_margin",
        "competitorInfo": "project_competitor",
    },
    "time_entry": {"hourlyRateEur": "time_entry_cost", "totalCostEur": "time_entry_cost"},
    "tour": {"estimatedCosts": "tour_costs", "actualCosts": "tour_costs"},
    "material": {"currentStock": "material_stock"},
    "expense": {"adminNotes": "expense_notes"},
}
"""Base type -> field -> the companion it belongs to. In the base document it is refused."""

NOBODY: frozenset[Role] = frozenset()
_DECISIONS = frozenset({Role.PLAN, Role.GF})

WRITERS: Mapping[str, Mapping[str, frozenset[Role]]] = {
    "contact": {
        "decisionMakingRole": _DECISIONS,
        "authorityLevel": _DECISIONS,
        "canApproveOrders": _DECISIONS,
        "approvalLimitEur": _DECISIONS,
        "functionalRoles": _DECISIONS,
        "anonymized": NOBODY,
        "anonymizedAt": NOBODY,
    },
    "lead": dict.fromkeys(("anonymized", "anonymizedAt"), NOBODY),
    "customer": dict.fromkeys(("customerNumber", "anonymized", "anonymizedAt"), NOBODY),
    "opportunity": {"weightedValue": NOBODY},
    "offer": dict.fromkeys(("offerNumber", "subtotalEur", "taxAmountEur", "totalEur"), NOBODY),
    "contract": {"contractNumber": NOBODY},
    "project": {"projectNumber": NOBODY},
    "project_cost": dict.fromkeys(("totalNetEur", "taxAmountEur", "totalGrossEur"), NOBODY),
    "user_task": dict.fromkeys(("completedAt", "completedBy"), NOBODY),
    "time_entry": {"durationMinutes": NOBODY},
    "time_entry_cost": {"totalCostEur": NOBODY},
    "hotel_stay": {"totalPriceEur": NOBODY},
    "mileage_log": {"costEur": NOBODY},
    "expense": {"receiptNumber": NOBODY},
    "material": dict.fromkeys(("averagePrice", "lowestPrice"), NOBODY),
    "purchase_order": {"orderNumber": NOBODY},
    "supplier_contract": {"contractNumber": NOBODY},
    "request_for_quote": {"rfqNumber": NOBODY},
    "user": dict.fromkeys(("roles", "primaryRole"), frozenset({Role.GF, Role.ADMIN})),
}
"""Type -> field -> who may change it. `NOBODY`: the server numbers, derives or erases."""

EVERYWHERE = ("changeLog", "erasures", "immutableAt", "immutableHash", "immutableAttachments", "finalized")
"""Fields of every type that nobody writes."""

DEFAULTS: Mapping[str, Any] = {"decisionMakingRole": "informational", "authorityLevel": "low"}
"""What a required field says in a new document whose author may not write it."""

OWNERS: Mapping[str, Mapping[str, frozenset[Role]]] = {
    "customer": {"owner": frozenset({Role.INNEN, Role.GF})},
    "opportunity": {"owner": frozenset({Role.INNEN, Role.GF})},
    "lead": {"owner": frozenset({Role.INNEN, Role.GF})},
}
"""Who may hand a document to another owner. At its creation the record rules decide."""

FIXED = (
    "customerId",
    "projectId",
    "opportunityId",
    "offerId",
    "contractId",
    "parentId",
    "tourId",
    "invoiceId",
    "timeEntryId",
    "expenseId",
)
"""References to parents. Moving a document is the server's action, judged on both sides."""

FIXED_ALSO: Mapping[str, tuple[str, ...]] = {"time_entry": ("userId",)}
"""More that stays as it is, by type."""

TARGETS: Mapping[str, str] = {
    "customerId": "customer",
    "projectId": "project",
    "opportunityId": "opportunity",
    "offerId": "offer",
    "contractId": "contract",
    "tourId": "tour",
    "invoiceId": "invoice",
    "timeEntryId": "time_entry",
    "expenseId": "expense",
}
"""The type of document that a reference to a parent leads to. `parentId` may lead to any."""

CARD_SUFFICES = frozenset({"projectId"})
"""References that may be written by whoever sees the target's card: the office works for projects it
doesn't see."""

_WRITERS_WITH_COMMON: Mapping[str, Mapping[str, frozenset[Role]]] = {
    doctype: {**dict.fromkeys(EVERYWHERE, NOBODY), **WRITERS.get(doctype, {})} for doctype in AUDIENCES
}
_EMPTY: tuple[Any, ...] = (None, False, 0, "", [], {})


def same(one: object, other: object) -> bool:
    """Whether two JSON values are equal; true and 1 are not."""
    if isinstance(one, str):
        return one == other
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and one.keys() == other.keys()
            and all(same(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list | tuple):
        return (
            isinstance(other, list | tuple)
            and len(one) == len(other)
            and all(same(a, b) for a, b in zip(one, other, strict=True))
        )
    return one == other


def changed(field: str, doc: Mapping[str, Any], base: Mapping[str, Any] | None) -> bool:
    """Whether the document writes the field. A new one doesn't if it has nothing, or the default, in it."""
    value = doc.get(field)
    if base is None:
        return value not in _EMPTY and value != DEFAULTS.get(field)
    stored = base.get(field)
    if value is stored:
        return False
    try:
        return not same(value, stored)
    except RecursionError:  # nobody nests like this but to get past a comparison
        return True


def moved(doc: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[str, ...]:
    """References to parents that the document changes."""
    fixed = (*FIXED, *FIXED_ALSO.get(doc["type"], ()))
    return tuple(field for field in fixed if (field in doc or field in base) and changed(field, doc, base))


def misplaced(doc: Mapping[str, Any], base: Mapping[str, Any] | None) -> dict[str, str]:
    """Fields that the document writes although they belong to a companion, with the companion's type.

    A new document may not have them at all, not even as zero; nothing (null) may stand there.
    """
    belongs = BELONGS.get(doc["type"], {})
    return {
        field: companion
        for field, companion in belongs.items()
        if doc.get(field) is not None and (base is None or changed(field, doc, base))
    }


def unwritable(
    doc: Mapping[str, Any], base: Mapping[str, Any] | None, roles: frozenset[Role]
) -> dict[str, frozenset[Role]]:
    """Fields that the document writes and none of the roles may write, with the roles that may."""
    return {
        field: writers
        for field, writers in _WRITERS_WITH_COMMON[doc["type"]].items()
        if (field in doc or (base is not None and field in base))
        and writers.isdisjoint(roles)
        and changed(field, doc, base)
    }

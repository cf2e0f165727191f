"""What keeps a document from being deleted: other documents that would lose what they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kompass.domain.changes import Change, Facts, status_of
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings


@dataclass(frozen=True, slots=True)
class Guard:
    """Documents of a type that name it, in one of these states if any are given."""

    type: str
    field: str
    states: frozenset[str] = frozenset()


def _by(field: str, *doctypes: str) -> tuple[Guard, ...]:
    return tuple(Guard(doctype, field) for doctype in doctypes)


_RUNNING = frozenset({"planning", "active", "on_hold"})
_OPEN = frozenset({"new", "qualifying", "proposal", "negotiation"})

GUARDS: Mapping[str, tuple[Guard, ...]] = {
    "customer": _by(
        "customerId",
        "location",
        "contact",
        "opportunity",
        "offer",
        "contract",
        "project",
        "invoice",
        "activity",
        "protocol",
        "meeting",
    ),
    "location": (Guard("project", "locationId", _RUNNING), Guard("opportunity", "locationId", _OPEN)),
    "contact": (
        Guard("offer", "contactPersonId", frozenset({"sent", "viewed", "accepted"})),
        Guard("contract", "contactPersonId"),
    ),
    "opportunity": _by("opportunityId", "offer", "contract", "project"),
    "offer": (*_by("offerId", "contract", "project"), Guard("offer", "supersededBy")),
    "contract": (*_by("contractId", "project", "invoice"), Guard("contract", "supersededBy")),
    "project": _by(
        "projectId",
        "project_task",
        "project_cost",
        "time_entry",
        "invoice",
        "expense",
        "purchase_order",
        "supplier_contract",
        "project_subcontractor",
        "inventory_movement",
    ),
    "project_task": _by("taskId", "time_entry"),
    "tour": _by("tourId", "expense", "mileage_log", "hotel_stay"),
    "meeting": _by("meetingId", "expense"),
    "mileage_log": _by("mileageLogId", "expense"),
    "expense": _by("expenseId", "mileage_log"),
    "supplier": _by(
        "supplierId",
        "purchase_order",
        "supplier_contract",
        "supplier_invoice",
        "project_subcontractor",
        "delivery",
    ),
    "purchase_order": _by("purchaseOrderId", "supplier_invoice", "delivery"),
    "material": _by("materialId", "inventory_movement", "project_material_requirement"),
}
"""By the type that is to be deleted."""

_INSTEAD = {
    "customer": (" Pseudonymise it instead.", " Pseudonymisieren Sie ihn stattdessen."),
    "contact": (" Pseudonymise it instead.", " Pseudonymisieren Sie ihn stattdessen."),
    "supplier": (" Make it inactive instead.", " Setzen Sie ihn stattdessen auf „Inactive“."),
    "material": (" Discontinue it instead.", " Setzen Sie es stattdessen auf „Discontinued“."),
    "location": (" Make it inactive instead (isActive).", " Setzen Sie ihn stattdessen inaktiv (isActive)."),
    "tour": (" Cancel it instead.", " Sagen Sie sie stattdessen ab."),
}


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why the deletion would leave others without what they name.

    Says what may stand in the way, not what does: the writer may not see it.
    """
    if change.doc is not None:
        return None
    guards = GUARDS.get(change.type, ())
    for guard in guards:
        found = facts.referring(guard.type, guard.field, change.id)
        if any(not guard.states or status_of(other) in guard.states for other in found):
            types = ", ".join(dict.fromkeys(one.type for one in guards))
            instead, stattdessen = _INSTEAD.get(change.type, ("", ""))
            return Refusal(
                "deletion.in_use",
                f"A {change.type} is not deleted while others belong to it ({types}).{instead}",
                f"Dieses Dokument ({change.type}) wird nicht gelöscht, solange andere dazugehören ({types})."
                f"{stattdessen}",
            )
    return None

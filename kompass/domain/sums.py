"""Sums over other documents: the actual costs of a project, the costs of a tour, what is in stock.

Each source document gives *parts*, and each target has the sum of them in a document of its own that the
server alone writes; so nothing that people edit changes because of somebody else's work. `parts` looks at
one source and what belongs to it, `total` at one target and its sums: both can be asked at any time, in any
order, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from kompass.access.audiences import key_of
from kompass.access.companions import companion_id
from kompass.domain.changes import Body, Facts
from kompass.domain.derivations import RATE_PER_KM, cost_id, labour_cost, net_cost, rate_of
from kompass.domain.money import amount, cents, json_number


class Part(NamedTuple):
    """What one document adds to a sum of another."""

    target: str
    """The other's id."""
    measure: str
    """Which sum."""
    amount: Decimal
    """At most four digits after the point."""


MATERIAL, LABOR, SUBCONTRACTOR, EXPENSES = (
    "actualMaterialCost",
    "actualLaborCost",
    "actualSubcontractorCost",
    "actualExpensesCost",
)
PROJECT_MEASURES = (MATERIAL, LABOR, SUBCONTRACTOR, EXPENSES)
TOUR_COSTS = "actualCosts"
STOCK = "currentStock"

COST_KINDS: Mapping[str, str] = {
    "material": MATERIAL,
    "equipment": MATERIAL,
    "contractor": SUBCONTRACTOR,
    "external_service": SUBCONTRACTOR,
    "other": EXPENSES,
}
"""`project_cost.costType` -> where it counts."""

COUNTED: Mapping[str, frozenset[str]] = {
    "project_cost": frozenset({"received", "invoiced", "paid"}),
    "time_entry": frozenset({"approved"}),
    "expense": frozenset({"approved", "paid"}),
}
"""Type -> the states in which a document counts."""

_QUANTUM = Decimal("0.0001")
MOST = Decimal(10) ** 10
"""What one document may add; more is no amount of this business."""
WARNING, EXCEEDED = Decimal("0.8"), Decimal(1)
"""Shares of a project's budget."""

TARGETS: Mapping[str, str] = {
    "project": "project_costs",
    "tour": "tour_costs",
    "material": "material_stock",
}
"""Type of the target -> the type of the document with its sums."""

SOURCE_OF: Mapping[str, tuple[str, ...]] = {
    "time_entry_cost": ("timeEntryId",),
    "project_cost": ("stornoOf",),
    "time_entry": ("stornoOf",),
    "expense": ("stornoOf", "mileageLogId"),
}
"""Type -> fields with the ids of other sources, whose parts depend on this document."""


def parts(doc: Body, facts: Facts) -> list[Part]:
    """What a live document adds to others. Nothing counts that was undone by a Storno, nor the Storno."""
    rule = _PARTS.get(str(doc.get("type")))
    if rule is None:
        return []
    counted = COUNTED.get(str(doc.get("type")))
    if counted is not None and doc.get("status") not in counted:
        return []
    if counted is not None and _undone(doc, facts):
        return []
    return [
        Part(target, measure, value.quantize(_QUANTUM))
        for target, measure, value in rule(doc, facts)
        if value and abs(value) < MOST
    ]


def _undone(doc: Body, facts: Facts) -> bool:
    if doc.get("stornoOf") is not None:
        return True
    undoing = facts.referring(str(doc["type"]), "stornoOf", str(doc["_id"]))
    return any(one.get("status") in COUNTED[str(doc["type"])] for one in undoing)


_Found = list[tuple[str, str, Decimal]]


def _project_cost(doc: Body, facts: Facts) -> _Found:
    project, net = key_of(doc.get("projectId")), net_cost(doc)
    kind = doc.get("costType")
    measure = COST_KINDS.get(kind, EXPENSES) if isinstance(kind, str) else EXPENSES
    return [] if project is None or net is None else [(project, measure, net)]


def _time_entry(doc: Body, facts: Facts) -> _Found:
    project = key_of(doc.get("projectId"))
    cost = labour_cost(doc, rate_of(facts.document(cost_id(str(doc["_id"])))))
    return [] if project is None or cost is None else [(project, LABOR, cost)]


def _expense(doc: Body, facts: Facts) -> _Found:
    value = amount(doc.get("amount"))
    if value is None:
        return []
    found = []
    project, tour = key_of(doc.get("projectId")), key_of(doc.get("tourId"))
    if project is not None:
        found.append((project, EXPENSES, cents(value)))
    if tour is not None:
        found.append((tour, TOUR_COSTS, cents(value)))
    return found


def _mileage_log(doc: Body, facts: Facts) -> _Found:
    """A log counts for its tour until an expense that counts is made of it."""
    tour, distance = key_of(doc.get("tourId")), amount(doc.get("distance"))
    if tour is None or distance is None:
        return []
    claims = facts.referring("expense", "mileageLogId", str(doc["_id"]))
    if any(one.get("status") in COUNTED["expense"] for one in claims):
        return []
    rate = amount(doc.get("ratePerKm"))
    return [(tour, TOUR_COSTS, cents(distance * (RATE_PER_KM if rate is None else rate)))]


def _inventory_movement(doc: Body, facts: Facts) -> _Found:
    material, quantity = key_of(doc.get("materialId")), amount(doc.get("quantity"))
    return [] if material is None or quantity is None else [(material, STOCK, quantity)]


_PARTS: Mapping[str, Callable[[Body, Facts], _Found]] = {
    "project_cost": _project_cost,
    "time_entry": _time_entry,
    "expense": _expense,
    "mileage_log": _mileage_log,
    "inventory_movement": _inventory_movement,
}
SOURCES = frozenset(_PARTS)
"""The types of documents that add to sums."""


def total_id(doctype: str, target: str) -> str:
    """The id of the document with the sums of a target of that type."""
    return companion_id(TARGETS[doctype], target)


def total(target: Body, sums: Mapping[str, Decimal], stored: Body | None) -> dict[str, Any] | None:
    """The document with a target's sums, `_id` included; None for a type that has none.

    `stored` is the one that is there: what it says that isn't derived stays.
    """
    doctype = str(target.get("type"))
    if doctype not in TARGETS:
        return None
    docid = str(target["_id"])
    body: dict[str, Any] = {
        "_id": total_id(doctype, docid),
        "type": TARGETS[doctype],
        f"{doctype}Id": docid,
    }
    if doctype == "project":
        body |= _project(target, sums)
    elif doctype == "tour":
        if stored is not None and "estimatedCosts" in stored:
            body["estimatedCosts"] = stored["estimatedCosts"]
        body[TOUR_COSTS] = json_number(sums.get(TOUR_COSTS, Decimal(0)))
    else:
        body[STOCK] = json_number(sums.get(STOCK, Decimal(0)))
    return body


def _project(target: Body, sums: Mapping[str, Decimal]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    whole = Decimal(0)
    for measure in PROJECT_MEASURES:
        value = sums.get(measure, Decimal(0))
        found[measure] = json_number(value)
        whole += value
    found["actualTotalCost"] = json_number(whole)
    budget = amount(target.get("budget"))
    if budget is not None and budget > 0:
        share = whole / budget
        found["budgetStatus"] = (
            "Exceeded" if share > EXCEEDED else "Warning" if share >= WARNING else "OnTrack"
        )
    return found

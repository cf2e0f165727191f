"""What people do with a document beside editing it: steps along its status graph, each under a name.

An action is an edit like any other: it sets the status it leads to, and whatever is sent with it. Who may
take which step, and what it needs, is judged by the gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kompass.access import Principal
from kompass.domain.machines import MACHINES
from kompass.domain.machines.graph import Edge, Machine
from kompass.domain.machines.transitions import no_edge
from kompass.domain.refusals import Refusal

STEPS: Mapping[str, Mapping[str, str]] = {
    "lead": {"qualify": "QUALIFIED", "convert": "CONVERTED", "reject": "REJECTED"},
    "opportunity": {
        "qualify": "qualifying",
        "propose": "proposal",
        "negotiate": "negotiation",
        "win": "won",
        "lose": "lost",
    },
    "offer": {
        "send": "sent",
        "view": "viewed",
        "accept": "accepted",
        "reject": "rejected",
        "expire": "expired",
        "supersede": "superseded",
    },
    "contract": {
        "request-signature": "pending_signature",
        "sign": "signed",
        "activate": "active",
        "complete": "completed",
        "terminate": "terminated",
    },
    "project": {
        "start": "active",
        "hold": "on_hold",
        "complete": "completed",
        "cancel": "cancelled",
    },
    "user_task": {
        "start": "in_progress",
        "complete": "completed",
        "cancel": "cancelled",
        "reopen": "open",
    },
    "project_task": {
        "start": "in_progress",
        "review": "review",
        "complete": "done",
        "block": "blocked",
        "reset": "todo",
    },
    "time_entry": {"complete": "completed", "approve": "approved", "reject": "rejected"},
    "project_cost": {"order": "ordered", "receive": "received", "invoice": "invoiced", "pay": "paid"},
    "tour": {"start": "active", "complete": "completed", "cancel": "cancelled"},
    "meeting": {
        "succeed": "successful",
        "follow-up": "needs_follow_up",
        "delay": "delayed",
        "cancel": "cancelled",
        "miss": "no_show",
    },
    "expense": {
        "submit": "submitted",
        "approve": "approved",
        "reject": "rejected",
        "pay": "paid",
        "reset": "draft",
    },
    "supplier": {"activate": "Active", "deactivate": "Inactive", "blacklist": "Blacklisted"},
    "material": {"activate": "Active", "run-out": "OutOfStock", "discontinue": "Discontinued"},
    "project_material_requirement": {
        "confirm": "confirmed",
        "order": "ordered",
        "deliver": "delivered",
        "install": "installed",
        "return": "returned",
    },
    "purchase_order": {
        "request-approval": "pending_approval",
        "approve": "approved",
        "reject": "draft",
        "send": "sent_to_supplier",
        "confirm": "confirmed_by_supplier",
        "deliver-partially": "partially_delivered",
        "deliver": "delivered",
        "cancel": "cancelled",
    },
    "supplier_contract": {
        "request-approval": "pending_approval",
        "activate": "active",
        "reject": "draft",
        "complete": "completed",
        "terminate": "terminated",
    },
    "supplier_invoice": {"approve": "Approved", "pay": "Paid", "dispute": "Disputed", "reopen": "Pending"},
    "project_subcontractor": {
        "confirm": "Confirmed",
        "start": "InProgress",
        "complete": "Completed",
        "cancel": "Cancelled",
    },
    "request_for_quote": {"send": "sent", "answer": "answered", "award": "awarded", "cancel": "cancelled"},
}
"""By type: what a step is called, and the status that it leads to. A test holds it to the graphs."""

CHECK_IN = "check-in"
"""Of a meeting: somebody is there. It leads to no status."""


@dataclass(frozen=True, slots=True)
class Action:
    """One that a document allows as it is now."""

    name: str
    to: str | None
    needs: tuple[str, ...]
    """Fields that it must have then."""


def names(doctype: str) -> tuple[str, ...]:
    """What documents of a type allow at all."""
    return (*STEPS.get(doctype, {}), *((CHECK_IN,) if doctype == "meeting" else ()))


def patch(doctype: str, name: str, sent: Mapping[str, Any], at: str) -> dict[str, Any]:
    """An action as a merge patch. `at`: the time, as documents write it. Raises `KeyError` for no action."""
    if doctype == "meeting" and name == CHECK_IN:
        return {"checkedInAt": at, **sent}
    return {**sent, MACHINES[doctype].field: STEPS[doctype][name]}


def taken(doctype: str, name: str, body: Mapping[str, Any]) -> Refusal | None:
    """Why a step can't be taken because it was taken already. The gate would take that for an edit."""
    if doctype == "meeting" and name == CHECK_IN:
        at = body.get("checkedInAt")
        if at is None:
            return None
        return Refusal(
            "meeting.checked_in",
            f"Somebody was there already, at {at}.",
            f"Für diesen Termin ist schon jemand angemeldet, seit {at}.",
            ("checkedInAt",),
        )
    machine, to = MACHINES[doctype], STEPS[doctype][name]
    return no_edge(machine, to, to) if machine.state(body) == to else None


def allowed(doctype: str, body: Mapping[str, Any], principal: Principal, owns: bool) -> Iterator[Action]:
    """The next steps that somebody may take; `owns`: it is his. The gate may refuse one all the same: what is
    in the document counts as well, and how large an amount is.
    """
    machine = MACHINES.get(doctype)
    if machine is not None:
        by_status = {to: name for name, to in STEPS.get(doctype, {}).items()}
        for edge in machine.leaving(machine.state(body)):
            if edge.to in by_status and _may_take(machine, edge, principal, owns):
                yield Action(by_status[edge.to], edge.to, tuple(need.field for need in edge.needs))
    if doctype == "meeting" and body.get("checkedInAt") is None:
        yield Action(CHECK_IN, None, ())


def _may_take(machine: Machine, edge: Edge, principal: Principal, owns: bool) -> bool:
    return not principal.roles.isdisjoint(edge.roles) or (edge.owner and owns)

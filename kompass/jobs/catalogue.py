"""The table of triggers: what the company wants done when something happens, or when a day has come.

Not here is what the server writes in the transaction of the change itself (`kompass/domain/effects.py`):
an accepted offer wins its opportunity there, and a task's new assignee is notified there. What stands here
comes a moment later, may fail and is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping

from kompass.access.audiences import AUDIENCES
from kompass.access.table import SERVER_WRITTEN
from kompass.jobs.triggers import Alters, At, Becomes, Changes, Comes, Goes, Is, Mail, Notify, Task, Trigger

_SELLER = ("opportunityId.owner", "customerId.owner", "createdBy")
_ASSIGNEE = ("assignedTo",)
_AUTHOR = ("createdBy",)
_ACCOUNTING = ("role:BUCH",)
_MANAGEMENT = ("role:GF",)
_PLANNING = ("role:PLAN",)

_WAITING_OFFER = Is("status", frozenset({"sent", "viewed"}))
_UNPAID = Is("status", frozenset({"sent", "partial_paid", "overdue"}))
_OPEN_TASK = Is("status", frozenset({"open", "in_progress"}))
_OPEN_PROJECT_TASK = Is("status", frozenset({"todo", "in_progress", "review", "blocked"}))


def _status(doctype: str, status: str, *actions: Notify | Mail | Task, says: str = "") -> Trigger:
    becomes = Becomes("status", frozenset({status}))
    return Trigger(f"{doctype}.{status.lower()}", doctype, becomes, actions, says=says)


TRIGGERS: tuple[Trigger, ...] = (
    # sales
    _status("lead", "CONVERTED"),
    _status("lead", "REJECTED"),
    _status("opportunity", "won"),
    _status("opportunity", "lost"),
    Trigger(
        "opportunity.won_follow_up",
        "opportunity",
        Becomes("status", frozenset({"won"})),
        (Notify(("owner",), "REMINDER"),),
        while_=Is("status", frozenset({"won"})),
        after_days=7,
    ),
    _status("offer", "sent"),
    _status(
        "offer", "accepted", Notify(_SELLER, "SYSTEM"), Mail(_SELLER), says="Ein Angebot wurde angenommen"
    ),
    _status(
        "offer", "rejected", Notify(_SELLER, "SYSTEM"), Mail(_SELLER), says="Ein Angebot wurde abgelehnt"
    ),
    _status("offer", "expired", Notify(_SELLER, "DEADLINE"), says="Ein Angebot ist abgelaufen"),
    Trigger(
        "offer.follow_up",
        "offer",
        At("sentAt", (3, 7, 14, 21)),
        (Notify(_SELLER, "REMINDER"), Mail(_SELLER)),
        while_=_WAITING_OFFER,
        says="Ein Angebot wartet auf Antwort",
    ),
    Trigger(
        "offer.follow_up_task",
        "offer",
        At("sentAt", (14,)),
        (Task(_SELLER, "Angebot nachfassen"),),
        while_=_WAITING_OFFER,
    ),
    _status("contract", "signed", Notify(_PLANNING, "SYSTEM"), says="Ein Vertrag ist unterschrieben"),
    _status("contract", "terminated"),
    Trigger("customer.owner_changed", "customer", Changes("owner"), (Notify(("owner",), "ASSIGNMENT"),)),
    Trigger(
        "customer_visit.long_ago",
        "customer_visit",
        At("lastVisitDate", (90,)),
        (Notify(("customerId.owner",), "REMINDER"), Mail(("customerId.owner",))),
        says="Ein Kunde wurde lange nicht besucht",
    ),
    Trigger("customer.renamed", "customer", Changes("companyName")),
    Trigger(
        "activity.follow_up",
        "activity",
        At("followUpDate", (0,)),
        (Notify(_AUTHOR, "REMINDER"), Mail(_AUTHOR)),
        says="Eine Wiedervorlage ist fällig",
    ),
    # invoices: the levels of dunning
    _status("invoice", "paid"),
    Trigger(
        "invoice.dunning",
        "invoice",
        At("dueDate", (3, 10, 14, 30, 45)),
        (Notify(_ACCOUNTING, "DEADLINE"), Mail(_ACCOUNTING)),
        while_=_UNPAID,
        says="Eine Rechnung ist überfällig",
    ),
    Trigger(
        "invoice.escalation",
        "invoice",
        At("dueDate", (30, 45)),
        (Notify(_MANAGEMENT, "DEADLINE"),),
        while_=_UNPAID,
    ),
    # the exchange with Lexware: whoever it has notified
    Trigger(
        "notification.lexware",
        "notification",
        Becomes("documentType", frozenset({"lexware"})),
        (Mail(("recipientId",)),),
        says="Der Austausch mit Lexware braucht jemanden",
    ),
    # projects
    Trigger(
        "project.manager_changed",
        "project",
        Changes("projectManagerId"),
        (Notify(("projectManagerId",), "ASSIGNMENT"), Mail(("projectManagerId",))),
        says="Ein Projekt wurde Ihnen übertragen",
    ),
    _status("project", "active"),
    _status("project", "completed"),
    _status("project", "cancelled"),
    # tasks: whoever a task is assigned to is notified with the change itself
    Trigger(
        "user_task.assigned",
        "user_task",
        Changes("assignedTo"),
        (Mail(_ASSIGNEE),),
        says="Eine Aufgabe wurde Ihnen zugewiesen",
    ),
    Trigger(
        "user_task.due",
        "user_task",
        At("dueDate", (-1, 1)),
        (Notify(_ASSIGNEE, "REMINDER"), Mail(_ASSIGNEE)),
        while_=_OPEN_TASK,
        says="Eine Aufgabe ist fällig",
    ),
    _status("user_task", "completed"),
    Trigger(
        "project_task.assigned",
        "project_task",
        Changes("assignedTo"),
        (Mail(_ASSIGNEE),),
        says="Eine Projektaufgabe wurde Ihnen zugewiesen",
    ),
    Trigger(
        "project_task.due",
        "project_task",
        At("dueDate", (-1, 1)),
        (Notify(_ASSIGNEE, "REMINDER"), Mail(_ASSIGNEE)),
        while_=_OPEN_PROJECT_TASK,
        says="Eine Projektaufgabe ist fällig",
    ),
    _status(
        "project_task", "blocked", Notify(("projectId.projectManagerId",), "SYSTEM"), says="Aufgabe blockiert"
    ),
    _status("project_task", "done"),
    # approvals
    _status("expense", "submitted", Notify(_MANAGEMENT, "APPROVAL")),
    _status("expense", "approved", Notify(_AUTHOR, "APPROVAL")),
    _status("expense", "rejected", Notify(_AUTHOR, "APPROVAL"), Mail(_AUTHOR), says="Spesen abgelehnt"),
    _status("purchase_order", "pending_approval", Notify(_ACCOUNTING, "APPROVAL")),
    _status("supplier_contract", "pending_approval", Notify(_MANAGEMENT, "APPROVAL")),
)

ABOUT = frozenset(AUDIENCES) - SERVER_WRITTEN | {"invoice"}
"""Types of documents that webhooks may follow. The server's own are no events of the business; invoices are
Lexware's."""

GENERAL: tuple[Trigger, ...] = tuple(
    Trigger(f"{doctype}.{verb}", doctype, condition)
    for doctype in sorted(ABOUT)
    for verb, condition in (("created", Comes()), ("updated", Alters()), ("deleted", Goes()))
)
"""For webhooks alone: nothing else follows from them."""

BY_NAME: Mapping[str, Trigger] = {one.name: one for one in (*TRIGGERS, *GENERAL)}

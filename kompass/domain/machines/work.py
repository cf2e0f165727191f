"""Projects, tasks, working time and costs."""

from __future__ import annotations

from kompass.access.principals import Role
from kompass.domain.machines.graph import Approval, Machine, Need, by_type, edges

PLAN, BUCH, GF = Role.PLAN, Role.BUCH, Role.GF

PROJECT = Machine(
    "project",
    "A project",
    "Ein Projekt",
    ("planning", "active", "on_hold", "completed", "cancelled"),
    ("planning",),
    (
        *edges("planning", "active", PLAN, GF, passing=True),
        *edges("active", "on_hold", PLAN, GF, passing=True),
        *edges("on_hold", "active", PLAN, GF, passing=True),
        *edges("active", "completed", PLAN, GF, needs=(Need("actualEndDate"),)),
        *edges(
            ("planning", "active", "on_hold"), "cancelled", PLAN, GF, needs=(Need("cancellationReason", 10),)
        ),
    ),
    deletable=frozenset({"planning", "cancelled"}),
)

USER_TASK = Machine(
    "user_task",
    "A task",
    "Eine Aufgabe",
    ("open", "in_progress", "completed", "cancelled"),
    ("open",),
    (
        *edges("open", ("in_progress", "completed", "cancelled"), people=True, passing=True),
        *edges("in_progress", ("completed", "cancelled", "open"), people=True, passing=True),
    ),
    deletable=frozenset({"open", "in_progress"}),
    closed=frozenset({"completed", "cancelled"}),
)

_BLOCKED = (Need("blockingReason", 10),)

PROJECT_TASK = Machine(
    "project_task",
    "A project task",
    "Eine Projektaufgabe",
    ("todo", "in_progress", "review", "blocked", "done"),
    ("todo",),
    (
        *edges("todo", ("in_progress", "done"), people=True, passing=True),
        *edges("in_progress", ("review", "todo", "done"), people=True, passing=True),
        *edges("review", ("done", "in_progress"), people=True, passing=True),
        *edges("blocked", ("todo", "in_progress"), people=True, passing=True),
        *edges(("todo", "in_progress", "review"), "blocked", people=True, needs=_BLOCKED, passing=True),
    ),
    deletable=frozenset({"todo", "in_progress", "review", "blocked"}),
)

TIME_ENTRY = Machine(
    "time_entry",
    "A time entry",
    "Eine Zeitbuchung",
    ("in_progress", "completed", "approved", "rejected"),
    ("in_progress",),
    (
        *edges("in_progress", "completed", GF, owner=True, needs=(Need("endTime"),), passing=True),
        *edges("completed", "approved", PLAN, GF, others=True, needs=(Need("endTime"),)),
        *edges("completed", "rejected", PLAN, GF, others=True, needs=(Need("rejectionReason", 10),)),
        *edges("rejected", "completed", GF, owner=True, needs=(Need("endTime"),), passing=True),
    ),
    deletable=frozenset({"in_progress", "completed", "rejected"}),
)

_COST = Approval.PROJECT_COST

PROJECT_COST = Machine(
    "project_cost",
    "A project cost",
    "Ein Kostenposten",
    ("planned", "ordered", "received", "invoiced", "paid"),
    ("planned",),
    (
        *edges("planned", ("ordered", "paid"), PLAN, GF, others=True, approval=_COST),
        *edges("ordered", "paid", PLAN, GF, others=True, approval=_COST),
        *edges("ordered", "received", PLAN, GF),
        *edges("received", "invoiced", PLAN, BUCH, GF, needs=(Need("invoicePdfUrl", attachment=".pdf"),)),
        *edges(("received", "invoiced"), "paid", BUCH, GF),
    ),
    deletable=frozenset({"planned", "ordered"}),
)
"""Who orders approves: an order binds the company."""

WORK = by_type(PROJECT, USER_TASK, PROJECT_TASK, TIME_ENTRY, PROJECT_COST)

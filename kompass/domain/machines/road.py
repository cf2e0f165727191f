"""Tours, meetings and expenses."""

from __future__ import annotations

from kompass.access.principals import Role
from kompass.domain.amounts import UNKNOWN, number
from kompass.domain.changes import Body
from kompass.domain.machines.graph import Approval, Condition, Machine, Need, by_type, edges
from kompass.domain.settings import BusinessSettings

BUCH, GF = Role.BUCH, Role.GF

TOUR = Machine(
    "tour",
    "A tour",
    "Eine Tour",
    ("planned", "active", "completed", "cancelled"),
    ("planned",),
    (
        *edges("planned", ("active", "cancelled"), GF, owner=True, passing=True),
        *edges("active", ("completed", "cancelled"), GF, owner=True, passing=True),
    ),
    deletable=frozenset({"planned"}),
)
"""It is completed only when its meetings are over: `kompass.domain.crossing`."""

_HELD = ("successful", "needs_follow_up", "delayed")
_NOT_HELD = ("cancelled", "no_show")
_OUTCOMES = (*_HELD, *_NOT_HELD)

MEETING = Machine(
    "meeting",
    "A meeting",
    "Ein Termin",
    ("planned", *_OUTCOMES),
    ("planned",),
    (
        *edges("planned", _OUTCOMES, GF, owner=True, passing=True),
        *edges(_OUTCOMES, _OUTCOMES, GF, owner=True, passing=True),
    ),
    deletable=frozenset({"planned", *_NOT_HELD}),
    field="outcome",
    unset="planned",
)
"""Its owner corrects an outcome for a day: `kompass.domain.crossing`."""


def _receipt_needed(expense: Body, settings: BusinessSettings) -> bool:
    return (
        expense.get("category") != "mileage"
        and number(expense.get("amount"), UNKNOWN) > settings.expense_receipt_above
    )


def _large(expense: Body, settings: BusinessSettings) -> bool:
    return number(expense.get("amount"), UNKNOWN) > settings.expense_justified_above


_EVIDENCE = (
    Need(
        "receiptUrl",
        attachment="",
        when=Condition(
            "above 25 EUR, except mileage", "über 25 EUR, außer bei Kilometergeld", _receipt_needed
        ),
    ),
    Need("justification", 10, when=Condition("above 100 EUR", "über 100 EUR", _large)),
)

EXPENSE = Machine(
    "expense",
    "An expense",
    "Eine Auslage",
    ("draft", "submitted", "approved", "rejected", "paid"),
    ("draft",),
    (
        *edges("draft", "submitted", GF, owner=True, needs=_EVIDENCE, passing=True),
        *edges("submitted", "approved", GF, needs=_EVIDENCE, approval=Approval.EXPENSE),
        *edges("submitted", "rejected", GF, needs=(Need("rejectionReason", 10),)),
        *edges("submitted", "draft", GF),
        *edges("rejected", "draft", GF, owner=True, passing=True),
        *edges("approved", "paid", BUCH, GF, needs=(Need("paymentReference", 5),)),
    ),
    deletable=frozenset({"draft", "rejected"}),
)
"""Up to 25 EUR the server approves what is submitted."""

ROAD = by_type(TOUR, MEETING, EXPENSE)

"""Leads, opportunities, offers, contracts, and the invoices that Lexware reports."""

from __future__ import annotations

from kompass.access.principals import Role
from kompass.domain.changes import Body
from kompass.domain.machines.graph import Approval, Condition, Machine, Need, by_type, edges
from kompass.domain.settings import BusinessSettings

ADM, INNEN, GF = Role.ADM, Role.INNEN, Role.GF


def _makes_a_customer(lead: Body, settings: BusinessSettings) -> bool:
    return lead.get("convertedCustomerId") is None


_CUSTOMER = Need(
    "billingAddress",
    when=Condition(
        "unless it names its customer (convertedCustomerId)",
        "wenn kein Kunde genannt ist (convertedCustomerId)",
        _makes_a_customer,
    ),
)
"""A customer has one, and the lead becomes a customer."""

LEAD = Machine(
    "lead",
    "A lead",
    "Ein Lead",
    ("NEW", "QUALIFIED", "CONVERTED", "REJECTED"),
    ("NEW",),
    (
        *edges("NEW", "QUALIFIED", people=True, passing=True),
        *edges("QUALIFIED", "CONVERTED", people=True, passing=True, needs=(_CUSTOMER,)),
        *edges(("NEW", "QUALIFIED"), "REJECTED", people=True, passing=True),
    ),
    deletable=frozenset({"NEW", "QUALIFIED", "REJECTED"}),
)

_OPEN = ("new", "qualifying", "proposal", "negotiation")

OPPORTUNITY = Machine(
    "opportunity",
    "An opportunity",
    "Eine Verkaufschance",
    (*_OPEN, "won", "lost"),
    ("new",),
    (
        *edges("new", "qualifying", people=True, passing=True),
        *edges("qualifying", "proposal", people=True, passing=True),
        *edges("proposal", "negotiation", people=True, passing=True),
        *edges(
            "negotiation", "won", ADM, INNEN, GF, needs=(Need("actualValue", positive=True),), passing=True
        ),
        *edges(_OPEN, "lost", ADM, INNEN, GF, needs=(Need("lostReason"),), passing=True),
    ),
    deletable=frozenset({*_OPEN, "lost"}),
)
"""An accepted offer makes it won, a rejected one lost: that is the server's, from any open state."""

_SUPERSEDED = (Need("supersededBy"),)

OFFER = Machine(
    "offer",
    "An offer",
    "Ein Angebot",
    ("draft", "sent", "viewed", "accepted", "rejected", "expired", "superseded"),
    ("draft",),
    (
        *edges("draft", "sent", INNEN, GF, approval=Approval.OFFER),
        *edges("sent", "viewed", INNEN, GF),
        *edges(("sent", "viewed"), "accepted", INNEN, GF),
        *edges(("sent", "viewed"), "rejected", INNEN, GF, needs=(Need("rejectionReason", 10),)),
        *edges(("sent", "viewed"), "expired", INNEN, GF),
        *edges(
            ("draft", "sent", "viewed", "rejected", "expired"), "superseded", INNEN, GF, needs=_SUPERSEDED
        ),
    ),
    deletable=frozenset({"draft"}),
)

CONTRACT = Machine(
    "contract",
    "A contract",
    "Ein Vertrag",
    ("draft", "pending_signature", "signed", "active", "completed", "terminated"),
    ("draft",),
    (
        *edges("draft", "pending_signature", INNEN, GF),
        *edges(
            ("draft", "pending_signature"),
            "signed",
            INNEN,
            GF,
            needs=(Need("signedPdfUrl", attachment=".pdf"),),
        ),
        *edges("signed", "active", GF),
        *edges("active", "completed", GF),
        *edges(
            ("draft", "pending_signature", "signed", "active", "completed"),
            "terminated",
            GF,
            needs=(Need("terminationReason", 10),),
        ),
    ),
    deletable=frozenset({"draft", "pending_signature"}),
)
"""The first project that is made from a signed contract makes it active: that is the server's."""

INVOICE = Machine(
    "invoice",
    "An invoice",
    "Eine Rechnung",
    ("draft", "sent", "partial_paid", "paid", "overdue", "cancelled"),
    ("draft", "sent", "partial_paid", "paid", "overdue", "cancelled"),
    (
        *edges("draft", ("sent", "cancelled")),
        *edges("sent", ("partial_paid", "paid", "overdue", "cancelled")),
        *edges("partial_paid", ("paid", "overdue", "cancelled")),
        *edges("overdue", ("partial_paid", "paid", "cancelled")),
    ),
    deletable=frozenset(),
)
"""Lexware's. It is mirrored in whatever state it has there."""

SALES = by_type(LEAD, OPPORTUNITY, OFFER, CONTRACT, INVOICE)

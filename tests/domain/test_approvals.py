"""Limits of approval: at the limit, below and above it, for every role."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from kompass.access.companions import companion_id
from kompass.access.principals import Principal, Role
from kompass.domain.amounts import cost_net, number, offer_discount, offer_total, order_total
from kompass.domain.approvals import approved_by_itself, three_way_match
from kompass.domain.changes import Facts
from kompass.domain.machines.transitions import check
from kompass.domain.refusals import Refusal
from tests.domain.world import BUCH, GF, INNEN, NOTHING, PLAN, SETTINGS, World, change, person

UUID = "5f0c1d3e-7d4b-4c55-9f5a-3d1f0c6b2a11"


def items(price: float, tax: float | None = 0) -> list[dict[str, Any]]:
    return [{"quantity": 1, "unitPriceEur": price, **({} if tax is None else {"taxRate": tax})}]


def move(
    doctype: str,
    start: str,
    to: str,
    who: Principal,
    facts: Facts = NOTHING,
    settings: Any = SETTINGS,
    **fields: Any,
) -> Refusal | None:
    stored = {"_id": f"{doctype}-{UUID}", "type": doctype, "createdBy": "x", "status": start, **fields}
    return check(change({**stored, "status": to}, stored, who), facts, settings)


# -- offers --------------------------------------------------------------------------------------

OPPORTUNITY = {"_id": "opportunity-1", "type": "opportunity", "estimatedValue": 50_000}
MARGIN = {"_id": companion_id("offer_margin", f"offer-{UUID}"), "type": "offer_margin", "marginPercent": 10}


def send(who: Principal = INNEN, facts: Facts | None = None, **fields: Any) -> Refusal | None:
    offer: dict[str, Any] = {"opportunityId": "opportunity-1", "lineItems": items(10_000), **fields}
    return move("offer", "draft", "sent", who, facts or World(OPPORTUNITY, MARGIN), **offer)


@pytest.mark.parametrize(
    ("fields", "facts", "word"),
    [
        ({"lineItems": items(10_000.01)}, None, "total"),
        ({"lineItems": items(8_500, 0.19)}, None, "total"),
        ({"lineItems": items(8_500, None), "taxRate": 0.19}, None, "total"),
        ({"lineItems": items(8_500, None)}, None, "total"),
        ({"lineItems": "many"}, None, "total"),
        ({"discountPercent": 10.5}, None, "discount"),
        ({"discountAmountEur": 1001}, None, "discount"),
        ({}, World({**OPPORTUNITY, "estimatedValue": 50_000.01}, MARGIN), "opportunity"),
        ({}, World(OPPORTUNITY, {**MARGIN, "marginPercent": 9.9}), "margin"),
    ],
)
def test_large_offers_are_approved_before_they_are_sent(
    fields: dict[str, Any], facts: Facts | None, word: str
) -> None:
    refusal = send(INNEN, facts, **fields)
    assert refusal is not None
    assert refusal.rule == "approval.offer"
    assert word in refusal.reason
    assert send(GF, facts, **fields) is None
    assert send(INNEN, facts, **fields, approvedBy="gf1") is None


def test_small_offers_need_no_approval() -> None:
    assert send() is None
    assert send(discountPercent=10) is None
    assert send(facts=NOTHING) is None


def test_limits_are_settings() -> None:
    wide = replace(SETTINGS, offer_value_above=Decimal(200_000))
    big: dict[str, Any] = {"lineItems": items(150_000)}
    assert move("offer", "draft", "sent", INNEN, NOTHING, wide, **big) is None
    assert move("offer", "draft", "sent", INNEN, NOTHING, SETTINGS, **big) is not None


def test_an_approval_stands_for_what_was_approved() -> None:
    offer = {"_id": "o-1", "type": "offer", "status": "draft", "lineItems": items(20_000), "terms": "bar"}
    approved = {**offer, "approvedBy": "gf1"}
    assert check(change(approved, offer, GF), NOTHING, SETTINGS) is None
    for who, name in ((INNEN, "innen1"), (INNEN, "gf1"), (GF, "somebody")):
        refusal = check(change({**offer, "approvedBy": name}, offer, who), NOTHING, SETTINGS)
        assert refusal is not None
        assert refusal.rule == "approval.signature"
    assert check(change({**offer, "approvedBy": "innen1"}, None, INNEN), NOTHING, SETTINGS) is not None
    dearer = {**approved, "lineItems": items(90_000)}
    refusal = check(change(dearer, approved, INNEN), NOTHING, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "approval.covers"
    assert check(change({**dearer, "status": "sent"}, approved, INNEN), NOTHING, SETTINGS) is not None
    assert check(change({**offer, "lineItems": items(90_000)}, approved, INNEN), NOTHING, SETTINGS) is None
    assert check(change({**approved, "terms": "Rechnung"}, approved, INNEN), NOTHING, SETTINGS) is None
    assert check(change(dearer, approved, GF), NOTHING, SETTINGS) is None


# -- by amount -----------------------------------------------------------------------------------


def refused(refusal: Refusal | None) -> bool:
    assert refusal is None or refusal.rule.startswith(("approval.", "status.role"))
    return refusal is not None


@pytest.mark.parametrize(
    ("amount", "allowed"),
    [(1000, "INNEN BUCH GF"), (1000.01, "BUCH GF"), (10_000, "BUCH GF"), (10_000.01, "GF")],
)
@pytest.mark.parametrize("role", [Role.INNEN, Role.BUCH, Role.GF, Role.PLAN])
def test_purchase_orders(amount: float, allowed: str, role: Role) -> None:
    order: dict[str, Any] = {"lineItems": items(amount - 10), "shippingEur": 10}
    refusal = move("purchase_order", "pending_approval", "approved", person("p1", role), **order)
    assert refused(refusal) == (role not in allowed.split())


def test_small_orders_are_approved_at_once() -> None:
    assert move("purchase_order", "draft", "approved", INNEN, lineItems=items(840, 0.19)) is None
    assert move("purchase_order", "draft", "approved", INNEN, lineItems=items(841, 0.19)) is not None


@pytest.mark.parametrize(("net", "allowed"), [(499.99, "PLAN GF"), (500, "GF"), (500.01, "GF"), (5000, "GF")])
@pytest.mark.parametrize("role", [Role.PLAN, Role.BUCH, Role.KALK, Role.GF])
@pytest.mark.parametrize("edge", [("planned", "ordered"), ("planned", "paid"), ("ordered", "paid")])
def test_project_costs(net: float, allowed: str, role: Role, edge: tuple[str, str]) -> None:
    refusal = move("project_cost", *edge, person("p1", role), quantity=1, unitPriceEur=net, taxRate=0.19)
    assert refused(refusal) == (role not in allowed.split())


@pytest.mark.parametrize(
    ("value", "signed", "allowed"),
    [
        (49_999.99, None, "INNEN GF"),
        (50_000, None, "GF"),
        (200_000, None, "GF"),
        (200_000.01, None, ""),
        (200_000.01, "p1", ""),
        (200_000.01, "buch1", "GF"),
    ],
)
@pytest.mark.parametrize("role", [Role.INNEN, Role.GF, Role.BUCH])
def test_supplier_contracts(value: float, signed: str | None, allowed: str, role: Role) -> None:
    refusal = move(
        "supplier_contract",
        "pending_approval",
        "active",
        person("p1", role),
        contractValueEur=value,
        countersignedBy=signed,
    )
    assert refused(refusal) == (role not in allowed.split())


def test_accounting_signs_supplier_contracts_with_its_own_name() -> None:
    there = {
        "_id": "s-1",
        "type": "supplier_contract",
        "status": "pending_approval",
        "contractValueEur": 300_000,
    }
    assert check(change({**there, "countersignedBy": "buch1"}, there, BUCH), NOTHING, SETTINGS) is None
    assert check(change({**there, "countersignedBy": "buch2"}, there, BUCH), NOTHING, SETTINGS) is not None
    assert check(change({**there, "countersignedBy": "innen1"}, there, INNEN), NOTHING, SETTINGS) is not None
    signed = {**there, "countersignedBy": "buch1"}
    more = {**signed, "contractValueEur": 900_000}
    assert check(change(more, signed, INNEN), NOTHING, SETTINGS) is not None


ORDER = {
    "_id": "order-1",
    "type": "purchase_order",
    "status": "delivered",
    "supplierId": "supplier-1",
    "lineItems": items(500),
}


@pytest.mark.parametrize(
    ("total", "order", "allowed"),
    [
        (500, ORDER, "INNEN BUCH GF"),
        (505, ORDER, "INNEN BUCH GF"),
        (505.01, ORDER, "BUCH GF"),
        (500, {**ORDER, "status": "approved"}, "BUCH GF"),
        (500, {**ORDER, "supplierId": "supplier-2"}, "BUCH GF"),
        (500, {**ORDER, "type": "offer"}, "BUCH GF"),
        (500, None, "BUCH GF"),
        (1000, {**ORDER, "lineItems": items(1000)}, "BUCH GF"),
        (10_000, ORDER, "BUCH GF"),
        (10_000.01, ORDER, "GF"),
        (-500, ORDER, "BUCH GF"),
        (-10_000.01, ORDER, "GF"),
    ],
)
@pytest.mark.parametrize("role", [Role.INNEN, Role.BUCH, Role.GF])
def test_supplier_invoices(total: float, order: dict[str, Any] | None, allowed: str, role: Role) -> None:
    facts = World(order) if order is not None else NOTHING
    refusal = move(
        "supplier_invoice",
        "Pending",
        "Approved",
        person("p1", role),
        facts,
        supplierId="supplier-1",
        purchaseOrderId="order-1",
        totalEur=total,
    )
    assert refused(refusal) == (role not in allowed.split())


def test_a_match_has_three_ways() -> None:
    invoice = {"supplierId": "supplier-1", "purchaseOrderId": "order-1", "totalEur": 500}
    assert three_way_match(invoice, World(ORDER), SETTINGS)
    assert not three_way_match({**invoice, "totalEur": None}, World(ORDER), SETTINGS)


# -- one's own -----------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["approved", "rejected"])
def test_nobody_approves_his_own_time(to: str) -> None:
    entry: dict[str, Any] = {"endTime": "2026-03-02T08:00:00Z", "rejectionReason": "Falsches Projekt gebucht"}
    own = move("time_entry", "completed", to, PLAN, userId="plan1", **entry)
    assert own is not None
    assert own.rule == "status.own"
    assert move("time_entry", "completed", to, PLAN, userId="innen1", **entry) is None
    assert move("time_entry", "completed", to, GF, userId="gf1", **entry) is None


def test_nobody_orders_what_he_planned_himself() -> None:
    cost: dict[str, Any] = {"quantity": 1, "unitPriceEur": 10}
    own = move("project_cost", "planned", "ordered", PLAN, **{**cost, "createdBy": "plan1"})
    assert own is not None
    assert own.rule == "status.own"
    assert move("project_cost", "planned", "ordered", GF, **{**cost, "createdBy": "gf1"}) is None


# -- expenses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"amount": 25, "category": "meal"}, None),
        ({"amount": 25.01, "category": "meal"}, "receiptUrl"),
        ({"amount": 25.01, "category": "meal", "_attachments": {"beleg.jpg": "md5-1"}}, None),
        ({"amount": 80, "category": "mileage"}, None),
        ({"amount": 100, "category": "meal", "receiptUrl": "beleg.jpg"}, None),
        ({"amount": 100.01, "category": "meal", "receiptUrl": "beleg.jpg"}, "justification"),
        ({"amount": 100.01, "category": "mileage"}, "justification"),
        ({"category": "meal", "receiptUrl": "beleg.jpg"}, "justification"),
    ],
)
def test_what_an_expense_needs_to_be_submitted(fields: dict[str, Any], missing: str | None) -> None:
    refusal = move("expense", "draft", "submitted", person("x", Role.ADM), **fields)
    assert (refusal.fields[0] if refusal else None) == missing


def test_small_expenses_approve_themselves() -> None:
    assert approved_by_itself({"amount": 25}, SETTINGS)
    assert not approved_by_itself({"amount": 25.01}, SETTINGS)
    assert not approved_by_itself({}, SETTINGS)
    assert not approved_by_itself({"amount": "1"}, SETTINGS)
    for who in (BUCH, INNEN, PLAN):
        assert move("expense", "submitted", "approved", who, amount=10) is not None


# -- amounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("doctype", "field"), [("contract", "signedBy"), ("expense", "paidBy")])
def test_nobody_puts_another_name_under_what_he_does(doctype: str, field: str) -> None:
    before = {"_id": f"{doctype}-1", "type": doctype, "status": "draft"}
    refusal = check(change({**before, field: "innen1"}, before, GF), NOTHING, SETTINGS)
    assert refusal is not None
    assert (refusal.rule, refusal.fields) == ("approval.own_name", (field,))
    assert check(change({**before, field: GF.name}, before, GF), NOTHING, SETTINGS) is None
    stored = {**before, field: "innen1"}
    assert check(change({**stored, "notes": "neu"}, stored, GF), NOTHING, SETTINGS) is None


def test_amounts() -> None:
    offer = {
        "type": "offer",
        "lineItems": [
            {"quantity": 3, "unitPriceEur": 0.1},
            {"quantity": 1, "unitPriceEur": 100, "taxRate": 0.07},
        ],
        "taxRate": 0.19,
        "discountPercent": 10,
    }
    assert offer_total(offer) == Decimal("96.62")
    assert offer_discount({**offer, "discountAmountEur": 50.15}) == Decimal(50)
    assert order_total({"type": "purchase_order", "lineItems": items(0.1), "shippingEur": 0.2}) == Decimal(
        "0.30"
    )
    assert cost_net({"type": "project_cost", "quantity": 0.5, "unitPriceEur": 0.01}) == Decimal("0.01")
    for value in (None, "1", True, [1], float("nan"), float("inf")):
        assert number(value) == 0
    assert offer_total({"lineItems": "many"}) == Decimal("Infinity")

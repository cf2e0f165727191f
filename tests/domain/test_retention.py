"""What is deleted, and when; Storno instead; times that devices write."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kompass.access.principals import Principal
from kompass.domain import retention, storno, times
from tests.domain.test_freezing import CASES, stored
from tests.domain.world import BUCH, GF, INNEN, NOTHING, NOW, PLAN, SETTINGS, World, change, rules


@pytest.mark.parametrize("name", CASES)
def test_nothing_final_is_deleted(name: str) -> None:
    case = CASES[name]
    before = stored(case, createdAt="2026-01-05T08:00:00.000Z")
    refusal = retention.check(change(None, before, GF), World(*case.others), SETTINGS)
    assert refusal is not None
    assert refusal.rule == "retention.deletion"
    assert "2036" in refusal.reason
    assert any(word in refusal.grund for word in ("pseudonymisieren", "Ersetzen Sie", "Storn"))
    assert rules(change(None, before, GF), World(*case.others), SETTINGS) == refusal


def test_the_years_count_from_the_end_of_the_year_in_which_it_became_final() -> None:
    contract = {
        "_id": "c-1",
        "type": "contract",
        "status": "completed",
        "immutableAt": "2015-01-03T08:00:00Z",
    }
    before = NOW.replace(year=2025, month=12, day=31, hour=23)
    after = NOW.replace(year=2026, month=1, day=1, hour=0)
    assert retention.check(change(None, contract, GF, before), NOTHING, SETTINGS) is not None
    assert retention.check(change(None, contract, GF, after), NOTHING, SETTINGS) is None
    assert retention.check(change(None, {**contract, "immutableAt": None}), NOTHING, SETTINGS) is not None


def test_drafts_are_deleted() -> None:
    for doctype, state in (("contract", "draft"), ("offer", "draft"), ("expense", "rejected")):
        before = {"_id": "x-1", "type": doctype, "status": state}
        assert retention.check(change(None, before), NOTHING, SETTINGS) is None


def test_a_legal_hold_keeps_everything() -> None:
    held = {"_id": "contact-1", "type": "contact", "legalHold": True}
    refusal = retention.check(change(None, held, GF), NOTHING, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "retention.legal_hold"
    lifted = {**held, "legalHold": False}
    assert retention.check(change(None, lifted, GF), NOTHING, SETTINGS) is None
    old = {
        "_id": "c-1",
        "type": "contract",
        "status": "completed",
        "immutableAt": "1999-01-03",
        "legalHold": True,
    }
    assert retention.check(change(None, old, GF), NOTHING, SETTINGS) is not None


REASON = {"legalHoldReason": "Verfahren vor dem Landgericht"}


@pytest.mark.parametrize(("had", "has"), [(None, True), (True, False), (True, None), (False, True)])
def test_management_sets_and_lifts_a_hold(had: Any, has: Any) -> None:
    before = {"_id": "contact-1", "type": "contact", "legalHold": had}
    doc = {**before, "legalHold": has, **REASON}
    assert retention.check(change(doc, before, GF), NOTHING, SETTINGS) is None
    refusal = retention.check(change(doc, before, INNEN), NOTHING, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "retention.hold_role"
    same = {**before, "notes": "neu"}
    assert retention.check(change(same, before, INNEN), NOTHING, SETTINGS) is None
    if has:
        assert retention.check(change(doc, None, INNEN), NOTHING, SETTINGS) is not None


@pytest.mark.parametrize("reason", [None, "", "kurz", "          x", 7])
def test_a_hold_is_set_and_lifted_with_a_reason_of_its_own(reason: Any) -> None:
    free = {"_id": "contact-1", "type": "contact"}
    held = {**free, "legalHold": True, **REASON}
    for doc, before in (
        ({**free, "legalHold": True, "legalHoldReason": reason}, free),
        ({**held, "legalHold": False, "legalHoldReason": reason}, held),
        ({**held, "legalHold": False}, held),
    ):
        refusal = retention.check(change(doc, before, GF), NOTHING, SETTINGS)
        assert refusal is not None
        assert refusal.rule == "retention.hold_reason"
    lifted = {**held, "legalHold": False, "legalHoldReason": "Das Verfahren ist beendet"}
    assert retention.check(change(lifted, held, GF), NOTHING, SETTINGS) is None


def test_nobody_else_rewrites_the_reason_of_a_hold() -> None:
    held = {"_id": "contact-1", "type": "contact", "legalHold": True, **REASON}
    doc = {**held, "legalHoldReason": "Aus Versehen gesetzt worden"}
    refusal = retention.check(change(doc, held, INNEN), NOTHING, SETTINGS)
    assert refusal is not None
    assert refusal.fields == ("legalHoldReason",)


# -- Storno --------------------------------------------------------------------------------------

COST: dict[str, Any] = {
    "_id": "cost-1",
    "type": "project_cost",
    "createdBy": "plan1",
    "projectId": "project-1",
    "status": "paid",
    "costType": "material",
    "quantity": 2,
    "unitPriceEur": 100,
    "taxRate": 0.19,
    "supplierName": "Holz Huber",
    "invoiceNumber": "R-77",
}
STORNO: dict[str, Any] = {
    **COST,
    "_id": "cost-2",
    "createdBy": "gf1",
    "stornoOf": "cost-1",
    "stornoReason": "Falscher Betrag gebucht",
}
PROJECT = {"_id": "project-1", "type": "project", "status": "active"}
STORED = World(COST, PROJECT)


def test_a_storno_is_made_at_once() -> None:
    assert rules(change(STORNO, None, GF), STORED, SETTINGS) is None


@pytest.mark.parametrize("who", [PLAN, BUCH, INNEN])
def test_management_makes_a_storno(who: Principal) -> None:
    refusal = storno.check(change(STORNO, None, who), STORED, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "storno.role"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"unitPriceEur": 99}, "storno.copy"),
        ({"quantity": -2}, "storno.copy"),
        ({"projectId": "project-2"}, "storno.copy"),
        ({"status": "received"}, "storno.copy"),
        ({"stornoReason": "falsch"}, "storno.reason"),
        ({"stornoReason": None}, "storno.reason"),
        ({"stornoOf": "cost-9"}, "storno.original"),
        ({"stornoOf": "project-1"}, "storno.original"),
        ({"type": "offer"}, "storno.type"),
    ],
)
def test_a_storno_says_what_it_cancels(fields: dict[str, Any], rule: str) -> None:
    refusal = storno.check(change({**STORNO, **fields}, None, GF), STORED, SETTINGS)
    assert refusal is not None
    assert refusal.rule == rule


def test_what_is_not_final_is_changed_instead() -> None:
    planned = World({**COST, "status": "planned"})
    refusal = storno.check(change({**STORNO, "status": "planned"}, None, GF), planned, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "storno.original"


def test_a_storno_happens_once_and_stays() -> None:
    world = World(COST, STORNO, PROJECT)
    again = {**STORNO, "_id": "cost-3"}
    assert storno.check(change(again, None, GF), world, SETTINGS) is not None
    of_storno = {**STORNO, "_id": "cost-3", "stornoOf": "cost-2"}
    assert storno.check(change(of_storno, None, GF), world, SETTINGS) is not None
    assert storno.check(change({**STORNO, "notes": "neu"}, STORNO, GF), world, SETTINGS) is not None
    becoming = {**COST, "stornoOf": "cost-9", "stornoReason": "Falscher Betrag gebucht"}
    assert storno.check(change(becoming, COST, GF), world, SETTINGS) is not None
    assert rules(change(None, STORNO, GF), world, SETTINGS) is not None
    assert storno.is_cancelled(COST, world)
    assert not storno.is_cancelled(COST, STORED)
    assert storno.is_storno(STORNO)
    assert not storno.is_storno(COST)


def test_after_a_storno_the_same_invoice_is_entered_again() -> None:
    right = {**COST, "_id": "cost-3", "createdBy": "plan1", "status": "planned", "unitPriceEur": 90}
    assert rules(change(right, None, PLAN), World(COST, STORNO, PROJECT), SETTINGS) is None
    refusal = rules(change(right, None, PLAN), STORED, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "unique.invoice_number"


# -- times ---------------------------------------------------------------------------------------


def document(**fields: Any) -> dict[str, Any]:
    return {"_id": "contact-1", "type": "contact", **fields}


def iso(**ahead: float) -> str:
    return (NOW + timedelta(**ahead)).isoformat()


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"createdAt": iso(), "modifiedAt": iso()}, None),
        ({"createdAt": iso(hours=23), "modifiedAt": iso(hours=23)}, None),
        ({"createdAt": iso(days=-900), "modifiedAt": iso(days=-3)}, None),
        ({"createdAt": iso(), "modifiedAt": iso(hours=-23)}, None),
        ({"createdAt": "2026-03-02T09:00:00+01:00", "modifiedAt": "2026-03-02T08:00:00Z"}, None),
        ({"createdAt": iso(hours=25)}, "time.future"),
        ({"modifiedAt": iso(days=4000)}, "time.future"),
        ({"createdAt": "1970-01-01T00:00:00.000Z"}, "time.past"),
        ({"createdAt": iso(), "modifiedAt": iso(days=-3)}, "time.order"),
        ({"createdAt": "gestern"}, "time.malformed"),
        ({"createdAt": 1772438400}, "time.malformed"),
        ({"modifiedAt": "9999-12-31T23:59:59-14:00"}, "time.malformed"),
        ({"modifiedAt": "2026-13-45T00:00:00Z"}, "time.malformed"),
    ],
)
def test_times_that_no_clock_can_mean(fields: dict[str, Any], rule: str | None) -> None:
    refusal = times.check(change(document(**fields)), NOTHING, SETTINGS)
    assert (refusal.rule if refusal else None) == rule


def test_the_time_of_creation_stays() -> None:
    before = document(createdAt=iso(days=-3), modifiedAt=iso(days=-3))
    refusal = times.check(change({**before, "createdAt": iso(days=-4)}, before), NOTHING, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "time.created"
    later = {**before, "modifiedAt": iso()}
    assert times.check(change(later, before), NOTHING, SETTINGS) is None
    earlier = {**before, "modifiedAt": iso(days=-7)}
    assert times.check(change(earlier, before), NOTHING, SETTINGS) is not None
    assert times.check(change(None, before), NOTHING, SETTINGS) is None


def test_old_documents_with_wrong_times_can_be_edited() -> None:
    """What was stored once is not judged again as long as it stays."""
    before = document(createdAt="1970-01-01T00:00:00Z", modifiedAt=iso(days=400))
    assert times.check(change({**before, "phone": "0731"}, before), NOTHING, SETTINGS) is None

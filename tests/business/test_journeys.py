"""Journeys through the whole server side: the gate, all rules, and what follows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Any

import pytest

from kompass.access.companions import companion_id
from kompass.business import BusinessRules
from kompass.domain.effects import effect_id
from kompass.domain.examples import NOW, docid, smallest
from kompass.domain.sealing import is_intact
from tests.business.test_numbers import listed, problems
from tests.sync.gate_world import World, new

CUSTOMER, CONTACT = docid("customer", 1), docid("contact", 1)
OPPORTUNITY, OFFER = docid("opportunity", 1), docid("offer", 1)
CONTRACT = effect_id("contract", OFFER, "accepted")
PROJECT = docid("project", 1)


@pytest.fixture
async def world(tmp_path: File) -> AsyncIterator[World]:
    world = await World.open(tmp_path, follows=True, business=BusinessRules())
    world.clock.now = NOW
    for name in ("adm1", "innen1", "plan1", "gf1"):
        stored = await world.body(f"user-{name}")
        await world.put(f"user-{name}", {**(stored or {}), "userName": name})
    yield world
    await world.close()


def by(author: str, doctype: str, docid: str, **members: Any) -> dict[str, Any]:
    document = {**smallest(doctype, NOW), "createdBy": author, "modifiedBy": author, **members}
    return {name: value for name, value in document.items() if name != "_id"}


async def edit(world: World, user: str, docid: str, **members: Any) -> str:
    stored = await world.body(docid)
    assert stored is not None
    changed = {**stored, "modifiedBy": user, "version": stored.get("version", 0) + 1, **members}
    changed = {name: value for name, value in changed.items() if value is not None}
    (answer,) = await world.push(user, (docid, new(changed, await world.path(docid))))
    return answer


async def sold(world: World) -> None:
    """Field sales comes back with a customer, his contact and an opportunity; the office sells."""
    offline = [
        # As PouchDB pushes them: the latest change first.
        (OPPORTUNITY, by("adm1", "opportunity", OPPORTUNITY, customerId=CUSTOMER, owner="adm1")),
        (CONTACT, by("adm1", "contact", CONTACT, customerId=CUSTOMER)),
        (CUSTOMER, by("adm1", "customer", CUSTOMER, owner="adm1")),
    ]
    pushed = [(one, new(document)) for one, document in offline]
    assert await world.push("adm1", *pushed) == ["", "", ""]
    document = by("innen1", "offer", OFFER, customerId=CUSTOMER, opportunityId=OPPORTUNITY)
    assert await world.push("innen1", (OFFER, new(document))) == [""]
    assert await edit(world, "innen1", OFFER, status="sent") == ""
    assert await edit(world, "innen1", OFFER, status="accepted") == ""


async def test_from_a_visit_without_network_to_a_contract(world: World) -> None:
    await sold(world)
    assert [one for one, _, _ in listed(world)] == ["A-2026-00001", "K-00001"]
    won = await world.body(OPPORTUNITY)
    assert won is not None
    assert won["status"] == "won"
    contract = await world.body(CONTRACT)
    assert contract is not None
    assert contract["status"] == "draft"
    offer = await world.body(OFFER)
    assert is_intact({**(offer or {}), "_id": OFFER})
    # The same once more, from a device that had no answer the first time.
    assert await edit(world, "innen1", OFFER, notes="Kunde freut sich") == ""
    assert len([one for one, _, _ in listed(world)]) == 2
    # The office goes on with what the server has drafted.
    assert await edit(world, "innen1", CONTRACT, status="pending_signature") == ""
    contract = await world.body(CONTRACT)
    assert contract is not None
    assert contract["contractNumber"] == "C-2026-00001"
    answer = await edit(world, "innen1", CONTRACT, contractNumber="C-2026-00009")
    assert "server" in answer
    assert problems(world) == []


async def test_a_stale_edit_of_an_offer_that_was_sent_meanwhile_is_refused(world: World) -> None:
    await sold(world)
    known = await world.path(OFFER)
    stale = new(
        by("innen1", "offer", OFFER, customerId=CUSTOMER, opportunityId=OPPORTUNITY, terms="ab Werk"),
        type(known)(1, [known.ids[-1]]),
    )
    before = await world.body(OFFER)
    (answer,) = await world.push("innen1", (OFFER, stale))
    assert answer
    assert await world.body(OFFER) == before
    assert is_intact({**(before or {}), "_id": OFFER})


async def test_from_a_signed_contract_to_the_totals_of_its_project(world: World) -> None:
    await sold(world)
    assert (
        await edit(
            world, "gf1", CONTRACT, status="signed", signedPdfUrl="https://docs.kompass.example/c1.pdf"
        )
        == ""
    )
    signed = await world.body(CONTRACT)
    assert signed is not None
    assert is_intact({**signed, "_id": CONTRACT})
    project = by(
        "plan1",
        "project",
        PROJECT,
        customerId=CUSTOMER,
        contractId=CONTRACT,
        projectManagerId="plan1",
        status="planning",
        budget=200,
    )
    assert await world.push("plan1", (PROJECT, new(project))) == [""]
    assert (await world.live(PROJECT))["projectNumber"] == "P-2026-B001"
    cost_doc = docid("project_cost", 1)
    cost = by(
        "plan1",
        "project_cost",
        cost_doc,
        projectId=PROJECT,
        costType="material",
        quantity=3,
        unitPriceEur=50,
        taxRate=0.19,
        status="planned",
    )
    assert await world.push("plan1", (cost_doc, new(cost))) == [""]
    costs = companion_id("project_costs", PROJECT)
    assert (await world.live(costs))["actualTotalCost"] == 0
    assert await edit(world, "gf1", cost_doc, status="ordered") == ""
    assert await edit(world, "plan1", cost_doc, status="received") == ""
    stored = await world.body(cost_doc)
    assert stored is not None
    assert (stored["totalNetEur"], stored["totalGrossEur"], stored["finalized"]) == (150, 178.5, True)
    total = await world.body(costs)
    assert total is not None
    assert (total["actualMaterialCost"], total["budgetStatus"]) == (150, "OnTrack")
    assert await edit(world, "plan1", cost_doc, quantity=4) != ""
    assert (await world.live(costs))["actualTotalCost"] == 150

"""What else becomes true when something happens: on the server, once."""

from __future__ import annotations

import pytest

from kompass.access.companions import companion_id
from kompass.domain.effects import effect_id
from kompass.domain.sealing import is_intact
from kompass.sync.conflicts.desk import Answer, ConflictDesk
from tests.business.documents import body, change, docid, offer, opportunity, push_new
from tests.business.offers import CONTRACT, OFFER, OPPORTUNITY, all_of, has_offer
from tests.sync.gate_world import World, customer, customer_body, new


async def test_an_accepted_offer_wins_its_opportunity_and_drafts_a_contract(world: World) -> None:
    await has_offer(world)
    await change(world, "gf1", OFFER, status="accepted")
    won = await world.body(OPPORTUNITY)
    assert won is not None
    assert (won["status"], won["probability"], won["actualValue"]) == ("won", 100, 749.97)
    contract = await world.body(CONTRACT)
    assert contract is not None
    assert contract["status"] == "draft"
    assert (contract["offerId"], contract["opportunityId"]) == (OFFER, OPPORTUNITY)
    assert (contract["subtotalEur"], contract["taxAmountEur"], contract["contractValueEur"]) == (
        749.97,
        142.49,
        892.46,
    )
    assert "contractNumber" not in contract
    accepted = await world.body(OFFER)
    assert accepted is not None
    assert accepted["contractId"] == CONTRACT
    assert accepted["acceptedAt"] == "2026-03-02T08:00:00.000Z"


async def test_the_same_change_from_two_devices_does_nothing_the_second_time(world: World) -> None:
    await has_offer(world)
    known, stored = await world.path(OFFER), await world.body(OFFER)
    accepted = {**(stored or {}), "status": "accepted", "modifiedBy": "gf1", "version": 9}
    one, two = new(accepted, known, "one"), new({**accepted, "version": 10}, known, "two")
    assert await world.push("gf1", (OFFER, one)) == [""]
    contract, won = await world.path(CONTRACT), await world.path(OPPORTUNITY)
    assert await world.push("gf1", (OFFER, one)) == [""]
    assert await world.push("gf1", (OFFER, two)) == [""]
    assert await world.path(CONTRACT) == contract
    assert await world.path(OPPORTUNITY) == won
    assert len(await all_of(world, "contract")) == 1


async def test_a_deleted_contract_does_not_come_back(world: World) -> None:
    await has_offer(world)
    await change(world, "gf1", OFFER, status="accepted")
    await world.put(CONTRACT, None)
    await change(world, "gf1", OFFER, notes="Rückfrage")
    assert await world.body(CONTRACT) is None


async def test_nothing_names_a_contract_or_project_that_was_deleted(world: World) -> None:
    await has_offer(world)
    await change(world, "gf1", OFFER, status="accepted")
    assert (await world.live(OFFER))["contractId"] == CONTRACT
    assert await world.push("gf1", (CONTRACT, new(None, await world.path(CONTRACT)))) == [""]
    accepted = await world.body(OFFER)
    assert accepted is not None
    assert "contractId" not in accepted
    assert (accepted["modifiedBy"], accepted["status"]) == ("system", "accepted")
    assert is_intact({**accepted, "_id": OFFER})
    again = docid("contract", 2)
    made = body("contract", offerId=OFFER, customerId=customer(1), status="signed")
    await push_new(world, "gf1", again, made)
    project = docid("project", 1)
    await push_new(world, "gf1", project, body("project", customerId=customer(1), contractId=again))
    assert (await world.live(again))["projectId"] == project
    assert await world.push("gf1", (project, new(None, await world.path(project)))) == [""]
    assert "projectId" not in await world.live(again)


@pytest.mark.parametrize("door", ["person", "import"])
async def test_a_contract_or_project_that_comes_back_is_named_again(world: World, door: str) -> None:
    async def goes_and_comes_back(one: str, naming: str, field: str) -> None:
        known, stored = await world.path(one), await world.live(one)
        await world.put(one, None)
        assert field not in await world.live(naming)
        if door == "import":
            await world.put(one, {name: value for name, value in stored.items() if name[:1] != "_"})
            return
        mine = new({**stored, "notes": "Rückfrage", "modifiedBy": "gf1", "version": 9}, known)
        assert await world.push("gf1", (one, mine)) == [""]
        (asked,) = await world.notices("gf1", "conflict")
        answer = Answer("local", {}, {})
        await ConflictDesk(world.gate).resolve(world.people["gf1"], asked["id"], answer)

    await has_offer(world)
    await change(world, "gf1", OFFER, status="accepted")
    await goes_and_comes_back(CONTRACT, OFFER, "contractId")
    accepted = await world.live(OFFER)
    assert accepted.get("contractId") == CONTRACT
    assert (accepted["modifiedBy"], accepted["status"]) == ("system", "accepted")
    assert is_intact({**accepted, "_id": OFFER})
    await change(world, "gf1", CONTRACT, status="signed", signedPdfUrl="vertrag.pdf")
    project = docid("project", 1)
    made = body("project", customerId=customer(1), contractId=CONTRACT, name="Umbau", status="planning")
    await push_new(world, "gf1", project, made)
    await goes_and_comes_back(project, CONTRACT, "projectId")
    signed = await world.live(CONTRACT)
    assert (signed.get("projectId"), signed["status"]) == (project, "active")
    assert is_intact({**signed, "_id": CONTRACT})


async def test_what_comes_back_takes_no_place_of_a_live_one(world: World) -> None:
    await has_offer(world)
    await change(world, "gf1", OFFER, status="accepted")
    contract = await world.live(CONTRACT)
    await world.put(CONTRACT, None)
    instead = docid("contract", 2)
    made = body("contract", customerId=customer(1), offerId=OFFER, status="draft")
    await push_new(world, "gf1", instead, made)
    before = await world.live(OFFER)
    assert before.get("contractId") == instead
    await world.put(CONTRACT, contract)
    assert await world.body(OFFER) == before
    assert await world.body(CONTRACT) is not None


async def test_an_offer_names_no_contract_before_it_is_accepted(world: World) -> None:
    await has_offer(world)
    made = body("contract", customerId=customer(1), offerId=OFFER, status="draft")
    for one in (made, None, made):
        await world.put(docid("contract", 2), one)
    assert "contractId" not in await world.live(OFFER)


async def test_other_open_offers_of_the_opportunity_are_superseded(world: World) -> None:
    await has_offer(world)
    await push_new(world, "gf1", docid("offer", 2), offer())
    await change(world, "gf1", docid("offer", 2), status="sent")
    await push_new(world, "gf1", docid("offer", 3), offer(opportunityId=OPPORTUNITY))
    await change(world, "gf1", docid("offer", 2), status="accepted")
    found = [await world.body(docid("offer", n)) for n in (1, 2, 3)]
    assert [one["status"] for one in found if one] == ["superseded", "accepted", "superseded"]
    assert [one.get("supersededBy") for one in found if one] == [docid("offer", 2), None, docid("offer", 2)]


async def test_one_push_accepts_one_offer_of_an_opportunity(world: World) -> None:
    """As two pushes do: the first supersedes the others before they are judged."""
    await has_offer(world)
    second = docid("offer", 2)
    await push_new(world, "gf1", second, offer())
    await change(world, "gf1", second, status="sent")
    accepted = [
        (one, new({**(await world.live(one)), "status": "accepted"}, await world.path(one)))
        for one in (OFFER, second)
    ]
    await world.push("gf1", *accepted)
    found = [await world.live(one) for one in (OFFER, second)]
    assert [one["status"] for one in found] == ["accepted", "superseded"]
    assert len(await all_of(world, "contract")) == 1


async def test_a_rejected_offer_loses_its_opportunity(world: World) -> None:
    await has_offer(world)
    await change(world, "gf1", OFFER, status="rejected", rejectionReason="Der Preis war zu hoch")
    lost = await world.body(OPPORTUNITY)
    assert lost is not None
    assert (lost["status"], lost["probability"], lost["lostReason"]) == ("lost", 0, "Der Preis war zu hoch")


async def test_an_opportunity_is_not_lost_while_another_offer_may_win_it(world: World) -> None:
    await has_offer(world)
    await push_new(world, "gf1", docid("offer", 2), offer())
    await change(world, "gf1", docid("offer", 2), status="sent")
    await change(world, "gf1", OFFER, status="rejected", rejectionReason="Der Preis war zu hoch")
    still = await world.body(OPPORTUNITY)
    assert still is not None
    assert still["status"] == "negotiation"


async def test_an_import_of_an_accepted_offer_has_had_its_effects(world: World) -> None:
    await world.put(OPPORTUNITY, opportunity())
    await world.put(OFFER, offer(status="accepted", acceptedAt="2024-05-05T08:00:00.000Z"))
    stored = await world.body(OFFER)
    await world.put(OFFER, {**(stored or {}), "notes": "aus dem Archiv"})
    assert await world.body(CONTRACT) is None
    assert (await world.live(OPPORTUNITY))["status"] == "negotiation"


async def test_a_converted_lead_becomes_customer_and_opportunity(world: World) -> None:
    lead = docid("lead", 1)
    address = {"street": "Markt", "zipCode": "95028", "city": "Rode", "country": "Deutschland"}
    document = body(
        "lead", "adm1", companyName="Café Süß", owner="adm1", status="NEW", billingAddress=address
    )
    await push_new(world, "adm1", lead, document)
    await change(world, "adm1", lead, status="QUALIFIED")
    await change(world, "adm1", lead, status="CONVERTED")
    stored = await world.body(lead)
    assert stored is not None
    made = await world.body(stored["convertedCustomerId"])
    assert made is not None
    assert (made["companyName"], made["owner"], made["customerNumber"]) == ("Café Süß", "adm1", "K-00001")
    assert made["billingAddress"] == address
    deal = await world.body(stored["convertedOpportunityId"])
    assert deal is not None
    assert (deal["customerId"], deal["status"]) == (stored["convertedCustomerId"], "new")


async def test_a_lead_whose_customer_exists_makes_none(world: World) -> None:
    lead = docid("lead", 1)
    await push_new(world, "adm1", customer(1), customer_body())
    document = body("lead", "adm1", companyName="Hofladen Rode", owner="adm1", status="QUALIFIED")
    await push_new(world, "adm1", lead, document)
    await change(world, "adm1", lead, status="CONVERTED", convertedCustomerId=customer(1))
    assert len(await all_of(world, "customer")) == 1


async def test_checking_in_makes_a_protocol_and_a_visit(world: World) -> None:
    await push_new(world, "adm1", customer(1), customer_body())
    meeting = docid("meeting", 1)
    document = body(
        "meeting", "adm1", customerId=customer(1), scheduledAt="2026-03-02T07:30:00.000Z", duration=60
    )
    await push_new(world, "adm1", meeting, document)
    await change(world, "adm1", meeting, attended=True)
    protocol = await world.body(effect_id("protocol", meeting, "attended"))
    assert protocol is not None
    assert (protocol["customerId"], protocol["createdBy"], protocol["participants"]) == (
        customer(1),
        "adm1",
        ["adm1"],
    )
    visit = await world.body(companion_id("customer_visit", customer(1)))
    assert visit is not None
    assert visit["lastVisitDate"] == "2026-03-02"
    await change(world, "adm1", meeting, outcome="successful")
    assert len(await all_of(world, "protocol")) == 1


async def test_the_last_visit_is_the_latest_and_never_to_come(world: World) -> None:
    await push_new(world, "adm1", customer(1), customer_body())
    for n, day in enumerate(("2026-02-10", "2026-02-20", "2026-02-15", "2026-08-01"), 1):
        document = body(
            "activity", "adm1", customerId=customer(1), activityType="visit", date=f"{day}T09:00:00Z"
        )
        await push_new(world, "adm1", docid("activity", n), document)
    secret = body(
        "activity",
        "adm1",
        customerId=customer(1),
        activityType="visit",
        date="2026-02-28T09:00:00Z",
        private=True,
    )
    await push_new(world, "adm1", docid("activity", 9), secret)
    visit = await world.body(companion_id("customer_visit", customer(1)))
    assert visit is not None
    assert visit["lastVisitDate"] == "2026-02-20"


async def test_who_is_mentioned_is_told_if_he_may_read_it(world: World) -> None:
    await push_new(
        world, "gf1", customer(1), customer_body("adm1") | {"createdBy": "gf1", "modifiedBy": "gf1"}
    )
    comment = body(
        "comment",
        parentId=customer(1),
        content="@adm1 @adm2 @niemand bitte ansehen",
        mentions=["adm1", "adm2", "niemand", "gf1", "adm1"],
    )
    await push_new(world, "gf1", docid("comment", 1), comment)
    told = await all_of(world, "notification")
    assert [(one["recipientId"], one["notificationType"], one["isRead"]) for one in told] == [
        ("adm1", "MENTION", False)
    ]
    assert told[0]["documentId"] == docid("comment", 1)
    assert "content" not in told[0]
    await change(world, "gf1", docid("comment", 1), mentions=["adm1", "innen1"])
    assert [one["recipientId"] for one in await all_of(world, "notification")] == ["adm1", "innen1"]


async def test_who_gets_a_task_is_told_each_time(world: World) -> None:
    task = docid("user-task", 1)
    await push_new(world, "gf1", task, body("user_task", title="Anrufen", status="open", assignedTo="adm1"))
    await change(world, "gf1", task, title="Zurückrufen")
    await change(world, "gf1", task, assignedTo="adm2")
    await change(world, "gf1", task, assignedTo="adm1")
    await change(world, "gf1", task, assignedTo="gf1")
    told = await all_of(world, "notification")
    assert [one["recipientId"] for one in told] == ["adm1", "adm2", "adm1"]


async def test_the_first_project_puts_its_signed_contract_into_effect(world: World) -> None:
    await has_offer(world)
    await change(world, "gf1", OFFER, status="accepted")
    await change(world, "gf1", CONTRACT, status="signed", signedPdfUrl="vertrag.pdf")
    projects = [docid("project", number) for number in (1, 2)]
    for one in projects:
        project = body(
            "project", customerId=customer(1), contractId=CONTRACT, name="Umbau", status="planning"
        )
        await push_new(world, "gf1", one, project)
    contract = await world.body(CONTRACT)
    assert contract is not None
    assert (contract["status"], contract["projectId"]) == ("active", projects[0])


async def test_a_project_leaves_a_contract_alone_that_is_not_signed(world: World) -> None:
    await has_offer(world)
    await change(world, "gf1", OFFER, status="accepted")
    project = body("project", customerId=customer(1), contractId=CONTRACT, name="Umbau", status="planning")
    await push_new(world, "gf1", docid("project", 1), project)
    contract = await world.body(CONTRACT)
    assert contract is not None
    assert contract["status"] == "draft"
    assert "projectId" not in contract

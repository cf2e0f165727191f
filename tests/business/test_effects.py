"""What else becomes true when something happens: on the server, once."""

from __future__ import annotations

from typing import Any

import pytest

from kompass.access.companions import companion_id
from kompass.access.principals import Role
from kompass.audit.reading import Query
from kompass.domain.effects import effect_id
from kompass.domain.sealing import is_intact
from kompass.sync.audit_desk import AuditDesk
from kompass.sync.conflicts.desk import Answer, ConflictDesk
from tests.audit.world import entries, entries_of
from tests.business.documents import body, change, docid, offer, opportunity, push_new
from tests.sync.gate_world import World, customer, customer_body, new

OFFER = docid("offer", 1)
OPPORTUNITY = docid("opportunity", 1)
CONTRACT = effect_id("contract", OFFER, "accepted")


async def has_offer(world: World) -> None:
    await push_new(
        world, "gf1", customer(1), customer_body("adm1") | {"createdBy": "gf1", "modifiedBy": "gf1"}
    )
    await push_new(world, "gf1", OPPORTUNITY, opportunity())
    await push_new(world, "gf1", OFFER, offer())
    await change(world, "gf1", OFFER, status="sent")


async def all_of(world: World, doctype: str) -> list[dict[str, Any]]:
    found = []
    with world.database.reading() as reading:
        rows: Any = reading.connection.execute(
            "SELECT id FROM business_docs WHERE type = ? ORDER BY num", (doctype,)
        )
        for (one,) in rows.fetchall():
            found.append(await world.live(one))
    return found


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


# -- possible duplicates -----------------------------------------------------------------------

ADDRESS = {"street": "Hauptstr.", "streetNumber": "5", "zipCode": "32257", "city": "Bünde"}


async def told_of_duplicates(world: World) -> list[tuple[str, str, list[str]]]:
    """(who, of which customer, with which others)."""
    return [
        (one["recipientId"], one["documentId"], one["otherDocumentIds"])
        for one in await all_of(world, "notification")
        if one["notificationType"] == "DUPLICATE"
    ]


async def test_the_office_is_told_of_possible_duplicates_once(world: World) -> None:
    one = customer_body("adm1", email="info@hof.example", companyName="Hof Eins", billingAddress=ADDRESS)
    await push_new(world, "adm1", customer(1), one)
    assert await told_of_duplicates(world) == []
    other = customer_body("adm2", email="INFO@hof.example ", companyName="Anders")
    await push_new(world, "adm2", customer(2), other)
    assert await told_of_duplicates(world) == [("innen1", customer(2), [customer(1)])]
    (told,) = await all_of(world, "notification")
    assert not {"title", "message"} & told.keys()
    assert "Hof" not in str(told)
    # What has nothing to do with it tells nobody again; another address that is nearly the same does.
    await change(world, "adm2", customer(2), phone="05223 1")
    assert len(await told_of_duplicates(world)) == 1
    near = {**ADDRESS, "street": "Hauptstraße", "city": "Buende"}
    await change(world, "adm2", customer(2), email="a@b.example", companyName="Hof Ein", billingAddress=near)
    assert await told_of_duplicates(world) == [("innen1", customer(2), [customer(1)])] * 2


async def test_the_whole_office_is_told_and_nobody_else(world: World) -> None:
    await world.set_roles("innen2", {Role.INNEN})
    await world.set_roles("innen3", {Role.INNEN})
    await world.put("user-innen3", {"type": "user", "name": "innen3", "roles": ["INNEN"], "active": False})
    for number in (1, 2):
        await push_new(world, "adm1", customer(number), customer_body("adm1", email="info@hof.example"))
    told = await told_of_duplicates(world)
    assert sorted(person for person, _, _ in told) == ["innen1", "innen2"]


async def test_whoever_is_forgotten_is_nobody_s_duplicate(world: World) -> None:
    for number in (1, 2):
        await world.has_customer(number, companyName=f"Gelöschter Kunde #{number}", anonymized=number == 1)
    await change(world, "adm1", customer(2), companyName="Gelöschter Kunde #3")
    assert await told_of_duplicates(world) == []


async def test_imports_tell_nobody_of_duplicates(world: World) -> None:
    for number in (1, 2, 3):
        await world.has_customer(number, email="info@hof.example")
    assert await told_of_duplicates(world) == []


# -- what the chain of writes says of it ---------------------------------------------------------


def because(entry: dict[str, Any]) -> tuple[Any, ...]:
    cause = entry.get("cause") or {}
    return entry.get("origin"), cause.get("document"), cause.get("revision"), cause.get("person")


async def test_each_effect_names_the_document_the_revision_and_the_person(world: World) -> None:
    await has_offer(world)
    await push_new(world, "gf1", docid("offer", 2), offer())
    await change(world, "gf1", docid("offer", 2), status="sent")
    await change(world, "gf1", OFFER, status="accepted")
    pushed = next(one for one in entries_of(world, OFFER) if one["after"][:2] == "5-")
    assert (pushed["origin"], pushed["who"], pushed.get("cause")) == ("pushed", "gf1", None)
    settled = next(one for one in entries_of(world, OFFER) if one["before"] == pushed["after"])
    assert because(settled) == ("settled", OFFER, pushed["after"], "gf1")
    expected = ("accepted", OFFER, settled["after"], "gf1")
    for effect in (CONTRACT, OPPORTUNITY, docid("offer", 2)):
        assert expected in map(because, entries_of(world, effect)), effect
    assert expected in map(because, entries_of(world, OFFER))


async def test_everything_the_server_makes_names_what_it_follows_from(world: World) -> None:
    await has_offer(world)
    await push_new(world, "gf1", docid("user-task", 1), body("user_task", title="Anruf", assignedTo="adm1"))
    await push_new(world, "gf1", docid("project", 1), project())
    await push_new(world, "gf1", docid("time-entry", 1), worked("gf1"))
    await change(world, "gf1", docid("time-entry", 1), endTime="2026-03-01T11:00:00.000Z")
    await push_new(world, "gf1", docid("project-cost", 1), cost())
    await change(world, "gf1", OFFER, status="accepted")
    made = [one for one in entries(world) if one.get("origin") in MADE]
    assert {one["type"] for one in made} >= {"notification", "time_entry_cost", "project_costs", "offer"}
    written = {(one["document"], one["after"]) for one in entries(world) if "after" in one}
    for one in made:
        cause = one["cause"]
        assert (cause["document"], cause["revision"]) in written, one
        assert cause["person"] == one["who"]


MADE = frozenset({"settled", "derived", "accepted", "assigned", "expired", "attended", "visit"})


def project() -> dict[str, Any]:
    return body("project", customerId=customer(1), projectName="Umbau", status="planning", budget=1000)


def worked(user: str) -> dict[str, Any]:
    return body(
        "time_entry",
        user,
        userId=user,
        projectId=docid("project", 1),
        startTime="2026-03-01T09:00:00.000Z",
        endTime="2026-03-01T10:00:00.000Z",
        status="completed",
    )


def cost() -> dict[str, Any]:
    return body(
        "project_cost",
        projectId=docid("project", 1),
        costType="material",
        status="received",
        quantity=1,
        unitPriceEur=100,
        taxRate=0.19,
    )


async def test_who_may_not_read_the_cause_is_not_told_of_it(world: World) -> None:
    """The day of a customer's last visit stays everybody's; what was said there is its author's now."""
    await has_offer(world)
    visit = body("activity", "adm1", customerId=customer(1), activityType="visit", date="2026-03-01")
    await push_new(world, "adm1", docid("activity", 1), visit)
    desk = AuditDesk(world.database, world.index)
    docid_of_visit = companion_id("customer_visit", customer(1))

    def told(user: str) -> Any:
        page = desk.page(world.people[user], Query(document=docid_of_visit), 10)
        return [shown.entry["cause"] for shown in page.entries]

    cause = {"document": docid("activity", 1), "person": "adm1"}
    for user in ("adm1", "gf1"):
        assert [{**one, "revision": None} for one in told(user)] == [{**cause, "revision": None}], user
    await change(world, "adm1", docid("activity", 1), private=True)
    assert told("gf1") == [None]
    assert told("adm1") != [None]

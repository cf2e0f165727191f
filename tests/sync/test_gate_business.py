"""Rules about other documents, in a push of many: each is judged with those that were accepted before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Any

import orjson
import pytest

from kompass.business import BusinessRules
from kompass.domain.changes import Change, Facts
from kompass.domain.refusals import Refusal
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from tests.domain.world import rules
from tests.sync.gate_world import Version, World, customer, customer_body, new, uuid


class Rules(BusinessRules):
    """All but the shapes: the documents here have what matters only."""

    def check(self, change: Change, facts: Facts) -> Refusal | None:
        return rules(change, facts, self.settings)


@pytest.fixture
async def world(tmp_path: File) -> AsyncIterator[World]:
    world = await World.open(tmp_path, follows=True, business=Rules())
    yield world
    await world.close()


def body(doctype: str, author: str, **members: Any) -> dict[str, Any]:
    return {
        "type": doctype,
        "createdBy": author,
        "createdAt": "2026-03-01T08:00:00.000Z",
        "modifiedBy": author,
        "modifiedAt": "2026-03-01T08:00:00.000Z",
        "version": 1,
        **members,
    }


def docid(prefix: str, number: int) -> str:
    return f"{prefix}-{uuid(number)}"


TOUR, PROJECT = docid("tour", 1), docid("project", 1)
FIRST, SECOND = docid("time-entry", 1), docid("time-entry", 2)


def entry(**members: Any) -> dict[str, Any]:
    return body("time_entry", "innen1", userId="innen1", projectId=PROJECT, status="in_progress", **members)


async def has_project(world: World) -> None:
    await world.has_customer(1)
    project = body("project", "gf1", customerId=customer(1), status="planning", projectManagerId="plan1")
    assert await world.push("gf1", (PROJECT, new(project))) == [""]


async def edited(world: World, doc: str, **members: Any) -> tuple[str, Version]:
    """A stored document as a device that is up to date changes it."""
    stored = await world.body(doc)
    assert stored is not None
    return doc, new({**stored, **members}, await world.path(doc))


async def test_only_one_of_two_running_entries_in_a_push_is_accepted(world: World) -> None:
    await has_project(world)
    answers = await world.push("innen1", (FIRST, new(entry())), (SECOND, new(entry())))
    assert [answer == "" for answer in answers] == [True, False]
    assert await world.body(SECOND) is None


@pytest.mark.parametrize("first", ["new", "ended"])
async def test_one_entry_ends_and_another_begins_in_one_push(world: World, first: str) -> None:
    await has_project(world)
    assert await world.push("innen1", (FIRST, new(entry()))) == [""]
    ended = await edited(world, FIRST, status="completed", endTime="2026-03-01T10:00:00.000Z")
    begun = (SECOND, new(entry()))
    docs = [begun, ended] if first == "new" else [ended, begun]
    assert await world.push("innen1", *docs) == ["", ""]
    stored = await world.body(SECOND)
    assert stored is not None
    assert stored["status"] == "in_progress"


@pytest.mark.parametrize("first", [0, 1])
async def test_a_tour_is_moved_in_the_same_push_as_its_meetings(world: World, first: int) -> None:
    await world.has_customer(1)
    tour = body(
        "tour", "adm1", ownerId="adm1", status="planned", startDate="2026-03-01", endDate="2026-03-01"
    )
    meeting, location = docid("meeting", 1), docid("location", 1)
    await world.put(location, body("location", "adm1", customerId=customer(1)))
    held = {"customerId": customer(1), "locationId": location, "duration": 60, "tourId": TOUR}
    visit = body("meeting", "adm1", scheduledAt="2026-03-01T08:00:00.000Z", **held)
    assert await world.push("adm1", (TOUR, new(tour)), (meeting, new(visit))) == ["", ""]
    moved = await edited(world, TOUR, startDate="2026-03-08", endDate="2026-03-08", version=2)
    (answer,) = await world.push("adm1", moved)
    assert meeting in answer
    both = [
        await edited(world, TOUR, startDate="2026-03-08", endDate="2026-03-08", version=3),
        await edited(world, meeting, scheduledAt="2026-03-08T08:00:00.000Z", version=2),
    ]
    assert await world.push("adm1", both[first], both[1 - first]) == ["", ""]
    assert (await world.live(TOUR))["startDate"] == "2026-03-08"


async def test_a_tour_ends_in_the_same_push_as_its_meetings(world: World) -> None:
    await world.has_customer(1)
    tour = body("tour", "adm1", ownerId="adm1", status="active", startDate="2026-03-01", endDate="2026-03-01")
    meetings = [docid("meeting", number) for number in (1, 2)]
    location = docid("location", 1)
    place = body("location", "adm1", customerId=customer(1), locationName="Laden")
    meeting = body(
        "meeting",
        "adm1",
        customerId=customer(1),
        locationId=location,
        tourId=TOUR,
        scheduledAt="2026-03-01T09:00:00.000Z",
    )
    answers = await world.push(
        "adm1", (location, new(place)), (TOUR, new(tour)), *((one, new(meeting)) for one in meetings)
    )
    assert answers == [""] * 4
    done = await edited(world, TOUR, status="completed")
    alone = await world.push("adm1", done)
    assert alone != [""]
    held = [await edited(world, one, attended=True, outcome="successful") for one in meetings]
    again = (TOUR, new({**done[1].body, "region": "Süd"}, await world.path(TOUR)))  # type: ignore[dict-item]
    assert await world.push("adm1", again, *held) == ["", "", ""]
    stored = await world.body(TOUR)
    assert stored is not None
    assert stored["status"] == "completed"


async def test_of_two_customers_with_one_vat_number_in_a_push_one_is_accepted(world: World) -> None:
    docs = [(customer(number), new(customer_body("adm1", vatNumber="DE123456789"))) for number in (1, 2)]
    answers = await world.push("adm1", *docs)
    assert sorted(answer == "" for answer in answers) == [False, True]


async def test_what_names_a_location_that_comes_later_waits_for_it(world: World) -> None:
    await world.has_customer(1)
    location, chance = docid("location", 1), docid("opportunity", 1)
    opportunity = body(
        "opportunity", "adm1", customerId=customer(1), locationId=location, owner="adm1", status="new"
    )
    assert await world.push("adm1", (chance, new(opportunity))) == [""]
    assert await world.body(chance) is None
    place = body("location", "adm1", customerId=customer(1), locationName="Laden")
    assert await world.push("adm1", (location, new(place))) == [""]
    assert await world.body(chance) is not None


async def test_a_location_of_somebody_else_is_refused_without_waiting(world: World) -> None:
    await world.has_customer(1)
    await world.has_customer(2)
    location = docid("location", 1)
    place = body("location", "adm1", customerId=customer(2), locationName="Laden")
    assert await world.push("adm1", (location, new(place))) == [""]
    opportunity = body(
        "opportunity", "adm1", customerId=customer(1), locationId=location, owner="adm1", status="new"
    )
    (answer,) = await world.push("adm1", (docid("opportunity", 1), new(opportunity)))
    assert "locationId" in answer


# -- edits are treated as new documents are --------------------------------------------------------

CHANCE, PLACE = docid("opportunity", 1), docid("location", 1)


async def has_opportunity(world: World, **more: Any) -> None:
    await world.has_customer(1)
    chance = body("opportunity", "adm1", customerId=customer(1), owner="adm1", status="new", title="Theke")
    assert await world.push("adm1", (CHANCE, new({**chance, **more}))) == [""]


def place(number: int = 1, author: str = "adm1") -> dict[str, Any]:
    return body("location", author, customerId=customer(number), locationName="Laden")


async def test_an_edit_that_names_a_location_that_comes_later_waits_for_it(world: World) -> None:
    await has_opportunity(world)
    stored = await world.path(CHANCE)
    _, edit = await edited(world, CHANCE, locationId=PLACE)
    assert await world.push("adm1", (CHANCE, edit)) == [""]
    assert await world.quarantined("adm1") == [(CHANCE, "waiting")]
    assert await world.path(CHANCE) == stored
    assert await world.missing("adm1", (CHANCE, edit)) == set()
    await world.gate.housekeep()
    assert await world.push("adm1", (PLACE, new(place()))) == [""]
    assert (await world.live(CHANCE))["locationId"] == PLACE
    assert (await world.path(CHANCE)).revisions()[0] == edit.path.leaf
    assert await world.quarantined("adm1") == []


async def test_an_edit_that_waits_is_merged_with_what_others_did_meanwhile(world: World) -> None:
    await has_opportunity(world)
    edit = await edited(world, CHANCE, locationId=PLACE)
    assert await world.push("adm1", edit) == [""]
    assert await world.push("gf1", await edited(world, CHANCE, title="Tresen", modifiedBy="gf1")) == [""]
    assert await world.push("adm1", (PLACE, new(place()))) == [""]
    stored = await world.live(CHANCE)
    assert (stored["locationId"], stored["title"]) == (PLACE, "Tresen")
    assert len(await world.live_leaves(CHANCE)) == 1


async def test_a_branch_waits_for_what_it_names_seen_by_its_author_or_not(world: World) -> None:
    """What he may not see is to him what isn't there."""
    await has_opportunity(world)
    await world.has_customer(2, owner="adm2")
    hidden, absent = docid("location", 2), docid("location", 3)
    assert await world.push("adm2", (hidden, new(place(2, "adm2")))) == [""]
    known, stored = await world.path(CHANCE), await world.live(CHANCE)
    assert await world.push("gf1", await edited(world, CHANCE, title="Tresen", modifiedBy="gf1")) == [""]
    for number, named in enumerate((hidden, absent)):
        branch = new({**stored, "locationId": named}, known, salt=number)
        assert await world.push("adm1", (CHANCE, branch)) == [""]
    assert await world.quarantined("adm1") == [(CHANCE, "waiting"), (CHANCE, "waiting")]
    assert await world.notices("adm1", "conflict") == []
    assert "locationId" not in await world.live(CHANCE)


async def test_an_edit_that_waited_too_long_is_refused_and_its_author_is_told(world: World) -> None:
    await has_opportunity(world)
    await world.push("adm1", await edited(world, CHANCE, locationId=PLACE))
    world.clock.advance(days=7, hours=1)
    await world.gate.housekeep()
    assert await world.quarantined("adm1") == [(CHANCE, "quarantined")]
    (notice,) = await world.notices("adm1", "rejected_change")
    assert (notice["rule"], notice["document"]["locationId"]) == ("reference.absent", PLACE)


async def test_a_later_edit_takes_the_place_of_the_one_that_waits(world: World) -> None:
    await has_opportunity(world)
    _, first = await edited(world, CHANCE, locationId=PLACE)
    await world.push("adm1", (CHANCE, first))
    assert first.body is not None
    later = {name: value for name, value in first.body.items() if name != "locationId"}
    assert await world.push("adm1", (CHANCE, new({**later, "title": "Tresen"}, first.path))) == [""]
    assert (await world.live(CHANCE))["title"] == "Tresen"
    assert await world.quarantined("adm1") == []


async def online(world: World, user: str, *docs: DocumentWrite) -> list[int]:
    """How each is answered."""
    results = await world.gate.write(world.people[user], docs, replicated=False)
    return [result.status if isinstance(result, ProtocolError) else 201 for result in results]


async def put(world: World, doc: str, **members: Any) -> DocumentWrite:
    """An online edit of a stored document."""
    text = orjson.dumps({**(await world.live(doc)), **members})
    return DocumentWrite(doc, False, text, (await world.path(doc)).leaf)


@pytest.mark.parametrize("first", ["new", "ended"])
async def test_online_one_entry_ends_and_another_begins_in_one_request(world: World, first: str) -> None:
    await has_project(world)
    assert await world.push("innen1", (FIRST, new(entry()))) == [""]
    ended = await put(world, FIRST, status="completed", endTime="2026-03-01T10:00:00.000Z")
    begun = DocumentWrite(SECOND, False, orjson.dumps(entry()))
    docs = [begun, ended] if first == "new" else [ended, begun]
    assert await online(world, "innen1", *docs) == [201, 201]
    assert (await world.live(SECOND))["status"] == "in_progress"
    assert (await world.live(FIRST))["status"] == "completed"


async def test_online_documents_may_name_one_another_in_a_circle(world: World) -> None:
    await world.has_customer(1)
    lead, chance = docid("lead", 1), docid("opportunity", 2)
    named = {"convertedCustomerId": customer(1), "convertedOpportunityId": chance}
    converted = body("lead", "adm1", companyName="Hof", owner="adm1", status="CONVERTED", **named)
    deal = body("opportunity", "adm1", customerId=customer(1), owner="adm1", status="new", leadId=lead)
    alone = DocumentWrite(lead, False, orjson.dumps(converted))
    assert await online(world, "adm1", alone) == [403], "what is absent is answered at once"
    assert await world.quarantined("adm1") == []
    both = [alone, DocumentWrite(chance, False, orjson.dumps(deal))]
    assert await online(world, "adm1", *both) == [201, 201]


async def test_online_an_edit_names_what_comes_with_it_in_the_same_request(world: World) -> None:
    await has_opportunity(world)
    edit = await put(world, CHANCE, locationId=PLACE)
    assert await online(world, "adm1", edit) == [403]
    assert await world.quarantined("adm1") == []
    assert await online(world, "adm1", edit, DocumentWrite(PLACE, False, orjson.dumps(place()))) == [201, 201]
    assert (await world.live(CHANCE))["locationId"] == PLACE


# -- what is final, by the doors of a device -----------------------------------------------------

OFFER = docid("offer", 1)


async def has_sent_offer(world: World) -> None:
    await world.has_customer(1)
    chance = docid("opportunity", 1)
    opportunity = body("opportunity", "gf1", customerId=customer(1), owner="adm1", status="new")
    offer = body(
        "offer",
        "innen1",
        customerId=customer(1),
        opportunityId=chance,
        status="draft",
        terms="30 Tage netto",
        lineItems=[{"description": "Regal", "quantity": 1, "unitPriceEur": 100}],
    )
    assert await world.push("gf1", (chance, new(opportunity))) == [""]
    assert await world.push("innen1", (OFFER, new(offer, pdf=b"the offer"))) == [""]
    assert await world.push("innen1", await with_files(world, status="sent")) == [""]


async def with_files(world: World, **members: Any) -> tuple[str, Version]:
    """The stored offer, changed, with its file."""
    docid, version = await edited(world, OFFER, modifiedBy="innen1", **members)
    return docid, new(version.body, await world.path(OFFER), pdf=b"the offer")


async def sealed(world: World) -> dict[str, Any]:
    stored = await world.body(OFFER)
    assert stored is not None
    assert stored["finalized"] is True
    return stored


async def test_a_sent_offer_keeps_its_text_and_its_file(world: World) -> None:
    await has_sent_offer(world)
    before = await sealed(world)
    assert list(before["immutableAttachments"]) == ["pdf"]
    for attempt in (
        await with_files(world, terms="60 Tage netto"),
        await with_files(world, lineItems=[]),
        await edited(world, OFFER, modifiedBy="innen1"),
    ):
        (answer,) = await world.push("innen1", attempt)
        assert "is final" in answer
    (answer,) = await world.push("gf1", (OFFER, new(None, await world.path(OFFER))))
    assert "has to be kept until the end of 2036" in answer
    assert await sealed(world) == before
    assert await world.push("innen1", await with_files(world, notes="angerufen")) == [""]


async def test_a_stale_edit_of_an_offer_that_was_sent_meanwhile_is_refused_and_kept(world: World) -> None:
    await has_sent_offer(world)
    path = await world.path(OFFER)
    draft = Version(path=type(path)(1, path.ids[-1:]), body={})
    stored = await sealed(world)
    text = {name: value for name, value in stored.items() if name not in ("finalized", "immutableAt")}
    stale = new({**text, "status": "draft", "terms": "60 Tage netto"}, draft.path, pdf=b"the offer")
    (answer,) = await world.push("innen1", (OFFER, stale))
    assert answer
    assert await sealed(world) == stored
    assert (await world.quarantined("innen1"))[-1][0] == OFFER
    (notice,) = await world.notices("innen1", "rejected_change")
    assert notice["document"]["terms"] == "60 Tage netto"


async def test_what_names_two_that_come_one_after_the_other_waits_for_both(world: World) -> None:
    """A lead that was worked out on the road, sent before what it became."""
    named = {"convertedCustomerId": customer(1), "convertedOpportunityId": docid("opportunity", 1)}
    lead = body("lead", "adm1", companyName="Hof", owner="adm1", status="CONVERTED", **named)
    deal = body("opportunity", "adm1", customerId=customer(1), owner="adm1", status="new", title="Theke")
    assert await world.push("adm1", (docid("lead", 1), new(lead))) == [""]
    await world.push("adm1", (customer(1), new(customer_body())))
    assert await world.quarantined("adm1") == [(docid("lead", 1), "waiting")]
    assert await world.push("adm1", (docid("opportunity", 1), new(deal))) == [""]
    assert await world.body(docid("lead", 1)) is not None
    assert await world.quarantined("adm1") == []


async def test_what_one_may_not_see_is_named_like_what_is_not_there(world: World) -> None:
    await world.has_customer(1, owner="adm1")
    await world.has_customer(2, owner="adm2")
    hidden, absent = docid("contact", 2), docid("contact", 3)
    contact = body("contact", "adm2", customerId=customer(2), lastName="Geheim")
    assert await world.push("adm2", (hidden, new(contact))) == [""]
    pushed = [
        (docid("activity", number), new(body("activity", "adm1", customerId=customer(1), contactId=named)))
        for number, named in enumerate((hidden, absent))
    ]
    assert await world.push("adm1", *pushed) == ["", ""]
    assert [await world.body(one) for one, _ in pushed] == [None, None]
    assert {state for _, state in await world.quarantined("adm1")} == {"waiting"}
    seen = (docid("activity", 3), new(body("activity", "adm1", customerId=customer(1), contactId=hidden)))
    await world.has_customer(2, owner="adm1")
    assert await world.push("adm1", seen) != [""], "a contact of another customer that he does see"

"""What the chain of writes says of what the server has made: what it follows from."""

from __future__ import annotations

from typing import Any

from kompass.access.companions import companion_id
from kompass.audit.reading import Query
from kompass.sync.audit_desk import AuditDesk
from tests.audit.world import entries, entries_of
from tests.business.documents import body, change, docid, offer, push_new
from tests.business.offers import CONTRACT, OFFER, OPPORTUNITY, has_offer
from tests.sync.gate_world import World, customer


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

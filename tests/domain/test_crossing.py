"""Rules that more than one document takes part in: people, tours, deletions, batches."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kompass.access.principals import Role
from kompass.domain import guards
from kompass.domain.overlay import Overlay
from kompass.domain.refusals import Refusal
from tests.domain.others import OTHERS, check, customer, fitting, new, running, world
from tests.domain.world import ADM, GF, INNEN, NOTHING, NOW, World, change, person, user

# -- people, tours, projects ----------------------------------------------------------------------


def test_nothing_leads_back_to_itself() -> None:
    chain = [{"_id": f"offer-{n}", "type": "offer", "supersededBy": f"offer-{n + 1}"} for n in range(10, 20)]
    first = {"_id": "offer-20", "type": "offer"}
    for named in ("offer-10", "offer-19", "offer-20"):
        refusal = check(change({**first, "supersededBy": named}, first), World(*chain, first))
        assert refusal is not None
        assert refusal.rule == "reference.circle"
    comment = {"_id": "comment-1", "type": "comment", "parentId": "comment-1"}
    assert getattr(check(change(comment), World()), "rule", None) == "reference.circle"
    tail = [{"_id": f"comment-{n}", "type": "comment", "parentId": f"comment-{n + 1}"} for n in range(2, 200)]
    endless = check(change({**comment, "parentId": "comment-2"}), World(*tail))
    assert getattr(endless, "rule", None) == "reference.chain"
    assert check(change({**comment, "parentId": "project-1"})) is None


@pytest.mark.parametrize(
    ("name", "accepted"),
    [("adm1", True), ("innen1", False), ("nobody", False), ("gone", False), ("", False), (7, False)],
)
def test_customers_have_an_active_owner_in_field_sales(name: Any, accepted: bool) -> None:
    facts = world(user("gone", Role.ADM, active=False))
    refusal = check(change(customer(owner=name), None, GF), facts)
    assert (refusal is None) == accepted
    if refusal is not None:
        assert refusal.rule == "reference.person"
    mine = check(change(customer(owner="adm7"), None, person("adm7", Role.ADM)), facts)
    assert mine is None


def test_meetings_are_on_days_of_their_tour() -> None:
    def at(when: str) -> Refusal | None:
        return check(change({**fitting("meeting"), "scheduledAt": when}))

    for right in ("2026-03-02T00:30:00+01:00", "2026-03-04T22:30:00Z", "2026-03-03T12:00:00Z"):
        assert at(right) is None, right
    for wrong in ("2026-03-01T20:00:00Z", "2026-03-05T08:00:00+01:00", "2025-03-03T12:00:00Z"):
        refusal = at(wrong)
        assert refusal is not None, wrong
        assert refusal.rule == "meeting.tour"


def test_a_tour_is_not_moved_away_from_its_meetings() -> None:
    tour = {"_id": "tour-1", "type": "tour", **OTHERS["tour"]}
    week_later = {**tour, "startDate": "2026-03-09", "endDate": "2026-03-11"}

    def moved(doc: dict[str, Any], coming: dict[str, Any] | None = None, **meeting: Any) -> Refusal | None:
        there = {"scheduledAt": "2026-03-03T08:00:00Z", **OTHERS["meeting"], **meeting}
        facts = world(meeting=there)
        brought = None if coming is None else {"meeting-1": {**facts.bodies["meeting-1"], **coming}}
        return check(change(doc, tour, ADM), Overlay(facts, brought))

    refusal = moved(week_later)
    assert refusal is not None
    assert refusal.rule == "tour.dates"
    assert "meeting-1" in refusal.reason
    assert "meeting-1" in refusal.grund
    assert moved({**tour, "endDate": "2026-03-03"}) is None
    assert moved({**tour, "title": "Süden"}, scheduledAt="2026-05-01T08:00:00Z") is None
    assert moved(week_later, outcome="cancelled") is None
    assert moved(week_later, scheduledAt="2026-05-01T08:00:00Z") is None, "it was outside already"
    assert moved(week_later, {"scheduledAt": "2026-03-10T08:00:00Z"}) is None, "it is moved with the tour"
    assert moved(week_later, {"tourId": "tour-2"}) is None
    assert getattr(moved(week_later, {"notes": "?"}), "rule", None) == "tour.dates"


def test_the_outcome_of_a_meeting_is_corrected_for_a_day() -> None:
    before = {**fitting("meeting"), "scheduledAt": "2026-03-02T08:00:00Z", "duration": 60}
    told = {**before, "outcome": "delayed"}
    much_later = NOW + timedelta(days=5)
    assert check(change(told, before, ADM, much_later)) is None
    better = {**told, "outcome": "successful"}
    assert check(change(better, told, ADM, NOW + timedelta(hours=25))) is None
    late = check(change(better, told, ADM, NOW + timedelta(hours=25, minutes=1)))
    assert late is not None
    assert late.rule == "meeting.outcome"
    assert check(change(better, told, GF, much_later)) is None


def test_a_tour_is_over_when_its_meetings_are() -> None:
    tour = {"_id": "tour-1", "type": "tour", **OTHERS["tour"]}
    done = {**tour, "status": "completed"}
    for fields, over in (
        ({}, False),
        ({"attended": False}, False),
        ({"attended": True}, True),
        ({"outcome": "cancelled"}, True),
        ({"outcome": "no_show"}, True),
        ({"outcome": "delayed"}, False),
    ):
        refusal = check(change(done, tour, ADM), world(meeting=fields))
        assert (refusal is None) == over, fields
    assert check(change({**tour, "status": "cancelled"}, tour, ADM), world()) is None


def test_milestones() -> None:
    task = new("project_task", projectId="project-1", milestone="m2")
    assert check(change(task)) is None
    assert getattr(check(change({**task, "milestone": "m9"})), "rule", None) == "reference.milestone"
    project = {**fitting("project"), "milestones": [{"id": "a"}, {"id": "a"}]}
    assert getattr(check(change(project)), "rule", None) == "project.milestones"


def test_primary_locations_are_assigned_ones() -> None:
    contact = {**fitting("contact"), "isPrimaryContactForLocations": ["location-1"]}
    assert check(change(contact)) is None
    wrong = {**contact, "isPrimaryContactForLocations": ["location-1", "location-2"]}
    assert getattr(check(change(wrong)), "rule", None) == "contact.locations"
    assert getattr(check(change({**contact, "assignedLocationIds": None})), "rule", None) is not None


# -- deletions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("doctype", guards.GUARDS)
def test_what_others_belong_to_is_not_deleted(doctype: str) -> None:
    before = {"_id": "x-1", "type": doctype}
    assert check(change(None, before), World(before)) is None
    for guard in guards.GUARDS[doctype]:
        other = {"_id": "y-1", "type": guard.type, guard.field: "x-1", "title": "geheim"}
        if guard.states:
            free = {**other, "status": "completed" if guard.type == "project" else "draft"}
            assert check(change(None, before), World(before, free)) is None
            other["status"] = min(guard.states)
        refusal = check(change(None, before), World(before, other))
        assert refusal is not None
        assert refusal.rule == "deletion.in_use"
        assert "y-1" not in refusal.reason
        assert "geheim" not in refusal.reason


def test_a_customer_is_pseudonymised_instead() -> None:
    refusal = check(change(None, {"_id": "customer-1", "type": "customer"}))
    assert refusal is not None
    assert "Pseudonymise" in refusal.reason
    assert "Pseudonymisieren" in refusal.grund


# -- a batch -------------------------------------------------------------------------------------


def test_documents_of_a_batch_are_judged_with_those_before_them() -> None:
    facts = Overlay(world())
    assert check(change(running("t-1"), None, INNEN), facts) is None
    facts.note("t-1", running("t-1"))
    assert check(change(running("t-2"), None, INNEN), facts) is not None
    facts.note("t-1", running("t-1", status="completed", endTime="2026-03-02T09:00:00Z"))
    assert check(change(running("t-2"), None, INNEN), facts) is None
    facts.note("t-1", None)
    assert facts.document("t-1") is None
    meeting = new("meeting", tourId="tour-1")
    facts.note("meeting-new", meeting)
    assert {one["_id"] for one in facts.referring("meeting", "tourId", "tour-1")} == {
        "meeting-1",
        "meeting-new",
    }
    facts.note("meeting-1", {**OTHERS["meeting"], "_id": "meeting-1", "type": "meeting", "attended": True})
    assert len(list(facts.referring("meeting", "tourId", "tour-1"))) == 2
    facts.note("meeting-1", None)
    assert list(facts.referring("meeting", "tourId", "tour-1")) == [meeting]
    assert Overlay(NOTHING).document("x") is None

"""Rules that more than one document takes part in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kompass.access.fields import FIXED, TARGETS
from kompass.access.principals import Role
from kompass.domain import crossing, guards, references, uniqueness
from kompass.domain.changes import Change, Facts
from kompass.domain.overlay import Overlay
from kompass.domain.refusals import Refusal
from tests.domain.world import ADM, GF, INNEN, NOTHING, NOW, PLAN, SETTINGS, World, change, person, user

OTHERS: dict[str, dict[str, Any]] = {
    "customer": {"companyName": "Hofladen Mayer"},
    "location": {"customerId": "customer-1"},
    "contact": {"customerId": "customer-1"},
    "opportunity": {"customerId": "customer-1", "status": "proposal"},
    "offer": {
        "customerId": "customer-1",
        "opportunityId": "opportunity-1",
        "status": "accepted",
        "totalEur": 1190,
        "offerDate": "2026-02-01",
    },
    "contract": {"customerId": "customer-1", "status": "signed"},
    "project": {"customerId": "customer-1", "status": "active", "milestones": [{"id": "m1"}, {"id": "m2"}]},
    "project_task": {"projectId": "project-1"},
    "tour": {"ownerId": "adm1", "startDate": "2026-03-02", "endDate": "2026-03-04", "status": "active"},
    "meeting": {"tourId": "tour-1", "customerId": "customer-1"},
    "protocol": {"customerId": "customer-1"},
    "hotel_stay": {"tourId": "tour-1"},
    "supplier_contract": {"supplierId": "supplier-1"},
    "delivery": {},
    "mileage_log": {},
    "expense": {},
    "supplier": {"status": "Active"},
    "purchase_order": {"supplierId": "supplier-1"},
    "material": {},
}


def world(*more: dict[str, Any], **changed: dict[str, Any]) -> World:
    """One document of each type, all fitting together, and what is given."""
    bodies = {
        doctype: {"_id": f"{doctype}-1", "type": doctype, **fields, **changed.get(doctype, {})}
        for doctype, fields in OTHERS.items()
    }
    people = [user("adm1", Role.ADM), user("plan1", Role.PLAN), user("innen1", Role.INNEN)]
    return World(*bodies.values(), *people, *more)


def new(doctype: str, **fields: Any) -> dict[str, Any]:
    return {"_id": f"{doctype}-new", "type": doctype, "createdBy": "gf1", **fields}


def check(body: Change, facts: Facts | None = None) -> Refusal | None:
    return crossing.check(body, facts or world(), SETTINGS)


UNFIT = {"contract": ["supersededBy"]}
"""References that no new document has beside its others."""


def fitting(doctype: str) -> dict[str, Any]:
    """A new document with every reference of its type, all right."""
    fields: dict[str, Any] = {}
    for reference in references.REFERENCES[doctype]:
        named = f"{reference.to}-1"
        fields[reference.field] = [named] if reference.field.endswith("Ids") else named
    for field in UNFIT.get(doctype, ()):
        fields.pop(field)
    if doctype == "customer":
        return {**new(doctype, **fields), "_id": "customer-1"}
    if doctype == "meeting":
        fields["scheduledAt"] = "2026-03-03T10:00:00.000Z"
    return new(doctype, **fields)


CASES = [
    (doctype, reference)
    for doctype, found in references.REFERENCES.items()
    for reference in found
    if reference.field not in UNFIT.get(doctype, ())
]
IDS = [f"{doctype}.{reference.field}" for doctype, reference in CASES]


@pytest.mark.parametrize("doctype", references.REFERENCES)
def test_what_fits_is_accepted(doctype: str) -> None:
    assert check(change(fitting(doctype))) is None


@pytest.mark.parametrize(("doctype", "reference"), CASES, ids=IDS)
def test_references_lead_to_the_right_type(doctype: str, reference: references.Reference) -> None:
    doc = fitting(doctype)
    stray = World(*world().bodies.values(), {"_id": "stray", "type": "comment"})
    named: Any = ["stray"] if isinstance(doc[reference.field], list) else "stray"
    refusal = check(change({**doc, reference.field: named}), stray)
    assert refusal is not None
    assert refusal.rule == "reference.type"
    assert refusal.fields == (reference.field,)


@pytest.mark.parametrize(("doctype", "reference"), CASES, ids=IDS)
def test_references_lead_somewhere(doctype: str, reference: references.Reference) -> None:
    doc = fitting(doctype)
    named: Any = ["gone"] if isinstance(doc[reference.field], list) else "gone"
    refusal = check(change({**doc, reference.field: named}))
    if reference.later:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.rule == "reference.absent"
    assert refusal.fields == (reference.field,)


@pytest.mark.parametrize(
    ("doctype", "reference"),
    [case for case in CASES if case[1].same],
    ids=[name for name, case in zip(IDS, CASES, strict=True) if case[1].same],
)
def test_references_fit_together(doctype: str, reference: references.Reference) -> None:
    for own, there in reference.same:
        other = {"_id": "other", "type": reference.to, there: "another", "status": "signed"}
        for name, same in reference.same:
            if name != own and name != "_id":
                other[same] = fitting(doctype)[name]
        other["status"] = next(iter(reference.states), "active")
        doc = fitting(doctype)
        named: Any = ["other"] if isinstance(doc[reference.field], list) else "other"
        doc = {**doc, reference.field: named}
        refusal = check(change(doc), World(*world().bodies.values(), other))
        assert refusal is not None
        assert refusal.rule == "reference.unfit", refusal
        assert reference.field in refusal.fields
        assert "another" not in refusal.reason + refusal.grund


@pytest.mark.parametrize(
    ("doctype", "reference"),
    [case for case in CASES if case[1].states],
    ids=[name for name, case in zip(IDS, CASES, strict=True) if case[1].states],
)
def test_what_is_named_is_in_the_right_state(doctype: str, reference: references.Reference) -> None:
    doc = fitting(doctype)
    for state in ("draft", "sent", "rejected", "Inactive", "Blacklisted", "PendingApproval", "terminated"):
        refusal = check(change(doc), world(**{reference.to: {"status": state}}))
        assert refusal is not None
        assert refusal.rule == "reference.state"
        assert state not in refusal.reason
        later = {**doc, "notes": "neu"}
        assert check(change(later, doc), world(**{reference.to: {"status": state}})) is None


def test_what_was_named_before_may_be_gone() -> None:
    doc = fitting("opportunity")
    assert check(change({**doc, "title": "Neu"}, doc), World()) is None
    moved = check(change({**doc, "contactPersonId": "contact-9"}, doc), World())
    assert moved is not None


def test_references_to_parents_lead_where_the_access_rules_say() -> None:
    for found in references.REFERENCES.values():
        for reference in found:
            if reference.field in FIXED:
                assert TARGETS[reference.field] == reference.to


# -- only one ------------------------------------------------------------------------------------


def customer(docid: str = "customer-new", **fields: Any) -> dict[str, Any]:
    return {
        "_id": docid,
        "type": "customer",
        "companyName": "Hofladen Müller GmbH",
        "vatNumber": "DE123456789",
        "email": "info@mueller.example",
        "billingAddress": {"street": "Hauptstr.", "streetNumber": "1", "zipCode": "89073", "city": "Ulm"},
        **fields,
    }


@pytest.mark.parametrize("vat", ["DE123456789", "de 123 456 789", "DE-123.456.789"])
def test_one_vat_number_for_one_customer(vat: str) -> None:
    other = customer("customer-1", companyName="Ganz anders", email="x@y.example")
    refusal = check(change(customer(vatNumber=vat), None, ADM), World(other))
    assert refusal is not None
    assert refusal.rule == "unique.vat"
    assert refusal.fields == ("vatNumber",)
    assert "Ganz" not in refusal.reason
    assert "customer-1" not in refusal.reason + refusal.grund
    assert check(change(customer(vatNumber=None), None, ADM), World(other)) is None
    mine = customer("customer-1")
    assert check(change({**mine, "phone": "0731"}, mine, ADM), World(mine)) is None


def names(flagged: tuple[uniqueness.Note, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(note.rule, note.about) for note in flagged]


def test_possible_duplicates_are_stored_and_told_to_the_office() -> None:
    stored = World(customer("customer-1", vatNumber=None))
    doc = customer(vatNumber=None, email="other@mueller.example")
    assert check(change(doc, None, ADM), stored) is None
    assert names(uniqueness.flags(change(doc), stored)) == [("duplicate.name", ("customer-1",))]
    same_mail = customer(companyName="Ganz anders", email=" INFO@mueller.example ", vatNumber=None)
    assert names(uniqueness.flags(change(same_mail), stored)) == [("duplicate.email", ("customer-1",))]
    assert uniqueness.flags(change({**doc, "phone": "1"}, doc), stored) == ()
    assert uniqueness.flags(change(None, doc), stored) == ()


@pytest.mark.parametrize(
    ("fields", "is_alike"),
    [
        ({}, True),
        ({"companyName": "Hofladen Mueller GmbH"}, True),
        ({"companyName": "HOFLADEN MÜLLER GMBH"}, True),
        ({"companyName": "Hofladen Möller GmbH"}, True),
        ({"companyName": "Hofladen Müler GmbH"}, True),
        ({"companyName": "Hofladen Bauer GmbH"}, False),
        ({"street": "Hauptstraße"}, True),
        ({"street": "Hauptstrasse"}, True),
        ({"streetNumber": "2"}, True),
        ({"zipCode": "89075"}, True),
        ({"street": "Bahnhofstr."}, False),
        ({"city": "Neu-Ulm"}, False),
    ],
)
def test_names_and_addresses_that_are_close(fields: dict[str, Any], is_alike: bool) -> None:
    plain = customer("customer-1", vatNumber=None, email=None)
    address = {**plain["billingAddress"], **{key: one for key, one in fields.items() if key != "companyName"}}
    doc = {**plain, "_id": "customer-new", **fields, "billingAddress": address}
    assert bool(uniqueness.flags(change(doc), World(plain))) == is_alike


def running(docid: str, who: str = "innen1", **fields: Any) -> dict[str, Any]:
    return {"_id": docid, "type": "time_entry", "userId": who, "status": "in_progress", **fields}


def test_one_running_time_entry_for_everybody() -> None:
    stored = World(running("t-1"))
    refusal = check(change(running("t-2"), None, INNEN), stored)
    assert refusal is not None
    assert refusal.rule == "unique.running"
    assert check(change(running("t-2", "plan1"), None, PLAN), stored) is None
    assert check(change(running("t-1", notes="neu"), running("t-1"), INNEN), stored) is None
    ended = running("t-1", status="completed", endTime="2026-03-02T09:00:00Z")
    assert check(change(ended, running("t-1"), INNEN), stored) is None
    assert check(change(running("t-2"), None, INNEN), World(ended)) is None
    again = check(change({**ended, "endTime": None, "status": "in_progress"}, ended), World(running("t-2")))
    assert again is not None


def test_one_contract_for_an_offer() -> None:
    there = {**new("contract", offerId="offer-1", customerId="customer-1"), "_id": "contract-2"}
    refusal = check(change(fitting("contract")), world(there))
    assert refusal is not None
    assert refusal.rule == "unique.contract"
    assert check(change(fitting("contract")), world({**there, "status": "terminated"})) is None


def test_a_contract_says_what_was_offered() -> None:
    doc = fitting("contract")
    assert check(change({**doc, "contractValueEur": 1190.0, "contractDate": "2026-02-01"})) is None
    wrong = check(change({**doc, "contractValueEur": 1190.02}))
    assert wrong is not None
    assert wrong.rule == "contract.value"
    early = check(change({**doc, "contractDate": "2026-01-31"}))
    assert early is not None
    assert early.rule == "contract.date"


def test_names_of_locations_and_codes_of_material_are_unique() -> None:
    there = {"_id": "location-2", "type": "location", "customerId": "customer-1", "locationName": "Lager Süd"}
    doc = new("location", customerId="customer-1", locationName="lager  sued")
    assert getattr(check(change(doc), world(there)), "rule", None) == "unique.location_name"
    elsewhere = {**there, "customerId": "customer-2"}
    assert check(change(doc), world(elsewhere)) is None
    wood = {"_id": "material-2", "type": "material", "materialCode": "MAT-HOL-001"}
    refusal = check(change(new("material", materialCode="mat hol 001")), world(wood))
    assert getattr(refusal, "rule", None) == "unique.material_code"


def test_invoice_numbers_are_unique_for_a_supplier() -> None:
    there = {"_id": "i-1", "type": "supplier_invoice", "supplierId": "supplier-1", "invoiceNumber": "R-77"}
    doc = new("supplier_invoice", supplierId="supplier-1", invoiceNumber="R 77")
    refusal = check(change(doc), world(there))
    assert getattr(refusal, "rule", None) == "unique.invoice_number"
    assert check(change(doc), world({**there, "supplierId": "supplier-2"})) is None
    assert check(change({**doc, "invoiceNumber": None}), world(there)) is None


# -- the rest ------------------------------------------------------------------------------------


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

"""Escapes, field rights and references: what a record rule alone would let through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kompass.access import Action, Decision, Principal, Role, decide
from kompass.access.audiences import AUDIENCES
from kompass.access.fields import BELONGS, EVERYWHERE, FIXED, NOBODY, WRITERS, same
from kompass.access.table import SERVER_WRITTEN
from tests.access.world import ME, OTHER, World, company, make

EVERYTHING = frozenset(Role)


def person(*roles: Role) -> Principal:
    return Principal(ME, frozenset(roles))


def create(roles: frozenset[Role], doc: dict[str, Any], world: World) -> Decision:
    new = {"createdBy": ME, "modifiedBy": ME} | {
        k: v for k, v in doc.items() if k not in ("createdBy", "modifiedBy")
    }
    return decide(Principal(ME, roles), Action.CREATE, new, relations=world.relations(), parents=world)


def update(roles: frozenset[Role], before: dict[str, Any], changes: dict[str, Any], world: World) -> Decision:
    now = datetime(2026, 11, 2, tzinfo=UTC)
    return decide(
        Principal(ME, roles),
        Action.UPDATE,
        before | {"modifiedBy": ME} | changes,
        before=before,
        relations=world.relations(),
        parents=world,
        now=now,
        received=now - timedelta(hours=1),
    )


@pytest.fixture
def world() -> World:
    """Everything is mine."""
    return company(customer_mine=True, assigned=True, mine=True)


# -- who signs ---------------------------------------------------------------------------------


def test_author_and_modifier_are_the_pusher(world: World) -> None:
    doc = make("contact", mine=True) | {"_id": "contact-new"}
    gf = person(Role.GF)
    facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
    assert decide(gf, Action.CREATE, doc | {"createdBy": ME, "modifiedBy": ME}, **facts).allowed
    for field in ("createdBy", "modifiedBy"):
        for wrong in (OTHER, None, 7, [ME]):
            refused = decide(
                gf, Action.CREATE, doc | {"createdBy": ME, "modifiedBy": ME, field: wrong}, **facts
            )
            assert (refused.rule, refused.fields) == ("escape.author", (field,))
    assert update(EVERYTHING, doc, {"modifiedBy": OTHER}, world).fields == ("modifiedBy",)
    assert update(EVERYTHING, doc, {"createdBy": ME}, world).fields == ("createdBy",)


# -- what stays as it is -----------------------------------------------------------------------


@pytest.mark.parametrize("field", FIXED)
def test_references_to_parents_stay(field: str, world: World) -> None:
    before = make("contact", mine=True)
    for stored, value in (("customer-x", "customer-y"), ("customer-x", None), (None, "customer-x")):
        old = before | {field: stored}
        if field == "customerId" and stored is None:
            continue  # malformed, visible to nobody
        assert update(EVERYTHING, old, {field: value}, world).rule == "escape.parent"
        assert update(EVERYTHING, old, {field: stored}, world).allowed


def test_a_time_entry_keeps_its_user_and_a_document_its_type(world: World) -> None:
    entry = make("time_entry", mine=True)
    assert update(EVERYTHING, entry, {"userId": OTHER}, world).fields == ("userId",)
    assert update(EVERYTHING, make("location", mine=True), {"type": "contact"}, world).rule == "escape.type"


@pytest.mark.parametrize("doctype", ["customer", "opportunity", "lead"])
def test_an_owner_neither_gives_away_nor_takes(doctype: str, world: World) -> None:
    mine = make(doctype, mine=True)
    assert update(frozenset({Role.ADM}), mine, {"owner": OTHER}, world).rule == "escape.owner"
    for role in (Role.INNEN, Role.GF):
        assert update(frozenset({role}), mine, {"owner": OTHER}, world).allowed
        assert update(frozenset({role, Role.ADM}), make(doctype, mine=False), {"owner": ME}, world).allowed
    theirs = make(doctype, mine=False)
    world.add(theirs)
    taken = update(frozenset({Role.ADM}), theirs, {"owner": ME}, world)
    assert taken.rule == "document.unknown"


def test_costing_changes_an_opportunity_but_not_its_owner(world: World) -> None:
    before = make("opportunity", mine=False)
    assert update(frozenset({Role.KALK}), before, {"title": "Regale"}, world).allowed
    assert update(frozenset({Role.KALK}), before, {"owner": ME}, world).rule == "escape.owner"


def test_field_sales_makes_customers_and_opportunities_for_itself_only(world: World) -> None:
    for doctype in ("customer", "opportunity", "lead"):
        new = {"_id": f"{doctype}-new"}
        assert create(frozenset({Role.ADM}), make(doctype, mine=True) | new, world).allowed
        assert not create(frozenset({Role.ADM}), make(doctype, mine=False) | new, world).allowed


def test_nobody_hides_somebody_elses_activity_as_private(world: World) -> None:
    before = make("activity", mine=False)
    assert update(frozenset({Role.PLAN}), before, {"subject": "x"}, world).allowed
    assert update(frozenset({Role.PLAN, Role.GF}), before, {"private": True}, world).rule == "escape.audience"
    own = make("activity", mine=True)
    assert update(frozenset({Role.PLAN}), own, {"private": True}, world).allowed


def test_a_task_is_handed_on_only_by_who_may_assign(world: World) -> None:
    before = make("user_task", mine=True)
    for role in (Role.ADM, Role.INNEN, Role.KALK, Role.BUCH):
        assert update(frozenset({role}), before, {"assignedTo": OTHER}, world).rule == "escape.audience"
    for role in (Role.PLAN, Role.GF):
        assert update(frozenset({role}), before, {"assignedTo": OTHER}, world).allowed


def test_a_tour_is_not_given_away(world: World) -> None:
    before = make("tour", mine=True, status="planned")
    assert update(frozenset({Role.ADM}), before, {"ownerId": OTHER}, world).rule == "escape.audience"


def test_a_change_that_makes_a_document_nobodys_is_refused(world: World) -> None:
    before = make("user_task", mine=True)
    assert not update(EVERYTHING, before, {"assignedTo": {"$ne": None}}, world).allowed


# -- invisible is unknown ----------------------------------------------------------------------


@pytest.mark.parametrize("doctype", sorted(AUDIENCES.keys() - SERVER_WRITTEN))
def test_an_invisible_document_answers_like_none(doctype: str, world: World) -> None:
    before = make(doctype, mine=False)
    nobody = person(Role.ADMIN)
    facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
    after = before | {"modifiedBy": ME}
    there = decide(nobody, Action.UPDATE, after, before=before, **facts)
    assert there == decide(nobody, Action.UPDATE, after, before=None, **facts)
    gone = decide(nobody, Action.DELETE, {}, before=before, **facts)
    assert gone == decide(nobody, Action.DELETE, {}, before=None, **facts) == there


def test_the_pushed_body_of_a_deletion_counts_for_nothing(world: World) -> None:
    body = make("expense", mine=True, status="draft")
    facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
    adm = person(Role.ADM)
    stored = make("expense", mine=True, status="approved")
    assert decide(adm, Action.DELETE, body, before=body, **facts).allowed
    assert not decide(adm, Action.DELETE, body, before=stored, **facts).allowed
    assert not decide(adm, Action.DELETE, body, before=None, **facts).allowed


# -- references --------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["customer-gone", "project-x", 7, "", ["customer-x"]], ids=str)
def test_a_reference_leads_to_a_visible_document_of_its_type(wrong: object, world: World) -> None:
    new = make("activity", mine=True) | {"_id": "activity-new", "customerId": wrong}
    refused = create(EVERYTHING, new, world)
    assert (refused.rule, refused.fields) == ("reference.absent", ("customerId",))


def test_absent_and_invisible_are_the_same_to_the_writer() -> None:
    theirs = company(customer_mine=False, assigned=False, mine=False)
    gone = World({docid: doc for docid, doc in theirs.items() if doc["type"] != "customer"})
    new = make("location", mine=True) | {"_id": "location-new"}
    invisible = create(frozenset({Role.ADM}), new, theirs)
    assert invisible == create(frozenset({Role.ADM}), new, gone)
    assert invisible.rule == "reference.absent"


def test_a_foreign_offer_is_not_reached_through_a_new_project() -> None:
    world = company(customer_mine=False, assigned=False, mine=False)
    world.add(make("offer", mine=False, status="accepted") | {"_id": "offer-y"})
    plan = frozenset({Role.PLAN})
    project = make("project", mine=True) | {"_id": "project-new"}
    del project["offerId"]
    assert create(plan, project, world).allowed
    assert create(plan, project | {"offerId": "offer-x"}, world).allowed  # its contract names it
    assert create(plan, project | {"offerId": "offer-y"}, world).fields == ("offerId",)


def test_the_office_books_time_on_a_project_of_which_it_sees_the_card() -> None:
    world = company(customer_mine=False, assigned=False, mine=False)
    new = make("time_entry", mine=True) | {"_id": "time-entry-new"}
    assert create(frozenset({Role.INNEN}), new, world).allowed
    assert not create(frozenset({Role.INNEN}), new | {"projectId": "project-gone"}, world).allowed


def test_a_comment_needs_a_readable_parent() -> None:
    world = company(customer_mine=False, assigned=False, mine=False)
    private = make("activity", mine=False, private=True)
    world.add(private)
    comment = make("comment", mine=True)
    assert create(frozenset({Role.GF}), comment, world).allowed
    assert create(frozenset({Role.GF}), comment | {"parentId": private["_id"]}, world).fields == ("parentId",)


# -- fields ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "field", "companion"),
    [(base, field, companion) for base, fields in BELONGS.items() for field, companion in fields.items()],
)
def test_restricted_fields_belong_in_their_companion(
    base: str, field: str, companion: str, world: World
) -> None:
    if base in SERVER_WRITTEN:
        return
    before = make(base, mine=True, status="planned" if base == "tour" else "draft")
    refused = update(EVERYTHING, before, {field: 1}, world)
    assert (refused.rule, refused.fields) == ("field.misplaced", (field,))
    assert refused.reason == f"{base}.{field} belongs in {companion}."
    if base == "project":
        before["contractId"] = "contract-x"
    refused = create(EVERYTHING, before | {"_id": f"{base}-new", field: 0}, world)
    assert refused.rule == "field.misplaced", refused
    assert create(EVERYTHING, before | {"_id": f"{base}-new", field: None}, world).allowed
    legacy = before | {field: 1}
    assert update(EVERYTHING, legacy, {"remark": "x"}, world).allowed
    assert update(EVERYTHING, legacy, {field: None}, world).allowed


@pytest.mark.parametrize("field", [name for name, roles in WRITERS["contact"].items() if roles != NOBODY])
def test_decision_fields_of_a_contact(field: str, world: World) -> None:
    before = make("contact", mine=True, canApproveOrders=False, authorityLevel="low")
    changes = {field: "high" if field == "authorityLevel" else True}
    for role in (Role.ADM, Role.INNEN):
        refused = update(frozenset({role}), before, changes, world)
        assert (refused.rule, refused.fields) == ("field.writers", (field,))
        new = before | changes | {"_id": "contact-new"}
        assert create(frozenset({role}), new, world).fields == (field,)
    for role in (Role.PLAN, Role.GF):
        assert update(frozenset({role}), before, changes, world).allowed
    removed = {k: v for k, v in (before | changes).items() if k != field} | {"modifiedBy": ME}
    facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
    refused = decide(person(Role.INNEN), Action.UPDATE, removed, before=before | changes, **facts)
    assert refused.fields == (field,)


def test_a_contact_with_nothing_or_the_default_in_its_decision_fields_can_be_made(world: World) -> None:
    new = make("contact", mine=True) | {"_id": "contact-new"}
    new |= {"decisionMakingRole": "informational", "authorityLevel": "low", "canApproveOrders": False}
    new |= {"functionalRoles": [], "approvalLimitEur": None}
    assert create(frozenset({Role.ADM}), new, world).allowed


@pytest.mark.parametrize(
    ("doctype", "field"),
    [
        (doctype, field)
        for doctype, fields in WRITERS.items()
        for field, writers in fields.items()
        if writers == NOBODY
    ]
    + [("contact", field) for field in EVERYWHERE],
)
def test_computed_fields_are_written_by_nobody(doctype: str, field: str, world: World) -> None:
    before = make(doctype, mine=True, status="draft") | {field: 1}
    world.add(before)
    assert update(EVERYTHING, before, {field: 2}, world).fields == (field,)
    assert update(EVERYTHING, before, {"remark": "x"}, world).allowed


def test_what_changed_is_the_difference_from_the_edited_revision(world: World) -> None:
    edited = make("contact", mine=True, authorityLevel="low")
    winner = edited | {"authorityLevel": "high"}
    pushed = edited | {"phone": "+49 30 23125 001", "modifiedBy": ME}
    facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
    innen = person(Role.INNEN)
    assert not decide(innen, Action.UPDATE, pushed, before=winner, **facts).allowed
    assert decide(innen, Action.UPDATE, pushed, before=winner, base=edited, **facts).allowed


def test_json_values_are_compared_as_json() -> None:
    for value in (True, 1, 0, False, None, "a", [1, {"b": [True]}], {"a": None}, 1.5):
        assert same(value, value)
    for one, other in (
        (True, 1),
        (False, 0),
        (1, True),
        ([True], [1]),
        ({"a": 1}, {"a": True}),
        (None, False),
    ):
        assert not same(one, other)
    assert same(1, 1.0)
    assert not same({"a": None}, {})


def test_deeply_nested_values_are_a_change() -> None:
    def deep() -> object:
        value: object = 1
        for _ in range(100_000):
            value = [value]
        return value

    world = company(customer_mine=True, assigned=True, mine=True)
    before = make("contact", mine=True) | {"functionalRoles": deep()}
    after = update(frozenset({Role.INNEN}), before, {"functionalRoles": deep()}, world)
    assert after.fields == ("functionalRoles",)


# -- windows -----------------------------------------------------------------------------------


def test_a_right_that_ends_needs_the_servers_times(world: World) -> None:
    before = make("activity", mine=True)
    after = before | {"modifiedBy": ME, "createdAt": "2099-01-01T00:00:00Z"}
    now = datetime(2026, 11, 2, tzinfo=UTC)
    facts: dict[str, Any] = {"before": before, "relations": world.relations(), "parents": world}
    adm = person(Role.ADM)
    assert decide(adm, Action.UPDATE, after, now=now, received=now - timedelta(hours=24), **facts).allowed
    late = decide(adm, Action.UPDATE, after, now=now, received=now - timedelta(hours=24, seconds=1), **facts)
    assert (late.allowed, late.rule) == (False, "activity.update.ADM.own")
    assert not decide(adm, Action.UPDATE, after, now=now, **facts).allowed
    assert not decide(adm, Action.UPDATE, after, received=now, **facts).allowed

"""What holds for every document, person and company."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompass.access import (
    DEFAULT,
    Action,
    Matrix,
    NoParents,
    Principal,
    Relation,
    RelationKind,
    Role,
    decide,
    document_channels,
    holds,
    may_read,
    parent_ids,
    principal_channels,
    relations,
)
from kompass.access.audiences import AUDIENCES, PRIVATE
from kompass.access.companions import BASE_FIELD, cards, companion_id, split
from kompass.access.explain import explain
from tests.access import naive
from tests.access.world import World, make
from tests.examples import examples

PEOPLE = ("anna", "ben", "cem")
person = st.sampled_from(PEOPLE)
roles = st.frozensets(st.sampled_from(Role), max_size=3)


@st.composite
def companies(draw: st.DrawFn) -> World:
    """Two of everything that others refer to, owned and staffed at random."""
    world = World()

    def of(kind: str) -> str:
        return f"{kind}-{draw(st.integers(1, 2))}"

    for number in (1, 2):
        some: list[dict[str, Any]] = [
            {"type": "customer", "owner": draw(person)},
            {
                "type": "offer",
                "customerId": of("customer"),
                "status": draw(st.sampled_from(["sent", "accepted"])),
            },
            {"type": "tour", "ownerId": draw(person)},
            {"type": "contact", "customerId": of("customer")},
            {"type": "activity", "customerId": of("customer"), "private": draw(st.booleans())},
        ]
        project = {
            "type": "project",
            "customerId": of("customer"),
            "projectManagerId": draw(person),
            "teamMemberIds": draw(st.lists(person, max_size=2)),
        }
        if draw(st.booleans()):
            project["offerId"] = of("offer")
        some += [
            project,
            {"type": "invoice", "customerId": of("customer"), "projectId": of("project")},
            {"type": "time_entry", "projectId": of("project"), "userId": draw(person)},
        ]
        for doc in some:
            author = draw(person)
            docid = f"{doc['type'].replace('_', '-')}-{number}"
            world.add({"_id": docid, "createdBy": author, "modifiedBy": author, **doc})
    return world


@st.composite
def documents(draw: st.DrawFn, world: World) -> dict[str, Any]:
    """A well-formed document of any type, referring to the company or to nothing that is there."""
    doctype = draw(st.sampled_from(sorted(AUDIENCES)))
    doc = make(doctype, mine=True, status=draw(st.sampled_from(["draft", "accepted"])))
    for field, value in list(doc.items()):
        if field in (
            "owner",
            "ownerId",
            "assignedTo",
            "userId",
            "userName",
            "recipientId",
            "user",
            "createdBy",
        ):
            doc[field] = draw(person)
        elif field == "projectManagerId":
            doc |= {field: draw(person), "teamMemberIds": draw(st.lists(person, max_size=2))}
        elif field == "parentId":
            doc[field] = draw(st.sampled_from([*world, "gone"]))
        elif field.endswith("Id") and isinstance(value, str) and value.endswith("-x"):
            doc[field] = value[:-1] + draw(st.sampled_from(["1", "2", "gone"]))
    optional = AUDIENCES[doctype]
    for face in optional:
        if face.optional and face.reads and draw(st.booleans()):
            doc.pop(face.key, None)
        if face.otherwise and draw(st.booleans()):
            doc.pop(face.through, None)
    if doctype in PRIVATE and draw(st.booleans()):
        doc["private"] = draw(st.booleans())
    if doctype in ("customer", "project", "offer") and draw(st.booleans()):
        doc["_id"] = f"{doctype}-1"
    return doc


@settings(max_examples=examples(400), deadline=None)
@given(st.data())
def test_may_read_if_and_only_if_the_channels_meet(data: st.DataObject) -> None:
    world = data.draw(companies())
    doc = data.draw(documents(world))
    world.add(doc)
    facts = world.relations()
    stored = document_channels(doc, world)
    for name in PEOPLE:
        for held in (data.draw(roles), frozenset[Role]()):
            me = Principal(name, held)
            wanted = any(naive.reads(name, role, doc, world) for role in (*held, None))
            assert bool(stored & principal_channels(name, held, facts, DEFAULT)) == wanted
            assert decide(me, Action.READ, doc, relations=facts, parents=world).allowed == wanted
            assert may_read(me, stored, facts) == wanted


@settings(max_examples=examples(400), deadline=None)
@given(st.data())
def test_writes_agree_with_the_naive_evaluation(data: st.DataObject) -> None:
    world = data.draw(companies())
    doc = data.draw(documents(world))
    doctype = doc["type"]
    if doctype in BASE_FIELD:
        doc["_id"] = companion_id(doctype, doc[BASE_FIELD[doctype]])
    name, held = data.draw(person), data.draw(roles)
    me = Principal(name, held)
    now = datetime(2026, 11, 2, tzinfo=UTC)
    world.pop(doc["_id"], None)

    new = doc | {"createdBy": name, "modifiedBy": name}
    decision = decide(me, Action.CREATE, new, relations=world.relations(), parents=world)
    wanted = naive.refers(name, held, new, world) and any(
        naive.creates(name, role, new, world) for role in held
    )
    assert decision.allowed == wanted, decision

    world.add(doc)
    facts: dict[str, Any] = {"relations": world.relations(), "parents": world, "now": now}
    visible = any(naive.reads(name, role, doc, world) for role in (*held, None))
    for hours in (23, 25):
        received = now - timedelta(hours=hours)
        after = doc | {"modifiedBy": name, "remark": "new"}
        decision = decide(me, Action.UPDATE, after, before=doc, received=received, **facts)
        wanted = visible and any(naive.updates(name, role, doc, world, hours < 24) for role in held)
        assert decision.allowed == wanted, decision
    decision = decide(me, Action.DELETE, {"_deleted": True}, before=doc, **facts)
    wanted = visible and (
        naive.dismisses(name, doc) or any(naive.deletes(name, role, doc, world) for role in held)
    )
    assert decision.allowed == wanted, decision


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_holds_agrees_with_the_list_of_all_channels(data: st.DataObject) -> None:
    world = data.draw(companies())
    facts = world.relations()
    name, held = data.draw(person), data.draw(roles)
    listed = principal_channels(name, held, facts, DEFAULT)
    every = {channel for doc in world.values() for channel in document_channels(doc, world)} | listed
    assert {channel for channel in every if holds(name, held, facts, DEFAULT, channel)} == listed


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_rights_of_roles_add_up(data: st.DataObject) -> None:
    world = data.draw(companies())
    doc = data.draw(documents(world))
    name, held = data.draw(person), data.draw(roles)
    facts = world.relations()
    together = decide(Principal(name, held), Action.READ, doc, relations=facts, parents=world).allowed
    apart = any(
        decide(Principal(name, frozenset(one)), Action.READ, doc, relations=facts, parents=world).allowed
        for one in [(), *((role,) for role in held)]
    )
    assert together == apart


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_only_parents_change_a_documents_channels(data: st.DataObject) -> None:
    world = data.draw(companies())
    doc = data.draw(documents(world))
    stored = document_channels(doc, world)
    left = World({docid: world[docid] for docid in parent_ids(doc) if docid in world})
    if doc["type"] == "comment":  # its parent's stored channels come from elsewhere again
        return
    assert document_channels(doc, left) == stored


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_customer_that_changes_hands_keeps_all_channels(data: st.DataObject) -> None:
    world = data.draw(companies())
    doc = data.draw(documents(world))
    stored = document_channels(doc, world)
    world["customer-1"]["owner"] = data.draw(person)
    assert document_channels(doc, world) == stored


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_an_explanation_ends_with_the_decision_it_explains(data: st.DataObject) -> None:
    world = data.draw(companies())
    doc = data.draw(documents(world))
    facts = world.relations()
    me = Principal(data.draw(person), data.draw(roles))
    why = explain(me, doc, relations=facts, parents=world)
    assert why.decision == decide(me, Action.READ, doc, relations=facts, parents=world)
    assert why.decision.allowed == bool(why.held)
    assert set(why.held) <= set(why.channels) == document_channels(doc, world)
    assert all(relation.user == me.name for relation in why.relations)
    assert [need.role for need in why.roles] == list(Role)
    if any(need.has and need.allowed for need in why.roles):
        assert why.decision.allowed


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(sorted(AUDIENCES)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted(
    {
        "_id",
        "_deleted",
        "createdBy",
        "modifiedBy",
        "private",
        "status",
        "creditLimit",
        "authorityLevel",
        "offerId",
    }
    | {"contractId", "teamMemberIds", "projectManagerId", "owner"}
    | {name for faces in AUDIENCES.values() for face in faces for name in (face.key, face.through) if name}
)


@st.composite
def anything(draw: st.DrawFn) -> dict[str, Any]:
    """An object of any shape, with a known type and the fields that matter more often than by chance."""
    doc: dict[str, Any] = draw(st.dictionaries(st.sampled_from(FIELDS) | st.text(), json, max_size=8))
    doc["type"] = draw(st.sampled_from(sorted(AUDIENCES)) | json)
    return doc


class Anything:
    """Other documents of any shape."""

    def __init__(self, doc: dict[str, Any]) -> None:
        self.doc = doc

    def document(self, docid: str) -> dict[str, Any]:
        return self.doc

    def channels(self, docid: str) -> frozenset[str]:
        return document_channels(self.doc, NoParents())


@pytest.mark.slow
@settings(max_examples=examples(400), deadline=None)
@given(anything(), anything(), anything(), roles, st.sampled_from(Action))
def test_nothing_raises(
    doc: dict[str, Any], before: dict[str, Any], parent: dict[str, Any], held: frozenset[Role], action: Action
) -> None:
    parents = Anything(parent)
    me = Principal("anna", held)
    assert isinstance(document_channels(doc, parents), frozenset)
    assert isinstance(parent_ids(doc), tuple)
    facts = relations(doc) | {Relation("anna", kind, "customer-1") for kind in RelationKind}
    for stored in (None, before, doc):
        decision = decide(me, action, doc, before=stored, relations=facts, parents=parents)
        assert decision.rule
        assert decision.reason
        explain(me, doc, action=action, before=stored, relations=facts, parents=parents)
    cards(doc)
    split(doc)


@pytest.mark.parametrize("doctype", [doctype for doctype, faces in AUDIENCES.items() if faces])
@pytest.mark.parametrize("value", [7, "", "x" * 600, [], {"a": 1}, True], ids=str)
def test_a_malformed_key_makes_a_document_nobodys(doctype: str, value: object) -> None:
    world = World()
    for face in AUDIENCES[doctype]:
        field = face.through or face.key
        if not field or not face.reads:
            continue
        doc = make(doctype, mine=True, status="accepted") | {field: value}
        assert document_channels(doc, world) == frozenset(), field


def test_a_key_can_not_imitate_another_channel() -> None:
    world = World()
    doc = make("location", mine=True, customerId="1:all:customer") | {"createdBy": "x"}
    assert document_channels(doc, world) == {"all:location", "sales:customer:1:all:customer"}
    task = make("user_task", mine=True, assignedTo="anna:own:user_task:ben")
    facts: frozenset[Relation] = frozenset()
    assert not may_read(Principal("ben", frozenset({Role.ADM})), document_channels(task, world), facts)


def test_a_parent_of_another_type_is_no_parent() -> None:
    world = World()
    world.add({"_id": "tour-1", "type": "activity", "ownerId": "anna", "createdBy": "ben", "customerId": "c"})
    doc = make("meeting", mine=True) | {"tourId": "tour-1", "createdBy": "cem"}
    assert document_channels(doc, world) == {"all:meeting", "own:meeting:cem"}


def test_facts_about_others_count_for_nothing() -> None:
    facts = {Relation("ben", RelationKind.OWNS_CUSTOMER, "customer-1")}
    held = principal_channels("anna", frozenset({Role.ADM}), facts, DEFAULT)
    assert "sales:customer:customer-1" not in held


def test_facts_need_the_role() -> None:
    facts = {Relation("anna", kind, "x") for kind in RelationKind}
    by_role = {
        role: {
            channel.rpartition(":")[0]
            for channel in principal_channels("anna", frozenset({role}), facts, DEFAULT)
            if channel.endswith(":x")
        }
        for role in Role
    }
    assert by_role == {role: set[str]() for role in Role} | {
        Role.ADM: {"sales:customer"},
        Role.PLAN: {"team:project", "accepted:offer"},
    }


def test_broad_readers_hold_few_channels() -> None:
    facts = {Relation("anna", RelationKind.OWNS_CUSTOMER, f"customer-{number}") for number in range(1000)}
    assert len(principal_channels("anna", frozenset(Role) - {Role.ADM}, facts, DEFAULT)) < 100


def test_a_deleted_document_has_no_channels_and_states_nothing() -> None:
    doc = make("customer", mine=True) | {"_deleted": True}
    assert document_channels(doc, NoParents()) == frozenset()
    assert relations(doc) == frozenset()


def test_matrices_are_told_apart() -> None:
    nothing = Matrix("none", {})
    me = Principal("anna", frozenset({Role.GF}))
    doc = make("customer", mine=False)
    assert decide(me, Action.READ, doc).allowed
    assert not decide(me, Action.READ, doc, matrix=nothing).allowed

"""Whatever people write, one change after another: what is final stays as it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kompass.access.principals import Principal, Role
from kompass.domain.changes import Change
from kompass.domain.corrections import corrected, irreparable
from kompass.domain.freezing import FREEZES, applying, frozen_changes, is_final
from kompass.domain.machines import MACHINES
from kompass.domain.sealing import immutable_hash, is_intact, seal
from tests.domain.test_transitions import COMPLETE, OWNER_FIELD
from tests.domain.world import NOW, SETTINGS, World, rules
from tests.examples import examples

PEOPLE = [Principal(f"{role.lower()}1", frozenset({role})) for role in Role if role is not Role.ADMIN]
TYPES = sorted({*MACHINES, *FREEZES})
REASON = "Schreibfehler beim Erfassen"

_values = st.sampled_from(
    [None, "", "kurz", "ein Grund, der lang genug ist", 0, 1, 20, 5000, True, {"city": "Ulm"}]
)


Attempts = tuple[str, list[tuple[Principal, dict[str, Any], bool]]]
"""A type, and what people try in turn: their fields, or a deletion."""


def start(doctype: str) -> dict[str, Any]:
    machine = MACHINES.get(doctype)
    state = {machine.field: machine.initial[0]} if machine is not None and machine.unset is None else {}
    own = OWNER_FIELD.get(doctype, "createdBy")
    return {"_id": "x-1", "type": doctype, own: "adm1", **COMPLETE, **state}


def fields_of(doctype: str) -> list[str]:
    """Fields that mean something for the type, and some that don't."""
    known = {"notes", "title", "correctionReason", "legalHold", "stornoOf", "approvedBy", *COMPLETE}
    known |= irreparable(doctype)
    for row in FREEZES.get(doctype, ()):
        known |= (row.locked or frozenset()) | row.allowed | row.once
    return sorted(known - {"status"})


@st.composite
def _changes(draw: st.DrawFn) -> Attempts:
    doctype = draw(st.sampled_from(TYPES))
    names = st.sampled_from(fields_of(doctype))
    machine = MACHINES.get(doctype)
    status = st.sampled_from(machine.states) if machine is not None else st.none()
    attached = st.dictionaries(st.sampled_from(["a.pdf", "b.jpg"]), st.sampled_from(["md5-1", "md5-2"]))
    attempts = []
    for _ in range(draw(st.integers(1, 14))):
        fields = draw(st.dictionaries(names, _values, max_size=2))
        if machine is not None and draw(st.booleans()):
            fields[machine.field] = draw(status)
        if draw(st.integers(0, 3)) == 0:
            fields["_attachments"] = draw(attached)
        if draw(st.integers(0, 4)) == 0:
            fields["correctionReason"] = REASON
        who = PEOPLE[-1] if draw(st.booleans()) else draw(st.sampled_from(PEOPLE))
        attempts.append((who, fields, draw(st.integers(0, 9)) == 0))
    return doctype, attempts


OTHERS = (
    {"_id": "invoice-1", "type": "invoice", "customerId": "x-1", "status": "sent"},
    {"_id": "project-1", "type": "project", "locationId": "x-1", "status": "completed"},
    {"_id": "expense-1", "type": "expense", "mileageLogId": "x-1", "status": "approved"},
    {"_id": "offer-2", "type": "offer"},
    {"_id": "order-1", "type": "purchase_order", "supplierId": "supplier-1", "status": "delivered"},
    {"_id": "supplier-1", "type": "supplier", "status": "Active"},
)


@given(_changes())
@settings(max_examples=examples(250), deadline=None)
def test_what_is_final_never_changes(sequence: Attempts) -> None:
    """Through checks alone, as the server stores what they accept: seals stay whole, corrections are logged,
    amounts and files never change, states that end stay, and nothing final is deleted.
    """
    doctype, attempts = sequence
    stored = start(doctype)
    world = World(stored, *OTHERS)
    terminal = MACHINES[doctype].terminal() if doctype in MACHINES else frozenset[str]()
    for who, fields, is_deletion in attempts:
        before = dict(stored)
        doc = None if is_deletion else {**before, **fields}
        change = Change(doc, before, who, NOW)
        touched = frozen_changes(change, world)
        refusal = rules(change, world, SETTINGS)
        if refusal is not None:
            assert refusal.reason
            assert refusal.grund
            continue
        if doc is None:
            assert not is_final(before, world)
            assert before.get("legalHold") is not True
            return
        if touched:
            assert Role.GF in who.roles
            assert doc["correctionReason"] == REASON or len(doc["correctionReason"]) >= 10
            assert not irreparable(doctype) & {*touched}
            assert "_attachments" not in touched
            doc = {"_id": "x-1", **corrected(before, doc, touched, who, NOW, "CL-2026-00001")} | {
                name: value for name, value in doc.items() if name == "_attachments"
            }
        state = before.get(MACHINES[doctype].field) if doctype in MACHINES else None
        if state in terminal:
            assert doc[MACHINES[doctype].field] == state
        if not before.get("finalized") and is_final(doc, World(doc, *OTHERS)):
            doc = {**doc, **seal(doc, NOW)}
        stored = doc
        world = World(stored, *OTHERS)
        if stored.get("finalized"):
            assert is_intact(stored)
            for name, digest in (stored.get("immutableAttachments") or {}).items():
                if any(row.attached != "may change" and row.gobd for row in applying(stored, world)):
                    assert stored["_attachments"][name] == digest


@given(st.sampled_from(sorted(FREEZES)), st.dictionaries(st.text(max_size=5), _values, max_size=4))
def test_the_seal_does_not_depend_on_the_order_of_members(doctype: str, fields: dict[str, Any]) -> None:
    body = {"_id": "x-1", **fields, "type": doctype}
    assert immutable_hash(dict(reversed(body.items()))) == immutable_hash(body)


@given(
    st.sampled_from(TYPES),
    st.dictionaries(
        st.sampled_from(["status", "outcome", "_attachments", "correctionReason", "createdAt", "milestones"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
            max_leaves=4,
        ),
    ),
    st.sampled_from(PEOPLE),
)
@settings(max_examples=examples(300), deadline=None)
def test_no_value_makes_a_rule_fail(doctype: str, fields: dict[str, Any], who: Principal) -> None:
    """Shapes are judged before; a rule that meets something odd all the same answers and doesn't raise."""
    if not isinstance(fields.get("_attachments", {}), dict):
        del fields["_attachments"]
    new = {**start(doctype), **fields}
    rules(Change(new, None, who, NOW), World(*OTHERS), SETTINGS)
    old = start(doctype)
    rules(Change(new, old, who, NOW), World(old, *OTHERS), SETTINGS)
    rules(Change(None, new, who, NOW), World(new, *OTHERS), SETTINGS)

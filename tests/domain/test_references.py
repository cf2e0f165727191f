"""What documents refer to: it is there, it fits together, and its state allows it."""

from __future__ import annotations

from typing import Any

import pytest

from kompass.access.fields import FIXED, TARGETS
from kompass.domain import references
from tests.domain.others import UNFIT, check, fitting, world
from tests.domain.world import World, change

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

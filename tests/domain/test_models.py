"""Every model: what is sound passes, and what isn't is refused with its path and what is allowed."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompass.access import Principal, Role
from kompass.access.audiences import AUDIENCES
from kompass.access.companions import CARDS, companion_id, expected_fields
from kompass.access.fields import BELONGS, FIXED, TARGETS, WRITERS
from kompass.access.table import COMPANIONS
from kompass.domain import checks, models
from kompass.domain.changes import Change, NoFacts
from kompass.domain.examples import (
    NOW,
    TYPES,
    WRITTEN_BY_PEOPLE,
    Document,
    docid,
    full,
    smallest,
)
from kompass.domain.machines import MACHINES
from kompass.domain.messages import NAMED, QUOTED
from kompass.domain.references import REFERENCES
from kompass.domain.refusals import Refusal
from kompass.domain.registry import LABELS, MODELS, references
from kompass.domain.settings import BusinessSettings

SOMEBODY = Principal("adm1", frozenset({Role.ADM}))
FREE = frozenset({"conflict"})
"""Types that may say more than their model knows."""


def refused(body: Document) -> Refusal:
    found = models.validate(body)
    assert found is not None
    assert found.fields or found.rule == "model.many"
    return found


def new(body: Document) -> Change:
    return Change(body, None, SOMEBODY, NOW)


def judged(change: Change) -> Refusal | None:
    return models.check(change, NoFacts(), BusinessSettings())


def fields(doctype: str) -> dict[str, bool]:
    """Field -> whether it is required."""
    found = MODELS[doctype].model_fields
    return {field.alias or name: field.is_required() for name, field in found.items()}


# -- all types -------------------------------------------------------------------------------------


def test_every_type_of_the_access_rules_has_a_model_and_a_german_name() -> None:
    assert set(AUDIENCES) == set(MODELS) == set(LABELS)


@pytest.mark.parametrize("doctype", TYPES)
def test_the_smallest_and_the_fullest_document_are_sound(doctype: str) -> None:
    small, whole = smallest(doctype), full(doctype)
    assert set(small) == {name for name, required in fields(doctype).items() if required}
    assert set(whole) == set(fields(doctype))
    assert models.validate(small) is None
    assert models.validate(whole) is None
    assert json.loads(json.dumps(whole)) == whole


@pytest.mark.parametrize("doctype", TYPES)
def test_the_examples_are_sound_as_new_documents(doctype: str) -> None:
    assert judged(new(smallest(doctype))) is None
    assert judged(new(full(doctype))) is None


@pytest.mark.parametrize("doctype", TYPES)
def test_each_required_field_is_missed_by_name(doctype: str) -> None:
    for name in [name for name, required in fields(doctype).items() if required and name != "type"]:
        found = refused({key: value for key, value in smallest(doctype).items() if key != name})
        assert found.rule == "model.missing"
        assert found.fields == (name,)
        assert f"{name} is missing" in found.reason
        assert f"{name} fehlt" in found.grund
        assert found.grund.startswith(LABELS[doctype])
        assert refused({**smallest(doctype), name: None}).fields == (name,)


@pytest.mark.parametrize("doctype", TYPES)
def test_an_optional_field_may_be_null(doctype: str) -> None:
    optional = [name for name, required in fields(doctype).items() if not required]
    assert models.validate({**smallest(doctype), **dict.fromkeys(optional)}) is None


@pytest.mark.parametrize("doctype", sorted(set(TYPES) - FREE))
def test_an_unknown_field_is_refused_by_name(doctype: str) -> None:
    for name in ("colour", "_private", "lastSyncedAt", "id", "__proto__", ""):
        found = refused({**smallest(doctype), name: 1})
        assert found.rule == "model.unknown"
        assert found.fields == (name,)
    found = refused({**smallest(doctype), "schemaVersoin": 1})
    assert "did you mean schemaVersion?" in found.reason
    assert "gemeint ist wohl schemaVersion" in found.grund


WRONG: tuple[Any, ...] = (
    {"deep": {"in": ["it"]}}, ["a", ["list"]], "1", "", "\u202etxt.exe", 10**400, -1, 1e300, math.nan,
    math.inf, -math.inf, True, False, 3.5,
)  # fmt: skip


@pytest.mark.parametrize("doctype", TYPES)
def test_any_value_in_any_field_is_judged_without_an_error(doctype: str) -> None:
    for name in fields(doctype):
        for value in WRONG:
            found = models.validate({**full(doctype), name: value})
            if found is not None:
                assert len(found.reason) < 600
                assert found.grund != found.reason


@pytest.mark.parametrize("doctype", TYPES)
def test_nothing_is_converted(doctype: str) -> None:
    """A text where a number stands, a number for true: whatever a field holds, another kind is refused."""
    for name, value in full(doctype).items():
        if type(value) is bool:
            wrong: list[Any] = [int(value), str(value).lower()]
        elif type(value) in (int, float):
            wrong = [str(value), True]
        elif type(value) is str and name != "docType":
            wrong = [1, True, [value], {"": value}]
        elif isinstance(value, list) and value:
            wrong = [value[0], {"0": value[0]}, "x"]
        else:
            continue
        for other in wrong:
            if (name, doctype) in {("document", "quarantine"), ("document", "rejected_change")}:
                continue
            found = refused({**full(doctype), name: other})
            assert found.fields[0].startswith(name) or name in ("type", "schemaVersion"), (name, other)


@pytest.mark.parametrize("doctype", sorted(set(TYPES) - FREE))
def test_no_control_characters_or_marks_of_direction_in_any_text(doctype: str) -> None:
    free = {"document", "fields", "attachments", "stubs", "docType", "omitted"}
    for name, value in full(doctype).items():
        if type(value) is not str or name in free | {"type", "_rev"}:
            continue
        for bad in ("\u0000", "\u0008", "\u001b[31m", "\u202e", "\u2066", "\u200f", "\u0085", "\ufeff"):
            found = refused({**full(doctype), name: value + bad})
            assert found.fields == (name,)
            assert bad[0] not in found.reason + found.grund


def test_deep_nesting_is_refused_or_kept_but_never_an_error() -> None:
    deep: Any = "x"
    for _ in range(490):
        deep = [deep]
    for doctype in TYPES:
        for name in fields(doctype):
            models.validate({**smallest(doctype), name: deep})
    assert refused({**smallest("customer"), "billingAddress": deep}).fields == ("billingAddress",)


# -- as the access rules have it -------------------------------------------------------------------


def test_companions_have_the_fields_that_belong_to_them() -> None:
    common = set(fields("customer_finance")) & set(fields("offer_margin"))
    for base, belongs in BELONGS.items():
        assert not set(belongs) & set(fields(base))
        for field, companion in belongs.items():
            assert field in fields(companion)
    for companion in COMPANIONS:
        assert set(fields(companion)) - common == expected_fields(companion)
    for card in CARDS.values():
        assert set(fields(card.type)) - common == expected_fields(card.type)


def test_a_field_of_a_companion_is_shown_the_way() -> None:
    found = refused({**smallest("customer"), "creditLimit": 5})
    assert found.reason == "customer: creditLimit belongs to customer_finance."
    assert found.grund == "Kunde: creditLimit gehört in customer_finance (Zahlungsdaten des Kunden)."
    assert models.validate({**smallest("customer"), "creditLimit": None}) is None


@pytest.mark.parametrize("doctype", TYPES)
def test_what_the_server_writes_is_no_device_s_duty(doctype: str) -> None:
    needed = {name for name, required in fields(doctype).items() if required}
    served = {name for name, roles in WRITERS.get(doctype, {}).items() if not roles}
    assert not needed & served
    assert served <= set(fields(doctype))


def test_references_lead_where_the_access_rules_lead() -> None:
    for doctype in WRITTEN_BY_PEOPLE:
        found = references(doctype)
        for field in set(FIXED) & set(fields(doctype)):
            assert found[field] == ((TARGETS[field],) if field in TARGETS else ())
        for targets in found.values():
            assert set(targets) <= set(MODELS)
    assert references("material")["supplierPrices[].supplierId"] == ("supplier",)
    assert references("contact")["assignedLocationIds[]"] == ("location",)
    assert references("protocol")["locationCheckIn.locationId"] == ("location",)


def test_examples_refer_to_one_another() -> None:
    offer = full("offer")
    assert offer["customerId"] == full("customer")["_id"] == docid("customer")
    assert full("customer_finance")["_id"] == companion_id("customer_finance", docid("customer"))
    assert full("offer") is not full("offer")
    full("offer")["lineItems"].clear()
    assert full("offer")["lineItems"]


# -- messages --------------------------------------------------------------------------------------


def test_an_error_deep_inside_has_its_path_and_says_what_is_allowed() -> None:
    offer = full("offer")
    offer["lineItems"] = [*offer["lineItems"] * 2]
    offer["lineItems"][1] = {**offer["lineItems"][1], "quantity": -1, "position": 2}
    found = refused(offer)
    assert found.rule == "model.range"
    assert found.fields == ("lineItems[1].quantity",)
    assert found.reason == "offer: lineItems[1].quantity must be above 0 and at most 1,000,000, not -1."
    assert found.grund == (
        "Angebot: lineItems[1].quantity muss größer als 0 und höchstens 1.000.000 sein, nicht -1."
    )


def test_a_choice_names_what_can_be_chosen() -> None:
    found = refused({**smallest("location"), "locationType": "castle"})
    assert found.reason == (
        'location: locationType must be headquarter, branch, warehouse, project_site or other, not "castle".'
    )
    assert 'oder other sein, nicht "castle"' in found.grund


def test_a_few_errors_are_named_and_the_others_counted() -> None:
    found = refused({"type": "contact", "_id": docid("contact")})
    assert len(found.fields) == NAMED
    assert found.reason.endswith("and 6 more.")
    assert found.grund.endswith("und 6 weitere.")


def test_a_value_is_quoted_short_and_shows_what_hides_in_it() -> None:
    found = refused({**smallest("contact"), "firstName": "a\u202e" + "x" * 5000})
    assert "firstName must have at most 50 characters, not 5002" in found.reason
    found = refused({**smallest("contact"), "preferredContactMethod": "fax\u202e\u0000" + "x" * 5000})
    assert '"fax<202E><0000>xxx' in found.reason
    said = found.reason.partition("not ")[2]
    assert len(said) <= QUOTED + 1
    found = refused({**smallest("contact"), "\u202e" + "n" * 5000: 1})
    assert len(found.fields[0]) < 100
    assert "\u202e" not in found.reason


def test_a_hundred_thousand_unknown_fields_are_refused_in_no_time() -> None:
    found = refused({**smallest("customer"), **{f"k{number}": 1 for number in range(100_000)}})
    assert found.rule == "model.many"
    inside = {**smallest("customer"), "billingAddress": {f"k{number}": 1 for number in range(100_000)}}
    found = refused(inside)
    assert found.rule == "model.many"


def test_a_million_lines_are_refused_in_no_time() -> None:
    offer = smallest("offer")
    offer["lineItems"] = offer["lineItems"] * 1_000_000
    found = refused(offer)
    assert found.reason == "offer: lineItems must have at most 100 entries, not 1000000."
    assert found.grund == "Angebot: lineItems muss höchstens 100 Einträge haben, nicht 1000000."


def test_a_document_without_a_known_type() -> None:
    unknown: tuple[Any, ...] = (None, 1, ["offer"], "castle", {})
    for doctype in unknown:
        assert refused({"type": doctype}).rule == "type.unknown"
    assert refused({}).rule == "type.unknown"


# -- numbers ---------------------------------------------------------------------------------------


@settings(deadline=None)  # the first document of a type makes its model
@given(st.integers(0, 100_000_000))
def test_cents_are_exact(number: int) -> None:
    amount = float(Decimal(number) / 100)
    found = models.parse({**smallest("customer_finance"), "accountBalance": amount})
    assert not isinstance(found, Refusal)
    assert found.accountBalance == Decimal(number) / 100  # type: ignore[attr-defined]


@settings(deadline=None)
@given(st.floats() | st.integers() | st.booleans() | st.text(max_size=5) | st.none())
def test_an_amount_is_a_number_with_two_decimals_within_bounds(value: Any) -> None:
    found = models.validate({**smallest("expense"), "amount": value})
    sound = (
        type(value) in (int, float)
        and math.isfinite(value)
        and 0 < value <= 10_000
        and Decimal(repr(value)) == round(Decimal(repr(value)), 2)
    )
    assert (found is None) == sound


def test_half_a_cent_is_refused() -> None:
    for amount in (0.1 + 0.2, 12.345, 1e-9):
        found = refused({**smallest("expense"), "amount": amount})
        assert "at most 2 decimals" in found.reason
        assert "höchstens 2 Nachkommastellen" in found.grund


# -- stages ----------------------------------------------------------------------------------------


def test_the_first_stage_of_all_checks() -> None:
    assert checks.STAGES[0] is models.check
    found = checks.check(new({**smallest("offer"), "lineItems": []}), NoFacts(), BusinessSettings())
    assert found is not None
    assert found.fields == ("lineItems",)


def test_a_deletion_has_no_shape() -> None:
    assert judged(Change(None, {"type": "offer", "_id": "x"}, SOMEBODY, NOW)) is None


def test_a_total_is_judged_where_it_changes() -> None:
    offer = full("offer")
    wrong = {**offer, "totalEur": 4017.88}
    found = judged(new(wrong))
    assert found is not None
    assert found.rule == "model.total"
    assert found.fields == ("totalEur",)
    assert "= 4017.86" in found.reason
    assert "= 4017.86" in found.grund
    assert judged(new({**offer, "totalEur": 4017.87})) is None
    stale = {**offer, "lineItems": [{**offer["lineItems"][0], "quantity": 4, "totalPriceEur": 5002}]}
    assert judged(Change(stale, offer, SOMEBODY, NOW)) is None  # the server puts them right


# -- as the other rules have it --------------------------------------------------------------------


def test_a_status_is_one_of_its_machine() -> None:
    for doctype, machine in MACHINES.items():
        told = MODELS[doctype].model_json_schema()["properties"][machine.field]
        choices = told.get("enum") or told["anyOf"][0]["enum"]
        assert set(choices) == set(machine.states) - {machine.unset}
        for edge in machine.edges:
            assert {need.field for need in edge.needs} <= set(fields(doctype))


def test_what_is_referred_to_are_fields() -> None:
    for doctype, found in REFERENCES.items():
        for reference in found:
            assert reference.field in fields(doctype)
            for own, there in reference.same:
                assert own in fields(doctype)
                assert there in fields(reference.to)
            leads = {path.removesuffix("[]"): targets for path, targets in references(doctype).items()}
            assert reference.to in leads[reference.field]

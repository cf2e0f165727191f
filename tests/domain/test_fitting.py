"""Fields that have to fit each other, dates that have to fit today, and documents of older apps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompass.access import Principal, Role
from kompass.domain import checks, models
from kompass.domain.bounds import BOUNDS, OFFLINE
from kompass.domain.changes import Change, NoFacts
from kompass.domain.derivations import REMOVED, computed
from kompass.domain.examples import NOW, TYPES, Document, docid, full, iso, smallest
from kompass.domain.refusals import Refusal
from kompass.domain.registry import MODELS
from kompass.domain.settings import BusinessSettings
from kompass.domain.upcasting import UPCASTERS, current_version, upcast

SOMEBODY = Principal("adm1", frozenset({Role.ADM}))


def judged(doc: Document, before: Document | None = None, later: timedelta = timedelta(0)) -> Refusal | None:
    return models.check(Change(doc, before, SOMEBODY, NOW + later), NoFacts(), BusinessSettings())


def day(days: int) -> str:
    return (NOW + timedelta(days=days)).date().isoformat()


# -- within one document ---------------------------------------------------------------------------

PLACE = {"latitude": 54.5, "longitude": 9.5}
ITEM = {"description": "Regal", "quantity": 2, "unitPriceEur": 10}

UNFIT: tuple[tuple[str, Document, str], ...] = (
    ("customer", {"billingAddress": {**smallest("customer")["billingAddress"], "latitude": 5}},
     "billingAddress.longitude"),
    ("customer", {"billingAddress": {**smallest("customer")["billingAddress"], "longitude": 5}},
     "billingAddress.latitude"),
    ("location", {"gpsCoordinates": {"latitude": 5}}, "gpsCoordinates.longitude"),
    ("location", {"hotelRating": 3}, "hotelRating"),
    ("location", {"hotelRating": 3, "isHotel": False}, "hotelRating"),
    ("contact", {"canApproveOrders": True}, "approvalLimitEur"),
    ("contact", {"isPrimaryContactForLocations": [docid("location")]}, "isPrimaryContactForLocations"),
    ("contact", {"isPrimaryContactForLocations": [docid("location", 2)],
                 "assignedLocationIds": [docid("location")]}, "isPrimaryContactForLocations"),
    ("opportunity", {"status": "lost"}, "lostReason"),
    ("opportunity", {"status": "lost", "lostReason": ""}, "lostReason"),
    ("opportunity", {"status": "won", "probability": 90}, "probability"),
    ("opportunity", {"status": "won", "actualValue": 0}, "actualValue"),
    ("offer", {"validUntil": day(-1)}, "validUntil"),
    ("offer", {"validUntil": day(366)}, "validUntil"),
    ("offer", {"lineItems": [{**ITEM, "position": 1}, {**ITEM, "position": 1}]}, "lineItems"),
    ("offer", {"lineItems": [ITEM, {**ITEM, "totalPriceEur": 20.02}]}, "lineItems[1].totalPriceEur"),
    ("offer", {"lineItems": [{**ITEM, "quantity": 1_000_000}] * 6}, "lineItems"),
    ("offer", {"discountAmountEur": 3751.51}, "discountAmountEur"),
    ("purchase_order", {"lineItems": [{**ITEM, "quantity": 1_000_000}] * 6}, "lineItems"),
    ("project_cost", {"quantity": 1_000_000, "unitPriceEur": 50.01}, "unitPriceEur"),
    ("time_entry", {"endTime": iso(NOW + timedelta(days=7))}, "endTime"),
    ("contract", {"startDate": day(-1)}, "startDate"),
    ("contract", {"startDate": day(366)}, "startDate"),
    ("contract", {"endDate": day(7)}, "endDate"),
    ("contract", {"subtotalEur": 100, "taxAmountEur": 19, "contractValueEur": 100}, "contractValueEur"),
    ("contract", {"paymentSchedule": [{"description": "a", "percent": 60}] * 2}, "paymentSchedule"),
    ("project", {"startDate": day(1), "endDate": day(1)}, "endDate"),
    ("project", {"startDate": day(1), "actualEndDate": day(0)}, "actualEndDate"),
    ("project_task", {"status": "blocked"}, "blockingReason"),
    ("time_entry", {"endTime": iso(NOW - timedelta(hours=1))}, "endTime"),
    ("tour", {"endDate": day(0)}, "endDate"),
    ("hotel_stay", {"checkOutDate": day(1)}, "checkOutDate"),
    ("hotel_stay", {"nights": 3}, "nights"),
    ("expense", {"netAmount": 4, "taxAmount": 0.4}, "amount"),
    ("mileage_log", {"gpsDistance": 40}, "overrideReason"),
    ("supplier_contract", {"endDate": day(14)}, "endDate"),
    ("supplier_contract", {"milestones": [{"description": "a", "percent": 99.99}]}, "milestones"),
    ("supplier_invoice", {"subtotalEur": 100, "taxAmountEur": 18}, "totalEur"),
    ("supplier_invoice", {"subtotalEur": -100, "taxAmountEur": 219}, "totalEur"),
    ("supplier_invoice", {"dueDate": day(-3)}, "dueDate"),
    ("material", {"minimumStock": 2, "maximumStock": 1}, "maximumStock"),
    ("material", {"supplierPrices": [{"supplierId": "s", "unitPriceEur": 1, "validFrom": day(1),
                                      "validUntil": day(0)}]}, "supplierPrices[0].validUntil"),
    ("inventory_movement", {"quantity": 0}, "quantity"),
    ("inventory_movement", {"quantity": -1}, "quantity"),
    ("inventory_movement", {"movementType": "write_off", "reason": "Wasserschaden"}, "quantity"),
    ("inventory_movement", {"movementType": "write_off", "quantity": -1}, "reason"),
    ("inventory_movement", {"movementType": "project_allocation", "quantity": -1}, "projectId"),
    ("user", {"primaryRole": "GF"}, "primaryRole"),
    ("invoice_amount", {"netAmount": 1, "taxAmount": 1, "grossAmount": 3}, "grossAmount"),
)  # fmt: skip

FIT: tuple[tuple[str, Document], ...] = (
    ("location", {"hotelRating": 3, "isHotel": True, "gpsCoordinates": PLACE}),
    ("contact", {"canApproveOrders": True, "approvalLimitEur": 10_000}),
    ("opportunity", {"status": "lost", "lostReason": "Preis", "probability": 0}),
    ("opportunity", {"status": "won", "probability": 100, "actualValue": 1}),
    ("offer", {"validUntil": day(0)}),
    ("offer", {"validUntil": day(365)}),
    ("offer", {"lineItems": [{**ITEM, "totalPriceEur": 20.01}]}),
    ("contract", {"startDate": day(0), "endDate": day(1)}),
    ("contract", {"startDate": day(365)}),
    ("tour", {"startDate": day(3), "endDate": day(3)}),
    ("mileage_log", {"gpsDistance": 42.7 * 1.05}),
    ("mileage_log", {"gpsDistance": 10, "overrideReason": "Umleitung wegen der Brücke"}),
    ("customer", {"billingAddress": {**smallest("customer")["billingAddress"], "zipCode": "A-1010",
                                     "country": "Österreich"}}),
)  # fmt: skip


@pytest.mark.parametrize(("doctype", "more", "field"), UNFIT)
def test_fields_that_do_not_fit_are_refused(doctype: str, more: Document, field: str) -> None:
    found = models.validate({**smallest(doctype), **more})
    assert found is not None
    assert found.fields == (field,)
    assert found.rule.startswith("model.")
    assert field in found.reason
    assert field in found.grund


@pytest.mark.parametrize(("doctype", "more"), FIT)
def test_fields_that_fit_pass(doctype: str, more: Document) -> None:
    if "gpsDistance" in more:
        more = {**more, "gpsDistance": round(more["gpsDistance"], 3)}
    assert models.validate({**smallest(doctype), **more}) is None


TOTALS = (
    ("offer", {"subtotalEur": 3751.52}, "subtotalEur"),
    ("offer", {"discountPercent": 10, "discountAmountEur": 375.2}, "discountAmountEur"),
    ("offer", {"discountPercent": 10, "taxAmountEur": 1, "totalEur": 3751.5}, "totalEur"),
    ("purchase_order", {"subtotalEur": 1}, "subtotalEur"),
    ("purchase_order", {"taxAmountEur": 1, "shippingEur": 5, "totalEur": 3752.5}, "totalEur"),
    ("project_cost", {"totalNetEur": 611.27}, "totalNetEur"),
    ("project_cost", {"taxAmountEur": 1, "totalGrossEur": 611.25}, "totalGrossEur"),
    ("hotel_stay", {"totalPriceEur": 179.78}, "totalPriceEur"),
)


@pytest.mark.parametrize(("doctype", "more", "field"), TOTALS)
def test_a_total_that_is_written_adds_up(doctype: str, more: Document, field: str) -> None:
    body = {**smallest(doctype), **more}
    found = judged(body)
    assert found is not None
    assert found.rule == "model.total"
    assert found.fields == (field,)
    assert judged({**body, "notes": "anders"}, body) is None


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**7)), min_size=1, max_size=20),
    st.integers(0, 10000),
)
def test_what_adds_up_exactly_always_passes(lines: list[tuple[int, int]], discount: int) -> None:
    """In whole thousandths and cents, so that nothing here rounds as the code does."""
    items = [{"description": "x", "quantity": q / 1000, "unitPriceEur": p / 100} for q, p in lines]
    cents = sum((q * p + 500) // 1000 for q, p in lines)
    off = (cents * discount + 5000) // 10000
    body = {
        **smallest("offer"),
        "lineItems": items,
        "subtotalEur": cents / 100,
        "discountPercent": discount / 100,
        "discountAmountEur": off / 100,
        "taxAmountEur": 1.5,
        "totalEur": (cents - off + 150) / 100,
    }
    found = judged(body)
    assert found is None or found.rule == "model.range"  # beyond what an offer may cost


def numbers(low: int, high: int) -> st.SearchStrategy[float]:
    """With two decimals."""
    return st.integers(low * 100, high * 100).map(lambda number: number / 100)


COSTLY = st.fixed_dictionaries(
    {"description": st.just("x"), "quantity": numbers(1, 1_000_000), "unitPriceEur": numbers(0, 10**8)},
    optional={"taxRate": st.sampled_from([0, 0.07, 0.19, 1])},
)


@settings(deadline=None)
@given(
    st.sampled_from(["offer", "purchase_order"]),
    st.lists(COSTLY | st.just(ITEM), min_size=1, max_size=3),
    st.fixed_dictionaries({}, optional={"taxRate": st.sampled_from([0, 0.19, 1])}),
    st.fixed_dictionaries(
        {}, optional={"discountPercent": numbers(0, 100), "discountAmountEur": numbers(0, 10**8)}
    ),
)
def test_what_the_server_works_out_for_a_sound_document_is_sound(
    doctype: str, items: list[Document], tax: Document, discount: Document
) -> None:
    body = {**smallest(doctype), "lineItems": items, **tax, **(discount if doctype == "offer" else {})}
    if models.validate(body) is None:
        after = {**body, **computed(body, NoFacts())}
        assert models.validate({name: value for name, value in after.items() if value is not REMOVED}) is None


@pytest.mark.parametrize("doctype", TYPES)
def test_what_the_server_works_out_for_an_example_is_sound(doctype: str) -> None:
    for body in (smallest(doctype), full(doctype)):
        after = {**body, **computed(body, NoFacts())}
        assert models.validate({name: value for name, value in after.items() if value is not REMOVED}) is None


# -- today -----------------------------------------------------------------------------------------

EAST = timedelta(hours=14)


@pytest.mark.parametrize("doctype", BOUNDS)
def test_dates_lie_where_they_may(doctype: str) -> None:
    for bound in BOUNDS[doctype]:
        is_time = len(str(full(doctype)[bound.field])) > 10

        def at(days: int, *, is_time: bool = is_time) -> str:
            return iso(NOW + timedelta(days=days)) if is_time else day(days)

        body = smallest(doctype)
        body |= {"startDate": day(30)} if doctype == "contract" else {}
        for edge, beyond in ((bound.back, -1), (bound.ahead, 1)):
            if edge is None:
                continue
            last = edge * beyond
            assert found_for(body, bound.field, at(last)) is None
            found = found_for(body, bound.field, at(last + 3 * beyond))
            assert found is not None
            assert found.rule == "model.bounds"
            assert found.fields == (bound.field,)
            stored = {**body, bound.field: at(last + 3 * beyond)}
            assert judged({**stored, "notes": "anders"}, stored) is None
            changed = judged({**body, bound.field: at(last + 3 * beyond)}, {**body, bound.field: at(last)})
            assert (changed is None) == bound.at_creation


def found_for(body: Document, field: str, value: str) -> Refusal | None:
    """What is said of the value; other fields follow it so far as the shape asks."""
    body = {**body, field: value}
    if field == "offerDate":
        body["validUntil"] = value
    if field == "endTime":
        body["startTime"] = iso(NOW - timedelta(days=2))
    return judged(body)


def test_what_was_written_offline_is_judged_by_when_it_was_written() -> None:
    body = smallest("user_task", NOW - timedelta(days=6)) | {"dueDate": day(-5)}
    assert judged(body) is None
    assert judged({**body, "createdAt": iso(NOW)}) is not None
    longer = OFFLINE + timedelta(days=10)
    old = smallest("user_task", NOW - longer)
    assert judged({**old, "dueDate": day(-longer.days)}) is not None
    future = smallest("user_task", NOW + timedelta(days=400))
    assert judged({**future, "dueDate": day(0)}) is None


# -- older apps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("doctype", TYPES)
def test_today_s_form_is_left_as_it_is(doctype: str) -> None:
    for body in (full(doctype), smallest(doctype)):
        assert upcast(body) is body
    assert judged({**smallest(doctype), "schemaVersion": current_version(doctype)}) is None


@pytest.mark.parametrize("doctype", TYPES)
def test_a_form_of_the_future_is_refused(doctype: str) -> None:
    newest = current_version(doctype)
    for version in (newest + 1, 10**400):
        found = models.validate({**smallest(doctype), "schemaVersion": version})
        assert found is not None
        assert found.rule == "model.version"
        assert found.fields == ("schemaVersion",)
        assert f"({newest})" in found.reason
    wrong: tuple[Any, ...] = (0, -1, "1", True, 1.0, [])
    for value in wrong:
        found = models.validate({**smallest(doctype), "schemaVersion": value})
        assert found is not None
        assert found.fields == ("schemaVersion",)


STAGES = {
    "lead": "new",
    "New": "new",
    "qualified": "qualifying",
    "analysis": "qualifying",
    "Proposal": "proposal",
    "negotiation": "negotiation",
    "closed_won": "won",
    "Won": "won",
    "Lost": "lost",
    "closed_lost": "lost",
}


@pytest.mark.parametrize(("stage", "status"), STAGES.items())
def test_an_opportunity_with_a_stage_is_understood(stage: str, status: str) -> None:
    old = {**smallest("opportunity"), "stage": stage, "lostReason": "Preis"}
    del old["status"]
    kept = dict(old)
    new = upcast(old)
    assert not isinstance(new, Refusal)
    assert new["status"] == status
    assert "stage" not in new
    assert new["schemaVersion"] == 2
    assert old == kept
    assert models.validate(old) is None
    found = models.validate({**old, "stage": "heaven"})
    assert found is not None
    assert found.fields == ("status",)
    assert models.validate({**old, "schemaVersion": 2}) is not None


def test_an_offer_with_taxes_in_percent_is_understood() -> None:
    item = {**smallest("offer")["lineItems"][0], "taxRate": 7}
    old = {**smallest("offer"), "taxRate": 19, "lineItems": [item, {**item, "taxRate": 0.19}]}
    new = upcast(old)
    assert not isinstance(new, Refusal)
    assert new["taxRate"] == 0.19
    assert [item["taxRate"] for item in new["lineItems"]] == [0.07, 0.19]
    assert item["taxRate"] == 7
    assert models.validate(old) is None


def test_all_stages_see_today_s_form() -> None:
    old = {**smallest("opportunity"), "stage": "lead"}
    del old["status"]
    change = models.current(Change(old, {**old, "stage": "closed_won"}, SOMEBODY, NOW))
    assert not isinstance(change, Refusal)
    assert change.doc is not None
    assert change.before is not None
    assert (change.doc["status"], change.before["status"]) == ("new", "won")
    newer = {**old, "schemaVersion": 99}
    refusal = checks.check(Change(newer, None, SOMEBODY, NOW), NoFacts(), BusinessSettings())
    assert refusal is not None
    assert refusal.rule == "model.version"
    understood = models.current(Change(smallest("opportunity"), newer, SOMEBODY, NOW))
    assert not isinstance(understood, Refusal)


@given(
    st.dictionaries(
        st.text(max_size=5) | st.sampled_from(["stage", "taxRate", "lineItems", "status"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["taxRate", "a"]), inner)
            ),
        ),
    )
)
def test_no_body_breaks_an_upcaster(members: Document) -> None:
    for doctype in UPCASTERS:
        body = {**members, "type": doctype}
        kept = repr(body)
        found = upcast(body)
        assert isinstance(found, Refusal) or found["type"] == doctype
        assert repr(body) == kept


def test_every_upcaster_is_of_a_type() -> None:
    assert set(UPCASTERS) <= set(MODELS)

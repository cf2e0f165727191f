"""Values that follow from others: inside a document, and in sums over many."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from kompass.access.companions import companion_id
from kompass.domain.derivations import cost_id
from replication.protocol.attachments import InlineAttachment, digest_of
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import parse_rev
from tests.business.documents import body, change, docid, offer, opportunity, push_new
from tests.sync.gate_world import World, customer, customer_body, new

PROJECT = docid("project", 1)
COSTS = companion_id("project_costs", PROJECT)


async def put(world: World, docid: str, document: dict[str, Any]) -> dict[str, Any]:
    await world.put(docid, document)
    found = await world.body(docid)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("doctype", "members", "wanted"),
    [
        ("opportunity", {"estimatedValue": 1000.5, "probability": 33}, {"weightedValue": 330.17}),
        (
            "project_cost",
            {"quantity": 3, "unitPriceEur": 0.335, "taxRate": 0.19},
            {"totalNetEur": 1.01, "taxAmountEur": 0.19, "totalGrossEur": 1.2},
        ),
        ("hotel_stay", {"nights": 3, "pricePerNightEur": 89.9}, {"totalPriceEur": 269.7}),
        ("mileage_log", {"distance": 123.5}, {"costEur": 37.05}),
        ("mileage_log", {"distance": 10, "ratePerKm": 0.38}, {"costEur": 3.8}),
        (
            "material",
            {"supplierPrices": [{"unitPriceEur": 10}, {"unitPriceEur": 5.01}]},
            {"averagePrice": 7.51, "lowestPrice": 5.01},
        ),
        (
            "time_entry",
            {"startTime": "2026-03-02T08:00:00Z", "endTime": "2026-03-02T09:30:29+00:00"},
            {"durationMinutes": 90},
        ),
    ],
)
async def test_values_inside_a_document(
    world: World, doctype: str, members: dict[str, Any], wanted: dict[str, Any]
) -> None:
    stored = await put(world, docid(doctype.replace("_", "-"), 1), body(doctype, **members))
    assert {name: stored[name] for name in wanted} == wanted


async def test_an_offer_is_added_up_in_cents(world: World) -> None:
    items = [
        {"quantity": 3, "unitPriceEur": 33.335, "taxRate": 0.19},
        {"quantity": 1, "unitPriceEur": 9.99, "taxRate": 0.07},
    ]
    stored = await put(world, docid("offer", 1), offer(lineItems=items, discountPercent=10))
    assert [one["totalPriceEur"] for one in stored["lineItems"]] == [100.01, 9.99]
    assert stored["subtotalEur"] == 110
    assert stored["taxAmountEur"] == 17.73
    assert stored["totalEur"] == 116.73


async def test_what_is_no_number_is_left_alone(world: World) -> None:
    for n, price in enumerate(("12", None, True, 1e300, [1], {"a": 1}), 1):
        stored = await put(
            world, docid("project-cost", n), body("project_cost", quantity=1e308, unitPriceEur=price)
        )
        assert "totalNetEur" not in stored


async def test_a_value_goes_when_it_cannot_be_worked_out_any_more(world: World) -> None:
    entry = body(
        "time_entry", startTime="2026-03-02T08:00:00Z", endTime="2026-03-02T09:00:00Z", userId="plan1"
    )
    stored = await put(world, docid("time-entry", 1), entry)
    assert stored["durationMinutes"] == 60
    stored = await put(world, docid("time-entry", 1), {**stored, "endTime": None})
    assert "durationMinutes" not in stored


async def test_attachments_and_large_numbers_survive_what_the_server_adds(world: World) -> None:
    text = orjson.dumps(customer_body("gf1")).replace(b'"version":1', b'"huge":12345678901234567890123')
    photo = InlineAttachment("image/png", b"bytes", digest_of(b"bytes"))
    (answer,) = await world.database.write(
        [DocumentWrite(customer(1), False, text, attachments={"photo": photo})]
    )
    assert isinstance(answer, str)
    found = await world.winner(customer(1))
    assert found is not None
    assert b"12345678901234567890123" in found.text
    assert b'"photo"' in found.text
    assert b"K-00001" in found.text


async def test_a_time_entry_has_its_cost_at_the_rate_of_its_day(world: World) -> None:
    user = await world.body("user-plan1")
    await world.put("user-plan1", {**(user or {}), "hourlyRateEur": 60})
    entry = docid("time-entry", 1)
    await world.put(
        entry, body("time_entry", userId="plan1", startTime="2026-03-02T08:00:00Z", status="in_progress")
    )
    cost = await world.body(cost_id(entry))
    assert cost is not None
    assert (cost["timeEntryId"], cost["hourlyRateEur"], cost.get("totalCostEur")) == (entry, 60, None)
    await world.put("user-plan1", {**(user or {}), "hourlyRateEur": 99})
    stored = await world.body(entry)
    await world.put(entry, {**(stored or {}), "endTime": "2026-03-02T08:50:00Z", "status": "completed"})
    cost = await world.body(cost_id(entry))
    assert cost is not None
    assert (cost["hourlyRateEur"], cost["totalCostEur"]) == (60, 50)
    await world.put(entry, None)
    assert await world.body(cost_id(entry)) is None


async def test_a_project_has_the_sums_of_its_sources(world: World) -> None:
    await world.put(PROJECT, body("project", customerId=customer(1), budget=1000))
    assert (await world.live(COSTS))["actualTotalCost"] == 0
    cost = body(
        "project_cost", projectId=PROJECT, costType="material", quantity=2, unitPriceEur=100, status="ordered"
    )
    await world.put(docid("project-cost", 1), cost)
    assert (await world.live(COSTS))["actualMaterialCost"] == 0
    await world.put(docid("project-cost", 1), {**cost, "status": "received"})
    await world.put(
        docid("time-entry", 1),
        body(
            "time_entry",
            projectId=PROJECT,
            userId="plan1",
            startTime="2026-03-02T08:00:00Z",
            endTime="2026-03-02T16:00:00Z",
            status="approved",
        ),
    )
    await world.put(
        docid("expense", 1),
        body("expense", projectId=PROJECT, amount=219.99, category="meal", status="approved"),
    )
    costs = await world.body(COSTS)
    assert costs == {
        "type": "project_costs",
        "projectId": PROJECT,
        "actualMaterialCost": 200,
        "actualLaborCost": 400,
        "actualSubcontractorCost": 0,
        "actualExpensesCost": 219.99,
        "actualTotalCost": 819.99,
        "budgetStatus": "Warning",
    }
    gf_rate = await world.body(cost_id(docid("time-entry", 1)))
    await world.put(cost_id(docid("time-entry", 1)), {**(gf_rate or {}), "hourlyRateEur": 80})
    costs = await world.body(COSTS)
    assert costs is not None
    assert (costs["actualLaborCost"], costs["budgetStatus"]) == (640, "Exceeded")
    project = await world.body(PROJECT)
    await world.put(PROJECT, {**(project or {}), "budget": 100_000})
    assert (await world.live(COSTS))["budgetStatus"] == "OnTrack"
    await world.put(docid("expense", 1), None)
    assert (await world.live(COSTS))["actualExpensesCost"] == 0
    await world.put(PROJECT, None)
    assert await world.body(COSTS) is None


async def test_a_storno_takes_both_out_of_the_sums(world: World) -> None:
    await world.put(PROJECT, body("project", customerId=customer(1)))
    cost = body(
        "project_cost", projectId=PROJECT, costType="other", quantity=1, unitPriceEur=70, status="paid"
    )
    await world.put(docid("project-cost", 1), cost)
    assert (await world.live(COSTS))["actualTotalCost"] == 70
    await world.put(docid("project-cost", 2), {**cost, "stornoOf": docid("project-cost", 1)})
    assert (await world.live(COSTS))["actualTotalCost"] == 0
    await world.put(docid("project-cost", 2), None)
    assert (await world.live(COSTS))["actualTotalCost"] == 70


async def test_sources_may_come_before_their_project(world: World) -> None:
    cost = body(
        "project_cost", projectId=PROJECT, costType="other", quantity=1, unitPriceEur=70, status="paid"
    )
    await world.put(docid("project-cost", 1), cost)
    await world.put(PROJECT, body("project", customerId=customer(1)))
    assert (await world.live(COSTS))["actualTotalCost"] == 70


async def test_a_tour_costs_its_expenses_and_the_mileage_that_none_claims(world: World) -> None:
    tour, log = docid("tour", 1), docid("mileage-log", 1)
    await world.put(tour, body("tour", "adm1", ownerId="adm1", title="Nord", status="active"))
    await world.put(log, body("mileage_log", "adm1", tourId=tour, distance=100))
    costs = companion_id("tour_costs", tour)
    assert (await world.live(costs))["actualCosts"] == 30
    expense = body(
        "expense", "adm1", tourId=tour, amount=30, category="mileage", mileageLogId=log, status="draft"
    )
    await world.put(docid("expense", 1), expense)
    assert (await world.live(costs))["actualCosts"] == 30
    await world.put(docid("expense", 1), {**expense, "status": "approved"})
    await world.put(docid("expense", 2), {**expense, "mileageLogId": None, "amount": 12.5, "status": "paid"})
    assert (await world.live(costs))["actualCosts"] == 42.5


async def test_stock_is_the_sum_of_movements_and_no_edit_of_the_material(world: World) -> None:
    material = docid("material", 1)
    await world.put(material, body("material", materialName="Eichenplatte", category="Holz"))
    path = await world.path(material)
    for n, quantity in enumerate((10, 2.5, -3.25), 1):
        await world.put(
            docid("inventory-movement", n), body("inventory_movement", materialId=material, quantity=quantity)
        )
    stock = await world.body(companion_id("material_stock", material))
    assert stock == {"type": "material_stock", "materialId": material, "currentStock": 9.25}
    assert await world.path(material) == path


async def test_an_online_edit_answers_what_the_next_one_has_to_name(world: World) -> None:
    gf = world.people["gf1"]
    mine = customer_body("gf1")
    first = await world.gate.write_as(gf, DocumentWrite(customer(1), False, orjson.dumps(mine)))
    winner = await world.winner(customer(1))
    assert winner is not None
    assert first == winner.rev
    # The office sends back what it has, without what the server has added.
    mine["phone"] = "0521"
    edit = DocumentWrite(customer(1), False, orjson.dumps(mine), parse_rev(first))
    await world.gate.write_as(gf, edit)
    stored = await world.body(customer(1))
    assert stored is not None
    assert (stored["customerNumber"], stored["phone"]) == ("K-00001", "0521")


async def test_a_device_that_edits_before_it_has_the_number_goes_on(world: World) -> None:
    version = new(customer_body("gf1"))
    later = new(customer_body("gf1", phone="0521", version=2), version.path)
    assert await world.push("gf1", (customer(1), version)) == [""]
    assert await world.push("gf1", (customer(1), later)) == [""]
    stored = await world.body(customer(1))
    assert stored is not None
    assert (stored["customerNumber"], stored["phone"]) == ("K-00001", "0521")
    assert len(await world.live_leaves(customer(1))) == 1


async def test_what_a_device_sends_is_settled_in_one_transaction(world: World) -> None:
    before = world.database.update_seq
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await push_new(world, "gf1", docid("opportunity", 1), opportunity())
    await push_new(world, "gf1", docid("offer", 1), offer())
    await change(world, "gf1", docid("offer", 1), status="sent")
    stored = await world.body(docid("offer", 1))
    assert stored is not None
    assert stored["sentAt"] == "2026-03-02T08:00:00.000Z"
    assert stored["modifiedBy"] == "gf1"
    assert world.database.update_seq > before


async def test_a_time_entry_that_is_restored_has_its_cost_again(world: World) -> None:
    """At the rate it had, whatever the user's has become."""
    entry = docid("time-entry", 1)
    worked = body(
        "time_entry",
        "plan1",
        userId="plan1",
        startTime="2026-03-01T09:00:00.000Z",
        endTime="2026-03-01T11:00:00.000Z",
        status="completed",
    )
    user = body("user", "admin", userName="plan1", hourlyRateEur=70)
    await world.put("user-plan1", user)
    await world.put(entry, worked)
    before = await world.live(cost_id(entry))
    assert (before["hourlyRateEur"], before["totalCostEur"]) == (70, 140)
    await world.put("user-plan1", {**user, "hourlyRateEur": 90})
    for _ in range(2):
        await world.put(entry, None)
        assert await world.body(cost_id(entry)) is None
        await world.put(entry, {**worked, "taskDescription": "Aufmaß im Laden"})
        again = await world.live(cost_id(entry))
        assert (again["hourlyRateEur"], again["totalCostEur"]) == (70, 140)

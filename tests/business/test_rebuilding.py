"""Whatever happens, in whatever order: what was worked out step by step is what is worked out anew."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kompass.business import rebuilding
from kompass.domain import sums
from kompass.domain.derivations import cost_id
from kompass.domain.series import SeriesTable
from kompass.sync.opening import business_of
from replication.protocol.errors import ProtocolError
from tests.business.documents import body, docid
from tests.business.test_numbers import problems
from tests.examples import examples
from tests.sync.gate_world import PEOPLE, World, customer, customer_body

TABLES = ("business_docs", "business_refs", "business_keys", "business_parts")
IDS = {
    "customer": [customer(n) for n in range(2)],
    "project": [docid("project", n) for n in range(2)],
    "tour": [docid("tour", n) for n in range(2)],
    "material": [docid("material", n) for n in range(2)],
    "project_cost": [docid("project-cost", n) for n in range(3)],
    "time_entry": [docid("time-entry", n) for n in range(3)],
    "time_entry_cost": [cost_id(docid("time-entry", n)) for n in range(3)],
    "expense": [docid("expense", n) for n in range(3)],
    "mileage_log": [docid("mileage-log", n) for n in range(2)],
    "inventory_movement": [docid("inventory-movement", n) for n in range(3)],
}
money = st.sampled_from([0, 1, 10, 33.33, 99.995, 1234.56, -5, "7", None])
projects = st.sampled_from([*IDS["project"], IDS["tour"][0], "project-nowhere", None])
tours = st.sampled_from([*IDS["tour"], None])
MEMBERS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "customer": {"phone": money},
    "project": {"budget": money, "customerId": st.sampled_from(IDS["customer"])},
    "tour": {"ownerId": st.just("adm1")},
    "material": {"category": st.sampled_from(["Holz", "Öl"])},
    "project_cost": {
        "projectId": projects,
        "costType": st.sampled_from(["material", "contractor", "other", "unknown"]),
        "quantity": money,
        "unitPriceEur": money,
        "status": st.sampled_from(["planned", "received", "paid"]),
        "stornoOf": st.sampled_from([None, None, *IDS["project_cost"]]),
    },
    "time_entry": {
        "projectId": projects,
        "userId": st.just("plan1"),
        "startTime": st.just("2026-03-02T08:00:00Z"),
        "endTime": st.sampled_from([None, "2026-03-02T09:10:00Z", "2026-03-02T07:00:00Z"]),
        "status": st.sampled_from(["completed", "approved"]),
        "stornoOf": st.sampled_from([None, None, *IDS["time_entry"]]),
    },
    "time_entry_cost": {"hourlyRateEur": money},
    "expense": {
        "projectId": projects,
        "tourId": tours,
        "amount": money,
        "status": st.sampled_from(["draft", "submitted", "approved", "paid"]),
        "mileageLogId": st.sampled_from([None, *IDS["mileage_log"]]),
    },
    "mileage_log": {"tourId": tours, "distance": money},
    "inventory_movement": {"materialId": st.sampled_from([*IDS["material"], None]), "quantity": money},
}


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, dict[str, Any] | None, bool]:
    """(id, what it says now, whether it is purged)."""
    doctype = draw(st.sampled_from(sorted(MEMBERS)))
    one = draw(st.sampled_from(IDS[doctype]))
    what = draw(st.integers(0, 9))
    if what == 0:
        return one, None, True
    if what == 1:
        return one, None, False
    members = {name: draw(value) for name, value in MEMBERS[doctype].items()}
    if doctype == "time_entry_cost":
        members["timeEntryId"] = IDS["time_entry"][IDS[doctype].index(one)]
    return one, body(doctype, **members), False


async def state(world: World) -> tuple[list[Any], dict[str, Any]]:
    with world.database.reading() as reading:
        tables: list[Any] = [
            reading.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
            for table in TABLES
        ]
        return tables, {docid: value for _, docid, value in rebuilding.live(reading)}


async def happens(directory: File, steps: list[tuple[str, dict[str, Any] | None, bool]]) -> None:
    world = await World.open(directory, follows=True)
    try:
        for one, document, purged in steps:
            stored = await world.winner(one)
            if document is None and (stored is None or stored.deleted):
                continue
            if purged:
                with suppress(ProtocolError):  # what is final stays
                    await world.database.purge({one: [(await world.path(one)).leaf]})
            else:
                await world.put(one, document)
        before = await state(world)
        with world.database.reading() as reading:
            assert [str(one) for one in rebuilding.differences(reading)] == []
        assert await world.transact(business_of(world.database).rebuild) == 0
        assert await state(world) == before
        assert problems(world) == []
    finally:
        await world.close()


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(changes(), max_size=25))
def test_incremental_is_rebuilt(steps: list[tuple[str, dict[str, Any] | None, bool]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(happens(File(directory), steps))


async def test_rebuilding_puts_right_what_was_changed_by_hand(world: World) -> None:
    await world.put(IDS["project"][0], body("project", customerId=customer(1)))
    cost = body(
        "project_cost",
        projectId=IDS["project"][0],
        costType="other",
        quantity=1,
        unitPriceEur=70,
        status="paid",
    )
    await world.put(IDS["project_cost"][0], cost)
    before = await state(world)

    def damage(writing: Any) -> None:
        for table in TABLES[1:]:
            writing.connection.execute(f"DELETE FROM {table}")

    await world.transact(damage)
    with world.database.reading() as reading:
        found = [str(one) for one in rebuilding.differences(reading)]
    assert f"{IDS['project_cost'][0]}: what it adds to sums isn't what is kept of it" in found
    assert f"{IDS['project'][0]}: its sums are not those of its parts" in found
    await world.transact(business_of(world.database).rebuild)
    assert await state(world) == before


def plan1(rate: int) -> dict[str, Any]:
    more = {"name": "plan1", "roles": ["PLAN"], "active": True, "hourlyRateEur": rate}
    return {"type": "user", **more}


async def has_worked(world: World, status: str) -> str:
    """A time entry of two hours at 70 euros; returns its cost's id."""
    entry = body(
        "time_entry",
        "plan1",
        userId="plan1",
        projectId=IDS["project"][0],
        startTime="2026-03-01T09:00:00.000Z",
        endTime="2026-03-01T11:00:00.000Z",
        status=status,
    )
    await world.put(IDS["project"][0], body("project", customerId=customer(1)))
    await world.put("user-plan1", plan1(70))
    await world.put(IDS["time_entry"][0], entry)
    return cost_id(IDS["time_entry"][0])


async def labour(world: World) -> Any:
    costs = await world.live(sums.total_id("project", IDS["project"][0]))
    return costs["actualLaborCost"]


@pytest.mark.alone("a program without these rules has written in between")
@pytest.mark.parametrize("status", ["completed", "approved"])
async def test_rebuilding_makes_costs_that_were_removed_past_the_rules(tmp_path: File, status: str) -> None:
    world = await World.open(tmp_path, follows=True)
    cost = await has_worked(world, status)
    before = await world.body(cost)
    await world.close()
    world = await World.open(tmp_path)
    await world.put("user-plan1", plan1(90))
    await world.put(cost, None)
    await world.close()
    world = await World.open(tmp_path, follows=True)
    try:
        with world.database.reading() as reading:
            found = [str(one) for one in rebuilding.differences(reading)]
        assert f"{IDS['time_entry'][0]}: what it costs isn't there" in found
        await world.transact(business_of(world.database).rebuild)
        assert await world.body(cost) == before
        assert await labour(world) == (140 if status == "approved" else 0)
        with world.database.reading() as reading:
            assert list(rebuilding.differences(reading)) == []
        assert await world.transact(business_of(world.database).rebuild) == 0
    finally:
        await world.close()


async def test_costs_that_go_by_themselves_are_there_again(world: World) -> None:
    cost = await has_worked(world, "completed")
    before = await world.body(cost)
    await world.database.purge({cost: [(await world.path(cost)).leaf]})
    assert await world.body(cost) == before
    await world.put("user-plan1", plan1(90))
    await world.put(cost, None)
    assert await world.body(cost) == before


@pytest.mark.alone("a program without these tables has written before")
async def test_a_database_from_before_gets_what_it_lacks(tmp_path: File) -> None:
    world = await World.open(tmp_path)
    await world.put(customer(1), customer_body("gf1"))
    await world.put(IDS["project"][0], body("project", customerId=customer(1), budget=10))
    await world.close()
    world = await World.open(tmp_path, follows=True)
    try:
        with world.database.reading() as reading:
            found = list(rebuilding.differences(reading))
        assert len([one for one in found if not one.doc.startswith("user-")]) == 1
        assert await world.transact(business_of(world.database).rebuild) == 3 + len(PEOPLE)
        assert (await world.live(customer(1)))["customerNumber"] == "K-00001"
        with world.database.reading() as reading:
            assert list(rebuilding.differences(reading)) == []
        assert await world.transact(business_of(world.database).rebuild) == 0
    finally:
        await world.close()


@pytest.mark.parametrize("pattern", ["A-{number}", "{number:05}", "A-{year}-{number:05}x", "A ü {number:05}"])
def test_a_pattern_ends_with_its_number(pattern: str) -> None:
    from kompass.domain.series import configured

    with pytest.raises(ValueError, match=r"number|letters"):
        configured({"offer": pattern})
    assert SeriesTable(configured({"offer": "AN{year}/{number:04}"})).named("offer").pattern.initial == "AN"

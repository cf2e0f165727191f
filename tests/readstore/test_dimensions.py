"""Dimensions with their history."""

from __future__ import annotations

from datetime import date

import pytest

from kompass.feed.sink import Batch, Checkpoint
from kompass.readstore.sink import PostgresSink
from tests.readstore.star import CUSTOMER, OTHER, customer, three_versions
from tests.readstore.world import World

pytestmark = pytest.mark.slow

HISTORY = (
    "SELECT company_name, rating, valid_from::date, valid_to::date, is_current"
    f" FROM kompass_data.dim_customers WHERE customer_id = '{CUSTOMER}' ORDER BY valid_from"
)
EVER, NEVER = date(1900, 1, 1), date(9999, 12, 31)
THREE = [
    ("Hofladen Apfel", "B", EVER, date(2026, 3, 1), False),
    ("Hofladen Apfel", "A", date(2026, 3, 1), date(2026, 6, 1), False),
    ("Hofladen Birne", "A", date(2026, 6, 1), NEVER, True),
]


async def test_a_dimension_keeps_its_versions_from_the_documents_own_times(world: World) -> None:
    await three_versions(world)
    assert world.inside(HISTORY) == THREE


async def test_applying_again_makes_no_version(world: World) -> None:
    await three_versions(world)
    for _ in range(2):
        change = world.everything()[0]
        again = Batch(
            [type(change)(change.id, world.position, change.rev, change.doc, change.channels)],
            Checkpoint("world", "4", world.position),
        )
        await world.sink.apply(again)
    assert world.inside(HISTORY) == THREE


async def test_versions_of_one_instant_and_clocks_that_went_back_stay_in_order(world: World) -> None:
    await world.put(customer())
    await world.put(customer(at="2026-03-01T08:00:00.000Z", rating="A"))
    await world.put(customer(at="2026-03-01T08:00:00.000Z", rating="C"))
    await world.put(customer(at="2020-01-01T08:00:00.000Z", rating="B"))
    await world.put(customer(at="9999-12-31T23:59:59.999Z", rating="A"))
    await world.put(customer() | {"modifiedAt": "gestern", "rating": "C"})
    assert [row[1] for row in world.inside(HISTORY)] == ["B", "A", "C", "B", "A", "C"]
    overlaps = world.inside(
        "SELECT count(*) FROM kompass_data.dim_customers a JOIN kompass_data.dim_customers b"
        " ON a.customer_id = b.customer_id AND a.valid_from < b.valid_from AND a.valid_to <> b.valid_from"
        " AND NOT EXISTS (SELECT FROM kompass_data.dim_customers c WHERE c.customer_id = a.customer_id"
        " AND c.valid_from > a.valid_from AND c.valid_from < b.valid_from)"
    )
    assert overlaps == [(0,)]


async def test_of_a_deleted_document_no_version_is_left(world: World) -> None:
    await three_versions(world)
    await world.delete(CUSTOMER)
    assert world.inside(HISTORY) == []


async def test_of_an_anonymised_document_the_past_is_forgotten(world: World) -> None:
    await three_versions(world)
    erased = customer(at="2026-07-01T08:00:00.000Z", companyName="Gelöschter Kunde #7", anonymized=True)
    await world.put(erased)
    assert world.inside(HISTORY) == [("Gelöschter Kunde #7", "B", EVER, NEVER, True)]
    found = world.inside("SELECT d::text FROM kompass_data.dim_customers d")
    assert "Apfel" not in repr(found)
    assert "Birne" not in repr(found)


async def rebuilt(world: World, epoch: str) -> None:
    other = await world.sink.rebuilding()
    await other.apply(Batch(world.everything(), Checkpoint(epoch, "9", 9), world.people()))
    await other.switch()
    await world.sink.close()
    assert isinstance(other, PostgresSink)
    world.sink = other


async def test_a_rebuild_keeps_the_past_of_documents_that_are_there(world: World) -> None:
    await three_versions(world)
    await world.put(customer(OTHER))
    await rebuilt(world, "world")
    assert world.inside(HISTORY) == THREE
    await rebuilt(world, "world")
    assert world.inside(HISTORY) == THREE


async def test_a_rebuild_of_another_database_begins_with_what_is_now(world: World) -> None:
    await three_versions(world)
    await rebuilt(world, "restored")
    assert world.inside(HISTORY) == [("Hofladen Birne", "A", EVER, NEVER, True)]


async def test_what_was_anonymised_while_a_generation_was_made_has_no_past_in_it(world: World) -> None:
    await three_versions(world)
    world.documents[CUSTOMER] = customer(companyName="Gelöschter Kunde #7", anonymized=True)
    await rebuilt(world, "world")
    assert world.inside(HISTORY) == [("Gelöschter Kunde #7", "B", EVER, NEVER, True)]


async def test_history_is_for_those_who_read_every_customer(world: World) -> None:
    await three_versions(world)
    await world.put(customer(OTHER, owner="adm2"))
    query = "SELECT customer_id, rating, is_current FROM dim_customers ORDER BY valid_from, customer_id"
    assert len(world.ask("gf1", query)) == 4
    assert world.ask("adm1", query) == [(CUSTOMER, "A", True)]
    assert world.ask("admin", query) == []


async def test_a_card_gives_what_is_on_it(world: World) -> None:
    card = {"_id": "customer-card-2", "type": "customer_card", "customerId": OTHER, "companyName": "Hof"}
    await world.put(customer(OTHER, owner="adm2"), card)
    query = "SELECT company_name, city, rating FROM dim_customers"
    assert world.ask("adm1", query) == [("Hofladen Apfel", "München", None)]

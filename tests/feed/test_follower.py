"""A sink ends up with what the documents say, whatever happens to it, to them and to the server."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from kompass.domain.examples import smallest
from kompass.feed.ledger import State
from kompass.privacy import enrolments, tickets
from kompass.sync.index import verifying
from replication.store.sqlite import Writing
from tests.feed.world import FeedWorld, customer, until


async def test_what_is_there_and_what_comes(world: FeedWorld) -> None:
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()
    assert customer(1) in world.harness.documents()
    await world.customer(2, "adm2")
    await world.customer(1, "adm2", "Hof 2")
    await world.settled()
    await world.delete(customer(2))
    await world.settled()
    assert customer(2) not in world.harness.documents()
    await world.state(State.FOLLOWING)


@pytest.mark.slow
async def test_what_is_written_shows_within_a_second(world: FeedWorld) -> None:
    world.follow()
    await world.settled()
    took = []
    for number in range(1, 6):
        await asyncio.sleep(0.3)
        await world.customer(number, "adm1")
        began = time.monotonic()
        await world.settled(20)
        took.append(time.monotonic() - began)
    assert sorted(took)[2] < 1, took


@pytest.mark.slow
async def test_purges_and_moves_reach_it(world: FeedWorld) -> None:
    tour, stay = smallest("tour"), smallest("hotel_stay")
    tour_id, stay_id = tour.pop("_id"), stay.pop("_id")
    await world.put(tour_id, **{**tour, "ownerId": "adm1"})
    await world.put(stay_id, **{**stay, "tourId": tour_id})
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()
    before = world.harness.documents()[stay_id]
    await world.put(tour_id, **{**tour, "ownerId": "adm2"})
    await world.settled()
    assert world.harness.documents()[stay_id][0] == before[0]
    assert world.harness.documents()[stay_id][1] != before[1]
    await world.purge(customer(1))
    await world.settled()
    assert customer(1) not in world.harness.documents()
    # And one that is purged and made again in between.
    await world.unfollow()
    await world.customer(2, "adm1")
    await world.purge(customer(2))
    await world.customer(2, "adm2")
    world.follow()
    await world.settled()
    assert customer(2) in world.harness.documents()


async def test_people_gain_and_lose(world: FeedWorld) -> None:
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()
    sales = f"sales:customer:{customer(1)}"
    assert sales in world.harness.people()["adm1"]
    await world.customer(1, "adm2")
    await world.settled()
    assert sales not in world.harness.people()["adm1"]
    assert sales in world.harness.people()["adm2"]
    await world.put("user-adm2", type="user", name="adm2", roles=["ADM"], active=False)
    await world.settled()
    assert world.harness.people()["adm2"] == frozenset()


@pytest.mark.slow
async def test_what_is_repaired_by_hand_reaches_it(world: FeedWorld) -> None:
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()
    index = world.product.sync.index

    def spoil(writing: Writing) -> None:
        writing.connection.execute("DELETE FROM access_entries")
        writing.connection.execute("DELETE FROM access_holdings WHERE user = 'adm1'")

    await world.database.transact(spoil)
    with world.database.reading() as reading:
        found = list(verifying.differences(reading, index))
    assert found
    await verifying.repair(world.database, index, found)
    await world.settled()
    assert world.harness.documents()[customer(1)][1]
    assert f"sales:customer:{customer(1)}" in world.harness.people()["adm1"]


@pytest.mark.slow
async def test_an_erasure_is_confirmed_when_the_sink_has_it(world: FeedWorld) -> None:
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()

    async def enrolled() -> bool:
        with world.database.reading() as reading:
            return bool(enrolments.listed(reading, "feed-reference"))

    await until(enrolled, 10)
    now = datetime.now(UTC)
    num = await world.database.transact(
        lambda writing: tickets.add(
            writing, tickets.Kind.ERASURE, customer(1), None, now, {customer(1): "9-x"}
        )
    )
    await world.unfollow()
    world.follow()

    async def confirmed() -> bool:
        with world.database.reading() as reading:
            return "feed-reference" in tickets.acknowledged(reading, num)

    await until(confirmed, 10)

"""What time alone makes true: written by the server, once, and entered in the chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kompass.business import extension
from kompass.domain.effects import by_time
from kompass.domain.examples import smallest
from kompass.domain.machines import MACHINES
from tests.audit.world import entries_of
from tests.business.documents import change, docid, offer, push_new
from tests.sync.gate_world import World, customer, new

UNTIL = "2026-03-16"
OFFER = docid("offer", 1)


async def has_offers(world: World, *states: str) -> None:
    """One in each state, all valid until the same day."""
    await world.has_customer(1)
    for number, state in enumerate(states, 1):
        await push_new(world, "gf1", docid("offer", number), offer(validUntil=UNTIL, opportunityId=None))
        for step in ("sent", state) if state != "draft" else ():
            if step != (await world.live(docid("offer", number)))["status"]:
                await change(world, "gf1", docid("offer", number), status=step)


async def states(world: World, count: int) -> list[Any]:
    return [(await world.live(docid("offer", n))).get("status") for n in range(1, count + 1)]


async def test_an_offer_expires_when_its_last_day_is_over(world: World) -> None:
    await has_offers(world, "sent", "viewed", "draft", "accepted", "rejected")
    before = await states(world, 5)
    sent = await world.live(OFFER)
    world.clock.now = datetime(2026, 3, 16, 23, 59, tzinfo=UTC)
    await world.gate.housekeep()
    assert await states(world, 5) == before == ["sent", "viewed", "draft", "accepted", "rejected"]
    world.clock.advance(minutes=1)
    await world.gate.housekeep()
    assert await states(world, 5) == ["expired", "expired", "draft", "accepted", "rejected"]
    expired = await world.live(OFFER)
    changed = {name for name in expired if expired[name] != sent.get(name)}
    assert changed == {"status", "modifiedBy", "modifiedAt", "version"}
    assert (expired["modifiedBy"], expired["version"]) == ("system", sent["version"] + 1)


async def test_it_happens_once_and_is_in_the_chain(world: World) -> None:
    await has_offers(world, "sent")
    world.clock.advance(days=30)
    await world.gate.housekeep()
    path = await world.path(OFFER)
    for _ in range(2):
        world.clock.advance(days=1)
        await world.gate.housekeep()
    assert await world.path(OFFER) == path
    *_, last = entries_of(world, OFFER)
    assert (last["who"], last["origin"]) == ("system", "expired")
    assert last["cause"] == {"document": OFFER, "revision": last["before"], "person": "system"}


async def test_a_version_from_the_road_comes_too_late(world: World) -> None:
    await has_offers(world, "sent")
    known, stored = await world.path(OFFER), await world.live(OFFER)
    world.clock.advance(days=30)
    await world.gate.housekeep()
    late = new({**stored, "status": "accepted", "modifiedBy": "gf1", "version": 9}, known)
    await world.push("gf1", (OFFER, late))
    assert await states(world, 1) == ["expired"]


async def test_more_than_one_transaction_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "MOST_AT_ONCE", 2)
    await has_offers(world, *["sent"] * 5)
    world.clock.advance(days=30)
    await world.gate.housekeep()
    assert await states(world, 5) == ["expired"] * 5


@pytest.mark.parametrize("state", MACHINES["offer"].states)
def test_time_takes_steps_of_the_graph_alone(state: str) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    effect = by_time({**smallest("offer"), "status": state}, now)
    assert (effect is not None) == (MACHINES["offer"].edge(state, "expired") is not None)


@pytest.mark.parametrize("until", [None, 7, "", [], {}, "2030-01-02", "tomorrow"])
def test_what_has_no_day_that_is_over_stays(until: object) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(hours=1)
    made = by_time({**smallest("offer"), "status": "sent", "validUntil": until}, now)
    assert made is None


def test_other_types_know_no_such_day() -> None:
    body = {"type": "request_for_quote", "_id": customer(1), "status": "sent", "validUntil": "2020-01-01"}
    assert by_time(body, datetime(2030, 1, 1, tzinfo=UTC)) is None

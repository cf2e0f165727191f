"""Deletions that devices send."""

from __future__ import annotations

from kompass.sync.index import touching
from kompass.sync.refusals import DELETED
from tests.sync.gate_world import World, customer, customer_body, new


async def test_a_deletion_stores_nothing_but_itself(world: World) -> None:
    await world.has_customer(1)
    deletion = new(None, await world.path(customer(1)))
    write = deletion.write(customer(1))
    write.body = b'{"secret":1,"type":"user"}'
    assert await world.push_raw("gf1", [write]) == [deletion.rev]
    stored = await world.winner(customer(1))
    assert stored is not None
    assert stored.deleted
    assert b"secret" not in stored.text


async def test_a_deletion_is_judged_on_the_winner(world: World) -> None:
    await world.has_customer(1)
    deletion = new(None, await world.path(customer(1)))
    assert await world.push("adm1", (customer(1), deletion)) != [""]
    assert await world.body(customer(1)) is not None
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]


async def test_a_deletion_that_missed_only_a_touch_deletes(world: World) -> None:
    await world.has_customer(1)
    old = await world.path(customer(1))
    await world.transact(lambda writing: touching.touch(writing, world.index.tombstones, customer(1)))
    assert await world.push("gf1", (customer(1), new(None, old))) == [""]
    assert await world.body(customer(1)) is None
    assert await world.live_leaves(customer(1)) == []


async def test_a_deletion_of_what_has_changed_since_leaves_the_winner_and_tells_the_author(
    world: World,
) -> None:
    await world.has_customer(1)
    old = await world.path(customer(1))
    await world.has_customer(1, phone="9")
    assert await world.push("gf1", (customer(1), new(None, old))) == [""]
    assert await world.body(customer(1)) == customer_body(phone="9")
    (conflict,) = await world.notices("gf1", "conflict")
    assert conflict["deleted"] is True
    assert conflict["localDocument"] is None
    assert [(field["path"], field["type"]) for field in conflict["fields"]] == [("", "deleted")]
    assert await world.push("gf1", (customer(1), new(None, await world.path(customer(1))))) == [""]
    assert await world.notices("gf1", "conflict") == []


async def test_devices_cannot_revive(world: World) -> None:
    await world.has_customer(1)
    await world.put(customer(1), None)
    edit = new(customer_body(phone="1"), await world.path(customer(1)))
    assert await world.push("adm1", (customer(1), edit)) == [DELETED.reason]
    assert await world.body(customer(1)) is None
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]

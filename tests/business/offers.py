"""An offer that a customer was sent, and where its effects are found."""

from __future__ import annotations

from typing import Any

from kompass.domain.effects import effect_id
from tests.business.documents import change, docid, offer, opportunity, push_new
from tests.sync.gate_world import World, customer, customer_body

OFFER = docid("offer", 1)
OPPORTUNITY = docid("opportunity", 1)
CONTRACT = effect_id("contract", OFFER, "accepted")


async def has_offer(world: World) -> None:
    await push_new(
        world, "gf1", customer(1), customer_body("adm1") | {"createdBy": "gf1", "modifiedBy": "gf1"}
    )
    await push_new(world, "gf1", OPPORTUNITY, opportunity())
    await push_new(world, "gf1", OFFER, offer())
    await change(world, "gf1", OFFER, status="sent")


async def all_of(world: World, doctype: str) -> list[dict[str, Any]]:
    found = []
    with world.database.reading() as reading:
        rows: Any = reading.connection.execute(
            "SELECT id FROM business_docs WHERE type = ? ORDER BY num", (doctype,)
        )
        for (one,) in rows.fetchall():
            found.append(await world.live(one))
    return found

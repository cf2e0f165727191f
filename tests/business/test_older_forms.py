"""What an older app writes gets today's form by the server, before anything is worked out from it."""

from __future__ import annotations

from tests.business.documents import change, docid, offer, opportunity, push_new
from tests.sync.gate_world import World, customer, customer_body

OFFER, OPPORTUNITY = docid("offer", 1), docid("opportunity", 1)


async def test_a_tax_rate_in_percent_is_not_a_hundredfold_tax(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await push_new(world, "gf1", OPPORTUNITY, opportunity())
    await push_new(world, "gf1", OFFER, offer(taxRate=19))
    stored = await world.body(OFFER)
    assert stored is not None
    assert (stored["taxRate"], stored["schemaVersion"]) == (0.19, 2)
    assert (stored["subtotalEur"], stored["totalEur"]) == (749.97, 892.46)
    await change(world, "gf1", OFFER, status="sent")
    sent = await world.body(OFFER)
    assert sent is not None
    assert sent["totalEur"] == 892.46


async def test_a_stage_becomes_a_status(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    older = opportunity(stage="Proposal")
    del older["status"]
    await push_new(world, "gf1", OPPORTUNITY, older)
    stored = await world.body(OPPORTUNITY)
    assert stored is not None
    assert stored["status"] == "proposal"
    assert "stage" not in stored
    assert stored["weightedValue"] == 750.38

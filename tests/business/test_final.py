"""What becomes final is sealed by the server; corrections leave a log, and the seal still fits."""

from __future__ import annotations

from kompass.business import numbers
from kompass.domain.sealing import immutable_hash, is_intact
from tests.business.documents import body, change, docid, offer, opportunity, push_new
from tests.sync.gate_world import World, customer, customer_body

OFFER = docid("offer", 1)


async def has_sent_offer(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await push_new(world, "gf1", docid("opportunity", 1), opportunity())
    await push_new(world, "gf1", OFFER, offer())
    await change(world, "gf1", OFFER, status="sent")


async def test_a_sent_offer_is_sealed_with_its_number_and_totals(world: World) -> None:
    await has_sent_offer(world)
    stored = await world.body(OFFER)
    assert stored is not None
    assert stored["finalized"] is True
    assert stored["immutableAt"] == "2026-03-02T08:00:00.000Z"
    whole = {**stored, "_id": OFFER}
    assert stored["immutableHash"] == immutable_hash(whole)
    assert (stored["offerNumber"], stored["totalEur"]) == ("A-2026-00001", 892.46)
    await change(world, "gf1", OFFER, status="viewed", notes="angesehen")
    seen = await world.body(OFFER)
    assert seen is not None
    assert seen["immutableHash"] == stored["immutableHash"]
    assert is_intact({**seen, "_id": OFFER})
    assert not is_intact({**seen, "_id": OFFER, "customerId": "customer-x"})


async def test_a_draft_is_not_sealed(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await push_new(world, "gf1", docid("opportunity", 1), opportunity())
    await push_new(world, "gf1", OFFER, offer())
    stored = await world.body(OFFER)
    assert stored is not None
    assert "finalized" not in stored


async def test_a_correction_is_logged_under_a_number_and_its_reason_goes(world: World) -> None:
    await has_sent_offer(world)
    await change(world, "gf1", OFFER, terms="Lieferung frei Haus", correctionReason="Klausel vergessen")
    stored = await world.body(OFFER)
    assert stored is not None
    assert "correctionReason" not in stored
    (entry,) = stored["changeLog"]
    assert (entry["changeNumber"], entry["field"], entry["oldValue"], entry["newValue"]) == (
        "CL-2026-00001",
        "terms",
        None,
        "Lieferung frei Haus",
    )
    assert (entry["changedBy"], entry["reason"]) == ("gf1", "Klausel vergessen")
    assert is_intact({**stored, "_id": OFFER})
    await change(world, "gf1", OFFER, terms="Lieferung ab Werk", correctionReason="Doch anders vereinbart")
    stored = await world.body(OFFER)
    assert stored is not None
    assert [one["changeNumber"] for one in stored["changeLog"]] == ["CL-2026-00001", "CL-2026-00002"]
    assert is_intact({**stored, "_id": OFFER})
    with world.database.reading() as reading:
        assert [one.number for one in numbers.listed(reading, series="change_log")] == [
            "CL-2026-00001",
            "CL-2026-00002",
        ]


async def test_a_customer_is_final_with_his_first_invoice(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    invoice = body("invoice", customerId=customer(1), invoiceNumber="R-2026-00001", status="draft")
    await world.put(docid("invoice", 1), invoice)
    assert "finalized" not in (await world.live(customer(1)))
    await world.put(docid("invoice", 1), {**invoice, "status": "sent"})
    stored = await world.body(customer(1))
    assert stored is not None
    assert stored["finalized"] is True
    assert is_intact({**stored, "_id": customer(1)})


async def test_a_small_expense_is_approved_by_the_server_when_it_is_submitted(world: World) -> None:
    small, large = docid("expense", 1), docid("expense", 2)
    await push_new(world, "adm1", small, body("expense", "adm1", amount=25, category="meal", status="draft"))
    await push_new(
        world, "adm1", large, body("expense", "adm1", amount=25.01, category="meal", status="draft")
    )
    for one in (small, large):
        await change(world, "adm1", one, status="submitted")
    approved, waiting = await world.body(small), await world.body(large)
    assert approved is not None
    assert waiting is not None
    assert (approved["status"], approved["approvedBy"], approved["finalized"]) == ("approved", "system", True)
    assert (approved["receiptNumber"], waiting["receiptNumber"]) == ("EXP-2026-001", "EXP-2026-002")
    assert (waiting["status"], waiting["submittedAt"]) == ("submitted", "2026-03-02T08:00:00.000Z")

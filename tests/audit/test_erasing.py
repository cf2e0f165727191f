"""Values of single entries go, and the chain tells it and verifies."""

from __future__ import annotations

from pathlib import Path

from kompass.audit import vault
from tests.audit.world import entries, look, tampering
from tests.sync.gate_world import World, contact, contact_body, customer


async def test_erased_values_are_gone_and_the_chain_says_so(tmp_path: Path) -> None:
    world = await World.open(tmp_path)
    await world.has_customer(1, notes="ask Rike Behn")
    await world.put(contact(1), contact_body(customer(1)))
    with world.database.reading() as reading:
        told = [one for one in vault.readable(reading.connection) if b"Rike" in one.opening]
    assert [one.doc for one in told] == [customer(1), contact(1)]
    count = await world.transact(
        lambda writing: world.audit.erase(writing, contact(1), [one.num for one in told])
    )
    assert count == 2
    last = entries(world)[-3:]
    assert [one["action"] for one in last] == ["ERASE", "RESEAL", "RESEAL"]
    assert last[0]["entries"] == [one.num for one in told]
    with world.database.reading() as reading:
        assert not [one for one in vault.readable(reading.connection) if b"Rike" in one.opening]
    assert look(tmp_path / "kompass.sqlite").findings == []
    assert await world.transact(lambda writing: world.audit.erase(writing, contact(1), [told[0].num])) == 0
    await world.close()


async def test_values_that_are_taken_away_in_secret_are_missed(tmp_path: Path) -> None:
    world = await World.open(tmp_path)
    await world.has_customer(1)
    last = len(entries(world))
    tampering(tmp_path / "kompass.sqlite").execute(
        "UPDATE audit_entries SET sealed = x'' WHERE num = ?", (last,)
    )
    (finding,) = look(tmp_path / "kompass.sqlite").findings
    assert (finding.entry, finding.what) == (last, "its values are missing, and nobody has erased them")
    await world.close()

"""What the gate costs a document: sync is the time people wait."""

from __future__ import annotations

import time
from pathlib import Path as File

from tests.sync.gate_world import World, contact, contact_body, customer, new

GOAL = 150e-6
"""Seconds of processor time for a plain new document in batches of 100: judging, storing, index."""


async def test_a_new_document_costs_little(tmp_path: File) -> None:
    world = await World.open(tmp_path)
    try:
        for number in range(100):
            await world.has_customer(number)
        costs = []
        for batch in range(15):
            docs = [
                new(contact_body(customer(n), email="a@b.example", phone="0521 12345")).write(
                    contact(batch * 100 + n)
                )
                for n in range(100)
            ]
            begun = time.process_time()
            results = await world.gate.write(world.people["adm1"], docs, replicated=True)
            costs.append((time.process_time() - begun) / len(docs))
            assert all(isinstance(result, str) for result in results)
        # The best: others use the machine, too. Twice the goal is a change that somebody should look at.
        assert min(costs) < 2 * GOAL, f"{min(costs) * 1e6:.0f} µs a document"
    finally:
        await world.close()

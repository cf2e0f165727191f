"""What devices offer of documents that aren't their user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sync.gate_world import World, customer, new
from tests.sync.statements import Statements


async def test_offering_what_is_not_his_takes_what_is_not_there_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statement for statement: else the time of an answer would tell."""
    statements = Statements(monkeypatch)
    world = await World.open(tmp_path)
    await world.has_customer(1, owner="adm2")
    offered = new({"type": "customer"})
    asked = []
    for number in (1, 2, 1, 2):  # what only the first question of all takes is over by the second time
        statements.seen.clear()
        assert await world.missing("adm1", (customer(number), offered)) == {(customer(number), offered.rev)}
        asked.append([*statements.seen])
    await world.close()
    assert asked[3]
    assert asked[2] == asked[3]

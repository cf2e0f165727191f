"""Of two processes one may still have what the journal has lost: nothing of both is ever mixed in a sink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kompass.feed.ledger import State
from kompass.feed.source import AccessAnswer, Source
from tests.feed.world import customer, feed_world


@pytest.mark.parametrize("position", [None, 1])
async def test_a_page_and_its_readers_are_of_one_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, position: int | None
) -> None:
    """The process that is asked who may read has never heard of the document, or has it from before."""
    is_other = True
    asked = Source.access

    async def access(
        self: Source, ids: Sequence[str], since: str, until: str, history: str | None
    ) -> AccessAnswer:
        answer = await asked(self, ids, since, until, history)
        if not is_other or customer(1) not in ids:
            return answer
        known = {docid: one for docid, one in answer.positions.items() if docid != customer(1)}
        return replace(answer, positions=known if position is None else {**known, customer(1): position})

    monkeypatch.setattr(Source, "access", access)
    async with feed_world(tmp_path) as world:
        world.follow()
        await world.settled()
        await world.customer(1, "adm1")
        await world.state(State.UNAVAILABLE)
        assert customer(1) not in world.harness.documents()
        is_other = False
        await world.settled()
        assert customer(1) in world.harness.documents()

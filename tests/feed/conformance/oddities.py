"""Documents that break assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kompass.feed.sink import Change, Sink
from tests.feed.changes import at, change, changed, rev_of
from tests.feed.harness import SinkHarness
from tests.feed.odd_documents import WRONG, broken, sound_but_odd, wrong_everywhere
from tests.feed.sinks import has, opened, take


class Oddities:
    async def test_what_is_odd_and_sound_is_stored(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        for position, (what, doc) in enumerate(sound_but_odd(), start=1):
            rejected = await take(sink, [changed(doc, position)], at(position))
            assert rejected == {}, what
            found = await harness.read(doc["_id"])
            assert found is not None, what
            assert found.rev == rev_of(position), what
        await sink.close()

    async def test_what_is_broken_stops_nothing_else(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        position = 0
        for what, doc in broken():
            position += 3
            await self._between_sound_ones(harness, sink, [doc], position, what)
        await sink.close()

    async def test_wrong_types_everywhere_stop_nothing_else(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        position = 0
        for value in WRONG:
            docs = list(wrong_everywhere(value, position))
            position += len(docs) + 3
            await self._between_sound_ones(harness, sink, docs, position, repr(value))
        await sink.close()

    async def _between_sound_ones(
        self, harness: SinkHarness, sink: Sink, docs: Sequence[dict[str, Any]], position: int, what: str
    ) -> None:
        changes = [change(1, position, f"Hofladen Vor{position}")]
        changes += [changed(doc, position) for doc in docs]
        changes.append(change(2, position + 1, f"Hofladen Nach{position}"))
        rejected = await take(sink, changes, at(position + 1))
        assert not set(rejected) & {changes[0].id, changes[-1].id}, what
        assert await sink.checkpoint() == at(position + 1), what
        assert (await has(harness, 1)).rev == rev_of(position), what
        assert (await has(harness, 2)).rev == rev_of(position + 1), what
        for each, reason in rejected.items():
            assert await harness.read(each) is None, what
            assert len(reason) > 0, what
            assert len(reason) < 2000, f"{what}: the reason is for people"
        # And what was stored of them can go again.
        gone = [Change(doc["_id"], position + 2, rev_of(position + 2), None) for doc in docs]
        assert await take(sink, gone, at(position + 2)) == {}, what
        for doc in docs:
            assert await harness.read(doc["_id"]) is None, what

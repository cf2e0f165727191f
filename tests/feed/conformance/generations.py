"""A sink is made anew beside the one that is read."""

from __future__ import annotations

from kompass.domain.examples import docid
from kompass.feed.sink import Batch
from tests.feed.changes import ALL, OWN, at, batch, change, rev_of
from tests.feed.harness import SinkHarness
from tests.feed.sinks import everything, has, knows, opened


class Generations:
    async def test_a_new_generation_is_seen_when_it_is_switched_to(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne")))
        other = await sink.rebuilding()
        assert other.name == sink.name
        assert await other.checkpoint() is None
        people = [knows(OWN, "adm1")]
        await other.apply(batch(change(1, 1, "Hofladen Apfel", OWN), people=people))
        # Readers have the old one, which goes on.
        assert (await has(harness, 1)).channels == ALL
        assert (await has(harness, 2)).rev == rev_of(2)
        await sink.apply(batch(change(2, 3, "Hofladen Quitte")))
        assert (await has(harness, 2)).rev == rev_of(3)
        assert await other.checkpoint() == at(1)
        await other.switch()
        assert (await has(harness, 1)).channels == OWN
        assert await harness.read(docid("customer", 2)) is None
        assert await harness.readable(people[0]) == {docid("customer", 1)}
        await sink.close()
        # It is the sink from now on, here and in other processes.
        await other.apply(batch(change(3, 4, "Hofladen Kirsche")))
        await other.close()
        sink = await opened(harness)
        assert await sink.checkpoint() == at(4)
        assert (await has(harness, 3)).rev == rev_of(4)
        await sink.close()

    async def test_an_interrupted_rebuild_goes_on(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel"), position=9))
        other = await sink.rebuilding()
        await other.apply(batch(change(2, 2, "Hofladen Birne"), change(3, 3, "Hofladen Quitte")))
        await other.close()
        await sink.close()
        sink = await opened(harness)
        assert await sink.checkpoint() == at(9)
        assert await harness.read(docid("customer", 2)) is None
        other = await sink.rebuilding()
        assert await other.checkpoint() == at(3)
        await other.apply(batch(change(3, 4), change(4, 5, "Hofladen Kirsche")))
        await other.switch()
        await sink.close()
        assert {key for key, one in (await everything(harness, 5)).items() if one} == {
            docid("customer", 2),
            docid("customer", 4),
        }
        await other.close()

    async def test_a_generation_can_be_discarded(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        other = await sink.rebuilding()
        await other.apply(batch(change(2, 2, "Hofladen Birne")))
        await other.discard()
        await other.close()
        assert await harness.read(docid("customer", 2)) is None
        assert (await has(harness, 1)).rev == rev_of(1)
        other = await sink.rebuilding()
        assert await other.checkpoint() is None
        await other.discard()
        await other.close()
        await sink.apply(batch(change(1, 2)))
        assert await harness.read(docid("customer", 1)) is None
        await sink.close()

    async def test_another_epoch_is_stored_as_it_comes(self, harness: SinkHarness) -> None:
        """What it means is the follower's matter."""
        sink = await opened(harness)
        await sink.apply(Batch([change(1, 900, "Hofladen Apfel")], at(900)))
        other = await sink.rebuilding()
        await other.apply(Batch([change(1, 2, "Hofladen Birne")], at(2, "andere")))
        await other.switch()
        await sink.close()
        assert await other.checkpoint() == at(2, "andere")
        assert (await has(harness, 1)).rev == rev_of(2)
        await other.close()

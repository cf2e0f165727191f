"""Applying batches: what is there afterwards, however often and in whatever parts they come."""

from __future__ import annotations

from kompass.domain.examples import TYPES, docid, full, smallest
from kompass.feed.sink import Batch, Change
from tests.feed.changes import ALL, OWN, at, batch, change, changed, expected, latest, rev_of, stream
from tests.feed.harness import SinkHarness
from tests.feed.sinks import everything, has, knows, opened


class Applying:
    async def test_a_new_sink_is_empty(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        assert await sink.checkpoint() is None
        assert await harness.read(docid("customer")) is None
        await sink.close()

    async def test_what_is_applied_is_there_with_its_checkpoint(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne", OWN)))
        assert await sink.checkpoint() == at(2)
        first, second = await has(harness, 1), await has(harness, 2)
        assert (first.rev, first.channels) == (rev_of(1), ALL)
        assert "Hofladen Apfel" in str(first.content)
        assert (second.rev, second.channels) == (rev_of(2), OWN)
        await sink.close()

    async def test_another_process_of_the_name_finds_it(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        await sink.close()
        sink = await opened(harness)
        assert await sink.checkpoint() == at(1)
        assert (await has(harness, 1)).rev == rev_of(1)
        await sink.close()

    async def test_a_checkpoint_moves_without_documents(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        await sink.apply(Batch((), at(50)))
        assert await sink.checkpoint() == at(50)
        assert (await has(harness, 1)).rev == rev_of(1)
        await sink.close()

    async def test_a_newer_change_takes_the_place_of_the_whole_document(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel", notes="Zwetschge")))
        await sink.apply(batch(change(1, 2, "Hofladen Birne")))
        found = await has(harness, 1)
        assert found.rev == rev_of(2)
        assert "Birne" in str(found.content)
        assert "Apfel" not in str(found.content)
        assert "Zwetschge" not in str(found.content)
        await sink.close()

    async def test_applying_again_changes_nothing(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        one = batch(
            change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne"), change(3, 3), people=[knows(ALL)]
        )
        await sink.apply(one)
        before = await everything(harness, 3)
        for _ in range(3):
            await sink.apply(one)
        assert await everything(harness, 3) == before
        assert await harness.readable(knows(ALL)) == {docid("customer", 1), docid("customer", 2)}
        await sink.close()

    async def test_an_older_change_changes_nothing(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 5, "Hofladen Neu", OWN)))
        before = await has(harness, 1)
        await sink.apply(batch(change(1, 3, "Hofladen Alt", ALL), position=5))
        assert await has(harness, 1) == before
        await sink.apply(batch(change(1, 4), position=5))
        assert await has(harness, 1) == before, "an older deletion has taken a newer document away"
        await sink.close()

    async def test_how_changes_are_divided_into_batches_makes_no_difference(
        self, harness: SinkHarness
    ) -> None:
        sink = await opened(harness)
        batches = [stream(number, seed=1) for number in range(6)]
        for one in batches:
            await sink.apply(one)
        before = await everything(harness, 30)
        assert {key for key, one in before.items() if one} == set(expected(48, seed=1))
        # All of it as one batch, and then one by one from the middle, as after a crash.
        changes = [one for each in batches for one in each.changes]
        for division in ([latest(changes)], [[one] for one in changes]):
            other = await sink.rebuilding()
            for part in division:
                await other.apply(batch(*part))
            for part in division[len(division) // 2 :]:
                await other.apply(batch(*part))
            await other.switch()
            await sink.close()
            sink = other
            assert await everything(harness, 30) == before
        await sink.close()

    async def test_a_deleted_document_is_gone(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        one, two = change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne")
        await sink.apply(batch(one, two, people=[knows(ALL)]))
        await sink.apply(batch(change(1, 3), change(7, 4)))
        assert await harness.read(docid("customer", 1)) is None
        assert await harness.read(docid("customer", 7)) is None
        assert await harness.readable(knows(ALL)) == {docid("customer", 2)}
        await sink.close()

    async def test_a_deleted_document_can_come_back(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        await sink.apply(batch(change(1, 2)))
        await sink.apply(batch(change(1, 3, "Hofladen Quitte")))
        found = await has(harness, 1)
        assert found.rev == rev_of(3)
        assert "Apfel" not in str(found.content)
        await sink.close()

    async def test_documents_of_every_type_are_taken(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        changes = [
            changed({**make(doctype), "_id": f"{doctype}-art-{number}{kind}"}, 2 * number + kind + 1)
            for number, doctype in enumerate(TYPES)
            for kind, make in enumerate((smallest, full))
        ]
        await sink.apply(batch(*changes))
        assert await sink.checkpoint() == at(2 * len(TYPES))
        await sink.apply(batch(*(Change(one.id, one.position + 1000, "9-aa", None) for one in changes)))
        for one in changes:
            assert await harness.read(one.id) is None, one.id
        await sink.close()

"""A sink that fails, is down or is killed: of a batch there is all or nothing."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from kompass.domain.examples import docid
from kompass.feed.sink import Change, SinkUnavailableError, TooMuchError
from tests.feed.applying import apply_and_be_killed
from tests.feed.changes import ALL, OWN, at, batch, change, expected, rev_of
from tests.feed.harness import SinkHarness
from tests.feed.odd_documents import Exploding
from tests.feed.sinks import everything, has, knows, opened, with_files


class Faults:
    async def test_a_fault_in_the_midst_leaves_nothing_of_the_batch(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne")))
        before = await everything(harness, 6)
        fault = Change(docid("customer", 4), 5, rev_of(5), Exploding(type="customer"), ALL)
        with pytest.raises(Exception, match=r".*"):  # whatever it raises
            await sink.apply(
                batch(
                    change(1, 3),
                    change(2, 4, "Hofladen Neu", OWN),
                    fault,
                    change(5, 6, "Hofladen Quitte"),
                    people=[knows(OWN, "adm1")],
                )
            )
        assert await everything(harness, 6) == before
        assert await sink.checkpoint() == at(2)
        await sink.apply(batch(change(1, 3), change(5, 6, "Hofladen Quitte")))
        assert await harness.read(docid("customer", 1)) is None
        assert (await has(harness, 5)).rev == rev_of(6)
        await sink.close()

    async def test_while_it_is_down_nothing_is_lost(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        await sink.apply(batch(change(1, 1, "Hofladen Apfel")))
        await harness.break_it()
        for _ in range(2):
            with pytest.raises(SinkUnavailableError) as error:
                await sink.apply(batch(change(1, 2), change(2, 3, "Hofladen Birne")))
            assert str(error.value)
        await harness.mend_it()
        assert await sink.checkpoint() == at(1)
        assert (await has(harness, 1)).rev == rev_of(1)
        await sink.apply(batch(change(1, 2), change(2, 3, "Hofladen Birne")))
        assert await sink.checkpoint() == at(3)
        assert await harness.read(docid("customer", 1)) is None
        assert (await has(harness, 2)).rev == rev_of(3)
        await sink.close()

    async def test_opening_what_is_down_says_so(self, harness: SinkHarness) -> None:
        await harness.break_it()
        sink = harness.make()

        async def open_and_apply() -> None:
            await sink.open()
            await sink.apply(batch(change(1, 1, "Hofladen Apfel")))

        with pytest.raises(SinkUnavailableError):
            await open_and_apply()
        await sink.close()
        await harness.mend_it()
        sink = await opened(harness)
        assert await sink.checkpoint() is None
        await sink.close()

    @pytest.mark.crash
    @pytest.mark.timeout(600)
    async def test_killed_at_any_moment_data_and_checkpoint_agree(self, harness: SinkHarness) -> None:
        await (await opened(harness)).close()
        rounds = int(os.environ.get("KOMPASS_TEST_CRASH_ROUNDS", "4"))
        chance = random.Random(rounds)
        reached = 0
        for number in range(rounds):
            # Every other round waits for batches, however slow they are; else the first may be cut off.
            batches = chance.randrange(1, 4) if number % 2 else 0
            told = await asyncio.to_thread(
                apply_and_be_killed, harness.again, batches, chance.uniform(0.02, 0.6)
            )
            sink = await opened(harness)
            checkpoint = await sink.checkpoint()
            upto = 0 if checkpoint is None else checkpoint.position
            assert upto in {reached + 8 * told, reached + 8 * (told + 1)}, (
                f"round {number}: from {reached} with {told} batches of 8 to {upto}"
            )
            wanted = expected(upto, seed=2)
            for each in range(1, 31):
                found, right = (
                    await harness.read(docid("customer", each)),
                    wanted.get(docid("customer", each)),
                )
                assert (found and (found.rev, found.channels)) == (right and (right.rev, right.channels)), (
                    f"round {number}: customer {each} at {upto}"
                )
            reached = upto
            await sink.close()
        assert reached > 0

    async def test_what_is_too_much_at_once_is_done_in_parts(self, harness: SinkHarness) -> None:
        changes = [with_files(change(number, number, f"Hofladen {number}"), 2) for number in range(1, 4)]
        rounds = 0
        while True:
            sink = harness.make_slow()  # as after a kill: what was worked out before isn't lost
            await sink.open()
            said = ""
            try:
                await sink.apply(batch(*changes))
            except TooMuchError as error:
                said = str(error) or "nothing"
            if not said:
                break
            assert said != "nothing"
            assert await sink.checkpoint() is None
            assert not any((await everything(harness, 3)).values())
            await sink.close()
            rounds += 1
            assert rounds <= 6, "it gets no further"
        await sink.close()
        sink = await opened(harness)
        assert await sink.checkpoint() == at(3)
        assert all((await everything(harness, 3)).values())
        await sink.close()

"""What every sink of the change feed must do: the same tests over each of them.

A sink brings a `SinkHarness` and its line in `test_conformance.py`. The tests know nothing of a sink but the
interface and what the harness reads back.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from kompass.domain.examples import TYPES, docid, full, smallest
from kompass.feed.sink import (
    Batch,
    Change,
    Checkpoint,
    DocumentRejectedError,
    PersonAccess,
    Sink,
    SinkUnavailableError,
    TooMuchError,
)
from tests.feed.applying import apply_and_be_killed
from tests.feed.changes import ALL, OWN, at, batch, change, changed, expected, latest, rev_of, stream
from tests.feed.harness import SinkHarness, Stored
from tests.feed.odd_documents import WRONG, Exploding, broken, sound_but_odd, wrong_everywhere


async def take(sink: Sink, changes: Sequence[Change], checkpoint: Checkpoint) -> dict[str, str]:
    """Applies as a follower does, and gives why documents were left out, by id."""
    try:
        await sink.apply(Batch(changes, checkpoint))
        return {}
    except DocumentRejectedError as error:
        if error.docid not in {one.id for one in changes}:
            raise AssertionError("a document was rejected that nobody gave") from error
        left = [one for one in changes if one.id != error.docid]
        return {error.docid: error.reason} | await take(sink, left, checkpoint)
    except SinkUnavailableError:
        raise
    except Exception as error:
        if len(changes) == 1:
            await sink.apply(Batch((), checkpoint))
            return {changes[0].id: f"{type(error).__name__}: {error}"[:1000]}
        if not changes:
            raise
        half = len(changes) // 2
        before = await sink.checkpoint() or at(0)
        return await take(sink, changes[:half], before) | await take(sink, changes[half:], checkpoint)


class SinkConformance:
    """Derive from it, with a fixture `harness`."""

    # -- applying ------------------------------------------------------------------------------

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

    # -- who reads -----------------------------------------------------------------------------

    async def test_whoever_shares_a_channel_reads_it_and_nobody_else(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        people = [knows(ALL, "innen1"), knows(OWN, "adm1"), knows(frozenset({"own:customer:adm2"}), "adm2")]
        nobody = change(4, 4, "Hofladen Niemand", frozenset())
        await sink.apply(
            batch(
                change(1, 1, "Hofladen Apfel", ALL | OWN),
                change(2, 2, "Hofladen Birne", ALL),
                change(3, 3, "Hofladen Quitte", OWN),
                nobody,
                people=people,
            )
        )
        one, two, three = (docid("customer", number) for number in (1, 2, 3))
        assert await harness.readable(people[0]) == {one, two}
        assert await harness.readable(people[1]) == {one, three}
        assert await harness.readable(people[2]) == set()
        assert await harness.readable(PersonAccess("fremd", True, frozenset(), frozenset())) == set()
        await sink.close()

    async def test_channels_change_without_the_document(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        people = [knows(ALL, "innen1"), knows(OWN, "adm1")]
        await sink.apply(batch(change(1, 1, "Hofladen Apfel", ALL), people=people))
        moved = change(1, 1, "Hofladen Apfel")
        await sink.apply(batch(Change(moved.id, 2, moved.rev, moved.doc, OWN)))
        found = await has(harness, 1)
        assert (found.rev, found.channels) == (rev_of(1), OWN)
        assert await harness.readable(people[0]) == set()
        assert await harness.readable(people[1]) == {moved.id}
        await sink.close()

    async def test_people_gain_and_lose(self, harness: SinkHarness) -> None:
        sink = await opened(harness)
        before = knows(OWN, "adm1")

        async def finds(now: PersonAccess) -> set[str]:
            """With what he held first where the sink must know better, else with what he holds now."""
            return await harness.readable(before if harness.keeps_people else now)

        await sink.apply(
            batch(change(1, 1, "Hofladen Apfel", ALL), change(2, 2, "Hofladen Birne", OWN), people=[before])
        )
        one, two = docid("customer", 1), docid("customer", 2)
        assert await finds(before) == {two}
        gone = PersonAccess("adm1", False, frozenset(), frozenset())
        steps = [(knows(ALL, "adm1"), {one}), (knows(ALL | OWN, "adm1"), {one, two}), (gone, set[str]())]
        for position, (now, found) in enumerate(steps, start=3):
            await sink.apply(batch(position=position, people=[now]))
            assert await finds(now) == found
        await sink.close()

    # -- atomic --------------------------------------------------------------------------------

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
            await asyncio.to_thread(apply_and_be_killed, harness.again, chance.uniform(0.02, 0.6))
            sink = await opened(harness)
            checkpoint = await sink.checkpoint()
            upto = 0 if checkpoint is None else checkpoint.position
            assert upto >= reached, f"round {number}: went back from {reached} to {upto}"
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

    # -- generations ---------------------------------------------------------------------------

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

    # -- documents that break assumptions ------------------------------------------------------

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


def with_files(one: Change, many: int) -> Change:
    """The same with so many attachments, each with content of its own."""
    stubs = {
        f"{number}.txt": {
            "stub": True,
            "digest": f"md5-{one.id}-{number}",
            "length": 18,
            "content_type": "text/plain",
            "revpos": 1,
        }
        for number in range(many)
    }
    return replace(one, doc={**(one.doc or {}), "_attachments": stubs})


def knows(channels: frozenset[str], name: str = "jemand") -> PersonAccess:
    return PersonAccess(name, True, frozenset({"ADM"}), channels)


async def opened(harness: SinkHarness) -> Sink:
    sink = harness.make()
    await sink.open()
    return sink


async def has(harness: SinkHarness, number: int) -> Stored:
    found = await harness.read(docid("customer", number))
    assert found is not None, f"customer {number} isn't there"
    return found


async def everything(harness: SinkHarness, customers: int) -> dict[str, Stored | None]:
    ids = [docid("customer", number) for number in range(1, customers + 1)]
    return {each: await harness.read(each) for each in ids}

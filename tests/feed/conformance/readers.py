"""Who finds what in a sink."""

from __future__ import annotations

from kompass.domain.examples import docid
from kompass.feed.sink import Change, PersonAccess
from tests.feed.changes import ALL, OWN, batch, change, rev_of
from tests.feed.harness import SinkHarness
from tests.feed.sinks import has, knows, opened


class Readers:
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

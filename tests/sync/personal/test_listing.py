"""Ids in the order of a range, as somebody sees them."""

from __future__ import annotations

from itertools import product

from kompass.sync.index import listing
from replication.store.values import KeyRange
from tests.sync.personal.world import World

IDS = ("a", "a1", "b", "c")
BOUNDS = (None, "a", "a\x00", "a1", "b", "b\x00", "c")


def within(span: KeyRange, docid: str) -> bool:
    low, high = (span.end, span.start) if span.descending else (span.start, span.end)
    has_low, has_high = (
        (span.inclusive_end, span.inclusive_start)
        if span.descending
        else (span.inclusive_start, span.inclusive_end)
    )
    return (low is None or docid > low or (has_low and docid == low)) and (
        high is None or docid < high or (has_high and docid == high)
    )


async def test_every_range_has_what_lies_in_it_and_is_his(world: World) -> None:
    for docid in IDS:
        await world.put(docid, readers=["ben"] if docid == "b" else ["ada", "ben"])
    spans = [
        KeyRange(start, end, last, descending, first)
        for start, end in product(BOUNDS, repeat=2)
        for first, last, descending in product((True, False), repeat=3)
    ]
    with world.database.reading() as reading:
        for span, (user, his) in product(spans, (("ada", ("a", "a1", "c")), ("ben", IDS))):
            expected = sorted((one for one in his if within(span, one)), reverse=span.descending)
            assert listing.ids(reading, user, span) == expected, (user, span)

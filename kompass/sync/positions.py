"""Places in one person's feed: `12-3fa9…` and `12:7-3fa9…`.

Most rows stand at the number of a change. What becomes visible, or stops being so, because of a grant
or a revocation stands at that one's number, and within it at a number of its own, so that a reader may go on
in the middle of it. Both together are one integer, which the rest of the server compares, and clients get
as a string that begins with the change's number.
"""

from __future__ import annotations

import re

from replication.protocol.sequences import Epochs

SHIFT = 40
LAST = (1 << SHIFT) - 1
"""The second number of a row that stands at a change itself: behind all that it granted or revoked."""

_WITHIN = re.compile(r'("?)([0-9]{1,15}):([0-9]{1,12})-([0-9a-z]{1,64})("?)')


def position(number: int, within: int = LAST) -> int:
    return (number << SHIFT) | within


def split(place: int) -> tuple[int, int]:
    """(number, within)"""
    return place >> SHIFT, place & LAST


class PersonalEpochs(Epochs):
    """`Epochs` for places instead of numbers."""

    __slots__ = ()

    @classmethod
    def of(cls, epochs: Epochs) -> PersonalEpochs:
        return cls(epochs.all)

    def format(self, number: int) -> str:
        """The place as clients get it."""
        main, within = split(number)
        if within == LAST or main == 0:
            return f"{main}-{self.current}"
        return f"{main}:{within}-{self.current}"

    def resolve(self, since: str, latest: int) -> int:
        """As `Epochs.resolve`, for a place. `latest` is one, too."""
        found = _WITHIN.fullmatch(since)
        if found is not None and found[1] == found[5]:
            number, within = int(found[2]), min(int(found[3]), LAST)
            reached = super().resolve(f"{number}-{found[4]}", latest >> SHIFT)
            return min(position(number, within), latest) if reached == number else position(reached)
        if since in ("now", '"now"'):
            return latest
        return min(position(super().resolve(since, latest >> SHIFT)), latest)

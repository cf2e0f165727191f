"""Sums over documents at work: what each source adds is kept, and each target's document has the sums of
it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kompass.domain import sums
from kompass.domain.changes import Body, Facts
from replication.store.sqlite import Reading

_SCALE = 10_000


class Parts:
    """What sources add, in one transaction."""

    def __init__(self, reading: Reading) -> None:
        self._execute = reading.connection.execute
        self._executemany = reading.connection.executemany

    def put(self, num: int, doc: Body | None, facts: Facts, *, new: bool = False) -> set[str]:
        """A source as it is now, None if it isn't any more. Returns the targets whose sums differ by it."""
        wanted = {} if doc is None else self.wanted(doc, facts)
        stored = {} if new else self.stored(num)
        if wanted == stored:
            return set()
        if stored:
            self._execute("DELETE FROM business_parts WHERE doc = ?", (num,))
        self._executemany(
            "INSERT INTO business_parts VALUES (?, ?, ?, ?)",
            [(num, target, measure, amount) for (target, measure), amount in wanted.items()],
        )
        return {key[0] for key in wanted.keys() | stored.keys() if wanted.get(key, 0) != stored.get(key, 0)}

    def wanted(self, doc: Body, facts: Facts) -> dict[tuple[str, str], int]:
        """(target, measure) -> what a live source has to add."""
        found: dict[tuple[str, str], int] = {}
        for target, measure, amount in sums.parts(doc, facts):
            found[target, measure] = found.get((target, measure), 0) + int(amount * _SCALE)
        return found

    def stored(self, num: int) -> dict[tuple[str, str], int]:
        """The same as it is kept."""
        rows: Any = self._execute("SELECT target, measure, amount FROM business_parts WHERE doc = ?", (num,))
        return {(target, measure): amount for target, measure, amount in rows}

    def sums(self, target: str) -> dict[str, Decimal]:
        """Measure -> the sum of what all sources add to it."""
        rows: Any = self._execute(
            "SELECT measure, sum(amount) FROM business_parts WHERE target = ? GROUP BY measure", (target,)
        )
        return {measure: Decimal(amount) / _SCALE for measure, amount in rows}


def numbers_of(reading: Reading, docids: Iterable[str]) -> dict[str, int]:
    """Live documents' short numbers."""
    found: dict[str, int] = {}
    for docid in docids:
        num = reading.connection.execute("SELECT num FROM docs WHERE id = ? AND NOT deleted", (docid,)).get
        if num is not None:
            found[docid] = num
    return found

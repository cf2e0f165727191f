"""A batch of bookings as it would go out now: what earlier ones haven't, and what is to be told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kompass.accounting.datev.charts import Chart
from kompass.exports.batches import Batch, Batches
from kompass.exports.books import Books
from kompass.exports.datev import File, Period, booking_files, bookings, due
from kompass.exports.unbooked import Problems
from kompass.sync.personal import PersonalDatabase


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to have."""

    period: Period
    chart: Chart
    final: bool = False
    again: bool = False
    """Also what earlier batches have."""


@dataclass(frozen=True, slots=True)
class Draft:
    wish: Wish
    books: str
    after: int
    """The last batch that was known."""
    files: Sequence[File]
    problems: Problems
    booked_before: int
    """Documents that earlier batches have, and this one hasn't."""

    @property
    def days(self) -> tuple[str, str]:
        return self.wish.period.first.isoformat(), self.wish.period.last.isoformat()

    def as_json(self) -> dict[str, Any]:
        first, last = self.days
        return {
            "from": first,
            "to": last,
            "final": self.wish.final,
            "again": self.wish.again,
            "booked_before": self.booked_before,
        }

    def remember(self, batches: Batches, person: str, at: str) -> int | None:
        """Its number; None if there is nothing in it. Blocking. Raises `MeanwhileError`, `BatchesError`."""
        if not self.files:
            return None
        told = [file.as_json() for file in self.files]
        batch = Batch(person, at, *self.days, self.wish.final, self.wish.again, told)
        booked = {docid: line for file in self.files for docid, line in file.booked.items()}
        return batches.add(self.books, batch, booked, after=self.after)


async def draft(view: PersonalDatabase, batches: Batches, books: Books, wish: Wish, now: datetime) -> Draft:
    """Nothing is remembered yet. Raises `UnsoundError`, `BatchesError`."""
    name, problems = books.name(wish.chart), Problems()
    after = await asyncio.to_thread(batches.latest, name)
    found = await bookings(view, wish.period, wish.chart, problems)
    seen = [docid for _, _, docid in found] + [docid for _, docid, _ in problems.told] + [*problems.waiting]
    before = await asyncio.to_thread(batches.before, name, seen)
    problems.out(before)
    wanted = found if wish.again else due(found, before, problems)

    def written() -> list[File]:
        return list(booking_files(wanted, wish.period, books, wish.chart, problems, now, final=wish.final))

    files = await asyncio.to_thread(written)
    return Draft(wish, name, after, files, problems, len(found) - len(wanted))

"""Which backups are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Retention:
    """The latest of as many days, weeks, months; all if nothing is said. The latest of all is always kept."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    @property
    def keeps_all(self) -> bool:
        return not (self.last or self.daily or self.weekly or self.monthly)

    def kept(self, backups: Iterable[tuple[int, datetime]]) -> set[int]:
        """Of backups by number and time those to keep. Days are the local ones of this machine."""
        ordered = sorted(backups, reverse=True)
        numbers = [number for number, _ in ordered]
        if self.keeps_all:
            return set(numbers)
        found = set(numbers[: max(1, self.last)])
        for count, period in (
            (self.daily, lambda at: at.date()),
            (self.weekly, lambda at: at.isocalendar()[:2]),
            (self.monthly, lambda at: (at.year, at.month)),
        ):
            found |= _latest(ordered, count, period)
        return found


def _latest(
    ordered: list[tuple[int, datetime]], count: int, period: Callable[[datetime], object]
) -> set[int]:
    seen: dict[object, int] = {}
    for number, at in ordered:
        seen.setdefault(period(at.astimezone()), number)
    return set(list(seen.values())[:count])

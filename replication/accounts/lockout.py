"""Who failed to log in too often: counts per (address, name), for some minutes, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

Key = tuple[str, str]
"""Address and name."""


class Lockout:
    """Counts failures. Time runs from the first failure; the oldest counts go when there are too many."""

    def __init__(
        self,
        *,
        threshold: int = 5,
        seconds: float = 300,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`threshold`: failures that lock; 0 turns the lockout off."""
        self._threshold = threshold
        self._seconds = seconds
        self._capacity = capacity
        self._clock = clock
        self._failures: OrderedDict[Key, tuple[int, float]] = OrderedDict()

    def set_limits(self, *, threshold: int, seconds: float) -> None:
        """As for a new one. What was counted stays, until the time that held when it began."""
        self._threshold = threshold
        self._seconds = seconds

    def is_locked(self, key: Key) -> bool:
        if not self._threshold:
            return False
        entry = self._failures.get(key)
        if entry is None:
            return False
        if entry[1] <= self._clock():
            del self._failures[key]
            return False
        return entry[0] >= self._threshold

    def failed(self, key: Key) -> None:
        """Counts a failure, or an attempt whose outcome isn't known yet: see `succeeded`."""
        if not self._threshold:
            return
        now = self._clock()
        count, until = self._failures.get(key, (0, now + self._seconds))
        if until <= now:
            count, until = 0, now + self._seconds
            self._failures.pop(key, None)
        self._failures[key] = (count + 1, until)
        while len(self._failures) > self._capacity:
            self._failures.popitem(last=False)

    def succeeded(self, key: Key) -> None:
        """Forgets the failures: the right password has come."""
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._failures)

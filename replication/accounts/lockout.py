"""Who failed to log in too often: counts for some minutes, in bounded memory.

Counted are the failures of a name from one address, as CouchDB does, and, where a threshold says so, those
from one address whatever the name (somebody tries one password on everybody) and those of one name
whatever the address (somebody tries from many machines).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum

Key = tuple[str, str]
"""Address and name; one of them empty in the counts that leave it out."""


class Counted(StrEnum):
    """What has happened."""

    FAILED = "failed"
    ADDRESS_FAILED = "address_failed"
    SUCCEEDED = "succeeded"


class Lockout:
    """Counts failures. Time runs from the first failure; the oldest counts go when there are too many."""

    def __init__(
        self,
        *,
        threshold: int = 5,
        seconds: float = 300,
        address_threshold: int = 0,
        name_threshold: int = 0,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`threshold`: failures of a name from an address that lock; 0 turns the lockout off.

        `address_threshold`, `name_threshold`: those from an address, those of a name; 0: not counted.
        """
        self._threshold = threshold
        self._address_threshold = address_threshold
        self._name_threshold = name_threshold
        self._seconds = seconds
        self._capacity = capacity
        self._clock = clock
        self._failures: OrderedDict[Key, tuple[int, float]] = OrderedDict()
        self.tell: Callable[[Counted, Key], None] = lambda what, key: None
        """Called for what others should count as well who let the same people in: see `count`."""

    def set_limits(self, *, threshold: int, seconds: float) -> None:
        """As for a new one. What was counted stays, until the time that held when it began."""
        self._threshold = threshold
        self._seconds = seconds

    def is_locked(self, key: Key) -> bool:
        return any(self._count(each) >= limit for each, limit in self._counted(key))

    def is_address_locked(self, address: str) -> bool:
        """Whether too much failed from `address`, whatever the name."""
        return self._limits_addresses and self._count((address, "")) >= self._address_threshold

    def failed(self, key: Key) -> None:
        """Counts a failure, or an attempt whose outcome isn't known yet: see `succeeded`."""
        for each, _ in self._counted(key):
            self._add(each)

    def proved_wrong(self, key: Key) -> None:
        """The attempt that was counted has failed."""
        if self._threshold:
            self.tell(Counted.FAILED, key)

    def address_failed(self, address: str) -> None:
        """Counts a failure that names nobody, such as a forged token."""
        if self._limits_addresses:
            self._add((address, ""))
            self.tell(Counted.ADDRESS_FAILED, (address, ""))

    def succeeded(self, key: Key) -> None:
        """The right password has come: forgets what failed for the name from the address, and one attempt.

        What others failed from the address, or at the name from elsewhere, still counts: else whoever has
        an account could go on for ever.
        """
        failed_before = self._count(key) > 1
        self._failures.pop(key, None)
        for each, _ in self._counted(key)[1:]:
            entry = self._failures.get(each)
            if entry is not None:
                self._failures[each] = (max(0, entry[0] - 1), entry[1])
        if failed_before:
            self.tell(Counted.SUCCEEDED, key)

    def count(self, what: Counted, key: Key) -> None:
        """Counts what another one was told."""
        if what is Counted.FAILED:
            self.failed(key)
        elif what is Counted.SUCCEEDED:
            self._failures.pop(key, None)
        elif self._limits_addresses:
            self._add(key)

    @property
    def _limits_addresses(self) -> bool:
        return bool(self._threshold and self._address_threshold)

    def _counted(self, key: Key) -> list[tuple[Key, int]]:
        """The counts that an attempt belongs to, with the limit of each."""
        if not self._threshold:
            return []
        counted = [(key, self._threshold)]
        if self._address_threshold:
            counted.append(((key[0], ""), self._address_threshold))
        if self._name_threshold:
            counted.append((("", key[1]), self._name_threshold))
        return counted

    def _count(self, key: Key) -> int:
        entry = self._failures.get(key)
        if entry is None:
            return 0
        if entry[1] <= self._clock():
            del self._failures[key]
            return 0
        return entry[0]

    def _add(self, key: Key) -> None:
        count = self._count(key)
        until = self._failures[key][1] if count else self._clock() + self._seconds
        self._failures[key] = (count + 1, until)
        while len(self._failures) > self._capacity:
            self._failures.popitem(last=False)

    def __len__(self) -> int:
        return len(self._failures)

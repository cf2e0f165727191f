"""Passwords that were right a moment ago, so that Basic authentication doesn't hash on each request.

Kept is a MAC under a key that lives as long as the process; an entry is found by name and stored hash,
so a new password never meets an old entry.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable


class RememberedPasswords:
    """A bounded memory; the least recently used goes first, and everything after `seconds`."""

    def __init__(
        self,
        *,
        seconds: float = 300,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = secrets.token_bytes(32)
        self._seconds = seconds
        self._capacity = capacity
        self._clock = clock
        self._entries: OrderedDict[tuple[str, str], tuple[bytes, float]] = OrderedDict()

    def digest(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode("utf-8", "surrogatepass"), "sha256")

    def matches(self, name: str, stored: str, digest: bytes) -> bool | None:
        """Whether this is the password remembered; None if none is."""
        key = (name, stored)
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self._clock():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return hmac.compare_digest(entry[0], digest)

    def remember(self, name: str, stored: str, digest: bytes) -> None:
        self._entries[name, stored] = (digest, self._clock() + self._seconds)
        self._entries.move_to_end((name, stored))
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)

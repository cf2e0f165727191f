"""A breaker of circuits: who asks a server that doesn't answer is told so at once, instead of waiting.

After some failures in a row it opens. Then everybody is refused until a pause is over, and one request is
let through to look; when that is answered all is well again, and if not, the next pause is longer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from replication.protocol import errors
from replication.replicator.backoff import pause

FAILURES = 5
LONGEST_PAUSE = 30.0


class Breaker:
    """Of one server. `clock`: seconds that never go back."""

    def __init__(self, shown: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`shown`: the server's address, without credentials."""
        self._shown = shown
        self._clock = clock
        self._failures = 0
        self._closed_at = 0.0
        self._looking_until = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def enter(self) -> None:
        """Before each request. Raises 503 `service_unavailable` with `Retry-After` while it is open."""
        if not self.is_open:
            return
        now = self._clock()
        wait = max(self._closed_at, self._looking_until) - now
        if wait > 0:
            raise self.unavailable(wait)
        # This one looks whether the server is back. If it never tells, another one may look.
        self._looking_until = now + LONGEST_PAUSE

    def succeeded(self) -> None:
        """A request was answered, be it with a refusal."""
        self._failures = 0
        self._closed_at = self._looking_until = 0.0

    def failed(self, asked: float | None = None) -> None:
        """A request was not answered; `asked`: seconds that the server wants to be left alone."""
        self._failures += 1
        self._looking_until = 0.0
        if asked is not None:
            self._failures = max(self._failures, FAILURES)
        if self.is_open:
            self._closed_at = self._clock() + pause(
                self._failures - FAILURES, asked, first=1.0, longest=LONGEST_PAUSE
            )

    def unavailable(self, wait: float | None = None) -> errors.ProtocolError:
        """What a device is told: nothing that it could not know, and when to come back."""
        seconds = max(1, math.ceil(max(self._closed_at - self._clock(), 0.0) if wait is None else wait))
        return errors.unavailable(
            "The database server behind this one doesn't answer at the moment. Try again later.",
            headers={"Retry-After": str(seconds)},
        )

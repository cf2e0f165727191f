"""Counting requests: in memory for one process, or in Redis for all."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from pydantic import SecretStr

SECONDS = 60
AWAY_SECONDS = 5.0
"""For so long a Redis that didn't answer isn't asked again."""
_ANSWERS = 1.0
"""Seconds that one gets."""

log = structlog.get_logger(__name__)


class Standing(NamedTuple):
    """Of somebody who has just asked."""

    allowed: bool
    left: int
    """Requests that he has now."""
    seconds: int
    """After them he has more."""


class Limits:
    """So many requests in any minute: in Redis for all processes, or in memory for this one."""

    def __init__(self, most: int, redis_url: SecretStr | None = None) -> None:
        """`most`: at least 1."""
        self.most = most
        self._item = RateLimitItemPerMinute(most)
        self._here = Window(most)
        self._redis_url = redis_url
        self._shared: MovingWindowRateLimiter | None = None
        self._away_until = -math.inf

    async def ask(self, who: str) -> Standing:
        """Counts a request. Without its Redis each process counts for itself."""
        if self._redis_url is not None and time.monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(2 * _ANSWERS):
                    return await asyncio.to_thread(self._ask_redis, who)
            except Exception as error:
                self._away_until = time.monotonic() + AWAY_SECONDS
                log.warning("Redis counts no requests now, so each process does", error=str(error))
        return self._here.ask(who)

    def _ask_redis(self, who: str) -> Standing:
        if self._shared is None:
            assert self._redis_url is not None
            url = self._redis_url.get_secret_value()
            storage = storage_from_string(
                f"redis+{url}" if url.startswith("unix:") else url,
                key_prefix="kompass-limits",
                socket_connect_timeout=_ANSWERS,
                socket_timeout=_ANSWERS,
            )
            self._shared = MovingWindowRateLimiter(storage)
        allowed = self._shared.hit(self._item, who)
        stats = self._shared.get_window_stats(self._item, who)
        return _standing(allowed, stats.remaining, stats.reset_time - time.time())


class Window:
    """So many requests in any minute, in memory."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: one that is never put back, or whoever has asked would wait until it is where it was."""
        self._most = most
        self._clock = clock
        self._asked: dict[str, deque[float]] = {}
        """When somebody asked, and was allowed to, in the last minute."""
        self._tidied = clock()

    def ask(self, who: str) -> Standing:
        now = self._clock()
        if now >= self._tidied + SECONDS:
            self._tidied = now
            self._asked = {name: times for name, times in self._asked.items() if times[-1] > now - SECONDS}
        times = self._asked.setdefault(who, deque())
        while times and times[0] <= now - SECONDS:
            times.popleft()
        allowed = len(times) < self._most
        if allowed:
            times.append(now)
        return _standing(allowed, self._most - len(times), times[0] + SECONDS - now)


def _standing(allowed: bool, left: int, seconds: float) -> Standing:
    return Standing(allowed, max(left, 0) if allowed else 0, min(max(math.ceil(seconds), 1), SECONDS))

"""Counting requests: in memory for one process, or in Redis for all."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, storage_from_string
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

    def __init__(
        self, most: int, redis_url: SecretStr | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """`most`: at least 1."""
        self.most = most
        self._item = RateLimitItemPerMinute(most)
        self._here = MovingWindowRateLimiter(MemoryStorage())
        self._redis_url = redis_url
        self._shared: MovingWindowRateLimiter | None = None
        self._away_until = 0.0
        self._clock = clock

    async def ask(self, who: str) -> Standing:
        """Counts a request. Without its Redis each process counts for itself."""
        if self._redis_url is not None and self._clock() >= self._away_until:
            try:
                async with asyncio.timeout(2 * _ANSWERS):
                    return await asyncio.to_thread(self._ask_redis, who)
            except Exception as error:
                self._away_until = self._clock() + AWAY_SECONDS
                log.warning("Redis counts no requests now, so each process does", error=str(error))
        return self._asked(self._here, who)

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
        return self._asked(self._shared, who)

    def _asked(self, limiter: MovingWindowRateLimiter, who: str) -> Standing:
        allowed = limiter.hit(self._item, who)
        stats = limiter.get_window_stats(self._item, who)
        seconds = min(max(math.ceil(stats.reset_time - self._clock()), 1), SECONDS)
        return Standing(allowed, max(stats.remaining, 0) if allowed else 0, seconds)

"""How long to wait before trying again.

Full jitter: a random time up to a bound that doubles, so that many clients of a peer that was down
don't come back at once. Written here rather than taken from a retry library because the replicator
decides at three levels (request, run, job) with one rule, obeys the peer's own `Retry-After`, and
counts attempts where they can be shown.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from replication.replicator.failures import PeerUnavailable

T = TypeVar("T")

FIRST = 0.25
LONGEST = 60.0
LONGEST_ASKED = 600.0
"""A peer that wants us to wait longer than this many seconds is asked earlier all the same."""


def pause(
    attempt: int, asked: float | None = None, *, first: float = FIRST, longest: float = LONGEST
) -> float:
    """Seconds to wait after failure number `attempt`, counted from 0."""
    bound = min(longest, first * 2 ** min(attempt, 20))
    jittered = random.uniform(bound / 4, bound)  # noqa: S311 - spreads load, hides nothing
    return jittered if asked is None else max(jittered, min(asked, LONGEST_ASKED))


def always(_: PeerUnavailable) -> bool:
    return True


async def retrying(
    attempt: Callable[[], Awaitable[T]], retries: int, worth: Callable[[PeerUnavailable], bool] = always
) -> T:
    """What `attempt` returns. It is made again, `retries` times at most, while the peer can't be reached.

    `worth`: whether a failure allows another attempt at all.
    """
    number = 0
    while True:
        try:
            return await attempt()
        except PeerUnavailable as error:
            if number >= retries or not worth(error):
                raise
            await asyncio.sleep(pause(number, error.wait))
            number += 1

"""Reading ahead: an object store takes its time for each object, and a disk for some."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_SIDE_BY_SIDE = 8
_AHEAD = 32

T = TypeVar("T")
R = TypeVar("R")


def ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What `work` makes of each, in order; some of them at once, in other threads. Raises what it raises."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()

"""How long a selector may look at one document.

Nobody else is served while a document is compared. Ten thousand conditions, each asked of an array with as
many elements, would stop the server for hours; a clock that conditions look at now and then says when it is
enough.
"""

from __future__ import annotations

import time
from typing import Final

from replication.protocol.mango import errors

MOST: Final = 0.1
"""Seconds of the processor's time for one document."""

_LEAST: Final = 0.001


class Patience:
    """The clock of one selector."""

    __slots__ = ("_began", "_ends")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A document is looked at from now on."""
        self._ends = time.perf_counter() + MOST
        self._began = time.thread_time()

    def check(self) -> None:
        """Raises a 400 `invalid_selector` when this document has taken too long."""
        if time.perf_counter() >= self._ends:
            self.left()

    def left(self) -> float:
        """Seconds that are left. Raises as `check`.

        What others on this machine have used doesn't count.
        """
        left = MOST - (time.thread_time() - self._began)
        if left < _LEAST:
            raise errors.selector_too_slow()
        self._ends = time.perf_counter() + left
        return left

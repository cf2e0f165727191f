"""Whoever writes a generation of an index in the data directory: opened, switched to, discarded."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kompass.search.generations import Generations

T = TypeVar("T")


class GenerationWriter(ABC):
    """See `kompass.feed.sink.Sink` for what its methods promise."""

    def __init__(self, generations: Generations, *, next_generation: bool) -> None:
        self._generations = generations
        self._next = next_generation
        self._generation: Path | None = None
        """The one that is open."""

    @abstractmethod
    def _opened(self) -> object:
        """Opens what isn't: after a failure everything is opened anew. Sets `_generation` to `_begun`."""

    @abstractmethod
    def _let_go(self) -> None:
        """Of everything that is open."""

    @abstractmethod
    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Blocking work; what fails is said as a sink says it."""

    def _begun(self) -> Path:
        return self._generations.begin() if self._next else self._generations.open()

    async def open(self) -> None:
        await self._in_thread(self._opened)

    async def switch(self) -> None:
        def switching() -> None:
            self._opened()
            assert self._generation is not None
            self._generations.switch(self._generation)
            self._next = False

        await self._in_thread(switching)

    async def discard(self) -> None:
        def discarding() -> None:
            generation = self._generation
            self._let_go()
            if generation is not None:
                self._generations.discard(generation)

        await self._in_thread(discarding)

    async def close(self) -> None:
        await asyncio.to_thread(self._let_go)

"""How much of the server's time one person may have: so many of his requests are worked on at once.

The event loop lets everything that can go on go on once before it begins again, so whoever asks two hundred
things at once would have two hundred turns between any two of everybody else's. His others wait, in their
order. Waiting for a change or for a slow client isn't work. Server administrators don't count, nor do people
who have not logged in: for them nothing is done.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType

MOST = 8
"""Requests of one person. A browser has six connections to a server."""


class Workers:
    """Those of one server."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._of: dict[str, _Person] = {}

    def of(self, name: str) -> AbstractAsyncContextManager[None]:
        """A block in which something is done for the person of that name. Never one within another."""
        person = self._of.get(name)
        if person is None:
            person = self._of[name] = _Person(asyncio.Semaphore(self._most))
        return _Work(self._of, name, person)

    def __len__(self) -> int:
        """For how many people something is done."""
        return len(self._of)


class _Person:
    __slots__ = ("asked", "free")

    def __init__(self, free: asyncio.Semaphore) -> None:
        self.free = free
        self.asked = 0
        """Blocks that wait or are under way."""


class _Work:
    __slots__ = ("_name", "_of", "_person")

    def __init__(self, of: dict[str, _Person], name: str, person: _Person) -> None:
        self._of = of
        self._name = name
        self._person = person
        person.asked += 1

    async def __aenter__(self) -> None:
        try:
            await self._person.free.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._person.free.release()
        self._leave()

    def _leave(self) -> None:
        self._person.asked -= 1
        if not self._person.asked:
            del self._of[self._name]


NOBODY: AbstractAsyncContextManager[None] = nullcontext()

"""Waking exactly the people a commit concerns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from contextlib import suppress


class _Waiter:
    __slots__ = ("future", "user")

    def __init__(self, user: str, future: asyncio.Future[None]) -> None:
        self.user = user
        self.future = future


class Wakers:
    """Who waits, and in which channels. Commits come in writing threads, waiting happens in event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[_Waiter]] = {}
        self._channels: dict[str, frozenset[int]] = {}
        self._listeners: dict[int, set[str]] = {}

    def add(self, user: str, channels: Iterable[int]) -> _Waiter:
        """The channels are those he holds at this moment; `wake` with his name when they change."""
        waiter = _Waiter(user, asyncio.get_running_loop().create_future())
        with self._lock:
            self._waiting.setdefault(user, set()).add(waiter)
            held = frozenset(channels)
            before = self._channels.get(user)
            if before != held:
                self._unlisten(user)
                self._channels[user] = held
                for channel in held:
                    self._listeners.setdefault(channel, set()).add(user)
        return waiter

    def remove(self, waiter: _Waiter) -> None:
        with self._lock:
            waiting = self._waiting.get(waiter.user)
            if waiting is not None:
                waiting.discard(waiter)
                if not waiting:
                    del self._waiting[waiter.user]
                    self._unlisten(waiter.user)

    def wake(self, channels: Iterable[int], users: Iterable[str]) -> None:
        with self._lock:
            if not self._waiting:
                return
            people = set(users)
            for channel in channels:
                people |= self._listeners.get(channel, set())
            waiters = [waiter for user in people for waiter in self._waiting.get(user, ())]
        self._release(waiters)

    def wake_all(self) -> None:
        with self._lock:
            waiters = [waiter for waiting in self._waiting.values() for waiter in waiting]
        self._release(waiters)

    def _unlisten(self, user: str) -> None:
        for channel in self._channels.pop(user, ()):
            listeners = self._listeners.get(channel)
            if listeners is not None:
                listeners.discard(user)
                if not listeners:
                    del self._listeners[channel]

    @staticmethod
    def _release(waiters: Iterable[_Waiter]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for waiter in waiters:
            by_loop.setdefault(waiter.future.get_loop(), []).append(waiter.future)
        for loop, futures in by_loop.items():
            with suppress(RuntimeError):  # in a closed loop nobody waits any more
                loop.call_soon_threadsafe(_settle, futures)


def _settle(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)

"""Whose turn it is: a queue in which nobody's work makes everybody else wait behind all of it."""

from __future__ import annotations

from collections import Counter, deque
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Tasks of several owners. Owners take turns, one task each, and have so many under way at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, deque[T]] = {}
        """By owner, the one whose turn is next first."""
        self._running: Counter[str] = Counter()
        self._lock = Lock()

    def put(self, owner: str, task: T) -> None:
        with self._lock:
            self._waiting.setdefault(owner, deque()).append(task)

    def take(self) -> tuple[str, T] | None:
        """The next task and its owner, whom `done` must be told. None if none may begin now."""
        with self._lock:
            for owner in self._waiting:
                if self._running[owner] < self._most:
                    break
            else:
                return None
            tasks = self._waiting.pop(owner)
            task = tasks.popleft()
            if tasks:
                self._waiting[owner] = tasks  # behind all others
            self._running[owner] += 1
            return owner, task

    def done(self, owner: str) -> None:
        with self._lock:
            self._running[owner] -= 1
            if not self._running[owner]:
                del self._running[owner]

    def clear(self) -> list[T]:
        """Takes everything that waits."""
        with self._lock:
            tasks = [task for waiting in self._waiting.values() for task in waiting]
            self._waiting.clear()
            return tasks

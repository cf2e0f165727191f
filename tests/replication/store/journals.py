"""A journal in memory, for copies in one process, that can be made to fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from replication.protocol import errors
from replication.store.sqlite.journal import Entry, Journal, JournalGapError, Turn, check_same


class MemoryJournal(Journal):
    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.first = 1
        """The number of the oldest entry that is kept."""
        self.reachable = True
        self.answers = True
        """Whether an append that succeeded says so."""
        self.page = 3
        self.silent = False
        """Whether nobody hears of entries."""
        self._turn = threading.Lock()
        self._heard: list[Callable[[], None]] = []

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        self._reach()
        with self._turn:
            yield _MemoryTurn(self)

    def head(self) -> int:
        self._reach()
        return self.first + len(self.entries) - 1

    def since(self, num: int, mark: str = "") -> list[Entry]:
        self._reach()
        check_same(num, mark, self.head(), self.entries[-1].mark if self.entries else "")
        if num < self.first - 1:
            raise JournalGapError(f"{num} is too old")
        return self.entries[num + 1 - self.first :][: self.page]

    def forget(self, num: int) -> None:
        """Entries up to `num` aren't kept any more."""
        del self.entries[: num + 1 - self.first]
        self.first = num + 1

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        self._heard.append(heard)
        return lambda: self._heard.remove(heard)

    def add(self, entry: Entry) -> None:
        self._reach()
        assert entry.num == self.head() + 1
        self.entries.append(entry)
        if not self.silent:
            for heard in list(self._heard):
                heard()
        if not self.answers:
            raise errors.unavailable("the answer was lost")

    def _reach(self) -> None:
        if not self.reachable:
            raise errors.unavailable("the journal is away")


class _MemoryTurn(Turn):
    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal

    def since(self, num: int, mark: str = "") -> list[Entry]:
        return self._journal.since(num, mark)

    def append(self, entry: Entry) -> None:
        self._journal.add(entry)

"""One order of commits for a database that several processes keep.

Each process has a file of its own, a copy. A commit takes its turn, brings its copy up to date, runs its
jobs there, and appends what they have changed to the journal; then, and only then, it is done. Every copy
plays the entries in their order, so that all copies have the same rows under the same numbers: sequence
numbers handed out by one are understood by all, and a reader never sees one appear below another that it
was given, whichever copy it asks.

The journal is the truth between copies. A copy that lost its last commits, or its process, lost nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import NamedTuple


class Entry(NamedTuple):
    """What one commit has changed."""

    num: int
    """1 for the first, each one greater by 1 than the one before."""
    changes: bytes
    """A changeset of SQLite's session extension; empty if no row has changed."""
    told: bytes
    """JSON of what can't be seen from the rows: `replication.store.sqlite.copies.Told`."""
    mark: str = ""
    """A random name that no other entry has, also none with this number in a journal that lost its end and
    went on. Empty for one that has none.
    """
    after: str = ""
    """The mark of the entry before."""


class Turn(ABC):
    """The right to append, which one commit at a time has. Methods block; called in writing threads."""

    @abstractmethod
    def since(self, num: int, mark: str = "") -> Iterable[Entry]:
        """What comes after an entry with this mark, to the end, in order. Raises `JournalGapError` if some of
        it isn't kept any more, `JournalForkedError` if the journal's last one has this number and another
        mark, or a smaller number."""

    @abstractmethod
    def append(self, entry: Entry) -> None:
        """Adds the next entry; durable when it returns.

        Raises `ProtocolError`, 503, if that can't be known, or if somebody else has the turn meanwhile. The
        entry may be there all the same, which the next turn tells.
        """


class Journal(ABC):
    """Safe to call from any thread."""

    @abstractmethod
    def turn(self) -> AbstractContextManager[Turn]:
        """Waits for the right to append. Raises `ProtocolError`, 503, if the journal can't be reached or the
        turn doesn't come in time."""

    @abstractmethod
    def head(self) -> int:
        """The number of the last entry, 0 if there is none. Not older than the call. Raises `ProtocolError`,
        503."""

    @abstractmethod
    def since(self, num: int, mark: str = "") -> Iterable[Entry]:
        """What comes after an entry, in order: what is there when it is read, or only the first of it.
        Raises as `Turn.since` does, and `ProtocolError`, 503."""

    @abstractmethod
    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        """`heard` is called, in any thread, soon after an entry was appended by whomever, and when some may
        have been missed. It must not wait. Returns what ends it."""


class JournalGapError(Exception):
    """The journal doesn't go back as far as this copy: another one has to take its place."""


class TablesAheadError(Exception):
    """The journal has gone on to tables, or to entries, that this program doesn't know. The copy is as good
    as it was: a newer program goes on with it."""


class CopyDivergedError(Exception):
    """An entry doesn't fit this copy: something else has changed it. Another one has to take its place."""


class JournalForkedError(CopyDivergedError):
    """The journal has lost entries that this copy has, and may have gone on without them."""


def check_same(num: int, mark: str, head: int, head_mark: str) -> None:
    """Raises `JournalForkedError` if a copy that has an entry can't be one of a journal whose last one is
    `head`.
    """
    if head < num:
        raise JournalForkedError(f"this copy is at entry {num}, the journal ends with {head}")
    if head == num and mark and head_mark and mark != head_mark:
        raise JournalForkedError(f"entry {num} of this copy isn't the one that the journal has")

"""What is backed up: files that show one moment. A data directory is one source; see `directory`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

Progress = Callable[[str, int, int], None]
"""`(what, done, of)`, in bytes."""


def silent(what: str, done: int, of: int) -> None:
    """Nobody looks."""


class SourceFile(ABC):
    """A file as it was at the moment of its snapshot."""

    name: str
    """Below the data directory, with `/`."""
    size: int

    @abstractmethod
    def pieces(self, size: int) -> Iterator[bytes]:
        """Its bytes, in pieces of `size`; the last may be shorter."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    taken: datetime
    server: str
    """The server's uuid."""
    pause: float
    """Seconds for which nobody could write."""
    files: Sequence[SourceFile]


class Source(ABC):
    @abstractmethod
    def snapshot(self, progress: Progress = silent) -> AbstractContextManager[Snapshot]:
        """Everything that has to be kept, as one moment had it. Raises `BackupError`."""

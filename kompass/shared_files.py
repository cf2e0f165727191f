"""What a cluster has to offer for the files of `kompass.sqlfile`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from replication.store.sqlite import Journal


class SharedFiles(ABC):
    """Files that the processes of a cluster have copies of."""

    @abstractmethod
    def journal(self, path: Path, make: Callable[[Path], None]) -> Journal:
        """What the copy at `path` follows, which is there then; `make` makes the first one. Files are told
        apart by their names. Raises `ProtocolError`, 503.
        """

    @abstractmethod
    def save(self, name: str, num: int, file: Path) -> None:
        """Copies begin with this file from now on, which has the entries up to `num`. Earlier ones are
        dropped, but for those that the copies of today may lack. Raises `ProtocolError`, 503.
        """

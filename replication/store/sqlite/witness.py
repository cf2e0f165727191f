"""Another store that has the documents of each commit before anybody is answered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class Witness(ABC):
    """Of one database."""

    @abstractmethod
    def ask(self) -> None:
        """Raises `ProtocolError`, 503, if nothing can be shown to it now: nothing is judged then."""

    @abstractmethod
    def committed(self, numbers: Sequence[int]) -> None:
        """Changes under these numbers are durable here. Called in the writing thread; it mustn't wait."""

    @abstractmethod
    async def has_all(self) -> None:
        """Returns when the other store has what was committed before the call. Raises `ProtocolError`, 503,
        if it can't be shown now; it will be.
        """

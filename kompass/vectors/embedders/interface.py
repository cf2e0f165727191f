"""What an embedder does, whichever it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from kompass.vectors.packing import Vectors


class EmbedderUnavailableError(Exception):
    """It can't answer now. The text says why, for people."""


class EmbedderRefusedError(Exception):
    """It won't take one of these texts, however often it is given. The text says nothing of them."""


class Prefixes(NamedTuple):
    """What a model wants to have before a text, so that it knows what it is."""

    question: str
    passage: str


def prefixes(model: str) -> Prefixes:
    """Those of the family E5; other models want none."""
    return Prefixes("query: ", "passage: ") if _E5.search(model.lower()) else Prefixes("", "")


_E5 = re.compile(r"(?:^|[/_-])e5(?:[_-]|$)")


class Embedder(Protocol):
    """One for a process. Calls are safe beside others."""

    @property
    def name(self) -> str:
        """Which model, and which way of using it: vectors of different names can't be compared."""

    @property
    def weight(self) -> float:
        """How much its order counts against that of the full text (1: as much), as measured."""

    @property
    def at_once(self) -> int:
        """Texts that are best given together."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where its tokens stand in a text, or what comes close to them."""

    async def passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of pieces of documents. Raises `EmbedderUnavailableError` and `EmbedderRefusedError`."""

    async def question(self, text: str) -> Vectors:
        """One row: the vector of what somebody asks. Raises the same."""

    async def close(self) -> None: ...

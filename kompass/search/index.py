"""What an index of the full text answers. Both drivers do, so nobody who asks knows which one it is.

An index is not believed: whatever it names is looked up in the database and judged there before it is shown.
It tells ids, never texts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kompass.access.audiences import Channel
from kompass.feed.sink import Checkpoint
from kompass.search.asking import Question

NAME = "search"
"""Of the sink."""

MOST_FACET_VALUES = 50
"""Values of a facet that are counted, those with most documents."""


class IndexUnavailableError(Exception):
    """Nothing can be answered now. The text says why, for administrators: it may name files and addresses."""


class IndexAbsentError(IndexUnavailableError):
    """There is none yet. The text may be told to everybody."""


@dataclass(frozen=True, slots=True)
class Match:
    """A document that fits."""

    id: str
    base: str
    """The document that people are shown."""
    rev: str
    """The revision that was indexed."""
    type: str
    """What it belongs to is of this type."""


@dataclass(frozen=True, slots=True)
class Found:
    matches: list[Match]
    """One for each base document, in order."""
    total: int
    """Base documents that fit."""
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Facet -> value -> base documents."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an index is."""

    checkpoint: Checkpoint | None
    """None: it is empty."""
    rebuilding: bool
    """Whether a new generation is being built beside it."""


class TextIndex(Protocol):
    """One for a process that reads. Every call is safe beside others, and bounded in time."""

    async def standing(self) -> Standing:
        """Raises `IndexUnavailableError`."""

    async def find(
        self,
        question: Question,
        readable: Collection[Channel],
        *,
        without: Collection[str] = (),
        limit: int = 20,
        offset: int = 0,
        facets: bool = True,
    ) -> Found:
        """What fits of the documents in one of the channels `readable`; everything else isn't there, for
        totals and facets either. `without`: ids of documents that are left out likewise.

        Raises `IndexUnavailableError`.
        """

    def stem(self, word: str) -> str:
        """What it takes a folded word for."""

    async def close(self) -> None: ...


class Meaning(Protocol):
    """Finds by meaning instead of words; see `kompass.vectors`."""

    @property
    def weight(self) -> float:
        """How much its order counts against that of the full text."""

    async def standing(self) -> Standing:
        """Raises `IndexUnavailableError`."""

    async def nearest(
        self,
        question: Question,
        readable: Collection[Channel],
        *,
        without: Collection[str] = (),
        limit: int,
    ) -> list[Match]:
        """What is nearest to the question, of those documents that `TextIndex.find` would look through.

        Raises `IndexUnavailableError`.
        """

    async def inspect(self, docid: str) -> Mapping[str, Any] | None:
        """What it has of a document: `rev`, `allowed` (by a customer's consent), `chunks`, and `attachments`
        with why one could not be read. Raises `IndexUnavailableError`.
        """

    async def close(self) -> None: ...

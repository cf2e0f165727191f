"""What an index of vectors answers, and what is written into it. Both drivers do the same.

As with the full text (`kompass.search.index`) nothing that an index names is believed before it was looked up
in the database, and it tells ids, never texts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from kompass.access.audiences import Channel
from kompass.feed.sink import Checkpoint
from kompass.search.index import Match, Standing
from kompass.vectors.entries import Entry, Kept, Known

NAME = "vectors"
"""Of the sink."""

PIECES_EACH = 8
"""Pieces that are looked at for each document that is wanted."""


@dataclass(frozen=True, slots=True)
class Write:
    """What a batch comes to."""

    entries: Sequence[Entry]
    """Each takes the place of what is there of its document."""
    gone: Sequence[tuple[str, int]]
    """Ids of documents that are no more, and since which position. Nothing but these two stays."""
    stripped: Sequence[str]
    """Ids of documents whose vectors go because the consent has."""
    checkpoint: Checkpoint


class VectorStore(Protocol):
    """One for the process that writes. Everything raises `SinkUnavailableError`.

    Of what `Sink` promises it keeps the first part: a write happens with its checkpoint or not at all.
    """

    async def open(self) -> None: ...

    async def checkpoint(self) -> Checkpoint | None: ...

    async def positions(self, docids: Collection[str]) -> Mapping[str, int]:
        """How new what it has of documents is; those that it has never heard of are left out."""

    async def about(self, customers: Collection[str], *, allowed: bool) -> list[Kept]:
        """Documents about one of these customers that have their vectors, or don't."""

    async def vectors(self, hashes: Collection[bytes], doctypes: Collection[str]) -> Mapping[bytes, bytes]:
        """Vectors of texts that it has, if it can also from the generation that this one is to replace.
        `doctypes`: where it should look, if it can't look everywhere."""

    async def attachments(self, sources: Collection[str]) -> Mapping[str, Known]:
        """What it has of these contents, as with `vectors`."""

    async def write(self, write: Write) -> None: ...

    async def rebuilding(self) -> Self: ...

    async def switch(self) -> None: ...

    async def discard(self) -> None: ...

    async def forget(self) -> None: ...

    async def close(self) -> None: ...


class VectorIndex(Protocol):
    """One for a process that reads. Every call is safe beside others, and bounded in time."""

    async def standing(self) -> Standing:
        """Raises `IndexUnavailableError`."""

    async def nearest(
        self,
        vector: bytes,
        readable: Collection[Channel],
        *,
        filters: Mapping[str, tuple[str, ...]],
        without: Collection[str] = (),
        limit: int = 50,
    ) -> list[Match]:
        """The documents with the nearest pieces, of those in one of the channels `readable`, the nearest
        first, one for each base document.

        Raises `IndexUnavailableError`.
        """

    async def inspect(self, docid: str) -> Mapping[str, Any] | None:
        """What it keeps of a document: for tests, and for whoever looks for a fault."""

    async def close(self) -> None: ...

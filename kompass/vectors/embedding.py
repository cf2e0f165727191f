"""Pieces of texts and their vectors, of which no text is given to the embedder twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from kompass.vectors.chunks import chunked
from kompass.vectors.embedders.interface import Embedder
from kompass.vectors.entries import hash_of
from kompass.vectors.index import VectorStore
from kompass.vectors.passages import Passage

MOST_CHUNKS = 200
"""Of one document, those of its title first, and of one attachment."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text that is to have a vector."""

    place: str
    hash: bytes
    text: str


class Embedding:
    """Cuts texts, and looks up or makes the vectors of the pieces."""

    def __init__(self, store: VectorStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    @property
    def at_once(self) -> int:
        """Texts that the embedder takes together."""
        return self._embedder.at_once

    def pieces(self, passages: Iterable[Passage]) -> list[Piece]:
        """Blocking."""
        found = [
            Piece(place, hash_of(piece), piece)
            for place, text in passages
            for piece in chunked(text, self._embedder.spans)
        ]
        return found[:MOST_CHUNKS]

    async def vectors(self, pieces: Sequence[Piece], doctypes: Collection[str]) -> dict[bytes, bytes]:
        """By hash. A text without direction, as one of blanks, has none.

        `doctypes`: of the documents that they are of. Raises `EmbedderUnavailableError`, and what the store
        raises.
        """
        # Imported here: a server asks which sinks there are, and makes no vectors.
        from kompass.vectors.packing import packed

        texts = {piece.hash: piece.text for piece in pieces}
        found = dict(await self._store.vectors(texts.keys(), doctypes)) if texts else {}
        missing = [name for name in texts if name not in found]
        for at in range(0, len(missing), self._embedder.at_once):
            some = missing[at : at + self._embedder.at_once]
            made = await self._embedder.passages([texts[name] for name in some])
            for name, vector in zip(some, made, strict=True):
                stored = packed(vector)
                if stored is not None:
                    found[name] = stored
        return found

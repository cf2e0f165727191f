"""Entries of the documents of a batch, with the vectors of their texts and attachments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kompass.vectors.attaching import Attaching
from kompass.vectors.drafts import Customers, Draft, allowed
from kompass.vectors.embedding import Embedding
from kompass.vectors.entries import Chunk, Entry


class Preparing:
    """Makes entries of drafts."""

    def __init__(self, embedding: Embedding, attaching: Attaching) -> None:
        self._embedding = embedding
        self._attaching = attaching

    async def entries(self, drafts: Sequence[Draft], customers: Customers) -> list[Entry]:
        """Raises `EmbedderUnavailableError`, `TooMuchError`, and what the store and the originals raise."""
        may = [one for one in drafts if allowed(one, customers)]
        attached = await self._attaching.attached(may)
        pieces = await asyncio.to_thread(
            lambda: {one.id: self._embedding.pieces(one.passages) for one in may}
        )
        doctypes = {one.place.facets["type"] for one in may}
        vectors = await self._embedding.vectors(
            [piece for some in pieces.values() for piece in some], doctypes
        )
        entries = []
        for one in drafts:
            names, chunks = attached.get(one.id, ((), ()))
            own = (
                Chunk(piece.place, piece.hash, vectors[piece.hash])
                for piece in pieces.get(one.id, ())
                if piece.hash in vectors
            )
            entries.append(
                Entry(
                    id=one.id,
                    base=one.place.base,
                    position=one.position,
                    rev=one.rev,
                    channels=one.channels,
                    facets=one.place.facets,
                    about=one.about,
                    allowed=one.id in pieces,
                    shown=one.place.shown if one.id in pieces else "",
                    chunks=(*own, *chunks),
                    attached=tuple(names),
                )
            )
        return entries

"""A question by meaning: the embedder makes a vector of it, and the index finds what is nearest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kompass.access.audiences import Channel
from kompass.search.asking import Question
from kompass.search.index import IndexUnavailableError, Match, Standing
from kompass.vectors.embedders.interface import (
    Embedder,
    EmbedderRefusedError,
    EmbedderUnavailableError,
)
from kompass.vectors.index import VectorIndex
from kompass.vectors.passages import clean


class VectorMeaning:
    """See `kompass.search.index.Meaning`."""

    def __init__(self, index: VectorIndex, embedder: Embedder) -> None:
        self.index = index
        self._embedder = embedder

    @property
    def weight(self) -> float:
        return self._embedder.weight

    async def standing(self) -> Standing:
        return await self.index.standing()

    async def nearest(
        self,
        question: Question,
        readable: Collection[Channel],
        *,
        without: Collection[str] = (),
        limit: int,
    ) -> list[Match]:
        text = clean(question.text)
        if not text or not readable:
            return []
        try:
            made = await self._embedder.question(text)
        except (EmbedderUnavailableError, EmbedderRefusedError) as error:
            raise IndexUnavailableError(str(error)) from error
        # Imported here: a server has numpy in memory once somebody has asked so (15 MB).
        from kompass.vectors.packing import packed

        vector = packed(made[0])
        if vector is None:
            return []
        return await self.index.nearest(
            vector, readable, filters=question.filters, without=without, limit=limit
        )

    async def inspect(self, docid: str) -> Mapping[str, Any] | None:
        return await self.index.inspect(docid)

    async def close(self) -> None:
        await self.index.close()
        await self._embedder.close()

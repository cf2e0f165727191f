"""What of the attachments of a batch of documents goes into the index: what is known already, and what has to
be read.

Reading is bounded in time. What doesn't fit waits for the next attempt, which finds what this one has read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kompass.feed.sink import TooMuchError
from kompass.vectors.attachments import PASSING, Attachments, Refused, Stub, stubs
from kompass.vectors.drafts import Draft
from kompass.vectors.embedding import Embedding, Piece
from kompass.vectors.entries import Attached, Chunk, Known
from kompass.vectors.index import VectorStore
from kompass.vectors.passages import Passage, clean, place_of
from kompass.vectors.readings import Readings

READING = "reading attachments"

SECONDS = 5.0
"""For which attachments are read in one go; one that was begun is read to its end."""

KEEP_SECONDS = 1.0
"""What was read longer ago is kept before anything else is read."""


@dataclass(frozen=True, slots=True)
class _Read:
    draft: Draft
    source: str
    problem: str
    pieces: Sequence[Piece]


class Attaching:
    """See the module."""

    def __init__(
        self,
        store: VectorStore,
        attachments: Attachments,
        readings: Readings,
        embedding: Embedding,
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._store = store
        self._attachments = attachments
        self._readings = readings
        self._embedding = embedding
        self._seconds = seconds

    async def attached(self, drafts: Sequence[Draft]) -> dict[str, tuple[list[Attached], list[Chunk]]]:
        """Of each document that has some, its attachments and their pieces.

        Raises `TooMuchError`: then at least one more of them has been read, and it is kept. Raises what the
        store, the originals and the embedder raise.
        """
        wanted = {one.id: found for one in drafts if (found := list(stubs(one.doc)))}
        if not wanted:
            return {}
        known = await self._known({stub.source for found in wanted.values() for stub in found})
        refused = await self._read([one for one in drafts if one.id in wanted], wanted, known)
        answer: dict[str, tuple[list[Attached], list[Chunk]]] = {}
        for docid, found in wanted.items():
            there = [(stub, known[stub.source]) for stub in found if stub.source in known]
            not_there = [stub for stub in found if (docid, stub.refused) in refused]
            if there or not_there:
                attached = [Attached(stub.name, stub.source, one.problem) for stub, one in there]
                attached += [
                    Attached(stub.name, stub.refused, refused[docid, stub.refused].problem)
                    for stub in not_there
                    if stub.source not in known
                ]
                answer[docid] = (
                    attached,
                    [
                        Chunk(place_of(stub.name), name, vector, stub.source)
                        for stub, one in there
                        for name, vector in one.pieces
                    ],
                )
        return answer

    async def _known(self, sources: set[str]) -> dict[str, Known]:
        """Without those that are to be tried again."""
        known = {**await self._store.attachments(sources), **await self._readings.known(sources)}
        passing = {source for source, one in known.items() if one.problem in PASSING}
        again = passing - await self._readings.resting(passing) if passing else set()
        return {source: one for source, one in known.items() if source not in again}

    async def _read(
        self, drafts: Sequence[Draft], wanted: Mapping[str, Sequence[Stub]], known: dict[str, Known]
    ) -> dict[tuple[str, str], Known]:
        """Adds to `known` what isn't. Gives what the server doesn't give out, by document and `refused`."""
        refused: dict[tuple[str, str], Known] = {}
        began = kept = time.monotonic()
        some = False
        pending: dict[str, _Read] = {}
        for one in drafts:
            for stub in wanted[one.id]:
                if stub.source in known or stub.source in pending:
                    continue
                now = time.monotonic()
                late = some and now - began >= self._seconds
                many = sum(len(each.pieces) for each in pending.values()) >= self._embedding.at_once
                if late or many or now - kept >= KEEP_SECONDS:
                    known |= await self._keep(pending)
                    pending, kept = {}, now
                if late:
                    raise TooMuchError(READING)
                extracted = await self._attachments.read(one.id, one.rev, stub)
                if extracted is None:
                    continue
                if isinstance(extracted, Refused):
                    refused[one.id, stub.refused] = Known(extracted.problem, ())
                    continue
                some = True
                passage = Passage(place_of(stub.name), clean(extracted.text))
                pieces = await asyncio.to_thread(self._embedding.pieces, [passage])
                pending[stub.source] = _Read(one, stub.source, extracted.problem, pieces)
        known |= await self._keep(pending)
        if refused:
            await self._readings.keep(refused)
        return refused

    async def _keep(self, read: Mapping[str, _Read]) -> dict[str, Known]:
        """Makes the vectors, and keeps them."""
        if not read:
            return {}
        doctypes = {one.draft.place.facets["type"] for one in read.values()}
        vectors = await self._embedding.vectors(
            [piece for one in read.values() for piece in one.pieces], doctypes
        )
        found = {
            source: Known(
                one.problem,
                tuple((each.hash, vectors[each.hash]) for each in one.pieces if each.hash in vectors),
            )
            for source, one in read.items()
        }
        await self._readings.keep({(read[source].draft.id, source): one for source, one in found.items()})
        return found

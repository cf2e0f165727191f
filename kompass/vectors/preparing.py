"""What becomes of a batch of changes: whose vectors may be made, which texts they are made of, and the
vectors themselves, of which no text is given to the embedder twice."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kompass.access.audiences import Channel
from kompass.domain.changes import Body, NoFacts
from kompass.domain.consent import Purpose, may_process_about, named_customer
from kompass.feed.sink import Change
from kompass.search.entries import Place, placed
from kompass.vectors.chunks import chunked
from kompass.vectors.embedders.interface import Embedder, packed
from kompass.vectors.entries import Chunk, Entry, Kept, hash_of
from kompass.vectors.index import VectorStore
from kompass.vectors.passages import Passage, passages

CUSTOMER = "customer"
MOST_CHUNKS = 200
"""Of one document, those of its title first."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that is searched, as it has been read."""

    id: str
    position: int
    rev: str
    channels: frozenset[Channel]
    doc: Mapping[str, Any]
    place: Place
    passages: tuple[Passage, ...]

    @property
    def about(self) -> str | None:
        """The customer that it is or that it is about."""
        if self.place.doctype == CUSTOMER:
            return self.id
        named = named_customer(self.doc)
        return named if isinstance(named, str) else None


def draft(
    docid: str, position: int, rev: str, channels: frozenset[Channel], doc: Mapping[str, Any]
) -> Draft | None:
    """None for a document of a type that isn't searched."""
    place = placed(docid, doc)
    if place is None:
        return None
    read = {name: doc[name] for name in doc}
    return Draft(docid, position, rev, channels, read, place, tuple(passages(read, place.searched)))


def drafted(changes: Sequence[Change]) -> list[Draft | None]:
    """Of each what is to be embedded; None for what is deleted or isn't searched."""
    return [
        None
        if change.doc is None
        else draft(change.id, change.position, change.rev, change.channels, change.doc)
        for change in changes
    ]


def again(kept: Iterable[Kept], originals: Mapping[str, Mapping[str, Any]]) -> list[Draft]:
    """Documents that may come in now. One that has another revision by now is on its way."""
    found = []
    for one in kept:
        doc = originals.get(one.id)
        if doc is not None and doc.get("_rev") == one.rev:
            found.append(draft(one.id, one.position, one.rev, one.channels, doc))
    return [one for one in found if one is not None]


class Customers(NoFacts):
    """The customers of a batch, for the rules about consent."""

    def __init__(self, known: Mapping[str, Body]) -> None:
        self._known = known

    def document(self, docid: str) -> Body | None:  # type: ignore[override]
        return self._known.get(docid)


def allowed(one: Draft, customers: Customers) -> bool:
    return may_process_about(Purpose.AI, one.doc, customers)


class Preparing:
    """Makes entries of drafts."""

    def __init__(self, store: VectorStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    async def entries(self, drafts: Sequence[Draft], customers: Customers) -> list[Entry]:
        """Raises `EmbedderUnavailableError` and what the store raises."""
        may = [allowed(one, customers) for one in drafts]
        pieces = await asyncio.to_thread(
            lambda: [self._pieces(one) if so else () for one, so in zip(drafts, may, strict=True)]
        )
        texts = {hash_of(piece.text): piece.text for each in pieces for piece in each}
        vectors = await self._vectors(texts)
        found = []
        for one, so, each in zip(drafts, may, pieces, strict=True):
            chunks = []
            for piece in each:
                name = hash_of(piece.text)
                vector = vectors.get(name)
                if vector is not None:
                    chunks.append(Chunk(piece.place, name, vector))
            found.append(
                Entry(
                    id=one.id,
                    base=one.place.base,
                    position=one.position,
                    rev=one.rev,
                    channels=one.channels,
                    facets=one.place.facets,
                    about=one.about,
                    allowed=so,
                    shown=one.place.shown if so else "",
                    chunks=tuple(chunks),
                )
            )
        return found

    def _pieces(self, one: Draft) -> tuple[Passage, ...]:
        found: list[Passage] = []
        for place, text in one.passages:
            found += [Passage(place, piece) for piece in chunked(text, self._embedder.spans)]
        return tuple(found[:MOST_CHUNKS])

    async def _vectors(self, texts: Mapping[bytes, str]) -> dict[bytes, bytes]:
        """By hash. A text without direction, as one of blanks, has none."""
        found = dict(await self._store.vectors(texts.keys()))
        missing = [name for name in texts if name not in found]
        for at in range(0, len(missing), self._embedder.at_once):
            some = missing[at : at + self._embedder.at_once]
            made = await self._embedder.passages([texts[name] for name in some])
            for name, vector in zip(some, made, strict=True):
                stored = packed(vector)
                if stored is not None:
                    found[name] = stored
        return found


def named(drafts: Collection[Draft]) -> set[str]:
    """Customers whose consent has to be known."""
    return {one.about for one in drafts if one.about is not None and one.place.doctype != CUSTOMER}

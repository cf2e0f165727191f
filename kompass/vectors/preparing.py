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
from kompass.vectors.attachments import Attachments, stubs
from kompass.vectors.chunks import chunked
from kompass.vectors.embedders.interface import Embedder, packed
from kompass.vectors.entries import Attached, Chunk, Entry, Kept, Known, hash_of
from kompass.vectors.index import VectorStore
from kompass.vectors.passages import Passage, clean, passages, place_of

CUSTOMER = "customer"
MOST_CHUNKS = 200
"""Of one document, those of its title first, and of one attachment."""


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


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text that is to have a vector, or of an attachment and has one already."""

    place: str
    hash: bytes
    text: str = ""
    vector: bytes | None = None
    source: str | None = None


class Preparing:
    """Makes entries of drafts."""

    def __init__(self, store: VectorStore, embedder: Embedder, attachments: Attachments) -> None:
        self._store = store
        self._embedder = embedder
        self._attachments = attachments

    async def entries(self, drafts: Sequence[Draft], customers: Customers) -> list[Entry]:
        """Raises `EmbedderUnavailableError`, and what the store and the originals raise."""
        may = [one for one in drafts if allowed(one, customers)]
        pieces = await asyncio.to_thread(lambda: {one.id: self._pieces(one.passages) for one in may})
        attached = await self._attached(may)
        for docid, (_, more) in attached.items():
            pieces[docid] = [*pieces[docid], *more]
        doctypes = {one.place.facets["type"] for one in may}
        vectors = await self._vectors([piece for some in pieces.values() for piece in some], doctypes)
        return [
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
                chunks=tuple(
                    Chunk(piece.place, piece.hash, vectors[piece.hash], piece.source)
                    for piece in pieces.get(one.id, ())
                    if piece.hash in vectors
                ),
                attached=tuple(attached[one.id][0]) if one.id in attached else (),
            )
            for one in drafts
        ]

    def _pieces(self, passages: Iterable[Passage], source: str | None = None) -> list[Piece]:
        found = [
            Piece(place, hash_of(piece), piece, source=source)
            for place, text in passages
            for piece in chunked(text, self._embedder.spans)
        ]
        return found[:MOST_CHUNKS]

    async def _attached(self, drafts: Sequence[Draft]) -> dict[str, tuple[list[Attached], list[Piece]]]:
        """Of each document that has some, its attachments and their pieces."""
        wanted = {one.id: found for one in drafts if (found := list(stubs(one.doc)))}
        sources = {stub.source for found in wanted.values() for stub in found}
        known = dict(await self._store.attachments(sources)) if sources else {}
        answer: dict[str, tuple[list[Attached], list[Piece]]] = {}
        for one in drafts:
            attached: list[Attached] = []
            pieces: list[Piece] = []
            for stub in wanted.get(one.id, ()):
                place = place_of(stub.name)
                if stub.source in known:
                    problem, there = known[stub.source].problem, known[stub.source].pieces
                    pieces += [Piece(place, name, "", vector, stub.source) for name, vector in there]
                else:
                    extracted = await self._attachments.read(one.id, one.rev, stub)
                    if extracted is None:
                        continue
                    problem, passage = extracted.problem, Passage(place, clean(extracted.text))
                    if problem:
                        known[stub.source] = Known(problem, ())  # to find that out again may take long
                    pieces += await asyncio.to_thread(self._pieces, [passage], stub.source)
                attached.append(Attached(stub.name, stub.source, problem))
            if attached:
                answer[one.id] = attached, pieces
        return answer

    async def _vectors(self, pieces: Sequence[Piece], doctypes: Collection[str]) -> dict[bytes, bytes]:
        """By hash. A text without direction, as one of blanks, has none."""
        found = {piece.hash: piece.vector for piece in pieces if piece.vector is not None}
        texts = {piece.hash: piece.text for piece in pieces if piece.hash not in found}
        found |= await self._store.vectors(texts.keys(), doctypes)
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

"""A document as an index of vectors has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from kompass.access.audiences import Channel


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text."""

    place: str
    """Where it stands: see `kompass.vectors.passages.Passage`."""
    hash: bytes
    """Of its text: the same text has the same vector."""
    vector: bytes
    """See `kompass.vectors.packing.packed`."""
    source: str | None = None
    """The attachment that it was read from: see `Attached`."""


@dataclass(frozen=True, slots=True)
class Attached:
    """An attachment that was looked at."""

    name: str
    source: str
    """Of its content: the same source has the same pieces."""
    problem: str = ""
    """Why nothing of it could be read; empty if it could, or there is no text in its kind."""


@dataclass(frozen=True, slots=True)
class Known:
    """What an index has of the content of an attachment."""

    problem: str
    pieces: tuple[tuple[bytes, bytes], ...]
    """Hash and vector of each, in order."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One document. Texts aren't kept, only what they are near to."""

    id: str
    base: str
    """The document that people are shown: itself, or what it is a companion or a card of."""
    position: int
    rev: str
    channels: frozenset[Channel]
    facets: Mapping[str, str]
    about: str | None
    """The customer whose consent decides about it."""
    allowed: bool
    """Whether it is there. If it isn't, there is no chunk and no title."""
    shown: str = ""
    """Its title as it is written, for whoever looks into an index; nobody is shown it from there."""
    chunks: tuple[Chunk, ...] = ()
    attached: tuple[Attached, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What an index says of a document whose customer's consent has changed."""

    id: str
    position: int
    rev: str
    channels: frozenset[Channel]


def hash_of(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

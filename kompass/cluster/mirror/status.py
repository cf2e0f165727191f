"""What is known of the documents' way to CouchDB, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

MOST_NAMED = 100


class Refused(NamedTuple):
    """A revision that the other side didn't take."""

    id: str
    rev: str
    reason: str


@dataclass(frozen=True, slots=True)
class Shown:
    """Since the process has begun."""

    documents: int = 0
    problem: str | None = None
    """Why nothing can be shown at the moment."""
    refused: tuple[Refused, ...] = ()
    """The latest ones."""

    def took(self, documents: int, refused: Sequence[Refused]) -> Shown:
        return Shown(self.documents + documents, None, (*self.refused, *refused)[-MOST_NAMED:])

    def failed(self, problem: str) -> Shown:
        return replace(self, problem=problem)


@dataclass(frozen=True, slots=True)
class Strange:
    """What was found in CouchDB that nobody here has written."""

    taken: int = 0
    refused: tuple[Refused, ...] = ()
    """The latest ones, for an administrator to decide about."""

    def took(self, documents: int) -> Strange:
        return replace(self, taken=self.taken + documents)

    def refused_one(self, one: Refused) -> Strange:
        return replace(self, refused=(*self.refused, one)[-MOST_NAMED:])

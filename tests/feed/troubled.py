"""Sinks that can't do all they are given."""

from __future__ import annotations

from pathlib import Path

from kompass.feed.sink import Batch, DocumentRejectedError, SinkUnavailableError, TooMuchError
from tests.feed.reference import ReferenceSink


class Picky(ReferenceSink):
    """Can't store customers of some names."""

    def __init__(self, directory: Path, *, by_name: bool = False, next_generation: bool = False) -> None:
        super().__init__(directory, next_generation=next_generation)
        self.by_name = by_name
        self.refuses = True
        self.tried = 0

    async def apply(self, batch: Batch) -> None:
        self.refuse(batch)
        await super().apply(batch)

    def refuse(self, batch: Batch) -> None:
        for change in batch.changes:
            if (
                self.refuses
                and change.type == "customer"
                and change.doc
                and change.doc["companyName"] == "Gift"
            ):
                self.tried += 1
                if self.by_name:
                    raise DocumentRejectedError(change.id, "it is poison")
                raise RuntimeError("poison")


class Slow(Picky):
    """Reads one document at a time, which takes it long, and keeps what it has read."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.read: list[str] = []
        self.at: list[int] = []
        self.wanted: set[str] = set()
        self.given: list[str] = []

    async def apply(self, batch: Batch) -> None:
        self.refuse(batch)
        unread = [one for one in batch.changes if one.type == "customer" and one.id not in self.read]
        if unread:
            self.read.append(unread[0].id)
            raise TooMuchError("reading slowly")
        await super().apply(batch)
        self.given += (one.id for one in batch.changes)
        self.wanted.difference_update(self.given)
        self.at.append(batch.checkpoint.position)

    async def due(self) -> set[str]:
        return self.wanted


class Full(ReferenceSink):
    """Opens, and stores nothing."""

    async def apply(self, batch: Batch) -> None:
        raise SinkUnavailableError("the disk is full")

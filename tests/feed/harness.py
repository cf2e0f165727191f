"""What a sink brings so that the tests of all sinks can be asked of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from kompass.feed.sink import PersonAccess, Sink


@dataclass(frozen=True)
class Stored:
    """What a sink has of a document."""

    rev: str
    channels: frozenset[str]
    content: object
    """Everything else it keeps of it, comparable with `==`: rows, fields of an index. Of a customer the text
    of `companyName` occurs in `str(content)`."""


class SinkHarness(ABC):
    """A place for one sink, empty at first, and another way to look into it than the sink itself."""

    keeps_people = False
    """Whether it stores `Batch.people`."""

    @property
    @abstractmethod
    def again(self) -> tuple[str, str]:
        """How another process makes a sink on this place: `module:function` and the text it is given."""

    @abstractmethod
    def make(self) -> Sink:
        """A sink on this place, not opened. Each call gives another object on the same data."""

    def make_slow(self) -> Sink:
        """Another one, with attachments for every stub, that does the least it can at once. As `make` where
        nothing is ever too much."""
        return self.make()

    @abstractmethod
    async def read(self, docid: str) -> Stored | None:
        """What readers find of a document, now, in the generation that is read."""

    @abstractmethod
    async def readable(self, person: PersonAccess) -> set[str]:
        """Ids that somebody finds. Where people are kept, only the name counts."""

    @abstractmethod
    async def break_it(self) -> None:
        """What lies behind the sink can't be reached, or can't store, until `mend_it`."""

    @abstractmethod
    async def mend_it(self) -> None: ...

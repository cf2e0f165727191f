"""The embedded index for the tests of all sinks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kompass.feed.sink import PersonAccess, Sink
from kompass.search.asking import MOST_LIMIT, question
from kompass.search.embedded.reader import EmbeddedIndex
from kompass.search.embedded.sink import EmbeddedSink
from kompass.search.index import IndexUnavailableError
from tests.feed.harness import SinkHarness, Stored


def at(directory: str) -> Sink:
    return EmbeddedSink(Path(directory))


class DirectoryHarness(SinkHarness):
    """Breaks a sink by taking its directory away: a disk that is gone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def break_it(self) -> None:
        if self._directory.exists():
            self._directory.rename(self._away)
        self._directory.write_text("not a directory")

    async def mend_it(self) -> None:
        self._directory.unlink()
        if self._away.exists():
            self._away.rename(self._directory)

    @property
    def _away(self) -> Path:
        return self._directory.with_name("away")


class EmbeddedHarness(DirectoryHarness):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "search")
        self._index = EmbeddedIndex(self._directory)

    @property
    def again(self) -> tuple[str, str]:
        return "tests.search.embedded:at", str(self._directory)

    def make(self) -> Sink:
        return EmbeddedSink(self._directory)

    async def read(self, docid: str) -> Stored | None:
        try:
            found = await self._index.inspect(docid)
        except IndexUnavailableError:
            return None
        if found is None:
            return None
        return Stored(found["rev"], frozenset(found["channels"]), (found["title"], found["base"]))

    async def readable(self, person: PersonAccess) -> set[str]:
        found = await self._index.find(question(""), person.channels, limit=MOST_LIMIT)
        assert found.total == len(found.matches) == sum(found.facets["type"].values())
        return {match.id for match in found.matches}


@asynccontextmanager
async def harness(directory: Path) -> AsyncIterator[SinkHarness]:
    yield EmbeddedHarness(directory)

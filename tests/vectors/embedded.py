"""The embedded index of vectors for the tests of all sinks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import apsw

from kompass.feed.sink import PersonAccess, Sink
from kompass.search.asking import question
from kompass.search.index import IndexUnavailableError
from kompass.vectors.attaching import SECONDS
from kompass.vectors.embedded import schema
from kompass.vectors.embedded.reader import EmbeddedVectors
from kompass.vectors.embedded.store import EmbeddedStore
from kompass.vectors.embedders.packaged import NAME, PackagedEmbedder
from kompass.vectors.meaning import VectorMeaning
from kompass.vectors.originals import Document, Originals, ServerOriginals
from kompass.vectors.readings import Readings
from kompass.vectors.sink import VectorSink
from tests.feed.harness import SinkHarness, Stored
from tests.search.embedded import DirectoryHarness


class Documents:
    """What a server has, for a test; see `kompass.vectors.originals.Originals`."""

    def __init__(self, documents: Mapping[str, Document] | None = None) -> None:
        self.there = dict(documents or {})
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def documents(self, ids: Collection[str]) -> Mapping[str, Document]:
        self.asked += ids
        return {docid: self.there[docid] for docid in ids if docid in self.there}

    async def attachment(self, docid: str, rev: str, name: str) -> bytes | None:
        self.asked.append(name)
        return self.files.get(name)

    async def close(self) -> None: ...


class AnyFile(Documents):
    """Has every attachment that it is asked for, as a text that says what it is called."""

    async def attachment(self, docid: str, rev: str, name: str) -> bytes | None:
        self.asked.append(f"{docid}/{name}")
        return f"Was in {name} steht".encode()


class SlowFile(AnyFile):
    """Takes a while, and writes down in a file of the directory what it was asked for."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.asked_in = directory / "asked"

    async def attachment(self, docid: str, rev: str, name: str) -> bytes | None:
        with self.asked_in.open("a") as file:
            file.write(f"{docid}/{name}\n")
        await asyncio.sleep(0.1)
        return await super().attachment(docid, rev, name)


@cache
def embedder() -> PackagedEmbedder:
    """One for all tests of a process: to read the model takes half a second."""
    return PackagedEmbedder()


def originals() -> Originals:
    """Of the server that KOMPASS_TEST_FEED_SERVER names (`URL SECRET`), where a test has one."""
    url, _, secret = os.environ.get("KOMPASS_TEST_FEED_SERVER", "").partition(" ")
    return ServerOriginals(url, secret) if url else Documents()


def make(directory: Path, documents: Originals | None = None, *, seconds: float = SECONDS) -> VectorSink:
    store, readings = EmbeddedStore(directory, NAME), Readings(directory, NAME)
    return VectorSink(store, embedder(), documents or originals(), readings, seconds=seconds)


def at(directory: str) -> Sink:
    return make(Path(directory))


def slow_at(directory: str) -> Sink:
    return make(Path(directory), SlowFile(Path(directory)), seconds=0)


class EmbeddedHarness(DirectoryHarness):
    """Breaks the index also by keeping others from writing what they have open."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "vectors")
        self._index = EmbeddedVectors(self._directory, NAME)
        self._meaning = VectorMeaning(self._index, embedder())
        self._locks: list[apsw.Connection] = []

    @property
    def again(self) -> tuple[str, str]:
        return "tests.vectors.embedded:at", str(self._directory)

    def make(self) -> Sink:
        return make(self._directory)

    def make_slow(self) -> Sink:
        return make(self._directory, AnyFile(), seconds=0)

    async def read(self, docid: str) -> Stored | None:
        try:
            found = await self._index.inspect(docid)
        except IndexUnavailableError:
            return None
        if found is None:
            return None
        content = (found["title"], found["base"], found["allowed"], found["chunks"])
        return Stored(found["rev"], frozenset(found["channels"]), content)

    async def readable(self, person: PersonAccess) -> set[str]:
        found = await self._meaning.nearest(question("Hofladen"), person.channels, limit=50)
        return {match.id for match in found}

    async def break_it(self) -> None:
        for file in self._directory.glob(f"*/{schema.FILE}"):
            lock = apsw.Connection(str(file))
            lock.execute("BEGIN IMMEDIATE")
            self._locks.append(lock)
        await super().break_it()

    async def mend_it(self) -> None:
        await super().mend_it()
        for lock in self._locks:
            lock.execute("ROLLBACK")
            lock.close()
        self._locks.clear()

    async def close(self) -> None:
        await self._meaning.close()


@asynccontextmanager
async def harness(directory: Path) -> AsyncIterator[SinkHarness]:
    one = EmbeddedHarness(directory)
    try:
        yield one
    finally:
        await one.close()

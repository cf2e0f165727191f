"""The MeiliSearch index for the tests of all sinks: over the contract, or a real server if one is named."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import httpx

from kompass.feed.sink import PersonAccess, Sink
from kompass.search.asking import MOST_LIMIT, question
from kompass.search.index import IndexUnavailableError
from kompass.search.meilisearch.client import MeiliClient, index_path
from kompass.search.meilisearch.reader import MeiliIndex
from kompass.search.meilisearch.sink import MeiliSink, beside
from tests.feed.harness import SinkHarness, Stored
from tests.in_process import serving
from tests.needs import MEILI_URL
from tests.search.meili_contract import KEY, MeiliContract
from tests.search.outage import Outage

Place = tuple[str, str, str]
"""Address of a server, its key, name of an index."""


def at(place: str) -> Sink:
    url, key, index = place.split(" ")
    return MeiliSink(url, key, index)


class MeiliHarness(SinkHarness):
    def __init__(self, place: Place, outage: Outage) -> None:
        self._place = place
        self._outage = outage
        self._index = MeiliIndex(*place)

    @property
    def again(self) -> tuple[str, str]:
        return "tests.search.meili:at", " ".join(self._place)

    def make(self) -> Sink:
        return MeiliSink(*self._place)

    async def read(self, docid: str) -> Stored | None:
        found = await self._index.inspect(docid)
        if found is None:
            return None
        return Stored(found["rev"], frozenset(found["channels"]), (found["shown"], found["base"]))

    async def readable(self, person: PersonAccess) -> set[str]:
        try:
            found = await self._index.find(question(""), person.channels, limit=MOST_LIMIT)
        except IndexUnavailableError:
            return set()
        assert found.total == len(found.matches) == sum(found.facets["type"].values())
        return {match.id for match in found.matches}

    async def break_it(self) -> None:
        self._outage.broken = True

    async def mend_it(self) -> None:
        self._outage.broken = False

    async def aclose(self) -> None:
        await self._index.close()


@asynccontextmanager
async def meili() -> AsyncIterator[Place]:
    """An index of its own, in a real server if one is named; removed behind the block."""
    index = f"kompass-test-{secrets.token_hex(6)}"
    if not (url := os.environ.get(MEILI_URL)):
        async with serving(MeiliContract()) as url:
            yield url, KEY, index
        return
    key = os.environ.get(f"{MEILI_URL[:-3]}KEY", "")
    yield url, key, index
    client = MeiliClient(url, key)
    for uid in (index, beside(index)):
        if await client.found("GET", index_path(uid)) is not None:
            await client.do("DELETE", index_path(uid))
    await client.close()


@asynccontextmanager
async def harness(_: Path) -> AsyncIterator[SinkHarness]:
    async with meili() as (url, key, index), httpx.AsyncClient(base_url=url, timeout=60) as http:
        outage = Outage(http)
        async with serving(outage) as before, aclosing(MeiliHarness((before, key, index), outage)) as found:
            yield found

"""The MeiliSearch index for the tests of all sinks: over the contract, or a real server if one is named."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from kompass.feed.sink import PersonAccess, Sink
from kompass.search.asking import MOST_LIMIT, question
from kompass.search.index import IndexUnavailableError
from kompass.search.meilisearch.client import MeiliClient, index_path
from kompass.search.meilisearch.reader import MeiliIndex
from kompass.search.meilisearch.sink import MeiliSink, beside
from tests.feed.conformance import SinkHarness, Stored
from tests.in_process import serving
from tests.search.meili_contract import KEY, MeiliContract

URL = "KOMPASS_TEST_MEILI_URL"
"""Names a server; `KOMPASS_TEST_MEILI_KEY` its key."""


def at(place: str) -> Sink:
    url, key, index = place.split(" ")
    return MeiliSink(url, key, index)


class MeiliHarness(SinkHarness):
    def __init__(self, url: str, key: str, index: str, contract: MeiliContract | None) -> None:
        self.address = (url, key, index)
        self.index = MeiliIndex(url, key, index)
        self._contract = contract

    @property
    def again(self) -> tuple[str, str]:
        return "tests.search.meili:at", " ".join(self.address)

    def make(self) -> Sink:
        return MeiliSink(*self.address)

    async def read(self, docid: str) -> Stored | None:
        found = await self.index.inspect(docid)
        if found is None:
            return None
        return Stored(found["rev"], frozenset(found["channels"]), (found["shown"], found["base"]))

    async def readable(self, person: PersonAccess) -> set[str]:
        try:
            found = await self.index.find(question(""), person.channels, limit=MOST_LIMIT)
        except IndexUnavailableError:
            return set()
        assert found.total == len(found.matches) == sum(found.facets["type"].values())
        return {match.id for match in found.matches}

    async def break_it(self) -> None:
        if self._contract is None:
            pytest.skip("a real server isn't broken for a test")
        self._contract.broken = True

    async def mend_it(self) -> None:
        assert self._contract is not None
        self._contract.broken = False


@asynccontextmanager
async def meili() -> AsyncIterator[MeiliHarness]:
    """An index of its own, in a real server if one is named; removed behind the block."""
    index = f"kompass-test-{secrets.token_hex(6)}"
    async with AsyncExitStack() as stack:
        url, key, contract = os.environ.get(URL, ""), os.environ.get(f"{URL[:-3]}KEY", ""), None
        if not url:
            contract, key = MeiliContract(), KEY
            url = await stack.enter_async_context(serving(contract))
        found = MeiliHarness(url, key, index, contract)
        stack.push_async_callback(found.index.close)
        yield found
        if contract is None:
            client = MeiliClient(url, key)
            for uid in (index, beside(index)):
                if await client.found("GET", index_path(uid)) is not None:
                    await client.do("DELETE", index_path(uid))
            await client.close()


@asynccontextmanager
async def harness(_: Path) -> AsyncIterator[SinkHarness]:
    async with meili() as found:
        yield found

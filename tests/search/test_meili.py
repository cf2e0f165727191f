"""What MeiliSearch is asked, and what is made of its answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from kompass.feed.sink import Batch, Change, Checkpoint, SinkUnavailableError
from kompass.search.asking import question
from kompass.search.entries import key
from kompass.search.index import IndexUnavailableError
from kompass.search.meilisearch import form
from kompass.search.meilisearch.client import MeiliClient, MeiliError
from kompass.search.meilisearch.reader import MeiliIndex
from kompass.search.meilisearch.sink import MeiliSink, beside
from tests.feed.changes import change
from tests.feed.sinks import take
from tests.in_process import serving
from tests.search.finding import ALL, customer
from tests.search.meili_contract import KEY, MeiliContract

INDEX = "kompass"


@pytest.fixture
def contract() -> MeiliContract:
    return MeiliContract()


@pytest_asyncio.fixture
async def url(contract: MeiliContract) -> AsyncIterator[str]:
    async with serving(contract) as url:
        yield url


@pytest_asyncio.fixture
async def sink(url: str) -> AsyncIterator[MeiliSink]:
    sink = MeiliSink(url, KEY, INDEX)
    await sink.open()
    yield sink
    await sink.close()


@pytest_asyncio.fixture
async def index(url: str) -> AsyncIterator[MeiliIndex]:
    index = MeiliIndex(url, KEY, INDEX)
    yield index
    await index.close()


def one(position: int = 1) -> Batch:
    doc = customer(1, "Hofladen Müller")
    return Batch([Change(doc["_id"], position, "1-a", doc, ALL)], Checkpoint("e", "1-e", position))


async def test_settings_keep_numbers_exact_and_counts_whole(contract: MeiliContract, sink: MeiliSink) -> None:
    settings = contract.indexes[INDEX].settings
    assert settings["typoTolerance"]["disableOnNumbers"] is True
    assert settings["typoTolerance"]["disableOnAttributes"] == ["codes"]
    assert "channels" in settings["filterableAttributes"]
    assert "channels" not in settings["searchableAttributes"]
    assert settings["rankingRules"][0] == "sort", "who sorts gets what he sorts by"
    assert settings["pagination"]["maxTotalHits"] >= 1_000_000


async def test_documents_and_checkpoint_are_one_task(contract: MeiliContract, sink: MeiliSink) -> None:
    contract.asked.clear()
    await sink.apply(one())
    (sent,) = [body for method, path, body in contract.asked if path == f"/indexes/{INDEX}/documents"]
    assert [each["key"] for each in sent] == [key("customer-1"), "checkpoint"]
    assert sent[1] == {"key": "checkpoint", "epoch": "e", "since": "1-e", "position": 1}


async def test_every_query_has_the_channels(
    contract: MeiliContract, sink: MeiliSink, index: MeiliIndex
) -> None:
    await sink.apply(one())
    contract.asked.clear()
    await index.find(question("Hofladen Xylophon"), ALL, limit=5)
    await index.find(question(""), ALL, facets=False)
    queries = [query for _, _, body in contract.asked for query in body["queries"]]
    assert len(queries) >= 4
    for query in queries:
        assert query["filter"][0] == 'channels IN ["all:customer", "all:x"]'
        assert query["distinct"] == "base"
        assert set(query["attributesToRetrieve"]) <= {"id", "base", "rev", "type"}


@pytest.mark.parametrize("value", ['x" OR channels IN ["all:secret"]', "x\\", '\\"', "a\nb", "ü", "\ud800"])
def test_no_value_gets_out_of_its_quotes(value: str) -> None:
    expression = form.one_of("owner", [value])
    assert json.loads(expression.removeprefix("owner IN ").replace("\n", "\\n")) == [
        value.encode("utf-8", "replace").decode()
    ]


async def test_filters_that_want_more_find_nothing(sink: MeiliSink, index: MeiliIndex) -> None:
    await sink.apply(one())
    for value in ('adm1" OR owner = "adm1', "adm1\\", 'adm1"] OR owner IN ["adm1'):
        assert (await index.find(question("", {"owner": (value,)}), ALL)).total == 0
    assert (await index.find(question("", {"owner": ("adm1",)}), ALL)).total == 1


async def test_without_the_right_key_nothing_works_and_it_is_said(url: str) -> None:
    for wrong, said in (("", "401"), ("wrong", "403")):
        sink, index = MeiliSink(url, wrong, INDEX), MeiliIndex(url, wrong, INDEX)
        with pytest.raises(SinkUnavailableError, match=said):
            await sink.open()
        with pytest.raises(IndexUnavailableError, match=said):
            await index.standing()
        await sink.close()
        await index.close()


async def test_a_server_that_is_not_there(unused_tcp_port: int) -> None:
    sink = MeiliSink(f"http://127.0.0.1:{unused_tcp_port}", KEY, INDEX)
    with pytest.raises(SinkUnavailableError, match="can't be reached"):
        await sink.open()
    await sink.close()


async def test_a_switch_that_was_cut_off_leaves_nothing_to_go_on_with(
    contract: MeiliContract, sink: MeiliSink, url: str
) -> None:
    """Killed behind the swap, or before it: what stands beside is no generation that was begun."""
    await sink.apply(one())
    other = await sink.rebuilding()
    await other.apply(one(7))
    client = MeiliClient(url, KEY)
    await client.do("DELETE", f"/indexes/{beside(INDEX)}/documents/{form.BUILDING}")
    await client.do("POST", "/swap-indexes", [{"indexes": [INDEX, beside(INDEX)]}])
    await client.close()
    await other.close()
    again = MeiliSink(url, KEY, INDEX)
    await again.open()
    assert await again.checkpoint() == Checkpoint("e", "1-e", 7)
    assert beside(INDEX) not in contract.indexes
    fresh = await again.rebuilding()
    assert await fresh.checkpoint() is None
    await fresh.discard()
    await fresh.close()
    await again.close()


async def test_what_was_ordered_before_a_kill_is_waited_for(
    contract: MeiliContract, sink: MeiliSink, url: str
) -> None:
    client = MeiliClient(url, KEY)
    path = f"/indexes/{INDEX}/documents"
    ordered = [form.checkpoint_document(Checkpoint("e", "5-e", 5))]
    await client.ask("POST", path, ordered, primaryKey="key")  # and nobody waits for it
    await client.close()
    again = MeiliSink(url, KEY, INDEX)
    await again.open()
    assert await again.checkpoint() == Checkpoint("e", "5-e", 5)
    await again.close()


async def test_what_is_too_large_on_the_way_is_taken_in_smaller_parts(
    contract: MeiliContract, sink: MeiliSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something in between takes less than MeiliSearch does: that never changes by waiting."""
    ask = MeiliClient.ask

    async def limited(client: MeiliClient, method: str, path: str, body: Any = None, **query: Any) -> Any:
        if path.endswith("/documents") and len(json.dumps(body)) > 20_000:
            raise MeiliError("MeiliSearch answers 413", status=413)
        return await ask(client, method, path, body, **query)

    monkeypatch.setattr(MeiliClient, "ask", limited)
    small = [change(number, number, "Hofladen", notes="Apfel " * 300) for number in range(1, 9)]
    large = change(9, 9, "Hofladen", notes="Apfel " * 10_000)
    rejected = await take(sink, [*small, large], Checkpoint("e", "9-e", 9))
    assert list(rejected) == [large.id]
    assert {key(one.id) for one in small} <= set(contract.indexes[INDEX].documents)
    assert await sink.checkpoint() == Checkpoint("e", "9-e", 9)

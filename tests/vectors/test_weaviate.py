"""The index in Weaviate finds what the embedded one does, and nothing of a write that hasn't happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from kompass.domain.examples import docid, smallest
from kompass.search.asking import question
from kompass.vectors.embedded.reader import EmbeddedVectors
from kompass.vectors.embedders.packaged import NAME
from kompass.vectors.index import Write
from kompass.vectors.meaning import VectorMeaning
from kompass.vectors.readings import Readings
from kompass.vectors.sink import VectorSink
from kompass.vectors.weaviate.place import Address, Place
from kompass.vectors.weaviate.reader import WeaviateVectors
from kompass.vectors.weaviate.store import WeaviateStore
from tests.feed.changes import ALL, OWN, at, batch, change, changed
from tests.vectors.embedded import Documents, embedder, make
from tests.vectors.in_weaviate import WeaviateHarness, harness
from tests.vectors.test_sink import Counting

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture
async def address(tmp_path: Path) -> AsyncIterator[Address]:
    async with harness(tmp_path) as one:
        assert isinstance(one, WeaviateHarness)
        yield one.address


def sink_at(address: Address) -> tuple[VectorSink, Counting]:
    counting = Counting()
    readings = Readings(Path("nowhere"), NAME)  # no document here has attachments
    return VectorSink(WeaviateStore(address, NAME), counting, Documents(), readings), counting


async def test_it_finds_what_the_embedded_index_finds(address: Address, tmp_path: Path) -> None:
    sink, _ = sink_at(address)
    other = make(tmp_path)
    names = ["Obsthof Apfel", "Käserei Milch", "Metzgerei Wurst", "Imkerei Honig", "Gärtnerei Rose"]
    changes = [
        change(number, number, name, ALL if number % 2 else OWN) for number, name in enumerate(names, 1)
    ]
    lone = {**smallest("material"), "_id": docid("material", 1), "materialName": "Regal aus Eiche"}
    changes.append(changed(lone, 9, ALL))
    for one in (sink, other):
        await one.open()
        await one.apply(batch(*changes))
    near = VectorMeaning(WeaviateVectors(address, NAME), embedder())
    same = VectorMeaning(EmbeddedVectors(tmp_path, NAME), embedder())
    for text in ("Obst und Äpfel", "Honig von Bienen", "Holzregal"):
        for channels in (ALL, OWN, ALL | OWN, frozenset({"own:customer:x"})):
            for filters in ({}, {"type": ("customer",)}, {"customerId": (docid("customer", 2),)}):
                for without in ((), (docid("customer", 1), lone["_id"])):
                    asked = question(text, filters)
                    found = await near.nearest(asked, channels, without=without, limit=4)
                    assert found == await same.nearest(asked, channels, without=without, limit=4)
    assert await near.standing() == await same.standing()
    for one in (sink, other):
        await one.close()
    await near.close()
    await same.close()


async def test_a_write_that_was_cut_off_is_not_there_and_is_removed(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, _ = sink_at(address)
    await sink.open()
    await sink.apply(batch(change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne")))
    index = WeaviateVectors(address, NAME)
    before = [await index.inspect(docid("customer", number)) for number in (1, 2, 3)]

    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Place, "put_state", killed)
        with pytest.raises(KeyboardInterrupt):
            await sink.apply(batch(change(1, 3), change(2, 4, "Neu", OWN), change(3, 5, "Hofladen Quitte")))
    assert [await index.inspect(docid("customer", number)) for number in (1, 2, 3)] == before
    await sink.close()
    async with Place(address) as place:
        state = await place.state((await place.pointer()).current)
        assert state is not None
        again, _ = sink_at(address)
        await again.open()
        objects = await place.documents(state).query.fetch_objects(limit=100)
        assert {one.properties["write"] for one in objects.objects} == {state.write}
        assert await again.checkpoint() == at(2)
    await again.close()
    await index.close()


async def test_what_was_not_swept_is_not_there_and_is_swept_later(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, _ = sink_at(address)
    await sink.open()
    await sink.apply(batch(change(1, 1, "Hofladen Apfel"), change(2, 2, "Hofladen Birne")))

    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(WeaviateStore, "_sweep", killed)
        with pytest.raises(KeyboardInterrupt):
            await sink.apply(batch(change(1, 3), change(2, 4, "Hofladen Quitte", OWN)))
    near = VectorMeaning(WeaviateVectors(address, NAME), embedder())
    assert await near.inspect(docid("customer", 1)) is None
    assert [one.rev for one in await near.nearest(question("Hofladen"), ALL | OWN, limit=9)] == [
        change(2, 4, "x").rev
    ]
    assert await sink.checkpoint() == at(4)
    assert len(await near.nearest(question("Hofladen"), ALL | OWN, limit=9)) == 1
    await near.close()
    await sink.close()


async def test_a_rebuild_takes_over_what_was_made(address: Address) -> None:
    sink, embedder = sink_at(address)
    await sink.open()
    await sink.apply(batch(change(1, 1, "Hofladen", notes="Eiche")))
    other = await sink.rebuilding()
    await other.apply(batch(change(1, 1, "Hofladen", notes="Eiche")))
    await other.switch()
    assert len(embedder.given) == 2
    await other.close()
    await sink.close()


async def test_each_tenant_has_its_own(address: Address) -> None:
    sink, _ = sink_at(address)
    stranger, _ = sink_at(replace(address, tenant=f"{address.tenant}x"))
    for one in (sink, stranger):
        await one.open()
    await sink.apply(batch(change(1, 1, "Hofladen")))
    assert await stranger.checkpoint() is None
    near = VectorMeaning(WeaviateVectors(replace(address, tenant=f"{address.tenant}x"), NAME), embedder())
    assert await near.nearest(question("Hofladen"), ALL, limit=5) == []
    await near.close()
    again, _ = sink_at(address)
    await again.open()  # what it removes as left over is its own
    await stranger._store.write(Write((), (), (), at(5)))
    assert await stranger.checkpoint() == at(5)
    for one in (sink, stranger, again):
        await one.close()

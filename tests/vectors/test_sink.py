"""What is embedded how often, and what is left of it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kompass.domain.examples import docid
from kompass.feed.sink import Forgetting
from kompass.feed.steady import SteadySink
from kompass.vectors.embedded.reader import EmbeddedVectors
from kompass.vectors.embedded.store import EmbeddedStore
from kompass.vectors.embedders.packaged import NAME, PackagedEmbedder
from kompass.vectors.packing import Vectors
from kompass.vectors.readings import Readings
from kompass.vectors.sink import VectorSink
from tests.feed.changes import batch, change
from tests.vectors.embedded import Documents, make


class Counting(PackagedEmbedder):
    """Remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[str] = []

    async def passages(self, texts: Sequence[str]) -> Vectors:
        self.given += texts
        return await super().passages(texts)


def counted(directory: Path) -> tuple[VectorSink, Counting]:
    embedder = Counting()
    store, readings = EmbeddedStore(directory, NAME), Readings(directory, NAME)
    return VectorSink(store, embedder, Documents(), readings), embedder


async def test_the_same_text_is_embedded_once(tmp_path: Path) -> None:
    sink, embedder = counted(tmp_path)
    await sink.open()
    await sink.apply(batch(*(change(number, number, "Hofladen", notes="Eiche") for number in (1, 2))))
    assert len(embedder.given) == len(set(embedder.given)) == 2
    await sink.apply(batch(change(1, 3, "Hofladen", notes="Buche")))
    assert embedder.given[2:] == ["Buche"]
    other = await sink.rebuilding()
    await other.apply(batch(change(1, 3, "Hofladen", notes="Buche"), change(2, 2, "Hofladen", notes="Eiche")))
    await other.switch()
    assert len(embedder.given) == 3, "a rebuild makes what there is again"
    await other.close()
    await sink.close()


async def test_another_model_begins_anew(tmp_path: Path) -> None:
    sink = make(tmp_path)
    await sink.open()
    await sink.apply(batch(change(1, 1, "Hofladen")))
    await sink.close()
    store = EmbeddedStore(tmp_path, "another model")
    await store.open()
    assert await store.checkpoint() is None
    await store.close()


async def test_what_was_erased_is_in_no_file(tmp_path: Path) -> None:
    """Neither its title nor its vectors, however often it was changed before; what is left stays."""
    sink = SteadySink(make(tmp_path))
    assert isinstance(make(tmp_path), Forgetting)
    index = EmbeddedVectors(tmp_path, NAME)
    await sink.open()
    vectors: set[bytes] = set()
    for position in range(1, 60):
        name = f"Hofladen Zwetschgenbaron{position}"
        await sink.apply(
            batch(change(1, position, name, notes=f"Pflaume{position}"), change(2, position, "Hof"))
        )
        found = await index.inspect(docid("customer", 1))
        assert found is not None
        vectors |= {vector for _, _, vector in found["chunks"]}
    kept = await index.inspect(docid("customer", 2))
    assert kept is not None
    assert said(tmp_path, b"Zwetschgenbaron", *vectors)
    await sink.apply(batch(change(1, 60, "Anonymer Kunde", anonymized=True), change(3, 60)))
    await sink.forget()
    assert not said(tmp_path, b"Zwetschgenbaron", *vectors)
    assert said(tmp_path, *(vector for _, _, vector in kept["chunks"]))
    assert await sink.checkpoint() == batch(change(3, 60)).checkpoint
    await index.close()
    await sink.close()


def said(directory: Path, *words: bytes) -> bool:
    files = [file.read_bytes() for file in directory.rglob("*") if file.is_file()]
    return any(word in text for text in files for word in words)


async def test_no_text_is_kept(tmp_path: Path) -> None:
    sink = make(tmp_path)
    await sink.open()
    await sink.apply(batch(change(1, 1, "Hofladen", notes="Zwetschgenbaron")))
    await sink.close()
    assert not said(tmp_path, b"Zwetschgenbaron")


async def test_a_long_text_is_a_bounded_number_of_pieces(tmp_path: Path) -> None:
    sink, index = make(tmp_path), EmbeddedVectors(tmp_path, NAME)
    await sink.open()
    await sink.apply(batch(change(1, 1, "Hofladen", notes="Regale aus Eiche und Buche. " * 200_000)))
    found = await index.inspect(docid("customer", 1))
    assert found is not None
    assert 50 < len(found["chunks"]) <= 200
    await index.close()
    await sink.close()

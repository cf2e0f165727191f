"""What the indexes find."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
import pytest_asyncio

from kompass.feed.sink import Batch, Change, Checkpoint, Sink
from kompass.search.embedded import sink
from kompass.search.embedded.reader import EmbeddedIndex
from kompass.search.embedded.sink import EmbeddedSink
from kompass.search.index import IndexUnavailableError, TextIndex
from kompass.search.meilisearch.reader import MeiliIndex
from kompass.search.meilisearch.sink import MeiliSink
from tests.search.finding import ALL, FindingConformance, customer, fill, ids
from tests.search.meili import meili


@dataclass
class Pair:
    sink: Sink
    index: TextIndex


class TestEmbedded(FindingConformance):
    @pytest_asyncio.fixture
    async def place(self, tmp_path: Path) -> AsyncIterator[Pair]:
        pair = Pair(EmbeddedSink(tmp_path / "search"), EmbeddedIndex(tmp_path / "search"))
        await pair.sink.open()
        yield pair
        await pair.sink.close()
        await pair.index.close()


class TestMeili(FindingConformance):
    """Over the published contract; over MeiliSearch itself where `KOMPASS_TEST_MEILI_URL` names one."""

    @pytest_asyncio.fixture
    async def place(self) -> AsyncIterator[Pair]:
        async with meili() as place:
            pair = Pair(MeiliSink(*place), MeiliIndex(*place))
            await pair.sink.open()
            yield pair
            await pair.sink.close()
            await pair.index.close()


def generation(directory: Path) -> Path:
    (found,) = directory.glob("3-*")
    return found


async def test_where_nothing_was_indexed_nothing_is_answered(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path / "search")
    with pytest.raises(IndexUnavailableError, match="There is no search index yet"):
        await index.standing()


async def test_damaged_files_are_no_answer(tmp_path: Path) -> None:
    pair = Pair(EmbeddedSink(tmp_path), EmbeddedIndex(tmp_path))
    await pair.sink.open()
    await fill(pair, customer(1, "Hofladen"))
    await pair.sink.close()
    (generation(tmp_path) / "meta.json").write_bytes(b"\x00 nonsense")
    with pytest.raises(IndexUnavailableError, match="can't be read"):
        await ids(pair, "Hofladen")


async def test_an_index_of_another_version_is_built_anew(tmp_path: Path) -> None:
    pair = Pair(EmbeddedSink(tmp_path), EmbeddedIndex(tmp_path))
    await pair.sink.open()
    await fill(pair, customer(1, "Hofladen"))
    await pair.sink.close()
    made = generation(tmp_path)
    older = made.with_name("0" + made.name[1:])
    made.rename(older)
    (tmp_path / "current").write_text(older.name)
    await pair.sink.open()
    assert await pair.sink.checkpoint() is None
    assert not older.exists()
    await pair.sink.close()


async def test_what_is_forgotten_is_in_no_file(tmp_path: Path) -> None:
    pair = Pair(EmbeddedSink(tmp_path), EmbeddedIndex(tmp_path))
    await pair.sink.open()
    await fill(
        pair, customer(1, "Hofladen Geheimrat"), customer(2, "Weinhaus Zwetschge"), customer(3, "Rest")
    )
    await fill(pair, customer(1, "Anonymer Kunde"), start=4)
    gone = Change("customer-2", 5, "2-b", None)
    await pair.sink.apply(Batch([gone], Checkpoint("e", "5-e", 5)))
    before = generation(tmp_path)
    assert isinstance(pair.sink, EmbeddedSink)
    await pair.sink.forget()
    assert not before.exists()
    assert not any(
        word in file.read_bytes().lower()
        for file in generation(tmp_path).iterdir()
        for word in (b"geheimrat", b"zwetschge")
    )
    assert await ids(pair, "") == ["customer-3", "customer-1"]
    assert await ids(pair, "Anonym") == ["customer-1"]
    assert await ids(pair, "K-00001") == ["customer-1"]
    assert await pair.sink.checkpoint() == Checkpoint("e", "5-e", 5)
    # Also that the deletion is the latest of it.
    old = customer(2, "Weinhaus Zwetschge")
    await pair.sink.apply(Batch([Change("customer-2", 2, "1-a", old, ALL)], Checkpoint("e", "5-e", 5)))
    assert await ids(pair, "Zwetschge") == []
    await fill(pair, customer(3, "Rest Holz"), start=6)
    assert await ids(pair, "Holz") == ["customer-3"]
    await pair.sink.close()


async def test_once_a_day_everything_is_forgotten(tmp_path: Path) -> None:
    pair = Pair(EmbeddedSink(tmp_path), EmbeddedIndex(tmp_path))
    await pair.sink.open()
    await fill(pair, customer(1, "Hofladen Geheimrat"))
    first = generation(tmp_path)
    await fill(pair, customer(1, "Anonymer Kunde"), start=2)
    await fill(pair, customer(2, "Rest"), start=3)
    assert generation(tmp_path) == first
    with patch.object(sink, "FORGOTTEN_AFTER", 0.0):
        await fill(pair, customer(2, "Rest"), start=4)
    assert generation(tmp_path) != first
    assert await ids(pair, "Kunde") == ["customer-1"]
    await pair.sink.close()


async def test_files_of_a_commit_that_was_cut_short_are_no_obstacle(tmp_path: Path) -> None:
    """tantivy names files by the number of the commit, which comes again after one that didn't happen."""
    pair = Pair(EmbeddedSink(tmp_path), EmbeddedIndex(tmp_path))
    await pair.sink.open()
    await fill(pair, *(customer(number, "Hofladen") for number in range(1, 6)))
    await pair.sink.close()
    before = {path.name: path.read_bytes() for path in generation(tmp_path).iterdir()}
    await fill(pair, customer(1, "Bauernmarkt"), start=6)
    await pair.sink.close()
    left = {path.name for path in generation(tmp_path).iterdir() if path.suffix == ".del"}
    assert left - set(before), "the second commit wrote nothing to stumble over"
    # As if it had been killed when everything was written but the file that makes a commit of it. The list of
    # its files it writes first.
    for name in before.keys() - {".managed.json"}:
        (generation(tmp_path) / name).write_bytes(before[name])
    assert await ids(pair, "Bauernmarkt") == []
    await fill(pair, customer(1, "Bauernmarkt"), start=6)
    assert await ids(pair, "Bauernmarkt") == ["customer-1"]

"""How often what somebody looks for comes first, or among the first five."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from kompass.access.audiences import NoParents
from kompass.access.channels import document_channels
from kompass.feed.sink import Batch, Change, Checkpoint, Sink
from kompass.search.asking import question
from kompass.search.embedded.reader import EmbeddedIndex
from kompass.search.embedded.sink import EmbeddedSink
from kompass.search.index import TextIndex
from kompass.search.meilisearch.reader import MeiliIndex
from kompass.search.meilisearch.sink import MeiliSink
from tests.search.meili import meili
from tests.search.relevance import Case, Doc, cases, demo

FIRST = 0.85
AMONG_FIVE = 0.95


async def fill(sink: Sink, docs: Sequence[Doc]) -> frozenset[str]:
    """Everything, and the channels that read all of it."""
    changes = [
        Change(doc["_id"], at, "1-a", doc, document_channels(doc, NoParents()))
        for at, doc in enumerate(docs, 1)
    ]
    for at in range(0, len(changes), 1000):
        here = min(at + 1000, len(changes))
        await sink.apply(Batch(changes[at:here], Checkpoint("e", f"{here}-e", here)))
    return frozenset(f"all:{doc['type']}" for doc in docs)


async def places(index: TextIndex, everything: frozenset[str], asked: Sequence[Case]) -> dict[Case, int]:
    """At which place what was wanted came, from 0; 99 if it didn't."""
    found = {}
    for case in asked:
        hits = await index.find(question(case.text), everything, limit=5)
        found[case] = next((at for at, hit in enumerate(hits.matches) if hit.base in case.wanted), 99)
    return found


def summary(found: dict[Case, int]) -> tuple[float, float, Counter[str]]:
    """hit@1, hit@5, and how many of each kind did not come first."""
    first = sum(place == 0 for place in found.values()) / len(found)
    among = sum(place < 5 for place in found.values()) / len(found)
    return first, among, Counter(case.kind for case, place in found.items() if place)


async def judge(sink: Sink, index: TextIndex) -> None:
    docs = demo()
    asked = cases(docs)
    assert len(asked) == 100
    await sink.open()
    found = await places(index, await fill(sink, docs), asked)
    await sink.close()
    first, among, missed = summary(found)
    said = f"hit@1 {first:.2f}, hit@5 {among:.2f}; not first: {dict(missed)}"
    said += "".join(f"\n  {place:2} {case.kind}: {case.text}" for case, place in found.items() if place)
    print(said)  # noqa: T201
    assert first >= FIRST, said
    assert among >= AMONG_FIVE, said


@pytest.mark.slow
async def test_what_is_looked_for_comes_first(tmp_path: Path) -> None:
    await judge(EmbeddedSink(tmp_path), EmbeddedIndex(tmp_path))


@pytest.mark.meilisearch
async def test_the_same_in_meilisearch() -> None:
    async with meili() as place:
        index = MeiliIndex(*place)
        await judge(MeiliSink(*place), index)
        await index.close()

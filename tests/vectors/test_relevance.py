"""How often what somebody looks for comes first, or among the first five: in the full text, by meaning, and
with both."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from kompass.access.audiences import Channel
from kompass.search.asking import Question, question
from kompass.search.embedded.reader import EmbeddedIndex
from kompass.search.embedded.sink import EmbeddedSink
from kompass.search.fusion import FUSED, fused
from kompass.search.index import Match
from kompass.vectors.embedded.reader import EmbeddedVectors
from kompass.vectors.embedders.packaged import NAME
from kompass.vectors.meaning import VectorMeaning
from tests.feed.changes import CONSENT
from tests.search.relevance import Case, Doc, cases, demo
from tests.search.test_relevance import fill
from tests.vectors.embedded import Documents, embedder, make
from tests.vectors.paraphrases import paraphrases


def agreed(docs: Sequence[Doc]) -> list[Doc]:
    """As if every customer had agreed."""
    return [{**doc, "dsgvoConsent": dict(CONSENT)} if doc["type"] == "customer" else doc for doc in docs]


class Modes:
    """Both indexes over the same documents."""

    def __init__(self, text: EmbeddedIndex, meaning: VectorMeaning, everything: Collection[Channel]) -> None:
        self._text, self._meaning, self._everything = text, meaning, everything

    async def text(self, asked: Question) -> list[Match]:
        return (await self._text.find(asked, self._everything, limit=FUSED, facets=False)).matches

    async def vector(self, asked: Question) -> list[Match]:
        return await self._meaning.nearest(asked, self._everything, limit=50)

    async def hybrid(self, asked: Question) -> list[Match]:
        return fused(await self.text(asked), await self.vector(asked), self._meaning.weight)

    async def judged(self, mode: str, asked: Sequence[Case]) -> tuple[float, float]:
        """hit@1 and hit@5."""
        first = among = 0
        for case in asked:
            found = await getattr(self, mode)(question(case.text))
            places = [at for at, match in enumerate(found[:5]) if match.base in case.wanted]
            first, among = first + (places[:1] == [0]), among + bool(places)
        return first / len(asked), among / len(asked)


@pytest.mark.slow
async def test_both_together_find_more_and_lose_nothing(tmp_path: Path) -> None:
    docs = agreed(demo())
    text, vectors = (
        EmbeddedSink(tmp_path / "search"),
        make(tmp_path / "vectors", Documents({doc["_id"]: doc for doc in docs})),
    )
    everything: Collection[Channel] = ()
    for sink in (text, vectors):
        await sink.open()
        everything = await fill(sink, docs)
        await sink.close()
    index = EmbeddedIndex(tmp_path / "search")
    meaning = VectorMeaning(EmbeddedVectors(tmp_path / "vectors", NAME), embedder())
    modes = Modes(index, meaning, everything)
    sets = {"set": cases(docs), "paraphrases": paraphrases(docs)}
    found = {
        (mode, name): await modes.judged(mode, asked)
        for mode in ("text", "vector", "hybrid")
        for name, asked in sets.items()
    }
    said = "".join(
        f"\n  {name:12} {mode:7} hit@1 {first:.2f} hit@5 {five:.2f}"
        for (mode, name), (first, five) in found.items()
    )
    print(said)  # noqa: T201
    for at in (0, 1):
        assert found["hybrid", "set"][at] >= found["text", "set"][at], said
        assert found["hybrid", "paraphrases"][at] >= found["text", "paraphrases"][at] + 0.2, said
    assert found["vector", "paraphrases"][1] >= 0.5, said
    await meaning.close()
    await index.close()

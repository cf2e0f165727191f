"""Asking a MeiliSearch index. No browser does: everything goes through the server, which checks each hit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kompass.access.audiences import Channel
from kompass.search.asking import Question, Sort
from kompass.search.catalogue import FACETS
from kompass.search.entries import key
from kompass.search.index import Found, IndexUnavailableError, Match, Standing
from kompass.search.meilisearch import form
from kompass.search.meilisearch.client import MeiliClient, MeiliError, index_path
from kompass.search.meilisearch.sink import beside

_ORDERS = {
    Sort.NEWEST: "modified:desc",
    Sort.OLDEST: "modified:asc",
    Sort.DEAREST: "value:desc",
    Sort.CHEAPEST: "value:asc",
}

_SHOWN = ("id", "base", "rev", "type")


class MeiliIndex:
    """See `kompass.search.index.TextIndex`."""

    def __init__(self, url: str, key: str, index: str) -> None:
        self._client = MeiliClient(url, key)
        self._index = index

    async def standing(self) -> Standing:
        with _answering():
            found = await self._client.found("GET", index_path(self._index, "documents", form.CHECKPOINT))
            path = index_path(beside(self._index), "documents", form.BUILDING)
            building = await self._client.found("GET", path) is not None
        return Standing(form.checkpoint_of(found), building)

    async def find(
        self,
        question: Question,
        readable: Collection[Channel],
        *,
        without: Collection[str] = (),
        limit: int = 20,
        offset: int = 0,
        facets: bool = True,
    ) -> Found:
        if question.nonsense or not readable:
            return Found([], 0, {facet: {} for facet in FACETS} if facets else {})
        narrowed = [form.one_of("channels", readable)]
        narrowed += [form.one_of(facet, values) for facet, values in question.filters.items()]
        if without:
            narrowed.append(form.none_of("key", [key(docid) for docid in without]))
        if not question.terms:
            narrowed.append("companion = false")
        asked: dict[str, Any] = {"indexUid": self._index, "filter": narrowed, "distinct": "base"}
        asked["matchingStrategy"] = "all"
        if question.sort in _ORDERS:
            asked["sort"] = [_ORDERS[question.sort]]
        elif not question.terms:
            asked["sort"] = [_ORDERS[Sort.NEWEST]]
        found = Found([], 0)
        with _answering():
            for text, more in _ways(question):
                found = await self._ask({**asked, **more, "q": text}, limit, offset, facets)
                if found.total:
                    break
        return found

    async def _ask(self, asked: Mapping[str, Any], limit: int, offset: int, facets: bool) -> Found:
        page = {**asked, "limit": limit, "offset": offset, "attributesToRetrieve": [*_SHOWN]}
        # With pages it counts exactly; an offset of any size is only there without.
        count = {**asked, "page": 1, "hitsPerPage": 1, "attributesToRetrieve": ["id"]}
        if facets:
            count["facets"] = list(FACETS)
        answer = await self._client.ask("POST", "/multi-search", {"queries": [page, count]})
        hits, counted = answer["results"]
        told = counted.get("facetDistribution") or {}
        return Found(
            [Match(*(hit[name] for name in _SHOWN)) for hit in hits["hits"]],
            int(counted["totalHits"]),
            {facet: dict(told.get(facet) or {}) for facet in FACETS} if facets else {},
        )

    async def inspect(self, docid: str) -> Mapping[str, Any] | None:
        """What the index keeps of a document: for tests, and for whoever looks for a fault."""
        with _answering():
            found = await self._client.found("GET", index_path(self._index, "documents", key(docid)))
        return found if found is not None and "channels" in found else None

    def stem(self, word: str) -> str:
        """MeiliSearch knows no stems: other forms of a word are mistakes that it forgives."""
        return word

    async def close(self) -> None:
        await self._client.close()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except MeiliError as error:
        raise IndexUnavailableError(str(error)) from error


def _ways(question: Question) -> list[tuple[str, dict[str, Any]]]:
    """What is asked, one after the other until something is found."""
    ways: list[tuple[str, dict[str, Any]]] = []
    if question.number:
        ways.append((f"{question.number} ", {"attributesToSearchOn": ["codes"]}))
    ways.append((form.text_of(question), {}))
    if len(question.terms) > 1:
        last = len(question.terms) - 1
        ways += [(form.text_of(question, left_out), {}) for left_out in range(last, -1, -1)]
    return ways

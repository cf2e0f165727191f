"""Reading the embedded index, in another process than the one that writes it.

What was committed is found by the next question: whether the files have changed is looked at each time, which
costs two calls of the operating system.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import orjson
import tantivy

from kompass.access.audiences import Channel
from kompass.search.asking import Question, Sort
from kompass.search.catalogue import FACETS
from kompass.search.embedded import querying, schema
from kompass.search.entries import key
from kompass.search.generations import Generations
from kompass.search.index import (
    MOST_FACET_VALUES,
    Found,
    IndexAbsentError,
    IndexUnavailableError,
    Match,
    Standing,
)

AT_ONCE = 2
"""Questions that are worked on at the same time; others wait."""

MOST_FITTING = 100_000
"""Hits that are looked through for those that belong together."""

FEW_CHANNELS = 100
FEW_FITTING = 5000
MOST_CHANNELS = 20_000
"""From how many channels on, and up to how many documents, it is worthwhile to look for fewer of them."""

ABSENT = (
    "There is no search index yet: `kompass feed` builds it, and `kompass serve` starts that."
    " Try again in a moment."
)

T = TypeVar("T")

_ORDERS = {
    Sort.NEWEST: ("modified", tantivy.Order.Desc),
    Sort.OLDEST: ("modified", tantivy.Order.Asc),
    Sort.DEAREST: ("value", tantivy.Order.Desc),
    Sort.CHEAPEST: ("value", tantivy.Order.Asc),
}


class EmbeddedIndex:
    """See `kompass.search.index.TextIndex`."""

    def __init__(self, directory: Path) -> None:
        self._generations = Generations(directory, schema.VERSION)
        self._lock = threading.Lock()
        # Of its own: whoever stops waiting doesn't stop the thread, and another one mustn't come beside it.
        self._threads = ThreadPoolExecutor(AT_ONCE, "search")
        self._index: tantivy.Index | None = None
        self._generation: Path | None = None
        self._seen: tuple[object, ...] = ()

    async def standing(self) -> Standing:
        def looking() -> Standing:
            return Standing(schema.checkpoint_of(self._searcher()), self._generations.building)

        return await self._in_thread(looking)

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
        return await self._in_thread(
            lambda: _find(self._searcher(), question, readable, without, limit, offset, facets)
        )

    async def inspect(self, docid: str) -> Mapping[str, Any] | None:
        """What the index keeps of a document: for tests, and for whoever looks for a fault."""

        def looking() -> Mapping[str, Any] | None:
            searcher = self._searcher()
            query = tantivy.Query.term_query(schema.SCHEMA, "key", key(docid))
            for _, address in searcher.search(query, 1).hits:
                stored = searcher.doc(address).get_first("stored")
                return None if stored is None else dict(orjson.loads(stored))
            return None

        return await self._in_thread(looking)

    def stem(self, word: str) -> str:
        return schema.stem(word)

    async def close(self) -> None:
        with self._lock:
            self._index = self._generation = None
            self._seen = ()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _searcher(self) -> tantivy.Searcher:
        """The latest commit of the generation that is read."""
        with self._lock:
            for attempt in (1, 2):
                generation = self._generations.current()
                if generation is None:
                    raise IndexAbsentError(ABSENT)
                try:
                    status = (generation / "meta.json").stat()
                    seen = (generation, status.st_mtime_ns, status.st_ino)
                    if self._index is None or self._generation != generation:
                        self._index = schema.opened(generation)
                        self._generation = generation
                        self._seen = ()
                    if seen != self._seen:
                        self._index.reload()
                        self._seen = seen
                    return self._index.searcher()
                except (OSError, ValueError) as error:
                    # Between two looks another generation may have taken this one's place.
                    self._index = self._generation = None
                    if attempt == 2:
                        if isinstance(error, FileNotFoundError):
                            raise IndexAbsentError(ABSENT) from error
                        raise
            raise AssertionError("unreachable")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (OSError, ValueError) as error:
            raise IndexUnavailableError(f"The search index can't be read: {error}") from error
        except BaseException as error:
            if not schema.is_panic(error):
                raise
            raise IndexUnavailableError(f"The search index can't be read: {error}") from error


def _find(
    searcher: tantivy.Searcher,
    question: Question,
    readable: Collection[Channel],
    without: Collection[str],
    limit: int,
    offset: int,
    facets: bool,
) -> Found:
    filters = querying.filtered(question.filters)
    unwanted = [querying.left_out(without)] if without else []
    if not question.terms:
        # Who asks for nothing gets documents; what belongs to them would only be counted again.
        unwanted.append(querying.companion())
    required = len(question.terms)
    while True:
        fitting = [querying.asked(question, required), *filters]
        wanted = [*fitting, querying.allowed(_telling(searcher, fitting, readable))]
        found = _search(searcher, question, wanted, unwanted, limit, offset, facets)
        # Who asks for several words and finds none with all of them gets what has most of them.
        if found.total or required <= 1 or required < len(question.terms):
            return found
        required -= 1


def _search(
    searcher: tantivy.Searcher,
    question: Question,
    asked: list[tantivy.Query],
    unwanted: list[tantivy.Query],
    limit: int,
    offset: int,
    facets: bool,
) -> Found:
    order = _ORDERS.get(question.sort)
    if question.terms:
        hits = searcher.search(querying.all_of(asked, unwanted), MOST_FITTING, weight_by_field="weight")
        staying, surplus = _one_for_each(searcher, [address for _, address in hits.hits])
        total = _count(hits) - len(surplus)
    else:
        # They are many, and all fit alike.
        total, order = 0, order or _ORDERS[Sort.NEWEST]
        staying, surplus = _one_for_each(searcher, _parted(searcher, asked, unwanted))
    if surplus:
        unwanted = [*unwanted, querying.numbered(surplus)]
    query = querying.all_of(asked, unwanted)
    if order is None:
        page = staying[offset : offset + limit]
    else:
        by, way = order
        ordered = searcher.search(query, limit, offset=offset, order_by_field=by, order=way)
        page, total = [address for _, address in ordered.hits], _count(ordered)
    matches = []
    for address in page:
        stored = orjson.loads(searcher.doc(address).get_first("stored") or b"")
        matches.append(Match(stored["id"], stored["base"], stored["rev"], stored["type"]))
    return Found(matches, total, _facets(searcher, query) if facets else {})


def _parted(
    searcher: tantivy.Searcher, asked: list[tantivy.Query], unwanted: list[tantivy.Query]
) -> list[tantivy.DocAddress]:
    """Companions and cards among many hits, after the documents among them that they belong to."""
    parts = searcher.search(
        querying.all_of(asked, [*unwanted, querying.primary()]), MOST_FITTING, count=False
    )
    addresses = [address for _, address in parts.hits]
    bases = {int(base or 0) for base in searcher.fast_field_values("base", addresses)}
    themselves = [*asked, querying.primary(), querying.numbered(bases, "base")]
    found = searcher.search(querying.all_of(themselves, unwanted), MOST_FITTING, count=False)
    return [*(address for _, address in found.hits), *addresses]


def _telling(
    searcher: tantivy.Searcher, fitting: list[tantivy.Query], readable: Collection[Channel]
) -> Collection[Channel]:
    """Of somebody's channels those that documents which fit are in.

    A salesman holds one for each of his customers. To look for all of them takes longer than everything else,
    and is done several times; documents that fit are in few channels, if they are few.
    """
    if len(readable) <= FEW_CHANNELS:
        return readable
    query = querying.all_of(fitting)
    if _count(searcher.search(query, 1)) > FEW_FITTING:
        return readable
    counting = {"channels": {"terms": {"field": "channels", "size": MOST_CHANNELS}}}
    answer = searcher.aggregate(query, counting)["channels"]
    if answer["sum_other_doc_count"]:
        return readable
    return frozenset(readable).intersection(bucket["key"] for bucket in answer["buckets"])


def _one_for_each(
    searcher: tantivy.Searcher, addresses: list[tantivy.DocAddress]
) -> tuple[list[tantivy.DocAddress], set[int]]:
    """Of hits, the best first, those that stay, and the numbers of the others.

    A document is one hit, and counts once: it stands for its companions and cards, and where it doesn't fit
    itself, the one that fits best stands for it.
    """
    numbers = searcher.fast_field_values("number", addresses)
    bases = searcher.fast_field_values("base", addresses)
    there = {base for number, base in zip(numbers, bases, strict=True) if number == base}
    staying, surplus = [], set()
    for address, number, base in zip(addresses, numbers, bases, strict=True):
        if number == base:
            staying.append(address)
        elif base in there:
            surplus.add(int(number or 0))
        else:
            there.add(base)
            staying.append(address)
    return staying, surplus


def _count(result: tantivy.SearchResult) -> int:
    found: int = result.count  # type: ignore[attr-defined]  # it has one: only its stub doesn't
    return found


def _facets(searcher: tantivy.Searcher, query: tantivy.Query) -> dict[str, dict[str, int]]:
    asked = {facet: {"terms": {"field": facet, "size": MOST_FACET_VALUES}} for facet in FACETS}
    answer = searcher.aggregate(query, asked)
    return {
        facet: {bucket["key"]: bucket["doc_count"] for bucket in answer[facet]["buckets"]} for facet in FACETS
    }

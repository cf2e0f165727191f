"""Executing a Mango query: scan what the plan says, keep what matches, page by page.

The index is brought up to date first, unless the request forbids it. A row's document is read after
the row, so a document that changes meanwhile is judged as it is now. Memory is bounded by a page of
documents, whatever the limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import orjson

from replication.protocol import jsontext
from replication.protocol.documents import with_members
from replication.protocol.mango.bookmark import Bookmark, write_bookmark
from replication.protocol.mango.fields import projection
from replication.protocol.mango.index import IndexDefinition
from replication.protocol.mango.planner import Plan, plan, warnings
from replication.protocol.mango.query import ExecutionStats, FindRequest
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import format_rev
from replication.queries.indexes import definitions
from replication.store.interface import Database, IndexBehindError
from replication.store.paging import PageSize
from replication.store.values import Document, IndexEntry, KeyRange

_LARGEST_PAGE = 1000

_TURN = 0.01
"""Seconds of scanning after which others have their turn."""

_ABOVE_ALL_IDS = b"\xff"


class Find:
    """One query being executed: iterate over `pages`, then ask for the rest of the answer."""

    def __init__(self, database: Database, plan: Plan) -> None:
        self._database = database
        self._plan = plan
        self._request = plan.request
        self._stats = ExecutionStats()
        self._last = plan.request.bookmark
        self._started = time.perf_counter()
        decode = jsontext.decode if plan.request.selector.needs_exact_integers else orjson.loads
        self._decode = decode
        self._project = projection(plan.request.fields) if plan.request.fields else None

    async def pages(self) -> AsyncIterator[list[bytes]]:
        """The documents of the answer as JSON texts, some at a time; lists may be empty.

        Raises a 400 when a `$regex` takes too long.
        """
        request = self._request
        skip, wanted = request.skip, request.limit
        turn_ends = time.perf_counter() + _TURN
        if self._plan.empty or not wanted:
            return
        async for rows in self._rows():
            page = []
            for key, document in rows:
                if time.perf_counter() >= turn_ends:
                    await asyncio.sleep(0)
                    turn_ends = time.perf_counter() + _TURN
                text = await self._match(document)
                if text is None:
                    continue
                self._last = Bookmark(key, document.id)
                if skip:
                    skip -= 1
                    continue
                page.append(text)
                self._stats.results_returned += 1
                if len(page) == wanted:
                    yield page
                    return
            wanted -= len(page)
            yield page

    def trailer(self) -> dict[str, Any]:
        """What follows `docs` in the answer, once `pages` has ended."""
        self._stats.milliseconds = (time.perf_counter() - self._started) * 1000
        answer: dict[str, Any] = {"bookmark": write_bookmark(self._last)}
        warning = warnings(self._plan, self._stats)
        if warning is not None:
            answer["warning"] = warning
        if self._request.execution_stats:
            answer["execution_stats"] = self._stats.as_json()
        return answer

    async def _match(self, document: Document) -> bytes | None:
        """The document as the answer shows it, or None if it doesn't match."""
        stats = self._stats
        stats.keys_examined += 1
        if self._request.r > 1:
            stats.quorum_docs_examined += 1
        else:
            stats.docs_examined += 1
        if document.id.startswith(DESIGN_PREFIX):
            return None
        text = document.text
        if self._request.conflicts and document.conflicted:
            text = await self._with_conflicts(document)
        if not self._request.selector.matches(self._decode(text)):
            return None
        return text if self._project is None else jsontext.encode(self._project(jsontext.decode(text)))

    async def _with_conflicts(self, document: Document) -> bytes:
        tree = await self._database.tree(document.id)
        others = [] if tree is None else [rev for rev in tree.leaves() if not tree.is_deleted(rev)]
        revs = [rev for rev in map(format_rev, others) if rev != document.rev]
        if not revs:
            return document.text
        return with_members(document.text, [b'"_conflicts":' + jsontext.encode(revs)])

    def _rows(self) -> AsyncIterator[Sequence[tuple[bytes, Document]]]:
        index = self._plan.index
        return self._index_rows(index) if isinstance(index, IndexDefinition) else self._primary_rows()

    async def _index_rows(self, index: IndexDefinition) -> AsyncIterator[Sequence[tuple[bytes, Document]]]:
        refreshes = self._request.refreshes or self._database.guarded
        upto = self._database.update_seq if refreshes else 0
        if upto:
            await self._database.refresh_index(index.signature, index.sort_keys)
        start = self._request.bookmark
        after = IndexEntry(start.key, start.id) if start else None
        size = PageSize(most=_LARGEST_PAGE)
        while True:
            try:
                entries = await self._database.scan_index(
                    index.signature,
                    self._plan.low,
                    self._plan.high,
                    seq=upto,
                    after=after,
                    descending=self._plan.descending,
                    limit=size.rows,
                )
            except IndexBehindError:
                # Somebody has dropped the index since. What it had from here on is read from a new one.
                await self._database.refresh_index(index.signature, index.sort_keys)
                continue
            winners = await self._database.winners([entry.id for entry in entries])
            was_full = len(entries) == size.rows
            size.saw(len(entries), sum([len(document.text) for document in winners.values()]))
            yield [
                (entry.key, winners[entry.id])
                for entry in entries
                if entry.id in winners and not winners[entry.id].deleted
            ]
            if not was_full:
                return
            after = entries[-1]

    async def _primary_rows(self) -> AsyncIterator[Sequence[tuple[bytes, Document]]]:
        descending = self._plan.descending
        low, high = _docid(self._plan.low), _docid(self._plan.high)
        last = self._request.bookmark.id if self._request.bookmark else None
        size = PageSize(most=_LARGEST_PAGE)
        while True:
            # No id holds a NUL, so an id with one is the place right behind it. A bookmark may be another
            # query's, and lie outside of this one's range.
            if descending:
                span = KeyRange(_nearest(min, last, high), low, descending=True)
            else:
                start = None if last is None else last + "\x00"
                span = KeyRange(_nearest(max, start, low), high, inclusive_end=False)
            documents = await self._database.documents(span, limit=size.rows)
            was_full = len(documents) == size.rows
            size.saw(len(documents), sum([len(document.text) for document in documents]))
            yield [(b"", document) for document in documents if document.id != last]
            if not was_full:
                return
            last = documents[-1].id


async def find(database: Database, request: FindRequest) -> Find:
    """The query, planned. Raises the 400s `no_usable_index` and `invalid_index`."""
    known = await definitions(database)
    return Find(database, plan(request, known, partitioned=database.partitioned))


def _nearest(choose: Callable[[str, str], str], last: str | None, edge: str | None) -> str | None:
    """Where to go on: behind the last row, but not outside of the range."""
    if last is None or edge is None:
        return edge if last is None else last
    return choose(last, edge)


def _docid(edge: bytes) -> str | None:
    """An edge of a plan's range of ids; None where there is no bound, or one that no id can have."""
    if not edge or edge == _ABOVE_ALL_IDS:
        return None
    try:
        return edge.decode("utf-8")
    except UnicodeDecodeError:
        return None

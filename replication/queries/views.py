"""Asking a view: which of its rows a query wants, and reading them page by page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from replication.protocol import jsontext
from replication.protocol.collation import above, raw_sort_key, sort_key
from replication.protocol.design import View
from replication.protocol.partitions import key_prefix
from replication.store.interface import Database, IndexBehindError
from replication.store.values import IndexRow, IndexState, IndexVersion, PartialReduction, RowSpan

T = TypeVar("T")

ROWS = 1000
"""Rows of a page: some milliseconds."""

UNBOUNDED: Final = object()
"""The place of a key that was not given."""

EXACT: Final = -1
"""`group_level` of rows that are grouped by their whole keys."""


@dataclass(frozen=True)
class ViewQuery:
    """What is asked of a view."""

    keys: Sequence[Any] | None = None
    start_key: Any = UNBOUNDED
    end_key: Any = UNBOUNDED
    start_docid: str | None = None
    end_docid: str | None = None
    inclusive_end: bool = True
    descending: bool = False
    skip: int = 0
    limit: int | None = None
    group_level: int = 0
    partition: str | None = None
    """Of a partitioned view, the one that is asked for."""

    @property
    def _prefix(self) -> bytes:
        """What the keys of all rows that may be listed begin with."""
        return b"" if self.partition is None else key_prefix(self.partition)

    @property
    def whole(self) -> RowSpan:
        """All rows that may be listed."""
        prefix = self._prefix
        return RowSpan((prefix, "", 0), (above(prefix), "", 0)) if prefix else RowSpan()

    def spans(self, view: View) -> list[RowSpan]:
        """The rows, as spans in the order in which they are wanted: one, or one for each key."""
        key_of = raw_sort_key if view.raw_collation else sort_key
        prefix = self._prefix
        if self.keys is not None:
            keys = [prefix + key_of(key) for key in self.keys]
            return [self._span(key, key) for key in keys]
        start = None if self.start_key is UNBOUNDED else prefix + key_of(self.start_key)
        end = None if self.end_key is UNBOUNDED else prefix + key_of(self.end_key)
        return [self._span(start, end)]

    def _span(self, start: bytes | None, end: bytes | None) -> RowSpan:
        """The rows from one key to the other. The bounds by id hold for each key that is asked for."""
        if self.descending:
            low, high = self._end_below(end), _behind(start, self.start_docid)
        else:
            low, high = _before(start, self.start_docid), self._end_above(end)
        whole = self.whole
        return RowSpan(low or whole.low, high or whole.high)

    def _end_above(self, key: bytes | None) -> tuple[bytes, str, int] | None:
        return _behind(key, self.end_docid) if self.inclusive_end else _before(key, self.end_docid)

    def _end_below(self, key: bytes | None) -> tuple[bytes, str, int] | None:
        return _before(key, self.end_docid) if self.inclusive_end else _behind(key, self.end_docid)

    def is_reversed(self, view: View) -> bool:
        """Whether the start lies behind the end. No key lies behind itself, as in CouchDB."""
        if self.keys is not None or self.start_key is UNBOUNDED or self.end_key is UNBOUNDED:
            return False
        if jsontext.encode(self.start_key) == jsontext.encode(self.end_key):
            return False
        key_of = raw_sort_key if view.raw_collation else sort_key
        start, end = key_of(self.start_key), key_of(self.end_key)
        if start != end:
            return start < end if self.descending else start > end
        if self.start_docid is None or self.end_docid is None:
            return False
        if self.descending:
            return self.start_docid < self.end_docid
        return self.start_docid > self.end_docid


def _before(key: bytes | None, docid: str | None) -> tuple[bytes, str, int] | None:
    return None if key is None else (key, docid or "", 0)


def _behind(key: bytes | None, docid: str | None) -> tuple[bytes, str, int] | None:
    if key is None:
        return None
    # No id holds a NUL, so an id with one is the place right behind it.
    return (above(key), "", 0) if docid is None else (key, docid + "\x00", 0)


class ViewRows:
    """The rows of a view as long as an answer is read from them.

    Its index may be dropped at any time: by `_view_cleanup`, after the design document has changed. Then it
    is made again, as far as it had been read, so that an answer is never cut short.
    """

    def __init__(
        self, database: Database, view: View, seq: int, refresh: Callable[[], Awaitable[None]]
    ) -> None:
        """`seq` is the change up to which the index has been brought; `refresh` brings it there again."""
        self._database = database
        self._signature = view.signature
        self._seq = seq
        self._refresh = refresh
        self.view = view
        self.database_name = database.name

    async def state(self) -> IndexState | None:
        """None only if the index had read nothing to begin with."""
        while True:
            state = await self._database.index_state(self._signature)
            if (state.seq if state else 0) >= self._seq:
                return state
            await self._refresh()

    async def scan(self, span: RowSpan, *, descending: bool, skip: int, limit: int) -> list[IndexRow]:
        """See `Database.scan_rows`."""
        return await self._read(
            lambda: self._database.scan_rows(
                self._signature, span, seq=self._seq, descending=descending, skip=skip, limit=limit
            )
        )

    async def count(self, span: RowSpan) -> int:
        return await self._read(lambda: self._database.count_rows(self._signature, span, seq=self._seq))

    async def version(self) -> IndexVersion | None:
        """See `Database.index_version`."""
        return await self._database.index_version(self._signature)

    async def partials(
        self, reducer: str, span: RowSpan, *, descending: bool, limit: int
    ) -> list[PartialReduction]:
        """See `Database.partial_reductions`."""
        return await self._read(
            lambda: self._database.partial_reductions(
                self._signature, reducer, span, seq=self._seq, descending=descending, limit=limit
            )
        )

    async def keep(self, reducer: str, version: IndexVersion, made: Sequence[PartialReduction]) -> bool:
        """See `Database.keep_reductions`."""
        return await self._database.keep_reductions(self._signature, reducer, version, made)

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await read()
            except IndexBehindError:
                await self._refresh()


async def pages(source: ViewRows, query: ViewQuery) -> AsyncIterator[list[IndexRow]]:
    """The rows a query wants, at most some at a time. With several keys, in their order."""
    spans = query.spans(source.view)
    if query.descending:
        spans.reverse()
    skip, left = query.skip, query.limit
    gathered: list[IndexRow] = []
    for span in spans:
        async for rows in span_pages(source, span, query.descending, limit=left, skip=skip):
            skip = 0
            gathered += rows
            if left is not None:
                left -= len(rows)
            if len(gathered) >= ROWS or len(spans) == 1:
                yield gathered
                gathered = []
                await asyncio.sleep(0)
        if left == 0:
            break
        if skip:
            skip = max(0, skip - await source.count(span))
    if gathered:
        yield gathered


async def span_pages(
    source: ViewRows,
    span: RowSpan,
    descending: bool,
    *,
    limit: int | None = None,
    skip: int = 0,
) -> AsyncIterator[list[IndexRow]]:
    """The rows of one span, page by page; no page is empty."""
    while limit != 0:
        asked = ROWS if limit is None else min(ROWS, limit)
        rows = await source.scan(span, descending=descending, skip=skip, limit=asked)
        if not rows:
            return
        yield rows
        if limit is not None:
            limit -= len(rows)
        skip = 0
        last = rows[-1]
        if descending:
            span = span._replace(high=(last.key, last.id, last.place))
        else:
            span = span._replace(low=(last.key, last.id, last.place + 1))

"""Reductions of many rows that are kept from one query to the next.

A long stretch of rows is reduced block by block, and what came of each block is kept by the store until one
of its rows changes; the next query reads those, and the rows only where nothing is kept. A group of rows is
made of blocks that lie in it from end to end. Where a kept block reaches across the border of two groups, its
rows are read again and kept in smaller blocks that don't: after that they serve this grouping and all coarser
ones. Nothing is made ahead, so a view that is never reduced costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from replication.protocol.errors import ProtocolError
from replication.queries.views import ViewQuery, ViewRows
from replication.store.values import IndexRow, IndexVersion, PartialReduction, RowPosition, RowSpan

WORTHWHILE = 4000
"""Rows of a view from which reductions are kept: fewer are read in less time than it takes to look."""

BLOCK = 1000
"""Rows that a built-in function reduces to what is kept; twice as many at most."""

LEAST = 125
"""Rows of the smallest block that is kept."""

LARGEST = 4096
"""Bytes of a value, or of a block's keys, that are kept at most."""

_A_TIME = 500
"""Blocks that are read at a time."""
_KEPT_TOGETHER = 100
"""Blocks of one transaction. Those made before the rows changed are lost."""
_PACE = 50
"""Blocks that are counted before others get their turn."""

START: RowPosition = (b"", "", 0)
"""Before all rows."""

log = logging.getLogger("replication.views")


class Region(NamedTuple):
    """A stretch of rows that has to be read."""

    span: RowSpan
    keeps: bool
    """Whether what is made of its blocks may be kept."""
    closed: bool
    """Whether there are kept blocks behind it."""


def behind(row: IndexRow) -> RowPosition:
    return (row.key, row.id, row.place + 1)


def partial(span: RowSpan, rows: int, first: IndexRow, last: IndexRow, value: bytes) -> PartialReduction:
    assert span.high is not None
    return PartialReduction(
        span.low or START, span.high, rows, first.key, first.shown, last.key, last.shown, value
    )


class Keeper:
    """What one query reads of the kept reductions, and adds to them."""

    def __init__(self, source: ViewRows, reducer: str) -> None:
        """`reducer` names the function: nothing else may be kept under the same name."""
        self._source = source
        self._reducer = reducer
        self._version: IndexVersion | None = None
        self._made: list[PartialReduction] = []
        self.era = 0
        """Goes up when the rows turn out to have changed: nothing is kept of what was read before."""

    async def pieces(
        self, span: RowSpan, is_whole: Callable[[PartialReduction], bool], *, descending: bool
    ) -> AsyncIterator[PartialReduction | Region]:
        """A span in kept blocks for which `is_whole`, and in regions. Only ascending ones keep something."""
        self._version = await self._source.version()
        low, high = span
        since: RowPosition | None = low
        """Where the region begins that is not handed out yet; its far end with `descending`."""
        until: RowPosition | None = high
        rest = span
        while True:
            found = await self._source.partials(self._reducer, rest, descending=descending, limit=_A_TIME)
            for kept in found:
                early = low is not None and kept.low < low
                late = high is not None and kept.high > high
                if not early and not late:
                    if not is_whole(kept):
                        continue
                    between = RowSpan(kept.high, until) if descending else RowSpan(since, kept.low)
                    if between.low != between.high:
                        yield Region(between, not descending, True)
                    yield kept
                    since, until = (since, kept.low) if descending else (kept.high, until)
                elif descending:
                    continue
                elif early:
                    # It holds rows that are not asked for: those that are can't be kept beside it.
                    edge = kept.high if high is None else min(kept.high, high)
                    yield Region(RowSpan(since, edge), False, True)
                    since = edge
                else:
                    if since != kept.low:
                        yield Region(RowSpan(since, kept.low), True, True)
                    yield Region(RowSpan(kept.low, high), False, False)
                    return
            if len(found) < _A_TIME:
                break
            rest = RowSpan(low, found[-1].low) if descending else RowSpan(found[-1].high, high)
        if since is None or until is None or since < until:
            yield Region(RowSpan(since, until), not descending, False)

    async def keep(self, made: PartialReduction, era: int) -> None:
        """Keeps a block; `era` is the one in which the first of its rows was read."""
        if era != self.era:
            return
        keys = len(made.low[0]) + len(made.high[0]) + len(made.first_shown) + len(made.last_shown)
        if len(made.value) <= LARGEST and keys <= LARGEST:
            self._made.append(made)
            if len(self._made) >= _KEPT_TOGETHER:
                await self.flush()

    async def flush(self) -> None:
        """Has the store keep what is still here. A query doesn't fail because that is not possible."""
        made, self._made = self._made, []
        if not made or self._version is None:
            return
        try:
            if not await self._source.keep(self._reducer, self._version, made):
                self.era += 1
                self._version = await self._source.version()
        except ProtocolError as error:
            log.warning("reductions of a view could not be kept: %s", error.reason)
            self._version = None


async def is_short(source: ViewRows, span: RowSpan) -> bool:
    """Whether a span has too few rows for anything of it to be kept."""
    return not await source.scan(span, descending=False, skip=LEAST - 1, limit=1)


async def counted(source: ViewRows, span: RowSpan) -> int:
    """How many rows a span has, counted by what is kept of `_count`."""
    state = await source.state()
    few = state is None or state.entries < WORTHWHILE
    if few or span == RowSpan() or await is_short(source, span):
        return await source.count(span)
    keeper = Keeper(source, "_count")
    count = 0
    async for piece in keeper.pieces(span, lambda kept: True, descending=False):
        if isinstance(piece, PartialReduction):
            count += piece.rows
            continue
        low, high = piece.span
        while piece.keeps:
            found = await source.scan(RowSpan(low, high), descending=False, skip=BLOCK - 1, limit=1)
            if not found:
                break
            at = RowSpan(low, behind(found[0]))
            first = await source.scan(at, descending=False, skip=0, limit=1)
            if not first:
                break
            count += BLOCK
            await keeper.keep(partial(at, BLOCK, first[0], found[0], b"%d" % BLOCK), keeper.era)
            low = at.high
            if count // BLOCK % _PACE == 0:
                await asyncio.sleep(0)
        count += await source.count(RowSpan(low, high))
    await keeper.flush()
    return count


async def offset(source: ViewRows, query: ViewQuery, total: int) -> int:
    """How many rows of the view, or of the partition, come before the first one that is answered."""
    spans = query.spans(source.view)
    if not spans:
        return 0
    span = spans[-1] if query.descending else spans[0]
    whole = query.whole
    before = RowSpan(span.high, whole.high) if query.descending else RowSpan(whole.low, span.low)
    count = 0
    if before.low != before.high:
        count = await counted(source, before)
    return min(total, count + query.skip)

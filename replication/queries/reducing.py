"""Reducing the rows of a view, group by group, while they are read.

Built-in reducers are fed page by page. A JavaScript function gets chunks of rows, those of a page in one
job, and its own results again at the end of a group (rereduce); so neither memory nor the number of
jobs grows with the size of a group or the number of groups.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from itertools import groupby
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import orjson

from replication.javascript import functions
from replication.javascript.engine import Engine
from replication.javascript.functions import JavaScriptError, Thrown
from replication.protocol import jsontext
from replication.protocol.collation import raw_sort_key, sort_key
from replication.protocol.design import builtin_name
from replication.protocol.errors import ProtocolError
from replication.protocol.reducers import COMBINED, ReduceError, Reducer, builtin_reducer
from replication.queries import partials
from replication.queries.partials import Keeper, Region, behind, counted
from replication.queries.view_index import failed
from replication.queries.views import EXACT, ViewQuery, ViewRows, span_pages
from replication.store.interface import Database
from replication.store.values import IndexRow, PartialReduction, RowPosition, RowSpan

CHUNK = 500
"""Rows, or results, that a JavaScript function reduces at a time."""

REMEMBERED = 64
"""Answers that are remembered for each database."""
REMEMBERED_SIZE = 16 * 1024
"""Bytes of the largest of them."""

_BLOCKS_A_TIME = 500

OVERFLOW_SIZE = 5000
OVERFLOW_RATIO = 2.0
"""A result of more bytes than the first, and of more times its input than the second, does not reduce."""


@dataclass(slots=True)
class _Group:
    """Rows that are reduced to one."""

    key: bytes
    """As JSON."""
    parts: list[bytes] = field(default_factory=list)
    """Values of chunks, as JSON."""
    error: bytes = b""
    """What stands in the row in place of a value."""


class _Work(NamedTuple):
    """A piece of a group for a JavaScript function."""

    group: _Group
    input: bytes
    """Its arguments as JSON; empty if it is done already."""
    block: _Block | None = None
    """Where the value comes from, or what it is to be kept for."""


@dataclass(slots=True)
class _Block:
    """Neighbours that belong to one group: rows, or what is kept of them."""

    key: bytes
    """Identifies the group."""
    head: IndexRow
    """The first row in the query's order; its key is shown."""
    rows: list[IndexRow] = field(default_factory=list)
    kept: PartialReduction | None = None
    span: RowSpan | None = None
    """Where the rows lie, if what is made of them may be kept."""
    era: int = 0
    """See `Keeper.era`."""


def _block(
    key: bytes,
    rows: list[IndexRow],
    era: int,
    region: Region,
    low: RowPosition | None,
    least: int,
    high: RowPosition | None = None,
) -> _Block:
    """`low` and `high`: where the block begins and ends, behind its last row if `high` isn't given."""
    keeps = region.keeps and len(rows) >= least
    return _Block(key, rows[0], rows, None, RowSpan(low, high or behind(rows[-1])) if keeps else None, era)


def _first(kept: PartialReduction) -> IndexRow:
    return IndexRow(kept.first_key, "", 0, kept.first_shown, b"")


def _last(kept: PartialReduction) -> IndexRow:
    return IndexRow(kept.last_key, "", 0, kept.last_shown, b"")


class Reduction(ABC):
    """One query of a view with a reduce function."""

    def __init__(self, source: ViewRows, query: ViewQuery) -> None:
        view = source.view
        self._source = source
        self._view = view
        self._query = query
        self._key_of = raw_sort_key if view.raw_collation else sort_key
        self._chunk = CHUNK
        self._kept_as: str | None = None
        """What parts of this reduction are kept as, if they can be combined."""

    async def pages(self) -> AsyncIterator[list[bytes]]:
        """The answer's rows, some at a time."""
        skip, left = self._query.skip, self._query.limit
        if left == 0:
            return
        async for rows in self._rows():
            if skip:
                skip, rows = max(0, skip - len(rows)), rows[skip:]
            if left is not None:
                rows = rows[:left]
                left -= len(rows)
            if rows:
                yield rows
            if left == 0:
                return
            await asyncio.sleep(0)

    @abstractmethod
    def _rows(self) -> AsyncIterator[list[bytes]]:
        """All rows."""

    def _spans(self) -> list[RowSpan]:
        return self._query.spans(self._view)

    async def _keeper(self) -> Keeper | None:
        """For views that are large enough to keep reductions of."""
        if self._kept_as is None:
            return None
        state = await self._source.state()
        large = state is not None and state.entries >= partials.WORTHWHILE
        return Keeper(self._source, self._kept_as) if large else None

    async def _blocks(self, span: RowSpan, keeper: Keeper | None) -> AsyncIterator[list[_Block]]:
        """A span in the order of the query, in blocks of one group each."""
        # One group of everything is the same in both directions, and this one keeps what it makes.
        descending = self._query.descending and (keeper is None or self._query.group_level != 0)
        if keeper is None or await partials.is_short(self._source, span):
            async for rows in span_pages(self._source, span, descending):
                yield [_Block(key, same[0], same) for key, same in self._segments(rows)]
            return
        ready: list[_Block] = []
        async for piece in keeper.pieces(span, self._is_of_one_group, descending=descending):
            if isinstance(piece, PartialReduction):
                head = _last(piece) if descending else _first(piece)
                ready.append(_Block(self._identity(head), head, kept=piece))
                if len(ready) < _BLOCKS_A_TIME:
                    continue
            yield ready
            ready = []
            if isinstance(piece, Region):
                async for blocks in self._region(piece, keeper, descending):
                    yield blocks
        yield ready

    async def _region(self, region: Region, keeper: Keeper, descending: bool) -> AsyncIterator[list[_Block]]:
        """Its rows in blocks that may be kept, where they are many."""
        identity = b""
        rows: list[IndexRow] = []
        eras: list[int] = []
        low = region.span.low
        era = keeper.era
        async for page in span_pages(self._source, region.span, descending):
            done = []
            for key, same in self._segments(page):
                if rows and key != identity:
                    done.append(_block(identity, rows, eras[0], region, low, partials.LEAST))
                    low, rows, eras = behind(rows[-1]), [], []
                identity = key
                rows += same
                eras += [era] * len(same)
                while len(rows) >= 2 * self._chunk:
                    done.append(_block(identity, rows[: self._chunk], eras[0], region, low, partials.LEAST))
                    low = behind(rows[self._chunk - 1])
                    rows, eras = rows[self._chunk :], eras[self._chunk :]
            if done:
                yield done
            era = keeper.era
        if rows:
            # At an open end more rows will follow: a small block would stay a small one.
            least = partials.LEAST if region.closed else self._chunk
            high = region.span.high if region.closed else None
            yield [_block(identity, rows, eras[0], region, low, least, high)]

    async def _keep(self, keeper: Keeper | None, block: _Block, value: bytes) -> None:
        if keeper is not None and block.span is not None:
            rows = block.rows
            await keeper.keep(partials.partial(block.span, len(rows), rows[0], rows[-1], value), block.era)

    def _is_of_one_group(self, kept: PartialReduction) -> bool:
        return self._identity(_first(kept)) == self._identity(_last(kept))

    def _identity(self, row: IndexRow) -> bytes:
        level = self._query.group_level
        if level == 0:
            return b""
        return row.key if level == EXACT else self._prefix(row)

    def _segments(self, rows: Sequence[IndexRow]) -> list[tuple[bytes, list[IndexRow]]]:
        """Neighbours that belong to one group, with what identifies it."""
        level = self._query.group_level
        if level == 0:
            return [(b"", list(rows))]
        if level == EXACT:
            return [(key, list(same)) for key, same in groupby(rows, lambda row: row.key)]
        return [(key, list(same)) for key, same in groupby(rows, self._prefix)]

    def _prefix(self, row: IndexRow) -> bytes:
        if row.shown[:1] != b"[":
            return row.key
        return self._key_of(jsontext.decode(row.shown)[: self._query.group_level])

    def _shown(self, row: IndexRow) -> bytes:
        """The key of the group that starts with `row`."""
        level = self._query.group_level
        if level == 0:
            return b"null"
        if level == EXACT or row.shown[:1] != b"[":
            return row.shown
        return jsontext.encode(jsontext.decode(row.shown)[:level])


class BuiltinReduction(Reduction):
    def __init__(self, source: ViewRows, query: ViewQuery, name: str) -> None:
        super().__init__(source, query)
        self._name = name
        self._chunk = partials.BLOCK
        self._kept_as = name if name in COMBINED else None

    async def _rows(self) -> AsyncIterator[list[bytes]]:
        if self._name == "_count" and self._query.group_level == 0:
            async for row in self._counted():
                yield [row]
            return
        keeper = await self._keeper()
        for span in self._spans():
            identity: bytes | None = None
            shown = b""
            reducer: Reducer | None = None
            async for blocks in self._blocks(span, keeper):
                done = []
                for block in blocks:
                    if reducer is None or block.key != identity:
                        if reducer is not None:
                            done.append(_row(shown, reducer))
                        reducer = self._reducer()
                        identity, shown = block.key, self._shown(block.head)
                    await self._add_block(reducer, block, keeper)
                yield done
            if reducer is not None:
                yield [_row(shown, reducer)]
        if keeper is not None:
            await keeper.flush()

    def _reducer(self) -> Reducer:
        return builtin_reducer(self._name, descending=self._query.descending)

    async def _add_block(self, reducer: Reducer, block: _Block, keeper: Keeper | None) -> None:
        kept = block.kept
        if kept is not None:
            ends = (kept.first_key, kept.last_key)
            if self._is_reversed:
                ends = ends[::-1]
            if not reducer.merge(jsontext.decode(kept.value), kept.rows, ends):
                span = RowSpan(kept.low, kept.high)
                async for rows in span_pages(self._source, span, self._is_reversed):
                    _add(reducer, rows)
            return
        if block.span is not None:
            alone = self._reducer()
            _add(alone, block.rows)
            part = alone.part()
            if part is not None:
                await self._keep(keeper, block, jsontext.encode(part))
                ends = (block.rows[0].key, block.rows[-1].key)
                if reducer.merge(part, len(block.rows), ends):
                    return
        _add(reducer, block.rows)

    @property
    def _is_reversed(self) -> bool:
        return self._query.descending and self._query.group_level != 0

    async def _counted(self) -> AsyncIterator[bytes]:
        for span in self._spans():
            count = await counted(self._source, span)
            if count:
                yield b'{"key":null,"value":%d}' % count


def _add(reducer: Reducer, rows: Sequence[IndexRow]) -> None:
    values: Any = ()
    if reducer.needs_values:
        values = orjson.loads(functions.array([row.value for row in rows]))
    try:
        reducer.add([row.key for row in rows], values)
    except ReduceError as error:
        raise ProtocolError(500, error.error, error.reason) from error


def _row(shown: bytes, reducer: Reducer) -> bytes:
    try:
        return b'{"key":%b,"value":%b}' % (shown, jsontext.encode(reducer.result()))
    except ReduceError as error:
        raise ProtocolError(500, error.error, error.reason) from error


class JavaScriptReduction(Reduction):
    def __init__(self, source: ViewRows, query: ViewQuery, engine: Engine) -> None:
        super().__init__(source, query)
        self._engine = engine
        self._database_name = source.database_name
        text = f"{self._view.reduce}\0{self._view.modules}".encode("utf-8", "surrogatepass")
        self._kept_as = "javascript-" + md5(text, usedforsecurity=False).hexdigest()

    async def _rows(self) -> AsyncIterator[list[bytes]]:
        keeper = await self._keeper()
        for span in self._spans():
            identity: bytes | None = None
            group: _Group | None = None
            async for blocks in self._blocks(span, keeper):
                ended: list[_Group] = []
                work: list[_Work] = []
                for block in blocks:
                    if group is None or block.key != identity:
                        if group is not None:
                            ended.append(group)
                        group, identity = _Group(self._shown(block.head)), block.key
                    work += self._work(group, block)
                await self._reduce(work, keeper)
                if group is not None and len(group.parts) >= CHUNK:
                    await self._rereduce([group])
                yield await self._finished(ended)
            if group is not None:
                yield await self._finished([group])
        if keeper is not None:
            await keeper.flush()

    def _work(self, group: _Group, block: _Block) -> list[_Work]:
        if block.kept is not None:
            return [_Work(group, b"", block)]
        if block.span is not None:
            return [_Work(group, _rows_input(block.rows), block)]
        rows = block.rows
        return [_Work(group, _rows_input(rows[at : at + CHUNK])) for at in range(0, len(rows), CHUNK)]

    async def _finished(self, groups: list[_Group]) -> list[bytes]:
        await self._rereduce([group for group in groups if len(group.parts) > 1])
        return [
            b'{"key":%b,%b}' % (group.key, group.error or b'"value":' + group.parts[0]) for group in groups
        ]

    async def _rereduce(self, groups: Sequence[_Group]) -> None:
        work = []
        for group in groups:
            work.append(_Work(group, b"[null,%b]" % functions.array(group.parts)))
            group.parts = []
        await self._reduce(work)

    async def _reduce(self, work: list[_Work], keeper: Keeper | None = None) -> None:
        """Reduces each input and appends the value to its group, in the order of the work."""
        assert self._view.reduce is not None
        work = [each for each in work if not each.group.error]
        inputs = [each.input for each in work if each.input]
        results = functions.reduce(
            self._engine, self._database_name, self._view.reduce, self._view.modules, inputs
        )
        for each in work:
            if each.block is not None and each.block.kept is not None:
                each.group.parts.append(each.block.kept.value)
                continue
            try:
                result = await anext(results)
            except JavaScriptError as error:
                raise failed(error) from error
            value = jsontext.encode(None if isinstance(result, Thrown) else result)
            size = len(each.input)
            if len(value) > OVERFLOW_SIZE and len(value) * OVERFLOW_RATIO > size:
                each.group.error = b'"error":"reduce_overflow_error","reason":%b' % jsontext.encode(
                    f"Reduce output must shrink more rapidly: input size: {size} output size: {len(value)}"
                )
                value = b"null"  # nobody asks for it, and it may be large
            elif each.block is not None and not isinstance(result, Thrown):
                await self._keep(keeper, each.block, value)
            each.group.parts.append(value)


def _rows_input(rows: Sequence[IndexRow]) -> bytes:
    keys = [b"[%b,%b]" % (row.shown, jsontext.encode(row.id)) for row in rows]
    return b"[%b,%b]" % (functions.array(keys), functions.array([row.value for row in rows]))


_remembered: WeakKeyDictionary[Database, OrderedDict[object, list[bytes]]] = WeakKeyDictionary()


async def reduced_pages(
    database: Database, engine: Engine, source: ViewRows, query: ViewQuery
) -> AsyncIterator[list[bytes]]:
    """The answer's rows, some at a time. Small answers are remembered as long as the index stays as it is."""
    view = source.view
    state = await source.state()
    known = _remembered.setdefault(database, OrderedDict())
    key = (view.signature, view.reduce, state, repr(query))
    if key in known:
        known.move_to_end(key)
        yield known[key]
        return
    gathered: list[bytes] | None = []
    size = 0
    async for rows in reduction(engine, source, query).pages():
        size += sum(map(len, rows))
        gathered = [*gathered, *rows] if gathered is not None and size <= REMEMBERED_SIZE else None
        yield rows
    if gathered and state == await source.state():
        known[key] = gathered
        if len(known) > REMEMBERED:
            known.popitem(last=False)


def reduction(engine: Engine, source: ViewRows, query: ViewQuery) -> Reduction:
    """The reduction of a view that has a reduce function. Raises 400 for a built-in one there isn't."""
    reduce = source.view.reduce
    if reduce is not None and reduce.startswith("_"):
        return BuiltinReduction(source, query, builtin_name(reduce))
    return JavaScriptReduction(source, query, engine)

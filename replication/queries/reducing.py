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
from itertools import groupby
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from replication.javascript import functions
from replication.javascript.engine import Engine
from replication.javascript.functions import JavaScriptError, Thrown
from replication.protocol import jsontext
from replication.protocol.collation import raw_sort_key, sort_key
from replication.protocol.design import builtin_name
from replication.protocol.errors import ProtocolError
from replication.protocol.reducers import ReduceError, Reducer, builtin_reducer
from replication.queries.view_index import failed
from replication.queries.views import EXACT, ViewQuery, ViewRows, span_pages
from replication.store.interface import Database, IndexRow, RowSpan

CHUNK = 500
"""Rows, or results, that a JavaScript function reduces at a time."""

REMEMBERED = 64
"""Answers that are remembered for each database."""
REMEMBERED_SIZE = 16 * 1024
"""Bytes of the largest of them."""

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


class Reduction(ABC):
    """One query of a view with a reduce function."""

    def __init__(self, source: ViewRows, query: ViewQuery) -> None:
        view = source.view
        self._source = source
        self._view = view
        self._query = query
        self._key_of = raw_sort_key if view.raw_collation else sort_key

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

    def _span_pages(self, span: RowSpan) -> AsyncIterator[list[IndexRow]]:
        return span_pages(self._source, span, self._query.descending)

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

    async def _rows(self) -> AsyncIterator[list[bytes]]:
        if self._name == "_count" and self._query.group_level == 0:
            async for row in self._counted():
                yield [row]
            return
        for span in self._spans():
            identity: bytes | None = None
            shown = b""
            reducer: Reducer | None = None
            async for page in self._span_pages(span):
                done = []
                for key, rows in self._segments(page):
                    if reducer is None or key != identity:
                        if reducer is not None:
                            done.append(_row(shown, reducer))
                        reducer = builtin_reducer(self._name, descending=self._query.descending)
                        identity, shown = key, self._shown(rows[0])
                    _add(reducer, rows)
                yield done
            if reducer is not None:
                yield [_row(shown, reducer)]

    async def _counted(self) -> AsyncIterator[bytes]:
        for span in self._spans():
            count = await self._source.count(span)
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

    async def _rows(self) -> AsyncIterator[list[bytes]]:
        for span in self._spans():
            identity: bytes | None = None
            group: _Group | None = None
            async for page in self._span_pages(span):
                ended: list[_Group] = []
                work: list[tuple[_Group, bytes]] = []
                for key, rows in self._segments(page):
                    if group is None or key != identity:
                        if group is not None:
                            ended.append(group)
                        group, identity = _Group(self._shown(rows[0])), key
                    work += [(group, _rows_input(rows[at : at + CHUNK])) for at in range(0, len(rows), CHUNK)]
                await self._reduce(work)
                if group is not None and len(group.parts) >= CHUNK:
                    await self._rereduce([group])
                yield await self._finished(ended)
            if group is not None:
                yield await self._finished([group])

    async def _finished(self, groups: list[_Group]) -> list[bytes]:
        await self._rereduce([group for group in groups if len(group.parts) > 1])
        return [
            b'{"key":%b,%b}' % (group.key, group.error or b'"value":' + group.parts[0]) for group in groups
        ]

    async def _rereduce(self, groups: Sequence[_Group]) -> None:
        work = []
        for group in groups:
            work.append((group, b"[null,%b]" % functions.array(group.parts)))
            group.parts = []
        await self._reduce(work)

    async def _reduce(self, work: list[tuple[_Group, bytes]]) -> None:
        """Reduces each input and appends the value to its group."""
        work = [(group, given) for group, given in work if not group.error]
        if not work:
            return
        assert self._view.reduce is not None
        left = iter(work)
        results = functions.reduce(
            self._engine,
            self._database_name,
            self._view.reduce,
            self._view.modules,
            [given for _, given in work],
        )
        try:
            async for result in results:
                group, given = next(left)
                value = jsontext.encode(None if isinstance(result, Thrown) else result)
                if len(value) > OVERFLOW_SIZE and len(value) * OVERFLOW_RATIO > len(given):
                    group.error = b'"error":"reduce_overflow_error","reason":%b' % jsontext.encode(
                        "Reduce output must shrink more rapidly:"
                        f" input size: {len(given)} output size: {len(value)}"
                    )
                    value = b"null"  # nobody asks for it, and it may be large
                group.parts.append(value)
        except JavaScriptError as error:
            raise failed(error) from error


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

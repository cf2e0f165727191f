"""Keeping the index of a view up to date.

A view's index is refreshed when somebody asks for rows that must be new. Whoever asks while it is being
refreshed waits for the same work, which goes on when they leave.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any
from weakref import WeakKeyDictionary

from replication.javascript import functions
from replication.javascript.engine import Engine
from replication.javascript.functions import Emitted, JavaScriptError, Thrown
from replication.protocol import errors, jsontext
from replication.protocol.collation import raw_sort_key, sort_key
from replication.protocol.design import JAVASCRIPT, QUERY, DesignDocument, View
from replication.protocol.documents import with_members
from replication.protocol.errors import ProtocolError
from replication.protocol.mango.index import IndexDefinition, definitions_of
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.partitions import key_prefix_of
from replication.queries.views import ViewRows
from replication.store.interface import Database, RowMapper
from replication.store.values import IndexedDocument, IndexRow

ROWS_AT_A_TIME = 1000
"""Rows after which others get their turn."""

log = logging.getLogger("replication.views")

_running: WeakKeyDictionary[Database, dict[str, asyncio.Task[None]]] = WeakKeyDictionary()


async def rows_of(
    database: Database, engine: Engine, ddoc: DesignDocument, view: View, *, new: bool = True
) -> ViewRows:
    """The rows of a view: with `new` brought up to the latest change there is now, else as they are.

    Raises what `refresh` does.
    """
    if new:
        seq = database.update_seq
        await refresh(database, engine, ddoc, view)
    else:
        state = await database.index_state(view.signature)
        seq = state.seq if state else 0
    return ViewRows(database, view, seq, partial(refresh, database, engine, ddoc, view))


async def refresh(database: Database, engine: Engine, ddoc: DesignDocument, view: View) -> None:
    """Brings a view up to the latest change there is now.

    Raises 500 `os_process_error` for a map function that takes too long or too much.
    """
    wanted = database.update_seq
    while True:
        state = await database.index_state(view.signature)
        if state is not None and state.seq >= wanted:
            return
        await asyncio.shield(start_refresh(database, engine, ddoc, view))


def start_refresh(database: Database, engine: Engine, ddoc: DesignDocument, view: View) -> asyncio.Task[None]:
    """Refreshes behind the scenes; the task is the one that is at it already, if there is one."""
    running = _running.setdefault(database, {})
    task = running.get(view.signature)
    # One that is done but not taken out yet reads nothing any more: to wait for it is no wait at all.
    if task is None or task.done():
        mapper = _mapper(database, engine, ddoc, view)
        task = asyncio.create_task(database.refresh_rows(view.signature, mapper))
        running[view.signature] = task
        task.add_done_callback(lambda done: _refreshed(running, view.signature, done))
    return task


def _refreshed(running: dict[str, asyncio.Task[None]], signature: str, task: asyncio.Task[None]) -> None:
    if running.get(signature) is task:
        del running[signature]
    if not task.cancelled():
        task.exception()  # whoever waited for it may have left: then nobody else looks


def is_refreshing(database: Database, view: View) -> bool:
    return view.signature in _running.get(database, {})


def failed(error: JavaScriptError) -> ProtocolError:
    """What a client is told of a job that could not be done."""
    return ProtocolError(500, "os_process_error" if error.limit else "compilation_error", str(error))


def _mapper(database: Database, engine: Engine, ddoc: DesignDocument, view: View) -> RowMapper:
    key_of = raw_sort_key if view.raw_collation else sort_key
    if view.language == JAVASCRIPT:
        emit = _JavaScriptMap(engine, database.name, view).emit
    elif view.language == QUERY:
        emit = _QueryMap(ddoc, view).emit
    else:
        raise ProtocolError(500, "unknown_query_language", view.language)

    async def rows(documents: Sequence[IndexedDocument]) -> list[list[IndexRow]]:
        listed = [doc for doc in documents if _is_listed(view, doc.id)]
        results = await emit(listed) if listed else []
        if len(results) < len(listed):
            documents = documents[: documents.index(listed[len(results)])]
            listed = listed[: len(results)]
        by_id: dict[str, list[IndexRow]] = {}
        known: dict[str, tuple[bytes, bytes]] = {}
        wrong: list[tuple[str, str]] = []
        made = 0
        for doc, result in zip(listed, results, strict=True):
            if isinstance(result, Thrown):
                wrong.append((doc.id, f"{result.error}: {result.reason}"))
                continue
            made += len(result)
            if made > ROWS_AT_A_TIME:
                made = 0
                await asyncio.sleep(0)
            try:
                prefix = (key_prefix_of(doc.id) or b"") if view.partitioned else b""
                by_id[doc.id] = index_rows(doc.id, result, key_of, known, prefix)
            except ProtocolError as error:
                wrong.append((doc.id, error.reason))
        if wrong:
            log.warning(
                "View %s/%s of %s: %d documents are left out, the first is %s: %s",
                *(ddoc.id, view.name, database.name, len(wrong), *wrong[0]),
            )
        return [by_id.get(doc.id, []) for doc in documents]

    return rows


def _is_listed(view: View, docid: str) -> bool:
    """Design documents are in no partition."""
    return not docid.startswith(DESIGN_PREFIX) or (view.include_design and not view.partitioned)


def index_rows(
    docid: str,
    emitted: Sequence[Emitted],
    key_of: Callable[[Any], bytes],
    known: dict[str, tuple[bytes, bytes]],
    prefix: bytes = b"",
) -> list[IndexRow]:
    """The rows of one document. Those with the same key are in the order of their values, as CouchDB's.

    `known` remembers what texts are as keys, which come again and again, from one document to the next.
    `prefix` is what all keys of the document's partition begin with.
    """
    rows = []
    for key, value in emitted:
        # Only texts: 1 and True are one key of a dictionary.
        if key.__class__ is str:
            pair = known.get(key)
            if pair is None:
                pair = known[key] = (key_of(key), jsontext.encode(key))
            sort, shown = pair
        else:
            sort, shown = key_of(key), jsontext.encode(key)
        text = b"null" if value is None else jsontext.encode(value)
        rows.append(IndexRow(prefix + sort if prefix else sort, docid, 0, shown, text))
    if len(rows) > 1 and len({row.key for row in rows}) < len(rows):
        return _in_places(rows, [value for _, value in emitted])
    return rows


def _in_places(rows: Sequence[IndexRow], values: Sequence[Any]) -> list[IndexRow]:
    """Rows of which some have the same key, with places that tell them apart."""
    by_key: dict[bytes, list[int]] = {}
    for at, row in enumerate(rows):
        by_key.setdefault(row.key, []).append(at)
    placed = []
    for same in by_key.values():
        if len(same) > 1 and any(rows[at].value != rows[same[0]].value for at in same):
            same.sort(key=lambda at: raw_sort_key(values[at]))
        placed += [rows[at]._replace(place=place) if place else rows[at] for place, at in enumerate(same)]
    return placed


class _JavaScriptMap:
    """A map function. It may answer for the first documents only."""

    def __init__(self, engine: Engine, owner: str, view: View) -> None:
        self._engine = engine
        self._owner = owner
        self._view = view

    async def emit(self, documents: Sequence[IndexedDocument]) -> list[list[Emitted] | Thrown]:
        view = self._view
        texts = [document.text for document in documents]
        if view.local_seq:
            texts = [with_members(doc.text, [b'"_local_seq":%d' % doc.seq]) for doc in documents]
        try:
            return await functions.map_documents(self._engine, self._owner, view.map, view.modules, texts)
        except JavaScriptError as error:
            raise failed(error) from error


class _QueryMap:
    """One of Mango's indexes, asked as a view."""

    def __init__(self, ddoc: DesignDocument, view: View) -> None:
        definition = _definition(ddoc.text, view.name)
        if definition is None:
            raise errors.not_found("missing_named_view")
        self._definition = definition

    async def emit(self, documents: Sequence[IndexedDocument]) -> list[list[Emitted] | Thrown]:
        keys = [self._definition.key_of(jsontext.decode(document.text)) for document in documents]
        return [[] if key is None else [Emitted(key, None)] for key in keys]


@lru_cache(maxsize=128)
def _definition(text: bytes, name: str) -> IndexDefinition | None:
    found = (definition for definition in definitions_of(jsontext.decode(text)) if definition.name == name)
    return next(found, None)

"""Which changes a reader wants: the filters of the feed.

A filter is asked about every change and says which of its revisions pass. The store finds the documents
of `_doc_ids` by itself, when that is less work. Filters in JavaScript are `function_filters`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import unquote

import orjson

from replication.http import function_filters
from replication.http.call import Call
from replication.http.change_filter import EVERYTHING, ChangeFilter
from replication.http.changes_options import ChangesOptions
from replication.http.turns import Turns
from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError
from replication.protocol.mango.fields import projection
from replication.protocol.mango.query import MAX_FIELDS
from replication.protocol.mango.selector import Selector, compile_selector
from replication.protocol.names import DESIGN_PREFIX
from replication.store.interface import Database
from replication.store.values import Change

_DOC_IDS_REASON = "`doc_ids` filter parameter is not a list of doc ids."


class DocIds(ChangeFilter):
    """`_doc_ids`"""

    def __init__(self, docids: Sequence[str]) -> None:
        self.docids = docids
        self._wanted = frozenset(docids)
        self.key = b"_doc_ids" + jsontext.encode(docids)

    def select(self, change: Change) -> Sequence[str]:
        return change.revs if change.id in self._wanted else ()


class DesignDocuments(ChangeFilter):
    """`_design`"""

    marker = b'"id":"_design/'
    key = b"_design"

    def select(self, change: Change) -> Sequence[str]:
        return change.revs if change.id.startswith(DESIGN_PREFIX) else ()


class BySelector(ChangeFilter):
    """`_selector`. Of a document with several leaves each one is judged."""

    needs_docs = True

    def __init__(
        self, database: Database, selector: Selector, key: bytes, all_leaves: bool, fields: Sequence[str]
    ) -> None:
        self._database = database
        self._matches = selector.matches
        # In a guarded database other leaves have no bodies to be judged by: they go with the winner.
        self._all_leaves = all_leaves and not database.guarded
        self._project = projection(fields) if fields else None
        self.key = b"_selector" + key

    def select(self, change: Change) -> Sequence[str] | None:
        if self._all_leaves and len(change.revs) > 1:
            return None
        return change.revs if self._passes(change) else ()

    def _passes(self, change: Change) -> bool:
        if change.unfiltered:
            return True
        return change.doc is not None and self._matches(_decoded(change.doc))

    async def select_page(self, changes: Sequence[Change], room: int | None) -> list[Sequence[str]]:
        if self._all_leaves or room is not None:
            return await super().select_page(changes, room)
        passes = self._passes
        selected: list[Sequence[str]] = []
        turns = Turns()
        for change in changes:
            if turns.over():
                await turns.next()
            selected.append(change.revs if passes(change) else ())
        return selected

    async def select_leaves(self, change: Change) -> Sequence[str]:
        leaves = await self._database.leaves(change.id)
        return [leaf.rev for leaf in leaves if self._matches(_decoded(leaf.text))]

    def document(self, text: bytes) -> bytes:
        return text if self._project is None else jsontext.encode(self._project(jsontext.decode(text)))


def _decoded(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # nested deeper than it takes
        return jsontext.decode(text)


async def read_filter(call: Call, options: ChangesOptions) -> ChangeFilter:
    """The filter that the request names. Raises 400 for wrong ones, 404 for functions that aren't there."""
    name = options.filter
    if name.startswith("_"):
        builtin = _BUILTIN.get(name)
        if builtin is None:
            raise errors.bad_request("unknown builtin filter name")
        return await builtin(call, options)
    parts = [unquote(part) for part in name.split("/") if part]
    if not parts:
        return EVERYTHING
    if len(parts) != 2:
        raise errors.bad_request("`filter` must be of the form `designname/filtername`")
    return await function_filters.filter_function(call, options, parts[0], parts[1])


async def _doc_ids(call: Call, options: ChangesOptions) -> ChangeFilter:
    if call.method == "POST":
        docids = (await changes_body(call)).get("doc_ids")
    else:
        docids = jsontext.decode(call.query.get("doc_ids", "null"))
    if not isinstance(docids, list) or not all(isinstance(docid, str) for docid in docids):
        raise errors.bad_request(_DOC_IDS_REASON)
    jsontext.encode(docids)
    return DocIds(docids)


async def _selector(call: Call, options: ChangesOptions) -> ChangeFilter:
    if call.method != "POST":
        raise errors.bad_request("Selector must be specified in POST payload")
    body = await changes_body(call)
    selector = body.get("selector")
    if not isinstance(selector, dict):
        raise errors.bad_request("Selector error: expected a JSON object")
    fields = body.get("fields", [])
    if not isinstance(fields, list):
        raise errors.bad_request("Selector error: fields must be JSON array")
    if len(fields) > MAX_FIELDS:
        raise errors.bad_request(f"Selector error: more than {MAX_FIELDS} fields are asked for")
    for field in fields:
        if not isinstance(field, str):
            raise errors.bad_request(f"Invalid JSON for field spec: {jsontext.encode(field).decode()}")
    try:
        compiled = compile_selector(selector)
        key = jsontext.encode([selector, fields])
        return BySelector(call.database, compiled, key, options.all_leaves, fields)
    except ProtocolError as error:
        raise errors.bad_request(error.reason) from None


async def _design(call: Call, options: ChangesOptions) -> ChangeFilter:
    return DesignDocuments()


async def _view(call: Call, options: ChangesOptions) -> ChangeFilter:
    view = call.query.get("view", "")
    if not view:
        raise errors.bad_request("`view` filter parameter is not provided.")
    parts = [unquote(part) for part in view.split("/") if part]
    if len(parts) != 2:
        raise errors.bad_request("`view` must be of the form `designname/viewname`")
    return await function_filters.view_function(call, options, parts[0], parts[1])


_BUILTIN: dict[str, Callable[[Call, ChangesOptions], Awaitable[ChangeFilter]]] = {
    "_doc_ids": _doc_ids,
    "_selector": _selector,
    "_design": _design,
    "_view": _view,
}


async def changes_body(call: Call) -> dict[str, Any]:
    """The body of `POST /{db}/_changes`; an empty one is allowed."""
    return await call.question() if await call.body() else {}

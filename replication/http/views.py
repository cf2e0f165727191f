"""Views: `_design/{d}/_view/{v}`, several queries of one at once, and facts about the views' indexes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response

from replication.http.call import Call
from replication.http.listings import HEADERS, Pieces, key_list, queries_in, several, single
from replication.http.responses import json_response
from replication.http.streaming import json_in_pieces
from replication.http.turns import Turns
from replication.http.view_options import ViewOptions
from replication.http.view_rows import rows_of
from replication.protocol import errors, jsontext
from replication.protocol.collation import COLLATION
from replication.protocol.design import DesignDocument, View
from replication.queries import view_index
from replication.queries.designs import design_document
from replication.queries.partials import offset
from replication.queries.reducing import reduced_pages
from replication.queries.views import ViewQuery, ViewRows, pages

_SEPARATOR = b",\r\n"

ROWS_WITH_DOCS = 100
"""Rows whose documents are read at a time."""

Asked = tuple[ViewOptions, ViewQuery]


async def view(call: Call) -> Response:
    """`GET` and `POST /{db}/_design/{d}/_view/{v}`, `POST …/queries`."""
    name, *below = call.rest[1:] or ("",)
    if below == ["queries"]:
        if call.method != "POST":
            raise errors.method_not_allowed(("POST",))
    elif below or not name:
        raise errors.method_not_allowed(("GET", "POST", "HEAD"))
    ddoc = await design_document(call.database, call.docid)
    found = ddoc.views.get(name)
    if found is None:
        raise errors.not_found("missing_named_view")
    if below:
        return await _several(call, ddoc, found)
    options = await _options(call)
    asked = (options, options.check_for(found))
    _check(call, found, options)
    source = await _source(call, ddoc, found, [options])
    return await json_in_pieces(single(_pieces(call, source, asked)), HEADERS)


async def _options(call: Call) -> ViewOptions:
    options = ViewOptions()
    if call.method == "POST":
        call.require_json()
        body = await call.json_object()
        if "queries" in body:
            if not isinstance(body["queries"], list):
                raise errors.bad_request("`queries` member must be an array.")
            raise errors.bad_request("The `queries` parameter is no longer supported at this endpoint")
        options.keys = key_list(body["keys"], "member") if "keys" in body else None
        options.read(body.items(), decoded=True)
    options.read(call.query.items(), decoded=False)
    return options


async def _several(call: Call, ddoc: DesignDocument, view: View) -> Response:
    call.require_json()
    asked = []
    turns = Turns()
    for query in queries_in(await call.json_object()):
        if turns.over():
            await turns.next()
        options = ViewOptions()
        options.read(call.query.items(), decoded=False)
        options.read(query.items(), decoded=True)
        asked.append((options, options.check_for(view)))
        _check(call, view, options)
    source = await _source(call, ddoc, view, [options for options, _ in asked])
    return await json_in_pieces(several([_pieces(call, source, each) for each in asked]), HEADERS)


async def _source(call: Call, ddoc: DesignDocument, view: View, asked: list[ViewOptions]) -> ViewRows:
    engine = call.server.javascript
    if call.database.guarded:
        # What rows were before the latest changes may be what the reader wasn't meant to see then.
        return await view_index.rows_of(call.database, engine, ddoc, view)
    new = any(options.refresh for options in asked)
    source = await view_index.rows_of(call.database, engine, ddoc, view, new=new)
    if not new and any(options.refresh_after for options in asked):
        view_index.start_refresh(call.database, engine, ddoc, view)
    return source


def _check(call: Call, view: View, options: ViewOptions) -> None:
    if call.database.guarded and options.reduces(view):
        raise errors.forbidden("Only server administrators may reduce: ask with reduce=false.")


async def _pieces(call: Call, source: ViewRows, asked: Asked) -> Pieces:
    options, query = asked
    if options.reduces(source.view):
        text = await _head(call, source, options, None)
        rows = reduced_pages(call.database, call.server.javascript, source, query)
    else:
        text = await _head(call, source, options, query)
        rows = _map_rows(call, source, asked)
    separator = b""
    async for page in rows:
        if separator:
            yield text, False
            text = b""
        text += separator + _SEPARATOR.join(page)
        separator = _SEPARATOR
    yield text + b"\r\n]}", True


async def _head(call: Call, source: ViewRows, options: ViewOptions, query: ViewQuery | None) -> bytes:
    """What stands before the rows; `query` is None for reduced ones, which are not counted.

    In a guarded database nothing does: its rows are some of all, and only going through all would count them.
    """
    if call.database.guarded:
        return b'{"rows":[\r\n'
    state = await source.state()
    seq, total = (state.seq, state.entries) if state else (0, 0)
    members = []
    if query is not None and options.sorted:
        members.append(b'"total_rows":%d' % total)
        members.append(b'"offset":%d' % await offset(source, query, total))
    if options.update_seq and (query is None or options.sorted):
        members.append(b'"update_seq":' + jsontext.encode(call.database.epochs.format(seq)))
    return b"{" + b",".join([*members, b'"rows":[\r\n'])


async def _map_rows(call: Call, source: ViewRows, asked: Asked) -> AsyncIterator[list[bytes]]:
    options, query = asked
    async for rows in pages(source, query):
        step = ROWS_WITH_DOCS if options.include_docs else len(rows)
        for start in range(0, len(rows), step):
            yield await rows_of(call.database, rows[start : start + step], options)


async def info(call: Call) -> Response:
    """`GET /{db}/_design/{d}/_info`"""
    if len(call.rest) > 1:
        raise errors.missing()
    database = call.database
    ddoc = await design_document(database, call.docid)
    if database.guarded:
        raise errors.forbidden("Only server administrators may see how large an index is.")
    states = [await database.index_state(view.signature, sized=True) for view in ddoc.views.values()]
    known = [state for state in states if state is not None]
    seq = min((state.seq for state in known), default=0) if len(known) == len(states) else 0
    pending = await database.pending(seq) if ddoc.views else 0
    size = sum(state.size for state in known)
    updating = any(view_index.is_refreshing(database, view) for view in ddoc.views.values())
    facts: dict[str, Any] = {
        "updates_pending": {"minimum": pending, "preferred": pending, "total": pending},
        "waiting_commit": False,
        "waiting_clients": 0,
        "updater_running": updating,
        "update_seq": seq,
        "sizes": {"file": size, "external": size, "active": size},
        "signature": ddoc.signature,
        "purge_seq": (await database.info()).purge_seq,
        "language": ddoc.language,
        "compact_running": False,
        "collator_versions": [COLLATION],
    }
    return json_response({"name": ddoc.id.removeprefix("_design/"), "view_index": facts})


async def not_supported(call: Call) -> Response:
    """`_show`, `_list` and `_rewrite`: deprecated in CouchDB 3 and going away with 4."""
    await design_document(call.database, call.docid)
    raise errors.not_implemented(
        f"`{call.rest[0]}` is deprecated in CouchDB and not supported here: render on the client"
    )

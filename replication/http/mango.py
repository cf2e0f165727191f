"""Mango's endpoints: `_find`, `_explain`, `_index`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from replication.http.call import Call
from replication.http.params import Query
from replication.http.partitions import PARAMETER
from replication.http.responses import CACHE_CONTROL, json_response, text_response
from replication.http.streaming import PagedResponse
from replication.http.writing import write_documents
from replication.protocol import errors, jsontext
from replication.protocol.documents import parse_document
from replication.protocol.errors import ProtocolError
from replication.protocol.mango import explain as mango_explain
from replication.protocol.mango.index import (
    PrimaryIndex,
    definitions_of,
    read_bulk_delete,
    read_index_request,
    with_index,
    without_index,
)
from replication.protocol.mango.query import FindRequest, read_find
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.partitions import check_partition
from replication.queries import indexes
from replication.queries.find import Find
from replication.queries.find import find as plan_query

_BUFFERED = 1024 * 1024
"""Bytes of an answer up to which it is sent in one piece."""

NOT_PARTITIONED = "`partition` parameter is not supported on this db"

_ATTEMPTS = 5
"""How often an edit of a design document is tried when others edit it at the same time."""


async def find(call: Call) -> Response:
    """`POST /{db}/_find`."""
    call.require_json()
    query = await plan_query(call.database, await _read_find(call))
    pages = query.pages()
    start: list[bytes] = []
    size = 0
    async for page in pages:
        start += page
        size += sum(map(len, page))
        if size > _BUFFERED:
            return PagedResponse(
                _streamed(query, start, pages),
                media_type="application/json",
                headers={"cache-control": CACHE_CONTROL},
            )
    return text_response(b'{"docs":[' + b",\n".join(start) + b"]," + _trailer(query))


async def _streamed(
    query: Find, start: list[bytes], pages: AsyncIterator[list[bytes]]
) -> AsyncIterator[bytes]:
    yield b'{"docs":[' + b",\n".join(start)
    async for page in pages:
        if page:
            yield b",\n" + b",\n".join(page)
    yield b"]," + _trailer(query) + b"\n"


def _trailer(query: Find) -> bytes:
    return jsontext.encode(query.trailer())[1:]


async def _read_find(call: Call) -> FindRequest:
    body = await call.question()
    request = read_find(body)
    partition = call.query.get(PARAMETER)
    if partition is not None:
        if PARAMETER in body:
            raise errors.bad_request("The path names the partition: leave `partition` out of the body")
        request = replace(request, partition=check_partition(partition))
    if request.partition and not call.database.partitioned:
        raise errors.query_parse_error(NOT_PARTITIONED)
    return request


async def explain(call: Call) -> Response:
    """`POST /{db}/_explain`."""
    call.require_json()
    request = await _read_find(call)
    database = call.database
    known = await indexes.definitions(database)
    return json_response(
        mango_explain.explain(database.name, request, known, partitioned=database.partitioned)
    )


async def list_indexes(call: Call) -> Response:
    """`GET /{db}/_index`, `_all_docs` first."""
    rows = [PrimaryIndex().as_json()]
    rows += [definition.as_json() for definition in await indexes.definitions(call.database)]
    limit = _list_parameter(call.query, "limit", len(rows), at_least=1)
    skip = _list_parameter(call.query, "skip", 0, at_least=0)
    return json_response({"total_rows": len(rows), "indexes": rows[skip : skip + limit]})


def _list_parameter(query: Query, name: str, default: int, *, at_least: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    # 500 is what CouchDB answers here.
    wrong = ProtocolError(500, "invalid_list_index_params", "Index parameter ranges: limit > 1, skip > 0")
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < at_least:
        raise wrong
    return int(text)


async def create_index(call: Call) -> Response:
    """`POST /{db}/_index`. The entries are made when the index is first used."""
    call.require_json()
    request = read_index_request(await call.question())
    definition = request.definition
    if definition.partitioned and not call.database.partitioned:
        raise errors.bad_request("partitioned option cannot be true in a non-partitioned database.")
    created = await _edit(call, definition.ddoc, lambda ddoc: with_index(ddoc, request))
    return json_response(
        {"result": "created" if created else "exists", "id": definition.ddoc, "name": definition.name}
    )


async def delete_index(call: Call) -> Response:
    """`DELETE /{db}/_index/{ddoc}/json/{name}`."""
    ddoc, kind, name = _index_path(call)
    if kind != "json" or not await _remove(call, ddoc, name):
        raise errors.missing()
    await indexes.drop_unused(call.database)
    return json_response({"ok": True})


async def bulk_delete_indexes(call: Call) -> Response:
    """`POST /{db}/_index/_bulk_delete`: all indexes of the named design documents."""
    if call.segments[2:] != ["_bulk_delete"]:
        _index_path(call)
        raise errors.method_not_allowed(("DELETE",))
    call.require_json()
    success, fail = [], []
    for ddoc in read_bulk_delete(await call.question()):
        try:
            if not await _remove(call, ddoc, None):
                raise errors.missing()
            success.append({"id": ddoc, "ok": True})
        except ProtocolError as error:
            fail.append({"id": ddoc, "error": error.error})
    if success:
        await indexes.drop_unused(call.database)
    return json_response({"success": success, "fail": fail})


def _index_path(call: Call) -> tuple[str, str, str]:
    """Design document, type and name. The document's id may come with its slash escaped or not, or bare."""
    parts = call.segments[2:]
    if parts[0] == "_design" and len(parts) == 4:
        parts = parts[1:]
    if parts == ["_bulk_delete"]:
        raise errors.method_not_allowed(("POST",))
    if len(parts) != 3:
        raise errors.missing()
    ddoc, kind, name = parts
    return DESIGN_PREFIX + ddoc.removeprefix(DESIGN_PREFIX), kind, name


async def _remove(call: Call, ddoc_id: str, name: str | None) -> bool:
    """Removes one index, or all, from a design document. False if there is none."""

    def change(ddoc: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if ddoc is None:
            return None
        names = [found.name for found in definitions_of(ddoc) if name in (None, found.name)]
        if not names:
            return None
        left: dict[str, Any] | None = dict(ddoc)
        for each in names:
            left = without_index(left or {}, each)
        return left if left is not None else {"_deleted": True}

    return await _edit(call, ddoc_id, change)


async def _edit(
    call: Call, ddoc_id: str, change: Callable[[Mapping[str, Any] | None], dict[str, Any] | None]
) -> bool:
    """Writes what `change` makes of a design document; False if it makes nothing of it.

    Raises why the caller may not write it.
    """
    attempts_left = _ATTEMPTS
    while True:
        winner = await call.database.winner(ddoc_id)
        present = None if winner is None or winner.deleted else jsontext.decode(winner.text)
        changed = change(present)
        if changed is None:
            return False
        changed["_id"] = ddoc_id
        if present is not None:
            changed["_rev"] = present["_rev"]
        (outcome,) = await write_documents(call, [parse_document(changed)])
        if not isinstance(outcome, ProtocolError):
            return True
        attempts_left -= 1
        if outcome.error != "conflict" or not attempts_left:
            raise outcome

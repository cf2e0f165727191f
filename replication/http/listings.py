"""Listings of documents in the order of their ids.

`_all_docs`, `_design_docs` and `_local_docs` are asked by `GET`, by `POST` with the same parameters in
the body, and by `POST …/queries` with several sets of them. Order is that of the ids' UTF-8 bytes. Rows
come from the store as text and are sent page by page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from starlette.responses import Response

from replication.http.call import Call
from replication.http.listing_options import ListingOptions
from replication.http.listing_rows import SOURCES, RowSource
from replication.http.params import json_value
from replication.http.responses import CACHE_CONTROL
from replication.http.streaming import json_in_pieces
from replication.http.turns import Turns
from replication.protocol import errors
from replication.protocol.partitions import check_asked_id
from replication.store.interface import Database

HEADERS = {"cache-control": CACHE_CONTROL}


async def all_docs(call: Call) -> Response:
    """`GET` and `POST /{db}/_all_docs`"""
    return await _listing(call)


async def design_docs(call: Call) -> Response:
    """`GET` and `POST /{db}/_design_docs`"""
    return await _listing(call)


async def local_docs(call: Call) -> Response:
    """`GET` and `POST /{db}/_local_docs`"""
    return await _listing(call)


async def queries(call: Call) -> Response:
    """`POST /{db}/_all_docs/queries` and its siblings: the query string holds what is common to all."""
    asked = []
    turns = Turns()
    for query in queries_in(await call.json_object()):
        if turns.over():
            await turns.next()
        options = ListingOptions()
        options.read(call.query.items(), decoded=False)
        options.read(query.items(), decoded=True)
        _check(call, options)
        asked.append(options)
    source = SOURCES[call.segments[1]]
    answers = [_pieces(call.database, source, options) for options in asked]
    return await json_in_pieces(several(answers), HEADERS)


def queries_in(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The `queries` of a body. Raises 400 for what isn't a list of objects."""
    if "queries" not in body:
        raise errors.bad_request("POST body must include `queries` parameter.")
    queries = body["queries"]
    if not isinstance(queries, list):
        raise errors.bad_request("`queries` member must be an array.")
    if not all(isinstance(query, dict) for query in queries):
        raise errors.bad_request("Each of the `queries` must be an object.")
    return queries


async def _listing(call: Call) -> Response:
    options = ListingOptions()
    if call.method == "POST":
        call.require_json()
        body = await call.json_object()
        options.keys = key_list(body["keys"], "body member") if "keys" in body else None
        options.read(body.items(), decoded=True)
    elif "keys" in call.query:
        options.keys = key_list(json_value(call.query, "keys"), "parameter")
    options.read(call.query.items(), decoded=False)
    _check(call, options)
    return await json_in_pieces(single(_pieces(call.database, SOURCES[call.segments[1]], options)), HEADERS)


def _check(call: Call, options: ListingOptions) -> None:
    """Raises the 400 of parameters that don't go together, or don't go with the database."""
    partitioned = call.database.partitioned
    options.check(partitioned=partitioned)
    if partitioned and call.segments[1] == "_all_docs":
        for key in options.keys or ():
            if isinstance(key, str):
                check_asked_id(key)


def key_list(keys: Any, what: str) -> list[Any]:
    """`keys`, given as a parameter or a body's member. Raises 400 if they are no list."""
    if not isinstance(keys, list):
        raise errors.bad_request(f"`keys` {what} must be an array.")
    return keys


Pieces = AsyncIterator[tuple[bytes, bool]]
"""The pieces of one listing's object, and whether each is the last."""


async def single(pieces: Pieces) -> AsyncIterator[bytes]:
    """An answer that is one listing."""
    async for piece, last in pieces:
        yield piece + b"\n" if last else piece


async def several(answers: Iterable[Pieces]) -> AsyncIterator[bytes]:
    """An answer that holds several, one after the other."""
    text = b'{"results":['
    separator = b"\r\n"
    turns = Turns()
    for pieces in answers:
        if turns.over():
            await turns.next()
        text += separator
        separator = b",\r\n"
        async for piece, last in pieces:
            text += piece
            if not last:
                yield text
                text = b""
    yield text + b"\r\n]}\n"


async def _pieces(database: Database, source: RowSource, options: ListingOptions) -> Pieces:
    text = await source.head(database, options)
    separator = b""
    async for rows in source.pages(database, options):
        if separator:
            yield text, False
            text = b""
        text += separator + rows
        separator = b",\r\n"
    yield text + b"\r\n]}", True

"""Listings of documents in the order of their ids.

`_all_docs`, `_design_docs` and `_local_docs` are asked by `GET`, by `POST` with the same parameters in
the body, and by `POST …/queries` with several sets of them. Order is that of the ids' UTF-8 bytes. Rows
come from the store as text and are sent page by page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response

from replication.http.call import Call
from replication.http.listing_options import ListingOptions
from replication.http.listing_rows import SOURCES, RowSource
from replication.http.params import json_value
from replication.http.responses import CACHE_CONTROL
from replication.http.streaming import json_in_pieces
from replication.protocol import errors
from replication.store.interface import Database

_HEADERS = {"cache-control": CACHE_CONTROL}


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
    body = await call.json_object()
    if "queries" not in body:
        raise errors.bad_request("POST body must include `queries` parameter.")
    if not isinstance(body["queries"], list):
        raise errors.bad_request("`queries` member must be an array.")
    asked = []
    for query in body["queries"]:
        if not isinstance(query, dict):
            raise errors.bad_request("Each of the `queries` must be an object.")
        options = ListingOptions()
        options.read(call.query.items(), decoded=False)
        options.read(query.items(), decoded=True)
        options.check()
        asked.append(options)
    return await json_in_pieces(_results(call.database, SOURCES[call.segments[1]], asked), _HEADERS)


async def _listing(call: Call) -> Response:
    options = ListingOptions()
    if call.method == "POST":
        call.require_json()
        body = await call.json_object()
        options.keys = _key_list(body["keys"], "body member") if "keys" in body else None
        options.read(body.items(), decoded=True)
    elif "keys" in call.query:
        options.keys = _key_list(json_value(call.query, "keys"), "parameter")
    options.read(call.query.items(), decoded=False)
    options.check()
    return await json_in_pieces(_document(call.database, SOURCES[call.segments[1]], options), _HEADERS)


def _key_list(keys: Any, what: str) -> list[Any]:
    if not isinstance(keys, list):
        raise errors.bad_request(f"`keys` {what} must be an array.")
    return keys


async def _document(database: Database, source: RowSource, options: ListingOptions) -> AsyncIterator[bytes]:
    async for piece, last in _pieces(database, source, options):
        yield piece + b"\n" if last else piece


async def _results(
    database: Database, source: RowSource, asked: list[ListingOptions]
) -> AsyncIterator[bytes]:
    text = b'{"results":['
    separator = b"\r\n"
    for options in asked:
        text += separator
        separator = b",\r\n"
        async for piece, last in _pieces(database, source, options):
            text += piece
            if not last:
                yield text
                text = b""
    yield text + b"\r\n]}\n"


async def _pieces(
    database: Database, source: RowSource, options: ListingOptions
) -> AsyncIterator[tuple[bytes, bool]]:
    """The pieces of one listing's object, and whether it is the last."""
    text = await source.head(database, options)
    separator = b""
    async for rows in source.pages(database, options):
        if separator:
            yield text, False
            text = b""
        text += separator + rows
        separator = b",\r\n"
    yield text + b"\r\n]}", True

"""`_bulk_get`: documents with their histories, many in one answer.

The answer is put together from text that the store keeps ready for the wire; nothing is decoded
unless attachments are asked for. Those go out piece by piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import orjson
from starlette.responses import Response

from replication.http.call import JSON_TYPE, Call
from replication.http.document_options import ReadOptions
from replication.http.document_reading import rendered, rendered_in_pieces
from replication.http.multipart_responses import accepts, document_part, error_part, mixed
from replication.http.responses import CACHE_CONTROL
from replication.http.streaming import json_in_pieces, json_line
from replication.http.turns import Turns
from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError
from replication.protocol.multipart import MIXED, RELATED, Writer
from replication.protocol.names import LOCAL_PREFIX, check_document_id
from replication.protocol.partitions import check_partitioned_id
from replication.protocol.revisions import Rev, parse_rev
from replication.store.interface import Database
from replication.store.paging import PageSize
from replication.store.values import Document, MissingRevision

_REFUSED_PARAMETERS = ("rev", "open_revs", "atts_since", "new_edits", "w")

_LARGEST_PAGE = 500
"""Requests that are answered in one go."""
_LARGEST_GUARDED_PAGE = 100
"""The same where each is asked about: whether its reader may have it."""

ATTEMPTS = 10
"""How often a document is asked for that is changed whenever its attachments are looked for."""

NO_REVISION = "undefined"
"""What an error row gives as revision when none was asked for."""


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a request has no document. `id` and `rev` as they were asked, of whatever type."""

    id: Any
    rev: Any
    error: str
    reason: str

    def row(self) -> dict[str, Any]:
        return {"id": self.id, "rev": self.rev, "error": self.error, "reason": self.reason}

    def text(self) -> bytes:
        return b'{"error":%b}' % jsontext.encode(self.row())


@dataclass(frozen=True, slots=True)
class Asked:
    """What one request asks for."""

    id: str
    rev: Rev | None
    atts_since: tuple[Rev, ...] | None


async def bulk_get(call: Call) -> Response:
    """`POST /{db}/_bulk_get`: one row for each request, in order; faults of a request are in its row."""
    call.require_json()
    options = read_options(call.query)
    body = await call.json_object(exact=False)
    if "docs" not in body:
        raise errors.bad_request("Missing JSON list of 'docs'.")
    if not isinstance(body["docs"], list):
        raise errors.bad_request("`docs` must be an array.")
    partitioned = call.database.partitioned
    requests: list[Asked | RowError] = []
    turns = Turns()
    for value in body["docs"]:
        if turns.over():
            await turns.next()
        requests.append(_read_request(value, partitioned))
    media_type = _parts_wanted(call.headers.get("accept"))
    if media_type is not None:
        writer = Writer()
        return mixed(_parts(call.database, requests, options, writer), writer, media_type)
    with_attachments = options.attachments or any(
        isinstance(asked, Asked) and asked.atts_since for asked in requests
    )
    pieces = _rows_in_pieces if with_attachments else _pages
    rows = json_line(pieces(call.database, requests, options))
    return await json_in_pieces(rows, {"cache-control": CACHE_CONTROL})


def read_options(query: Mapping[str, str]) -> ReadOptions:
    """How the documents are to look. Raises 400 for parameters that belong to single documents."""
    for name in _REFUSED_PARAMETERS:
        if name in query:
            raise errors.bad_request(f'"{name}" query parameter is not acceptable')
    return ReadOptions(
        revs=query.get("revs") == "true",
        latest=query.get("latest") == "true",
        attachments=query.get("attachments") == "true",
        att_encoding_info=query.get("att_encoding_info") == "true",
    )


def _read_request(value: Any, partitioned: bool) -> Asked | RowError:
    if type(value) is not dict or not value:
        return RowError(None, None, "bad_request", "document must be a JSON object")
    if "id" not in value:
        return RowError(None, None, "bad_request", "document id missed")
    docid = value["id"]
    try:
        if not (type(docid) is str and docid.startswith(LOCAL_PREFIX)):
            check_document_id(docid)
            if partitioned:
                check_partitioned_id(docid)
    except ProtocolError as error:
        return RowError(docid, None, error.error, error.reason)
    rev: Rev | None = None
    if "rev" in value:
        try:
            rev = parse_rev(value["rev"])
        except ProtocolError as error:
            return RowError(docid, value["rev"], error.error, error.reason)
    if "atts_since" not in value:
        return Asked(docid, rev, None)
    since = value["atts_since"]
    if not isinstance(since, list):
        return RowError(docid, since, "bad_request", "att_since value must be array of revs.")
    revs = []
    for text in since:
        try:
            revs.append(parse_rev(text))
        except ProtocolError as error:
            return RowError(docid, text, error.error, error.reason)
    return Asked(docid, rev, tuple(revs) or None)


def _parts_wanted(accept: str | None) -> str | None:
    """The multipart type to answer with: only for who takes one and doesn't take JSON."""
    if accepts(accept, JSON_TYPE):
        return None
    return next((media_type for media_type in (MIXED, RELATED) if accepts(accept, media_type)), None)


async def _parts(
    database: Database, requests: Sequence[Asked | RowError], options: ReadOptions, writer: Writer
) -> AsyncIterator[bytes]:
    """A part for each document, its attachments with it, and for each that isn't there."""
    for request in requests:
        if isinstance(request, RowError):
            yield error_part(writer, jsontext.encode(request.row()))
            continue
        wanted = replace(options, atts_since=request.atts_since)
        going = partial(document_part, writer=writer, named=True)
        found = await _begun(database, request, options.latest, going, wanted)
        if not found and not database.guarded:
            yield error_part(writer, jsontext.encode(_missing(request.id, NO_REVISION).row()))
        for item in found:
            if isinstance(item, MissingRevision):
                if database.guarded:
                    continue
                yield error_part(writer, jsontext.encode(_missing(item.id, item.rev).row()))
                continue
            yield item.first
            async for piece in item.rest:
                yield piece
    yield writer.end()


async def _pages(
    database: Database, requests: Sequence[Asked | RowError], options: ReadOptions
) -> AsyncIterator[bytes]:
    """The answer page by page: requests may ask for more than fits into memory."""
    yield b'{"results":['
    size = PageSize(most=_LARGEST_GUARDED_PAGE if database.guarded else _LARGEST_PAGE)
    at = 0
    while at < len(requests):
        some = requests[at : at + size.rows]
        rows = await _rows(database, some, options)
        size.saw(len(some), len(rows))
        yield b"," + rows if at else rows
        at += len(some)
        if at < len(requests):
            await asyncio.sleep(0)
    yield b"]}"


async def _rows(database: Database, requests: Sequence[Asked | RowError], options: ReadOptions) -> bytes:
    """Rows of the answer, joined. Each document is one piece of them, ready as it comes from the store."""
    found = iter(
        await database.bulk_get(
            [(request.id, request.rev) for request in requests if isinstance(request, Asked)],
            latest=options.latest,
        )
    )
    rows: list[bytes] = []
    for request in requests:
        if isinstance(request, RowError):
            rows.append(b'{"id":%b,"docs":[%b]}' % (jsontext.encode(request.id), request.text()))
            continue
        documents = next(found)
        if len(documents) == 1 and type(documents[0]) is Document:
            docs = await _document(database, documents[0], options)
        else:
            docs = await _several(database, request, documents, options)
        rows.append(b'{"id":%b,"docs":[%b]}' % (orjson.dumps(request.id), docs))
    return b",".join(rows)


async def _rows_in_pieces(
    database: Database, requests: Sequence[Asked | RowError], options: ReadOptions
) -> AsyncIterator[bytes]:
    """What `_pages` answers, with attachments inside: never more in memory than a part of one."""
    yield b'{"results":['
    between = b""
    for request in requests:
        if isinstance(request, RowError):
            yield between + b'{"id":%b,"docs":[%b]}' % (jsontext.encode(request.id), request.text())
            between = b","
            continue
        wanted = options
        if request.atts_since is not None:
            wanted = replace(options, attachments=True, atts_since=request.atts_since)
        found = await _begun(database, request, options.latest, rendered_in_pieces, wanted)
        opening = between + b'{"id":%b,"docs":[' % orjson.dumps(request.id)
        if database.guarded:
            found = [item for item in found if isinstance(item, _Begun)]
            if not found:
                yield opening
        elif not found:
            yield opening + _missing(request.id, NO_REVISION).text()
        for item in found:
            if isinstance(item, MissingRevision):
                yield opening + _missing(item.id, item.rev).text()
            else:
                yield opening + b'{"ok":' + item.first
                async for piece in item.rest:
                    yield piece
                yield b"}"
            opening = b","
        yield b"]}"
        between = b","
    yield b"]}"


class _Begun(NamedTuple):
    """A document whose attachments are found, on its way out."""

    first: bytes
    rest: AsyncIterator[bytes]


async def _begun(
    database: Database,
    request: Asked,
    latest: bool,
    going: Callable[[Database, Document, ReadOptions], AsyncIterator[bytes]],
    options: ReadOptions,
) -> list[_Begun | MissingRevision]:
    """What is asked for. Between a document and what is attached to it others write: what was read may be no
    revision any more that is there, or that whoever asks may read. Then it is asked for again.
    """
    attempts = 0
    while True:
        (found,) = await database.bulk_get([(request.id, request.rev)], latest=latest)
        try:
            begun: list[_Begun | MissingRevision] = []
            for item in found:
                if isinstance(item, Document):
                    pieces = going(database, item, options)
                    begun.append(_Begun(await anext(pieces), pieces))
                else:
                    begun.append(item)
            return begun
        except ProtocolError as error:
            attempts += 1
            if error.status != 404 or attempts == ATTEMPTS:
                raise


async def _document(database: Database, document: Document, options: ReadOptions) -> bytes:
    if options.rewrites_attachments and document.has_attachments:
        return b'{"ok":%b}' % await rendered(database, document, options)
    if options.revs:
        return b'{"ok":%b,"_revisions":%b}}' % (document.text[:-1], document.revisions)
    return b'{"ok":%b}' % document.text


async def _several(
    database: Database,
    request: Asked,
    documents: Sequence[Document | MissingRevision],
    options: ReadOptions,
) -> bytes:
    if database.guarded:
        documents = _known(documents)
    elif not documents:
        return _missing(request.id, NO_REVISION).text()
    return b",".join(
        [
            await _document(database, document, options)
            if isinstance(document, Document)
            else _missing(request.id, document.rev).text()
            for document in documents
        ]
    )


def _known(found: Sequence[Document | MissingRevision]) -> list[Document | MissingRevision]:
    """What a guarded database answers. PouchDB's checkpoint stops for good at a row that is an error."""
    return [item for item in found if isinstance(item, Document)]


def _missing(docid: str, rev: str) -> RowError:
    return RowError(docid, rev, "not_found", "missing")

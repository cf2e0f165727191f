"""`_bulk_get`: documents with their histories, many in one answer.

The answer is put together from text that the store keeps ready for the wire; nothing is decoded
unless attachments are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from starlette.responses import Response

from replication.http.call import Call
from replication.http.document_options import ReadOptions
from replication.http.document_reading import rendered
from replication.http.responses import text_response
from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError
from replication.protocol.names import LOCAL_PREFIX, check_document_id
from replication.protocol.revisions import Rev, parse_rev
from replication.store.interface import Database, Document, MissingRevision

_REFUSED_PARAMETERS = ("rev", "open_revs", "atts_since", "new_edits", "w")

NO_REVISION = "undefined"
"""What an error row gives as revision when none was asked for."""


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a request has no document. `id` and `rev` as they were asked, of whatever type."""

    id: Any
    rev: Any
    error: str
    reason: str

    def text(self) -> bytes:
        row = {"id": self.id, "rev": self.rev, "error": self.error, "reason": self.reason}
        return b'{"error":%b}' % jsontext.encode(row)


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
    body = await call.json_object()
    if "docs" not in body:
        raise errors.bad_request("Missing JSON list of 'docs'.")
    if not isinstance(body["docs"], list):
        raise errors.bad_request("`docs` must be an array.")
    requests = [_read_request(value) for value in body["docs"]]
    return text_response(await _json(call.database, requests, options))


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


def _read_request(value: Any) -> Asked | RowError:
    if type(value) is not dict or not value:
        return RowError(None, None, "bad_request", "document must be a JSON object")
    if "id" not in value:
        return RowError(None, None, "bad_request", "document id missed")
    docid = value["id"]
    try:
        if not (type(docid) is str and docid.startswith(LOCAL_PREFIX)):
            check_document_id(docid)
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


async def _json(database: Database, requests: Sequence[Asked | RowError], options: ReadOptions) -> bytes:
    """The answer's body. Each document is one piece of it, ready as it comes from the store."""
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
        if len(documents) == 1 and type(documents[0]) is Document and request.atts_since is None:
            docs = await _document(database, documents[0], options)
        else:
            docs = await _several(database, request, documents, options)
        rows.append(b'{"id":%b,"docs":[%b]}' % (orjson.dumps(request.id), docs))
    return b'{"results":[%b]}' % b",".join(rows)


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
    if request.atts_since is not None:
        options = replace(options, attachments=True, atts_since=request.atts_since)
    if not documents:
        return _missing(request.id, NO_REVISION).text()
    return b",".join(
        [
            await _document(database, document, options)
            if isinstance(document, Document)
            else _missing(request.id, document.rev).text()
            for document in documents
        ]
    )


def _missing(docid: str, rev: str) -> RowError:
    return RowError(docid, rev, "not_found", "missing")

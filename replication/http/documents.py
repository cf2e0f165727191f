"""Single documents: read, write, delete, copy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from starlette.responses import Response

from replication.http import copying
from replication.http.call import Call
from replication.http.document_options import ReadOptions, agreed_revision, read_options
from replication.http.document_reading import (
    as_it_is_now,
    meta_members,
    open_document,
    open_latest,
    open_revisions,
    rendered,
    rendered_in_pieces,
)
from replication.http.document_writing import (
    accepted,
    document_of,
    refuse_following,
    take_revision,
    write_one,
    written,
)
from replication.http.local_writing import INVALID_ID, write_local
from replication.http.multipart_requests import is_related, write_related
from replication.http.multipart_responses import accepts, document_parts, mixed, related
from replication.http.replicator_documents import is_replicator, read_stripped
from replication.http.responses import CACHE_CONTROL, etag_matches, not_modified, text_response
from replication.http.root import new_uuid
from replication.http.streaming import json_in_pieces, json_line
from replication.protocol import errors
from replication.protocol.documents import DocumentWrite, parse_document, with_members
from replication.protocol.multipart import MIXED, RELATED, Writer
from replication.protocol.names import LOCAL_PREFIX, check_document_id
from replication.store.interface import Database
from replication.store.values import Document, MissingRevision

_DEFAULT = ReadOptions()


async def get(call: Call) -> Response:
    """`GET` or `HEAD /{db}/{id}`."""
    if call.docid == "_local":
        raise errors.bad_request(INVALID_ID)
    if is_replicator(call):
        stripped = await read_stripped(call)
        if stripped is not None:
            return stripped
    options = read_options(call.query) if call.scope["query_string"] else _DEFAULT
    if options.open_revs:
        return await _get_revisions(call, options)
    database = call.database
    rev = options.rev
    if rev is not None and options.latest:
        document = await open_latest(database, call.docid, rev, deleted=options.deleted)
    else:
        document = await open_document(database, call.docid, rev, deleted=options.deleted)
    if options is _DEFAULT:
        return _tagged(call, document.text, document.rev)
    if rev is not None:
        return await _shown(call, document, options)
    found = await as_it_is_now(
        document,
        lambda winner: _shown(call, winner, options),
        lambda: open_document(database, call.docid, None, deleted=options.deleted),
    )
    assert found is not None
    return found


async def _shown(call: Call, document: Document, options: ReadOptions) -> Response:
    database, rev = call.database, options.rev
    meta = await meta_members(database, document, options) if rev is None else []
    if not meta and etag_matches(call.headers.get("if-none-match"), f'"{document.rev}"'):
        return not_modified(f'"{document.rev}"')
    headers = {} if meta else {"etag": f'"{document.rev}"'}
    if options.attachments:
        headers["vary"] = "Accept"
    else:
        text = await rendered(database, document, options)
        return text_response(with_members(text, meta) if meta else text, headers=headers)
    if accepts(call.headers.get("accept"), RELATED):
        return await related(database, document, options, members=meta, headers=headers)
    pieces = rendered_in_pieces(database, document, options, meta)
    return await json_in_pieces(json_line(pieces), {"cache-control": CACHE_CONTROL, **headers})


def _tagged(call: Call, text: bytes, rev: str) -> Response:
    etag = f'"{rev}"'
    if etag_matches(call.headers.get("if-none-match"), etag):
        return not_modified(etag)
    return text_response(text, headers={"etag": etag})


async def _get_revisions(call: Call, options: ReadOptions) -> Response:
    """`open_revs`: one row or part per revision, found or not."""
    database = call.database
    items = await open_revisions(database, call.docid, options)
    if accepts(call.headers.get("accept"), MIXED):
        writer = Writer()
        return mixed(document_parts(database, items, options, writer), writer)
    rows = json_line(_revision_rows(database, items, options))
    return await json_in_pieces(rows, {"cache-control": CACHE_CONTROL})


async def _revision_rows(
    database: Database, items: Sequence[Document | MissingRevision], options: ReadOptions
) -> AsyncIterator[bytes]:
    before = b"["
    for item in items:
        if isinstance(item, MissingRevision):
            yield before + b'{"missing":"%b"}' % item.rev.encode("ascii")
        else:
            yield before + b'{"ok":'
            async for piece in rendered_in_pieces(database, item, options):
                yield piece
            yield b"}"
        before = b","
    yield b"]"


async def put(call: Call) -> Response:
    """`PUT /{db}/{id}`."""
    if call.docid == "_local":
        raise errors.bad_request(INVALID_ID)
    docid = check_document_id(call.docid)
    read_options(call.query)
    replicated = call.query.get("new_edits") == "false"
    if is_related(call):
        doc, rev = await write_related(call, docid, replicated=replicated)
    else:
        doc = document_of(await call.json(), docid)
        take_revision(call, doc, replicated=replicated)
        rev = await write_one(call, doc, replicated=replicated)
        if call.query.get("batch") == "ok":
            return accepted(docid)
    return written(call, docid, rev, 200 if doc.deleted else 201, etag=f'"{rev}"', at=(docid,))


async def delete(call: Call) -> Response:
    """`DELETE /{db}/{id}`: a tombstone in place of the revision given."""
    if call.docid == "_local":
        raise errors.bad_request(INVALID_ID)
    await open_document(call.database, call.docid, None)
    rev = await write_one(call, DocumentWrite(call.docid, True, b"{}", agreed_revision(call)))
    return written(call, call.docid, rev, 200, etag=f'"{rev}"')


async def post(call: Call) -> Response:
    """`POST /{db}`: a document with the id in its body, or a fresh one."""
    call.require_json()
    value = await call.json()
    own = value.get("_id") if isinstance(value, dict) else None
    if isinstance(own, str) and own.startswith(LOCAL_PREFIX):
        done = await write_local(call, own, value)
        return written(call, own, done.rev, 201, at=(own,))
    if isinstance(value, dict) and "_id" in value:
        doc = parse_document(value, docid=check_document_id(own))
        if doc.path is not None:
            doc.parent, doc.path = doc.path.leaf, None
    else:
        doc = parse_document(value, docid=new_uuid())
        doc.parent = doc.path = None
    refuse_following(doc)
    rev = await write_one(call, doc)
    if call.query.get("batch") == "ok":
        return accepted(doc.id)
    return written(call, doc.id, rev, 201, at=(doc.id,))


async def copy(call: Call) -> Response:
    """`COPY /{db}/{id}` to the document in `Destination`, attachments included."""
    if call.docid == "_local":
        raise errors.bad_request(INVALID_ID)
    rev = agreed_revision(call)
    destination = copying.destination(call)
    source = await open_document(call.database, call.docid, rev)
    return await copying.copy_document(call, source, destination)

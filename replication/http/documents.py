"""Single documents: read, write, delete, copy."""

from __future__ import annotations

from starlette.responses import Response

from replication.http import copying
from replication.http.call import Call
from replication.http.document_options import ReadOptions, agreed_revision, read_options
from replication.http.document_reading import meta_members, open_document, open_revisions, rendered
from replication.http.document_writing import (
    accepted,
    document_of,
    refuse_following,
    take_revision,
    write_one,
    written,
)
from replication.http.local_writing import INVALID_ID, write_local
from replication.http.responses import etag_matches, not_modified, text_response
from replication.http.root import new_uuid
from replication.protocol import errors
from replication.protocol.documents import DocumentWrite, parse_document, with_members
from replication.protocol.names import LOCAL_PREFIX, check_document_id
from replication.store.interface import MissingRevision

_DEFAULT = ReadOptions()


async def get(call: Call) -> Response:
    """`GET` or `HEAD /{db}/{id}`."""
    if call.docid == "_local":
        raise errors.bad_request(INVALID_ID)
    options = read_options(call.query) if call.scope["query_string"] else _DEFAULT
    if options.open_revs:
        return await _get_revisions(call, options)
    database = call.database
    # CouchDB answers the winner when `latest` is asked for, whatever the revision.
    rev = None if options.latest else options.rev
    document = await open_document(database, call.docid, rev, deleted=options.deleted)
    if options is _DEFAULT:
        return _tagged(call, document.text, document.rev)
    meta = await meta_members(database, document, options) if rev is None else []
    if not meta and etag_matches(call.headers.get("if-none-match"), f'"{document.rev}"'):
        return not_modified(f'"{document.rev}"')
    text = await rendered(database, document, options)
    if meta:
        return text_response(with_members(text, meta))
    return _tagged(call, text, document.rev)


def _tagged(call: Call, text: bytes, rev: str) -> Response:
    etag = f'"{rev}"'
    if etag_matches(call.headers.get("if-none-match"), etag):
        return not_modified(etag)
    return text_response(text, headers={"etag": etag})


async def _get_revisions(call: Call, options: ReadOptions) -> Response:
    """`open_revs`: one row per revision, found or not."""
    rows = []
    for item in await open_revisions(call.database, call.docid, options):
        if isinstance(item, MissingRevision):
            rows.append(b'{"missing":"%s"}' % item.rev.encode())
        else:
            rows.append(b'{"ok":%s}' % await rendered(call.database, item, options))
    return text_response(b"[" + b",".join(rows) + b"]")


async def put(call: Call) -> Response:
    """`PUT /{db}/{id}`."""
    if call.docid == "_local":
        raise errors.bad_request(INVALID_ID)
    docid = check_document_id(call.docid)
    if call.headers.get("content-type", "").startswith("multipart/related"):
        raise errors.not_implemented("Documents as multipart/related are not supported yet: send JSON.")
    read_options(call.query)
    doc = document_of(await call.json(), docid)
    replicated = call.query.get("new_edits") == "false"
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

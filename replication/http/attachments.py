"""Attachments by their own address: streamed both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from secrets import token_hex
from typing import NamedTuple

from starlette.responses import Response, StreamingResponse

from replication.http.attachment_streams import MAX_ATTACHMENT_SIZE, stage, unpacked
from replication.http.call import Call
from replication.http.compression import accepts_gzip
from replication.http.document_options import agreed_revision, read_options
from replication.http.document_reading import as_it_is_now, open_document
from replication.http.document_writing import write_one, written
from replication.http.ranges import Span, content_range, parse_ranges
from replication.http.replicator_documents import NOT_YOURS, check_readable
from replication.http.responses import CACHE_CONTROL, etag_matches, not_modified
from replication.protocol import errors, jsontext
from replication.protocol.attachments import (
    DEFAULT_CONTENT_TYPE,
    AttachmentWrite,
    StagedAttachment,
    StubAttachment,
)
from replication.protocol.documents import DocumentWrite, parse_document
from replication.protocol.errors import ProtocolError
from replication.protocol.names import check_attachment_name, check_document_id
from replication.protocol.revisions import Rev, parse_rev
from replication.store.interface import Database
from replication.store.values import AttachmentInfo, Document

IN_ONE_PIECE = 256 * 1024
"""Attachments up to this size in bytes are sent without streaming."""

_SAFE = {
    # Users upload what they like: a browser must neither guess a type nor run it in our origin.
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
}


def _name(call: Call) -> str:
    return "/".join(call.rest)


# -- reading -----------------------------------------------------------------------------------


async def get(call: Call) -> Response:
    """`GET` or `HEAD /{db}/{id}/{name}`."""
    info = await _opened(call, read_options(call.query).rev)
    etag = '"' + info.digest.removeprefix("md5-") + '"'
    if etag_matches(call.headers.get("if-none-match"), etag):
        return not_modified(etag)
    headers = {
        "etag": etag,
        "cache-control": CACHE_CONTROL,
        "content-type": _header_safe(info.content_type),
        "accept-ranges": "bytes" if info.encoding is None else "none",
        **_SAFE,
    }
    if info.encoding is not None:
        return await _packed(call, info, headers)
    if_range = call.headers.get("if-range")
    if if_range is None or if_range.strip() == etag:
        spans = parse_ranges(call.headers.get("range"), info.length)
    else:
        spans = []
    if len(spans) == 1:
        headers["content-range"] = content_range(spans[0], info.length)
        return await _identity(call, info, spans[0], headers, 206)
    if spans:
        return _several(call, info, spans, headers)
    return await _identity(call, info, (0, info.length), headers, 200)


async def _opened(call: Call, rev: Rev | None) -> AttachmentInfo:
    """The attachment of the path as a revision has it, or the winner. Raises 404."""

    async def asked(document: Document) -> AttachmentInfo:
        await check_readable(call, document)
        return await _attached(call, document)

    document = await open_document(call.database, call.docid, rev)
    if rev is not None:
        return await asked(document)
    found = await as_it_is_now(document, asked, lambda: open_document(call.database, call.docid, None))
    assert found is not None
    return found


async def _attached(call: Call, document: Document) -> AttachmentInfo:
    """The attachment of the path as `document` has it. Raises 404."""
    if document.has_attachments:
        infos = await call.database.attachments(document.id, parse_rev(document.rev))
        info = infos.get(_name(call))
        if info is not None:
            return info
    raise errors.missing_attachment()


def _header_safe(content_type: str) -> str:
    """`content_type` if it can be sent as a header, else the type of anything."""
    if content_type and content_type.isprintable() and content_type.isascii():
        return content_type
    return DEFAULT_CONTENT_TYPE


async def _identity(
    call: Call, info: AttachmentInfo, span: Span, headers: dict[str, str], status: int
) -> Response:
    headers["content-length"] = str(span[1] - span[0])
    if call.method == "HEAD":
        return Response(status_code=status, headers=headers)
    pieces = call.database.read_attachment(info, *span)
    if span[1] - span[0] <= IN_ONE_PIECE:
        return Response(b"".join([piece async for piece in pieces]), status, headers)
    return StreamingResponse(pieces, status, headers)


async def _packed(call: Call, info: AttachmentInfo, headers: dict[str, str]) -> Response:
    """A gzipped attachment: as it is to those who take gzip, unpacked on the way to the others."""
    headers["vary"] = "Accept-Encoding"
    if accepts_gzip(call.headers.get("accept-encoding", "")):
        headers["content-encoding"] = "gzip"
        return await _identity(call, info, (0, info.stored_length), headers, 200)
    headers["content-length"] = str(info.length)
    if call.method == "HEAD":
        return Response(status_code=200, headers=headers)
    return StreamingResponse(unpacked(call.database.read_attachment(info)), 200, headers)


def _several(call: Call, info: AttachmentInfo, spans: list[Span], headers: dict[str, str]) -> Response:
    """Several ranges: `multipart/byteranges` (RFC 9110, 14.6)."""
    boundary = token_hex(16)
    heads = [
        (
            f"\r\n--{boundary}\r\nContent-Type: {headers['content-type']}\r\n"
            f"Content-Range: {content_range(span, info.length)}\r\n\r\n"
        ).encode("ascii")
        for span in spans
    ]
    tail = f"\r\n--{boundary}--\r\n".encode("ascii")
    size = len(tail) + sum(len(head) + span[1] - span[0] for head, span in zip(heads, spans, strict=True))
    headers["content-type"] = f'multipart/byteranges; boundary="{boundary}"'
    headers["content-length"] = str(size)
    if call.method == "HEAD":
        return Response(status_code=206, headers=headers)

    async def parts() -> AsyncIterator[bytes]:
        for head, span in zip(heads, spans, strict=True):
            yield head
            async for piece in call.database.read_attachment(info, *span):
                yield piece
        yield tail

    return StreamingResponse(parts(), 206, headers)


# -- writing -----------------------------------------------------------------------------------


async def put(call: Call) -> Response:
    """`PUT /{db}/{id}/{name}`: a new revision with this attachment beside the ones it had.

    Without a revision the document is made; it must not be there then. What can be refused before the
    bytes come is; the write itself judges again.
    """
    upload = announced(call)
    rev = agreed_revision(call)
    doc = await _document_to_edit(call, rev)
    staged = await received(call, call.database, upload)
    doc.attachments = {**doc.attachments, upload.name: staged}
    try:
        new = await write_one(call, doc)
    except ProtocolError:
        await call.database.discard_attachments([staged])
        raise
    return written(call, call.docid, new, 201, at=(call.docid, upload.name))


class Upload(NamedTuple):
    """An attachment that a request brings."""

    name: str
    content_type: str
    encoding: str | None


def announced(call: Call) -> Upload:
    """What the head of a request says of it. Raises 400, 413 and 415, before its bytes come."""
    upload = Upload(check_attachment_name(_name(call)), _given_type(call), _given_encoding(call))
    declared = call.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_ATTACHMENT_SIZE:
        raise errors.attachment_too_large(upload.name)
    return upload


async def received(call: Call, database: Database, upload: Upload) -> StagedAttachment:
    """Stores its bytes. Raises as `stage` does; whoever then doesn't write them discards them."""
    name, content_type, encoding = upload
    return await stage(database, call.raw_stream(), name=name, content_type=content_type, encoding=encoding)


def _given_type(call: Call) -> str:
    content_type = call.headers.get("content-type", DEFAULT_CONTENT_TYPE)
    if not content_type.isprintable():
        raise errors.bad_request("Content-Type must be printable")
    return content_type


def _given_encoding(call: Call) -> str | None:
    encoding = call.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise errors.bad_content_type("Only gzip and identity content-encodings are supported")
    return None if encoding == "identity" else encoding


async def _document_to_edit(call: Call, rev: Rev | None) -> DocumentWrite:
    """The document that an attachment is put into: its body, and what else is attached as stubs."""
    if rev is None:
        winner = await call.database.winner(check_document_id(call.docid))
        if winner is not None and not winner.deleted:
            raise errors.conflict()
        return DocumentWrite(call.docid, False, b"{}")
    return await _edit_of(call, await _known(call, rev), rev)


async def _known(call: Call, rev: Rev) -> Document:
    """The named revision. Raises 409, as CouchDB, and not 404: it is the edit that does not fit."""
    found = await call.database.revision(call.docid, rev)
    if not found:
        raise ProtocolError(409, "not_found", "missing_rev")
    await check_readable(call, found[0], NOT_YOURS)
    return found[0]


async def _edit_of(call: Call, document: Document, rev: Rev) -> DocumentWrite:
    value = jsontext.decode(document.text)
    body = {key: member for key, member in value.items() if key not in ("_id", "_rev", "_attachments")}
    doc = parse_document(body, docid=document.id)
    doc.parent = rev
    kept: dict[str, AttachmentWrite] = {}
    if document.has_attachments:
        for name, info in (await call.database.attachments(document.id, rev)).items():
            kept[name] = StubAttachment(info.digest, info.revpos)
    doc.attachments = kept
    return doc


async def delete(call: Call) -> Response:
    """`DELETE /{db}/{id}/{name}`: a new revision without it."""
    rev = agreed_revision(call)
    if rev is None:
        await _attached(call, await open_document(call.database, call.docid, None))
        raise errors.conflict()
    document = await _known(call, rev)
    await _attached(call, document)
    doc = await _edit_of(call, document, rev)
    doc.attachments = {name: kept for name, kept in doc.attachments.items() if name != _name(call)}
    return written(call, call.docid, await write_one(call, doc), 200)

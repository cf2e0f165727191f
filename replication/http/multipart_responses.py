"""Documents that go out in parts: with their attachments behind them, and several in one answer.

The bytes of an attachment go from the store to the client piece by piece, as they are stored: gzip stays
gzip, and the document says so. When a client gets parts is CouchDB's rule, which differs from endpoint
to endpoint: whoever takes any type gets them for a document, but JSON from `_bulk_get`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import quote

from starlette.responses import Response

from replication.http.document_options import ReadOptions
from replication.http.document_reading import with_following
from replication.http.responses import CACHE_CONTROL, text_response
from replication.http.streaming import PagedResponse, gathered
from replication.protocol.attachments import DEFAULT_CONTENT_TYPE
from replication.protocol.multipart import MIXED, Writer, disposition
from replication.store.interface import Database
from replication.store.values import AttachmentInfo, Document, MissingRevision

_JSON = {"Content-Type": "application/json"}
_ERROR = {"Content-Type": 'application/json; error="true"'}


def accepts(accept: str | None, media_type: str) -> bool:
    """Whether an `Accept` header (None: there is none) takes this type, however little it prefers it."""
    if accept is None:
        return True
    whole, any_subtype = media_type, media_type.partition("/")[0] + "/*"
    for item in accept.lower().split(","):
        media_range, *parameters = (part.strip() for part in item.split(";"))
        if media_range in (whole, any_subtype, "*/*"):
            return not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", parameter) for parameter in parameters)
    return False


async def related(
    database: Database,
    document: Document,
    options: ReadOptions,
    *,
    members: Sequence[bytes],
    headers: Mapping[str, str],
) -> Response:
    """One document and the attachments that go with it; JSON if there are none."""
    text, following = await with_following(database, document, options, members)
    if not following:
        return text_response(text, headers=headers)
    writer = Writer()
    head = writer.part(_JSON) + text
    parts = [(writer.part(_attachment_headers(info)), info) for info in following]
    end = writer.end()
    size = len(head) + len(end) + sum(len(opening) + info.stored_length for opening, info in parts)

    async def pieces() -> AsyncIterator[bytes]:
        yield head
        for opening, info in parts:
            yield opening
            async for piece in database.read_attachment(info):
                yield piece
        yield end

    return _response(pieces(), writer.content_type(), {"content-length": str(size), **headers})


def mixed(pieces: AsyncIterator[bytes], writer: Writer, media_type: str = MIXED) -> Response:
    """An answer of several documents; `pieces` come from `document_part`, `error_part` and `writer`."""
    return _response(pieces, writer.content_type(media_type.partition("/")[2]), {})


async def document_parts(
    database: Database, items: Sequence[Document | MissingRevision], options: ReadOptions, writer: Writer
) -> AsyncIterator[bytes]:
    """The parts of `open_revs`, a document or `{"missing": rev}` each, and the end."""
    for item in items:
        if isinstance(item, MissingRevision):
            yield error_part(writer, b'{"missing":"%b"}' % item.rev.encode("ascii"))
        else:
            async for piece in document_part(database, item, options, writer):
                yield piece
    yield writer.end()


def error_part(writer: Writer, text: bytes) -> bytes:
    """Why there is no document."""
    return writer.part(_ERROR) + text


async def document_part(
    database: Database, document: Document, options: ReadOptions, writer: Writer, *, named: bool = False
) -> AsyncIterator[bytes]:
    """JSON, or a nested multipart if attachments follow; `named`: which says whose they are."""
    text, following = await with_following(database, document, options)
    if not following:
        yield writer.part(_JSON) + text
        return
    inner = Writer()
    headers = {"Content-Type": inner.content_type()}
    if named:
        headers = {"X-Doc-Id": _escaped(document.id), "X-Rev-Id": document.rev, **headers}
    yield writer.part(headers) + inner.part(_JSON) + text
    for info in following:
        yield inner.part(_attachment_headers(info))
        async for piece in database.read_attachment(info):
            yield piece
    yield inner.end()


def _attachment_headers(info: AttachmentInfo) -> dict[str, str]:
    headers = {
        "Content-Disposition": disposition(info.name),
        "Content-Type": info.content_type if info.content_type.isprintable() else DEFAULT_CONTENT_TYPE,
        "Content-Length": str(info.stored_length),
    }
    if info.encoding is not None:
        headers["Content-Encoding"] = info.encoding
    return headers


def _escaped(docid: str) -> str:
    """An id as a header takes it: in UTF-8 as CouchDB sends it, without characters that control."""
    return docid if docid.isprintable() else quote(docid)


def _response(pieces: AsyncIterator[bytes], content_type: str, headers: Mapping[str, str]) -> Response:
    headers = {"cache-control": CACHE_CONTROL, **headers}
    return PagedResponse(gathered(pieces), headers=headers, media_type=content_type)

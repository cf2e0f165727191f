"""COPY: where to, and how a document gets there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from starlette.responses import Response

from replication.http.call import Call
from replication.http.document_writing import write_one, written
from replication.http.local_writing import check_local_id, parse_local_rev, store_local
from replication.protocol import errors, jsontext
from replication.protocol.attachments import StagedAttachment
from replication.protocol.documents import parse_document
from replication.protocol.names import LOCAL_PREFIX, check_document_id
from replication.protocol.revisions import parse_rev
from replication.store.values import Document

_NONE: Mapping[str, StagedAttachment] = {}


class Destination(NamedTuple):
    docid: str
    rev: str | None
    """The revision to replace, not yet checked: local documents have others."""

    @property
    def is_local(self) -> bool:
        return self.docid.startswith(LOCAL_PREFIX)


def destination(call: Call) -> Destination:
    """The `Destination` header: a percent-encoded id and perhaps `?rev=`. Raises 400 for another form."""
    header = call.headers.get("destination")
    if header is None:
        raise errors.bad_request("Destination header is mandatory for COPY.")
    if header.startswith(("http://", "https://")):
        raise errors.bad_request("Destination URL must be relative.")
    path, question, query = header.partition("?")
    try:
        docid = unquote_to_bytes(path.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise errors.illegal_docid("Document id must be valid UTF-8") from None
    if docid.startswith(LOCAL_PREFIX):
        check_local_id(docid)
    else:
        check_document_id(docid)
    return Destination(docid, query.partition("=")[2] if question else None)


async def copy_document(call: Call, source: Document, target: Destination) -> Response:
    """Writes `source` to `target`, attachments included unless the target is a local document."""
    staged = {}
    if source.has_attachments and not target.is_local:
        staged = await _staged_again(call, source)
    return await copy_text(call, source.text, target, staged)


async def copy_text(
    call: Call, text: bytes, target: Destination, attachments: Mapping[str, StagedAttachment] = _NONE
) -> Response:
    """Writes the body of a stored text, local or not, to `target`."""
    value = jsontext.decode(text)
    body = {name: member for name, member in value.items() if name not in ("_id", "_rev", "_attachments")}
    if target.is_local:
        rev = None if target.rev is None else parse_local_rev(target.rev)
        done = await store_local(call, target.docid, body, rev)
        return written(call, target.docid, done.rev, 201, etag=done.etag, at=(target.docid,))
    doc = parse_document(body, docid=target.docid)
    doc.parent = None if target.rev is None else parse_rev(target.rev)
    doc.attachments = attachments
    new = await write_one(call, doc)
    return written(call, target.docid, new, 201, etag=f'"{new}"', at=(target.docid,))


async def _staged_again(call: Call, source: Document) -> dict[str, StagedAttachment]:
    # Stored bytes belong to a document, so the copy gets its own.
    database = call.database
    staged = {}
    infos = await database.attachments(source.id, parse_rev(source.rev))
    if not infos:  # changed since it was read: whoever asks may not read this revision any more
        raise errors.missing()
    for name, info in infos.items():
        copy = await database.stage_attachment(
            database.read_attachment(info), content_type=info.content_type, encoding=info.encoding
        )
        staged[name] = replace(copy, length=info.length)
    return staged

"""Writing one document: what its handlers share, whatever the body came as."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from replication.http.addresses import location
from replication.http.call import Call
from replication.http.document_options import agreed_revision
from replication.http.responses import text_response
from replication.http.writing import write_documents
from replication.protocol import errors, jsontext
from replication.protocol.attachments import FollowingAttachment
from replication.protocol.documents import DocumentWrite, parse_document
from replication.protocol.errors import ProtocolError
from replication.protocol.names import LOCAL_PREFIX, check_document_id
from replication.protocol.revisions import Path

NEEDS_REVISION = "When `new_edits: false`, the document needs `_rev` or `_revisions` specified"


def document_of(value: Any, docid: str, *, parts_follow: bool = False) -> DocumentWrite:
    """A decoded body as the document of an address. Its own `_id` must be an id, and does not count.

    Attachments may only be announced where `parts_follow`.
    """
    doc = parse_document(value, docid=docid)
    if "_id" in value:
        own = value["_id"]
        if own != docid and not (isinstance(own, str) and own.startswith(LOCAL_PREFIX)):
            check_document_id(own)
    if not parts_follow:
        refuse_following(doc)
    return doc


def refuse_following(doc: DocumentWrite) -> None:
    """400 for attachments that are announced as later parts of a request that has none."""
    for name, attachment in doc.attachments.items():
        if isinstance(attachment, FollowingAttachment):
            raise errors.bad_request(f"Attachment '{name}' follows, but the request is not multipart")


def take_revision(call: Call, doc: DocumentWrite, *, replicated: bool) -> None:
    """Settles which revision the document replaces, or, replicated, which one it is."""
    own = doc.path.leaf if doc.path is not None else doc.parent
    doc.parent = agreed_revision(call, own)
    if not replicated:
        doc.path = None
    elif doc.path is None:
        if doc.parent is None:
            raise errors.bad_request(NEEDS_REVISION)
        doc.path = Path(doc.parent[0], [doc.parent[1]])


async def write_one(call: Call, doc: DocumentWrite, *, replicated: bool = False) -> str:
    """The new revision. Raises why the document was refused."""
    (outcome,) = await write_documents(call, [doc], replicated=replicated)
    if isinstance(outcome, ProtocolError):
        raise outcome
    return outcome


def written(
    call: Call,
    docid: str,
    rev: str,
    status: int,
    *,
    etag: str | None = None,
    at: tuple[str, ...] | None = None,
) -> Response:
    """`{"ok", "id", "rev"}`; `etag` with its quotes; `at`: what is below the database, for `Location`."""
    headers = {}
    if etag is not None:
        headers["etag"] = etag
    if at is not None:
        headers["location"] = location(call, call.segments[0], *at)
    text = f'{{"ok":true,"id":{jsontext.quote(docid)},"rev":"{rev}"}}'
    return text_response(text.encode(), status, headers=headers)


def accepted(docid: str) -> Response:
    """The answer to `batch=ok`: 202, without a revision. The document is stored by then all the same."""
    return text_response(f'{{"ok":true,"id":{jsontext.quote(docid)}}}'.encode(), 202)

"""Documents as they come in: which `_` members are allowed, and what is left to store.

A document is cut in two: what the protocol reads (`_id`, `_rev`, `_revisions`, `_deleted`,
`_attachments`) and the *body*, the remaining members as compact JSON in the order received. The
body is written once and never decoded again on the way out; `stored_text` puts the members every
reader gets in front of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from replication.protocol import errors, jsontext
from replication.protocol.attachments import AttachmentWrite, parse_attachments
from replication.protocol.names import check_document_id
from replication.protocol.revisions import Path, Rev, parse_rev, parse_revisions

MAX_DOCUMENT_SIZE = 8_000_000
"""Bytes of a document's body, as CouchDB's `max_document_size`."""

_DROPPED = frozenset({"_revs_info", "_local_seq", "_conflicts", "_deleted_conflicts"})
"""Members that a reader may have been given and sends back: accepted and not stored."""

_STORED = frozenset({
    "_access",
    "_replication_id",
    "_replication_state",
    "_replication_state_time",
    "_replication_state_reason",
    "_replication_stats",
    "_replication_start_time",
})  # fmt: skip
"""Members with an underscore that belong to the body."""


@dataclass(slots=True)
class DocumentWrite:
    """One document to be written, parsed and checked, but not yet judged against what is stored."""

    id: str
    deleted: bool
    body: bytes
    """A JSON object: the members that aren't the protocol's."""
    parent: Rev | None = None
    """`_rev`: the revision that an edit replaces."""
    path: Path | None = None
    """The revision and its history, for a replicated write."""
    attachments: Mapping[str, AttachmentWrite] = field(default_factory=dict)
    note: object = None
    """Whatever its writer wants to tell those who hear of changes in the store. It isn't stored."""
    malformed: str = ""
    """What couldn't be read of it, if anything: then this is the rest, which must not be stored as it is."""


def parse_document(
    value: Any, *, docid: str | None = None, most: int | None = MAX_DOCUMENT_SIZE
) -> DocumentWrite:
    """A decoded document. `docid`: the id in the URL, which counts over the body's; `most`: bytes of a body.

    Without any id the returned `id` is empty, and the caller gives one. Raises the 400s and the 413
    that CouchDB answers to a bad document.
    """
    if type(value) is not dict:
        raise errors.bad_request("Document must be a JSON object")
    special: dict[str, Any] | None = None
    for key in value:
        if key[:1] == "_":
            special = {k: v for k, v in value.items() if k[:1] == "_"}
            break
    if special is None:
        body = jsontext.encode(value)
        _check_size(docid or "", body, most)
        return DocumentWrite(docid or "", False, body)

    bare = {k: v for k, v in value.items() if k[:1] != "_"}
    parent: Rev | None = None
    path: Path | None = None
    deleted = False
    attachments: Mapping[str, AttachmentWrite] = {}
    given_id = special.pop("_id", None)
    if given_id is not None and docid is None:
        docid = check_document_id(given_id)
    for name, member in special.items():
        if name == "_rev":
            parent = parse_rev(member)
        elif name == "_deleted":
            if not isinstance(member, bool):
                raise errors.doc_validation("Bad special document member: _deleted")
            deleted = member
        elif name == "_attachments":
            attachments = parse_attachments(member)
        elif name == "_revisions":
            path = parse_revisions(member)
        elif name in _STORED:
            bare[name] = member
        elif name not in _DROPPED:
            raise errors.doc_validation(f"Bad special document member: {name}")
    body = jsontext.encode(bare)
    _check_size(docid or "", body, most)
    return DocumentWrite(docid or "", deleted, body, parent, path, attachments)


def _check_size(docid: str, body: bytes, most: int | None) -> None:
    if most is not None and len(body) > most:
        raise errors.document_too_large(docid)


def stored_text(quoted_id: str, rev: str, deleted: bool, body: bytes, attachments: bytes) -> bytes:
    """The document as every plain read answers it.

    `quoted_id` is the id as a JSON string; `attachments` is the JSON object of stubs, or empty.
    Further members are spliced in before the last brace: `with_members`.
    """
    head = f'{{"_id":{quoted_id},"_rev":"{rev}"'.encode()
    if deleted:
        head += b',"_deleted":true'
    text = head + b"," + body[1:] if len(body) > 2 else head + b"}"
    if attachments:
        return text[:-1] + b',"_attachments":' + attachments + b"}"
    return text


def body_of(text: bytes, docid: str, rev: str, deleted: bool) -> bytes | None:
    """The body that `stored_text` was given for this text, if that has no attachments.

    None for a text that was put together in another way: then it has to be parsed.
    """
    head = stored_text(jsontext.quote(docid), rev, deleted, b"", b"")[:-1]
    if not text.startswith(head):
        return None
    rest = text[len(head) :]
    return b"{" + rest[1:] if rest[:1] == b"," else b"{}" if rest == b"}" else None


def with_members(text: bytes, members: Iterable[bytes]) -> bytes:
    """`text`, a stored document, with members such as `b'"_conflicts":[…]'` added at its end."""
    return b",".join((text[:-1], *members)) + b"}"


def revisions_member(path: Path) -> bytes:
    """`{"start": N, "ids": […]}` as JSON: the value of `_revisions`."""
    ids = '","'.join(path.ids)
    return f'{{"start":{path.start},"ids":["{ids}"]}}'.encode()

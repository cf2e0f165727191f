"""Edits of one document as the database wants them, made of what somebody sends over REST.

Who made it and when, its version and its id follow from who asks and from what is stored; nobody has to send
them, and what is sent of them doesn't count. Attachments stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from kompass.access.companions import BASE_FIELD, companion_id
from kompass.domain.stamps import timestamp
from kompass.resources.catalogue import Resource
from kompass.sync.gate import attachments
from replication.protocol import jsontext
from replication.protocol.documents import DocumentWrite, parse_document
from replication.protocol.revisions import parse_rev
from replication.store.values import AttachmentInfo, Document

Members = Mapping[str, Any]

MOST_DOCUMENT = 8 * 1024 * 1024
"""Bytes of a document."""
MARKS = ("createdBy", "createdAt", "modifiedBy", "modifiedAt", "version")
GIVEN = ("_rev", "_attachments", "type", *MARKS)
"""Members that follow from who asks and from what is stored, whatever is sent."""
_OF_THE_PROTOCOL = ("_id", "_rev", "_attachments")
"""What a document that was read has besides; it may be sent back."""


class UnfitError(ValueError):
    """What was sent can't be a document of the resource. The text is for people."""

    def __init__(self, said: str, member: str) -> None:
        """`member`: of what was sent, where it is wrong."""
        super().__init__(said)
        self.member = member


def created(
    resource: Resource, sent: Members, author: str, now: datetime, seed: bytes | None = None
) -> DocumentWrite:
    """A new document. `seed`: 16 bytes that its id follows from; without it is a new one. Raises
    `UnfitError`, and what `parse_document` does.
    """
    members = _members(resource, sent)
    docid = sent.get("_id")
    if docid is None:
        docid = _new_id(resource, members, seed)
    elif not isinstance(docid, str):
        raise UnfitError("_id must be a text.", "_id")
    at = timestamp(now)
    marks = {"createdBy": author, "createdAt": at, "modifiedBy": author, "modifiedAt": at, "version": 1}
    return parse_document({**members, **marks, "_id": docid, "type": resource.type})


def replaced(
    resource: Resource,
    stored: Document,
    attached: Mapping[str, AttachmentInfo],
    sent: Members,
    author: str,
    now: datetime,
) -> DocumentWrite:
    """A new version of a document, with nothing but what was sent. Raises as `created` does."""
    before = jsontext.decode(stored.text)
    members = _members(resource, sent)
    kept = {name: before[name] for name in ("createdBy", "createdAt") if name in before}
    version = before.get("version")
    marks = {
        "modifiedBy": author,
        "modifiedAt": timestamp(now),
        "version": version + 1 if type(version) is int else 1,
    }
    whole = {**members, **kept, **marks, "_id": stored.id, "type": before.get("type", resource.type)}
    parsed = parse_document(whole)
    stubs = {name: attachments.stub(info) for name, info in attached.items()}
    return DocumentWrite(parsed.id, False, parsed.body, parse_rev(stored.rev), attachments=stubs)


def merged(stored: Document, patch: Members) -> dict[str, Any]:
    """What a document says with a merge patch (RFC 7396) put onto it."""
    before: dict[str, Any] = jsontext.decode(stored.text)
    result: dict[str, Any] = _merged({key: before[key] for key in before if key[:1] != "_"}, patch)
    return result


def removed(stored: Document) -> DocumentWrite:
    return DocumentWrite(stored.id, True, b"{}", parse_rev(stored.rev))


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


def _members(resource: Resource, sent: Members) -> dict[str, Any]:
    """What was sent, without what doesn't count."""
    if sent.get("type", resource.type) != resource.type:
        raise UnfitError(f"Documents of {resource.name} have the type {resource.type}.", "type")
    for name in sent:
        if name[:1] == "_" and name not in _OF_THE_PROTOCOL:
            raise UnfitError(f"{name[:60]} can't be written here.", name[:60])
    return {name: value for name, value in sent.items() if name[:1] != "_" and name not in MARKS}


def _new_id(resource: Resource, members: Members, seed: bytes | None) -> str:
    """Of a companion the only one that it can have."""
    field = BASE_FIELD.get(resource.type)
    if field is None:
        unique = uuid4() if seed is None else UUID(bytes=seed, version=4)
        return f"{resource.type.replace('_', '-')}-{unique}"
    base = members.get(field)
    if not isinstance(base, str) or not base:
        raise UnfitError(f"{field} must say which document this belongs to.", field)
    return companion_id(resource.type, base)

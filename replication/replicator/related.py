"""Documents as they are sent to a peer: as JSON, or as `multipart/related` with attachments behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from replication.protocol import jsontext
from replication.protocol.documents import DocumentWrite, revisions_member
from replication.protocol.multipart import Writer, disposition
from replication.protocol.revisions import format_rev
from replication.replicator.peer import SourceAttachment

_SLOWEST = 10_000
"""Bytes a second of an upload that is still waited for."""


def request_text(write: DocumentWrite, attachments: bytes) -> bytes:
    """The JSON object to send: with its history if it has one, else as an edit of its parent.

    `attachments`: the JSON object for `_attachments`, or empty.
    """
    members = [b'"_id":' + jsontext.encode(write.id)]
    if write.path is not None:
        members.append(b'"_rev":' + jsontext.encode(format_rev(write.path.leaf)))
        members.append(b'"_revisions":' + revisions_member(write.path))
    elif write.parent is not None:
        members.append(b'"_rev":' + jsontext.encode(format_rev(write.parent)))
    if write.deleted:
        members.append(b'"_deleted":true')
    if attachments:
        members.append(b'"_attachments":' + attachments)
    return b"{" + b",".join(members) + (b"," + write.body[1:] if len(write.body) > 2 else b"}")


def entry_of(attachment: SourceAttachment) -> dict[str, Any]:
    """What `_attachments` says of an attachment, however it comes."""
    entry: dict[str, Any] = {"content_type": attachment.content_type}
    if attachment.digest:
        entry["digest"] = attachment.digest
    if attachment.revpos is not None:
        entry["revpos"] = attachment.revpos
    return entry


class RelatedDocument:
    """A document and the bytes of its attachments, but for those that are `kept`: they become stubs."""

    def __init__(
        self, write: DocumentWrite, attachments: Mapping[str, SourceAttachment], kept: frozenset[str]
    ) -> None:
        self._boundary = Writer().boundary
        entries: dict[str, Any] = {}
        self._following: list[tuple[str, SourceAttachment]] = []
        for name, attachment in attachments.items():
            entry = entry_of(attachment)
            if name in kept:
                entries[name] = {**entry, "stub": True}
                continue
            entry |= {"follows": True, "length": attachment.length}
            if attachment.encoding is not None:
                entry["encoding"] = attachment.encoding
                if attachment.stored_length is not None:
                    entry["encoded_length"] = attachment.stored_length
            entries[name] = entry
            self._following.append((name, attachment))
        self.text = request_text(write, jsontext.encode(entries))
        size = _size_of(self._head(Writer(self._boundary)), self._following, self._boundary)
        self.headers = {"content-type": Writer(self._boundary).content_type()}
        if size is not None:
            self.headers["content-length"] = str(size)
        self.patience = 300 + (1024**3 if size is None else size) / _SLOWEST
        """Seconds that sending it may take."""

    async def body(self) -> AsyncIterator[bytes]:
        """May be asked for again: for another attempt, with the same boundary."""
        writer = Writer(self._boundary)
        yield self._head(writer)
        for name, attachment in self._following:
            yield writer.part(_part_headers(name, attachment))
            async for piece in attachment.open():
                yield piece
        yield writer.end()

    def _head(self, writer: Writer) -> bytes:
        return writer.part({"Content-Type": "application/json"}) + self.text


def _part_headers(name: str, attachment: SourceAttachment) -> Mapping[str, str]:
    headers = {"Content-Disposition": disposition(name), "Content-Type": attachment.content_type}
    if attachment.stored_length is not None:
        headers["Content-Length"] = str(attachment.stored_length)
    if attachment.encoding is not None:
        headers["Content-Encoding"] = attachment.encoding
    return headers


def _size_of(head: bytes, following: Sequence[tuple[str, SourceAttachment]], boundary: str) -> int | None:
    """Bytes of the whole body; None if an attachment does not tell its own."""
    sizer = Writer(boundary)
    sizer.part({})
    size = len(head)
    for name, attachment in following:
        if attachment.stored_length is None:
            return None
        size += len(sizer.part(_part_headers(name, attachment))) + attachment.stored_length
    return size + len(sizer.end())

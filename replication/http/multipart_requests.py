"""Documents that come as `multipart/related`: JSON first, then the bytes of the attachments it announces.

The parts come in the order in which `_attachments` names them; they need not say what they are. Small
ones are kept in memory until the document is written, within limits, the others go to the store as they
come. If anything is wrong, what was stored is removed and nothing has happened.

CouchDB reads the announced lengths and nothing behind them. Here a body must also be whole: a part too
many, a missing last boundary, or a name that contradicts the order is a 400.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import replace
from hashlib import md5
from typing import Any

from replication.http.attachment_streams import MAX_ATTACHMENT_SIZE, GzipCheck, stage
from replication.http.call import JSON_TYPE, MAX_JSON_BODY, Call
from replication.http.document_writing import document_of, take_revision, write_one
from replication.protocol import errors, jsontext
from replication.protocol.attachments import (
    AttachmentWrite,
    FollowingAttachment,
    InlineAttachment,
    StagedAttachment,
    digest_of,
)
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.multipart import (
    RELATED,
    Ended,
    Event,
    Parser,
    PartData,
    PartStarted,
    boundary_of,
    filename_of,
    parse_value,
)

MAX_REQUEST_SIZE = 4 * 1024 * 1024 * 1024
"""Bytes, as CouchDB's `max_http_request_size`."""

IN_MEMORY = 64 * 1024
"""Bytes of an attachment up to which it is not stored apart from its document."""

ALL_IN_MEMORY = 4 * 1024 * 1024
"""Bytes of one request's attachments that are kept so."""

READ_ON = 64 * 1024 * 1024
"""Bytes of a refused body that are still taken, so that the sender sees the answer."""


def is_related(call: Call) -> bool:
    """Whether the request says that it carries a document and its attachments in parts."""
    return parse_value(call.headers.get("content-type", ""))[0] == RELATED


async def write_related(call: Call, docid: str, *, replicated: bool) -> tuple[DocumentWrite, str]:
    """Reads the document of the request and writes it. Returns it with its new revision."""
    pieces = _limited(call.stream())
    staged: list[StagedAttachment] = []
    try:
        try:
            database = call.database  # raises if there is none: nothing needs to be read then
            body = _Body(pieces, boundary_of(call.headers["content-type"]))
            doc = await _read(call, docid, body, staged, replicated=replicated)
        except ProtocolError:
            await _read_on(pieces)
            raise
        return doc, await write_one(call, doc, replicated=replicated)
    finally:
        if staged:
            await database.discard_attachments(staged)


async def _read(
    call: Call, docid: str, body: _Body, staged: list[StagedAttachment], *, replicated: bool
) -> DocumentWrite:
    doc = document_of(await _read_json(body), docid, parts_follow=True)
    take_revision(call, doc, replicated=replicated)
    awaited = {name: a for name, a in doc.attachments.items() if isinstance(a, FollowingAttachment)}
    for name, attachment in awaited.items():
        if (_sent_length(attachment) or 0) > MAX_ATTACHMENT_SIZE:
            raise errors.attachment_too_large(name)
    attachments: dict[str, AttachmentWrite] = dict(doc.attachments)
    room = ALL_IN_MEMORY
    for name, attachment in awaited.items():
        part = await body.start_part()
        if part is None:
            raise errors.bad_request(f"attachment shorter than expected: '{name}' does not follow")
        _check_name(part.headers, name, awaited)
        length = _sent_length(attachment)
        pieces = _checked(body.data(), attachment)
        if length is not None and length <= min(IN_MEMORY, room):
            room -= length
            attachments[name] = await _kept(pieces, name, attachment, strict=not replicated)
        else:
            given = await stage(
                call.database,
                pieces,
                name=name,
                content_type=attachment.content_type,
                encoding=attachment.encoding,
                strict=not replicated,
            )
            staged.append(given)
            attachments[name] = replace(given, revpos=attachment.revpos)
    if await body.start_part() is not None:
        raise errors.bad_request("There are more parts than attachments that follow")
    doc.attachments = attachments
    return doc


async def _read_json(body: _Body) -> Any:
    part = await body.start_part()
    if part is None:
        raise errors.bad_request("A multipart document begins with its JSON, and there is no part")
    if parse_value(part.headers.get("content-type", ""))[0] != JSON_TYPE:
        raise errors.bad_content_type("Content-Type must be application/json")
    pieces = []
    size = 0
    async for piece in body.data():
        size += len(piece)
        if size > MAX_JSON_BODY:
            raise errors.request_too_large()
        pieces.append(piece)
    return jsontext.decode(b"".join(pieces))


def _check_name(headers: Mapping[str, str], name: str, awaited: Collection[str]) -> None:
    """Raises 400 if the part says that it is another one of those awaited.

    CouchDB sends names as they are, so a quote in one ends it too early: what it sends for `name` is
    compared first.
    """
    if headers.get("content-disposition") == f'attachment; filename="{name}"':
        return
    said = filename_of(headers)
    if said != name and said in awaited:
        raise errors.bad_request(f"The part of '{said}' comes where that of '{name}' is expected")


def _sent_length(attachment: FollowingAttachment) -> int | None:
    """How many bytes the part must have; None if the document doesn't say."""
    if attachment.encoding is not None and attachment.encoded_length is not None:
        return attachment.encoded_length
    return attachment.length


async def _checked(pieces: AsyncIterator[bytes], attachment: FollowingAttachment) -> AsyncIterator[bytes]:
    """A part's data as it comes. Raises 400 if length or digest are not those that were announced."""
    expected = _sent_length(attachment)
    digest = attachment.digest
    if digest is not None and not digest.startswith("md5-"):
        digest = None
    checksum = md5(usedforsecurity=False)
    size = 0
    async for piece in pieces:
        size += len(piece)
        if expected is not None and size > expected:
            raise errors.bad_request("attachment longer than expected")
        if digest is not None:
            checksum.update(piece)
        yield piece
    if expected is not None and size < expected:
        raise errors.bad_request("attachment shorter than expected")
    if digest is not None and digest != "md5-" + b64encode(checksum.digest()).decode("ascii"):
        raise errors.content_md5_mismatch()


async def _kept(
    pieces: AsyncIterator[bytes], name: str, attachment: FollowingAttachment, *, strict: bool
) -> InlineAttachment:
    length: int | None = None
    if attachment.encoding is None:
        data = b"".join([piece async for piece in pieces])
    else:
        check = GzipCheck(name, strict=strict)
        data = b"".join([piece async for piece in check.checked(pieces)])
        length = check.length
    return InlineAttachment(
        content_type=attachment.content_type,
        data=data,
        digest=digest_of(data),
        revpos=attachment.revpos,
        encoding=attachment.encoding,
        length=length,
    )


async def _read_on(pieces: AsyncIterator[bytes]) -> None:
    """Takes what is left of a body that is refused, within limits, and forgets it."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > READ_ON:
            return


async def _limited(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > MAX_REQUEST_SIZE:
            raise errors.request_too_large()
        yield piece


class _Body:
    """The parts of a request, one after another."""

    def __init__(self, pieces: AsyncIterator[bytes], boundary: str) -> None:
        self._pieces = pieces
        self._parser = Parser(boundary)
        self._events: Iterator[Event] = iter(())

    async def start_part(self) -> PartStarted | None:
        """The next part; None behind the last, when the body is known to be whole."""
        event = await self._next()
        if isinstance(event, PartStarted):
            return event
        assert isinstance(event, Ended)
        async for piece in self._pieces:
            for _ in self._parser.feed(piece):
                pass
        return None

    async def data(self) -> AsyncIterator[bytes]:
        """What is in the part that began last. Must be taken to its end."""
        while isinstance(event := await self._next(), PartData):
            yield event.data

    async def _next(self) -> Event:
        while True:
            event = next(self._events, None)
            if event is not None:
                return event
            piece = await anext(self._pieces, None)
            if piece is None:
                self._parser.close()
                return Ended()
            self._events = self._parser.feed(piece)

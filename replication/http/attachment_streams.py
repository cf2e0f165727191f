"""Attachments on their way: checked and packed while they come in, unpacked while they go out.

Nothing here holds more than a piece at a time, so memory stays flat whatever the size.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace

from replication.protocol import errors
from replication.protocol.attachments import (
    StagedAttachment,
    is_compressible,
)
from replication.protocol.unpacking import Unpacker
from replication.store.interface import Database
from replication.store.packing import stage_packed

MAX_ATTACHMENT_SIZE = 1024 * 1024 * 1024
"""Bytes, as CouchDB's `max_attachment_size`; of a compressed upload before and after unpacking."""

UNPACK_IN_LOOP = 1024
"""Bytes that are unpacked in the event loop's thread: they may become a thousand times as many."""


async def limited(pieces: AsyncIterator[bytes], name: str) -> AsyncIterator[bytes]:
    """`pieces` up to the size an attachment may have. Raises 413 `attachment_too_large`."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > MAX_ATTACHMENT_SIZE:
            raise errors.attachment_too_large(name)
        yield piece


async def stage(
    database: Database,
    pieces: AsyncIterator[bytes],
    *,
    name: str,
    content_type: str,
    encoding: str | None,
    strict: bool = True,
) -> StagedAttachment:
    """Stores an attachment's bytes, packed if they come so or their type asks for it.

    Raises 413 for what is too large, packed or not, and 400 for what says that it is gzip and isn't, unless
    `strict` is false: a peer that has such bytes must be able to replicate them.
    """
    pieces = limited(pieces, name)
    if encoding is not None:
        check = GzipCheck(name, strict=strict)
        staged = await database.stage_attachment(
            check.checked(pieces), content_type=content_type, encoding=encoding
        )
        return replace(staged, length=check.length)
    if is_compressible(content_type):
        return await stage_packed(database, pieces, content_type=content_type)
    return await database.stage_attachment(pieces, content_type=content_type)


class GzipCheck:
    """Passes gzipped bytes on as they are and counts what they unpack to in `length`.

    Without `strict`, what isn't gzip passes too; `length` is its own then.
    """

    def __init__(self, name: str, *, strict: bool = True) -> None:
        self._name = name
        self._strict = strict
        self.length = 0

    async def checked(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Raises 400 for bytes that are no whole gzip, and 413 for those that unpack to too much."""
        unpacker = Unpacker()
        size = 0
        is_gzip = True
        async for piece in pieces:
            size += len(piece)
            if is_gzip:
                try:
                    if len(piece) > UNPACK_IN_LOOP:
                        await asyncio.to_thread(self._count, unpacker, piece)
                    else:
                        self._count(unpacker, piece)
                except zlib.error:
                    is_gzip = False
                    if self._strict:
                        raise errors.bad_request(
                            f"Attachment '{self._name}' is not gzip, as its encoding says"
                        ) from None
            yield piece
        if not unpacker.complete:
            if self._strict:
                raise errors.bad_request(f"The gzipped attachment '{self._name}' is cut short")
            self.length = size

    def _count(self, unpacker: Unpacker, piece: bytes) -> None:
        for unpacked in unpacker.feed(piece):
            self.length += len(unpacked)
            if self.length > MAX_ATTACHMENT_SIZE:
                raise errors.attachment_too_large(self._name)


async def unpacked(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Gzipped bytes unpacked, in pieces of bounded size. Raises `zlib.error` if they are no whole gzip."""
    unpacker = Unpacker()
    async for piece in pieces:
        for part in unpacker.feed(piece):
            yield part
    if not unpacker.complete:
        raise zlib.error("cut short")

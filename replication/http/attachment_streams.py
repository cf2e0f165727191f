"""Attachments on their way: bytes that are checked while they come in and unpacked while they go out.

Nothing here holds more than a piece at a time, so memory stays flat whatever the size.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

from replication.http.document_reading import GZIP_WINDOW
from replication.protocol import errors

MAX_ATTACHMENT_SIZE = 1024 * 1024 * 1024
"""Bytes, as CouchDB's `max_attachment_size`; of a compressed upload before and after unpacking."""

PIECE = 256 * 1024


async def limited(pieces: AsyncIterator[bytes], name: str) -> AsyncIterator[bytes]:
    """`pieces` up to the size an attachment may have. Raises 413 `attachment_too_large`."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > MAX_ATTACHMENT_SIZE:
            raise errors.attachment_too_large(name)
        yield piece


class GzipCheck:
    """Passes gzipped bytes on as they are and counts what they unpack to in `length`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.length = 0

    async def checked(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Raises 400 for bytes that are no whole gzip, and 413 for those that unpack to too much."""
        unpacker = Unpacker()
        try:
            async for piece in pieces:
                for unpacked in unpacker.feed(piece):
                    self.length += len(unpacked)
                    if self.length > MAX_ATTACHMENT_SIZE:
                        raise errors.attachment_too_large(self._name)
                yield piece
        except zlib.error:
            raise errors.bad_request(
                f"Attachment '{self._name}' is not gzip, as its Content-Encoding says"
            ) from None
        if not unpacker.complete:
            raise errors.bad_request(f"The gzipped attachment '{self._name}' is cut short")


class Unpacker:
    """Unpacks gzip piece by piece, several members in a row included."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(GZIP_WINDOW)

    @property
    def complete(self) -> bool:
        """Whether what was fed so far ends where a member ends."""
        return self._inflate.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` adds, at most `PIECE` bytes at a time. Raises `zlib.error`."""
        while data:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(GZIP_WINDOW)
            out = self._inflate.decompress(data, PIECE)
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if out:
                yield out


async def unpacked(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Gzipped bytes unpacked, in pieces of bounded size."""
    unpacker = Unpacker()
    async for piece in pieces:
        for part in unpacker.feed(piece):
            yield part

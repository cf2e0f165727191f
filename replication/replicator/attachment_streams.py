"""Attachments on their way: streams that end with an error unless the bytes are the announced ones."""

from __future__ import annotations

import asyncio
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import md5

from replication.protocol.unpacking import Unpacker
from replication.replicator.failures import PeerLied, quoted
from replication.replicator.peer import SourceAttachment

MAX_ATTACHMENT = 1024**3
"""Bytes of an attachment, as CouchDB's `max_attachment_size`."""

SMALL = 64 * 1024
"""Attachments up to this many bytes travel inside their document."""

_UNPACK_IN_LOOP = 1024
"""Bytes that are unpacked in the event loop's thread: they may become a thousand times as many."""


async def verified(
    chunks: AsyncIterator[bytes], digest: str, stored_length: int | None, what: str
) -> AsyncIterator[bytes]:
    """`chunks`, and at their end `PeerLied` unless digest and length are right.

    Stops as soon as there is more than announced. `what` names the attachment in messages.
    """
    if not digest.startswith("md5-"):
        raise PeerLied(f"{what} has the digest {quoted(digest)}: only md5 can be verified")
    limit = MAX_ATTACHMENT if stored_length is None else stored_length
    found = md5(usedforsecurity=False)
    size = 0
    async for piece in chunks:
        size += len(piece)
        if size > limit:
            raise PeerLied(f"{what} has more than the {limit} bytes it should have")
        found.update(piece)
        yield piece
    if stored_length is not None and size != stored_length:
        raise PeerLied(f"{what} has {size} bytes and should have {stored_length}")
    if "md5-" + b64encode(found.digest()).decode("ascii") != digest:
        raise PeerLied(f"{what} does not have the digest {quoted(digest)}")


async def unpacked(chunks: AsyncIterator[bytes], length: int, what: str) -> AsyncIterator[bytes]:
    """Gzipped `chunks` as they were before. Raises `PeerLied` if they aren't, or aren't `length` bytes."""
    unpacker = Unpacker()
    size = 0
    try:
        async for piece in chunks:
            for data in unpacker.feed(piece):
                size += len(data)
                if size > length:
                    raise PeerLied(f"{what} unpacks to more than the {length} bytes it should have")
                yield data
    except zlib.error:
        raise PeerLied(f"{what} is not gzip as announced") from None
    if size != length or not unpacker.complete:
        raise PeerLied(f"{what} unpacks to {size} bytes and should have {length}")


class Measured:
    """Passes the stored bytes of an attachment on and finds out its `length` before encoding.

    A peer may have, from an upload, what says that it is gzip and isn't: that passes too, and `length` is
    that of the bytes.
    """

    def __init__(self, attachment: SourceAttachment) -> None:
        self._attachment = attachment
        self.length = 0
        """Known when all has passed."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises `PeerLied` for what unpacks to more than an attachment may have."""
        unpacker = None if self._attachment.encoding is None else Unpacker()
        size = self.length = 0
        async for piece in self._attachment.open():
            size += len(piece)
            if unpacker is not None:
                try:
                    if len(piece) > _UNPACK_IN_LOOP:
                        await asyncio.to_thread(self._count, unpacker, piece)
                    else:
                        self._count(unpacker, piece)
                except zlib.error:
                    unpacker = None
            yield piece
        if unpacker is None or not unpacker.complete:
            self.length = size

    def _count(self, unpacker: Unpacker, piece: bytes) -> None:
        for unpacked in unpacker.feed(piece):
            self.length += len(unpacked)
            if self.length > MAX_ATTACHMENT:
                raise PeerLied(f"an attachment unpacks to more than {MAX_ATTACHMENT} bytes")


async def collected(chunks: AsyncIterator[bytes]) -> bytes:
    """All of a stream that is known to be small."""
    return b"".join([piece async for piece in chunks])

"""Attachments on their way: streams that end with an error unless the bytes are the announced ones."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import md5

from replication.replicator.failures import PeerLied, quoted

MAX_ATTACHMENT = 1024**3
"""Bytes of an attachment, as CouchDB's `max_attachment_size`."""

SMALL = 64 * 1024
"""Attachments up to this many bytes travel inside their document."""


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
    unpacker = zlib.decompressobj(wbits=31)
    size = 0
    try:
        async for piece in chunks:
            while piece:
                data = unpacker.decompress(piece, SMALL)
                piece = unpacker.unconsumed_tail
                size += len(data)
                if size > length:
                    raise PeerLied(f"{what} unpacks to more than the {length} bytes it should have")
                yield data
    except zlib.error:
        raise PeerLied(f"{what} is not gzip as announced") from None
    if size != length or not unpacker.eof:
        raise PeerLied(f"{what} unpacks to {size} bytes and should have {length}")


async def collected(chunks: AsyncIterator[bytes]) -> bytes:
    """All of a stream that is known to be small."""
    return b"".join([piece async for piece in chunks])

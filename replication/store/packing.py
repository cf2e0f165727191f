"""Compressing what is attached while it is on its way into a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from replication.protocol.attachments import StagedAttachment, gzip_packer
from replication.store.interface import Database

IN_LOOP = 16 * 1024
"""Bytes that are compressed in the event loop's thread; a hop to another one costs more for less."""


async def stage_packed(
    database: Database, pieces: AsyncIterator[bytes], *, content_type: str
) -> StagedAttachment:
    """Stores bytes as gzip, piece by piece, as `as_stored` would all at once."""
    packing = _Packing()
    staged = await database.stage_attachment(
        packing.packed(pieces), content_type=content_type, encoding="gzip"
    )
    return replace(staged, length=packing.length)


class _Packing:
    """Counts what it compresses in `length`."""

    def __init__(self) -> None:
        self.length = 0

    async def packed(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        packer = gzip_packer()
        async for piece in pieces:
            self.length += len(piece)
            if len(piece) > IN_LOOP:
                out = await asyncio.to_thread(packer.compress, piece)
            else:
                out = packer.compress(piece)
            if out:
                yield out
        yield packer.flush()

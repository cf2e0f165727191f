"""Gzip that somebody else made: read a piece at a time, for a small one may become a very large one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from replication.protocol.attachments import GZIP_WINDOW

PIECE = 256 * 1024


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

"""ZIP files that are written and handed on at the same time: memory doesn't grow with them.

A file that was cut off while it was sent can't be opened: what is in it stands at its end.
"""

from __future__ import annotations

import zipfile
from typing import IO, Any


class Archive:
    """A ZIP file; `take` what is ready of it after each step."""

    def __init__(self, *, level: int | None = None) -> None:
        """`level` of compression, from 0 to 9."""
        self._buffer = _Buffer()
        self._file = zipfile.ZipFile(  # type: ignore[call-overload]
            self._buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level
        )

    def write(self, name: str, text: bytes) -> None:
        self._file.writestr(name, text)

    def entry(self, name: str) -> IO[bytes]:
        """For what comes in pieces."""
        found: IO[bytes] = self._file.open(name, "w", force_zip64=True)
        return found

    def take(self) -> bytes:
        """What is new since the last time."""
        return self._buffer.take()

    def close(self) -> None:
        self._file.close()


class _Buffer:
    """Takes what a ZIP file is made of, and hands it on."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

"""One process per data directory.

The lock is the operating system's, on an open file, so it goes away with the process however that
ends. The file tells who holds it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO


class DirectoryInUseError(Exception):
    """Another process serves this data directory."""


def lock_directory(directory: Path) -> IO[str]:
    """Takes the lock and returns the file that holds it until closed. Raises `DirectoryInUseError`."""
    path = directory / "LOCK"
    handle = path.open("a+", encoding="ascii")
    try:
        _take(handle)
    except OSError:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise DirectoryInUseError(
            f"{directory} is in use by another process (id {holder}). "
            "Stop that one, or choose another data directory."
        ) from None
    handle.seek(0)
    handle.truncate()
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


if sys.platform == "win32":
    import msvcrt

    def _take(handle: IO[str]) -> None:
        handle.seek(1 << 20)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: IO[str]) -> None:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

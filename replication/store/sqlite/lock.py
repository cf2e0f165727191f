"""One process per data directory, none on a half-restored one, and on copies none but those that follow.

The lock is the operating system's, on an open file, so it goes away with the process however that ends. The
file tells who holds it. Whoever fills a directory leaves `UNFINISHED` in it until everything is there. Beside
a file that is a copy of what a journal says (`copies`) lies a note of where it comes from.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO


class DirectoryInUseError(Exception):
    """Another process serves this data directory."""


class DirectoryUnfinishedError(DirectoryInUseError):
    """A restore into this data directory was cut off."""


class DirectoryHasCopiesError(DirectoryInUseError):
    """What is in this directory are copies: what changes them has to go through their journal."""


ORIGIN = ".origin"
"""With what the name of the note ends beside a copy."""

UNFINISHED = "RESTORE-UNFINISHED"
"""The file that says so."""


def check_finished(directory: Path) -> None:
    """Raises `DirectoryUnfinishedError`."""
    if (directory / UNFINISHED).exists():
        raise DirectoryUnfinishedError(
            f"{directory} is being restored, or that was cut off: it isn't whole. Run the restore again."
        )


def check_no_copies(directory: Path) -> None:
    """Raises `DirectoryHasCopiesError`."""
    if any(directory.glob(f"*{ORIGIN}")):
        raise DirectoryHasCopiesError(
            f"{directory} has copies of a cluster's databases. They follow its journal, and nothing else may"
            " change them; they can be removed while no process uses them, and are fetched anew."
        )


def lock_directory(directory: Path, *, unfinished: bool = False) -> IO[str]:
    """Takes the lock and returns the file that holds it until closed. Raises `DirectoryInUseError`.

    `unfinished`: whoever fills the directory, which nobody else may use before it is whole.
    """
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
    if not unfinished:
        try:
            check_finished(directory)
        except DirectoryUnfinishedError:
            handle.close()
            raise
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

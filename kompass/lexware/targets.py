"""Where Lexware fetches files: a folder, or a server reached by SFTP.

A file is there whole or not at all: a draft first, which then gets its name. The draft is gone with that, so
whoever finds neither knows that the file was there and has been fetched.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from kompass.files import sync_directory

FETCHED = "processed"
"""Where Lexware moves what it has fetched, below the folder; what lies there is deleted with an erasure."""
DRAFTS = ".kompass_*.part"
READABLE = 0o640
"""Of files that Lexware fetches: its login is in the folder's group."""


def missing(directory: Path) -> str:
    """What is said of a folder that isn't there."""
    return f"{directory} isn't there: is the share mounted? If it shall be a new folder, make it."


class TargetError(Exception):
    """It can't be delivered now. The text is for people."""


def mark_of(place: str) -> str:
    """See `Target`."""
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def draft_of(file: str, mark: str) -> str:
    """A name for a draft that no other has."""
    return f".{file}.{mark}.{secrets.token_hex(4)}.part"


def others(draft: str) -> str:
    """What matches the drafts of the same file in the same place."""
    return f"{draft.rsplit('.', 2)[0]}.*.part"


class Target(Protocol):
    """Raises `TargetError`."""

    name: str
    mark: str
    """What tells this place from others, in names of drafts."""

    async def stage(self, draft: str, pieces: Iterable[bytes]) -> None:
        """The draft, whole and durable. Others of the same file go: whoever wrote them was killed."""

    async def publish(self, draft: str, name: str, manifest: bytes) -> None:
        """The draft gets its name, the manifest beside it before. Again it does nothing."""

    async def withdraw(self, draft: str, name: str) -> None:
        """Neither is there any more, as far as nobody has fetched it. Either may be empty: there is none."""

    async def erase(self, draft: str, name: str) -> bool:
        """As `withdraw`, and what was fetched goes as well as far as it lies here. Whether the file, or its
        draft, was still there.
        """


class Folder:
    """`exports` below a folder of this machine."""

    name = "folder"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mark = mark_of(str(directory))

    async def stage(self, draft: str, pieces: Iterable[bytes]) -> None:
        await asyncio.to_thread(self._stage, draft, pieces)

    async def publish(self, draft: str, name: str, manifest: bytes) -> None:
        await asyncio.to_thread(self._publish, draft, name, manifest)

    async def withdraw(self, draft: str, name: str) -> None:
        await asyncio.to_thread(self._withdraw, draft, name)

    async def erase(self, draft: str, name: str) -> bool:
        return await asyncio.to_thread(self._erase, draft, name)

    def _erase(self, draft: str, name: str) -> bool:
        if not self.directory.is_dir():
            raise TargetError(missing(self.directory))  # what lies on a share is there again with it
        was_there = any(one and (self.directory / one).exists() for one in (draft, name))
        self._withdraw(draft, name)
        self._withdraw("", f"{FETCHED}/{name}")
        for left in self.directory.glob(DRAFTS):  # of what was killed before anybody knew of it
            self._withdraw(left.name, "")
        return was_there

    def _stage(self, draft: str, pieces: Iterable[bytes]) -> None:
        try:
            for left in self.directory.glob(others(draft)):
                left.unlink(missing_ok=True)
            self._write(draft, pieces)
        except FileNotFoundError:
            raise TargetError(missing(self.directory)) from None
        except OSError as error:
            raise TargetError(f"{self.directory} can't be written: {error.strerror}.") from None

    def _publish(self, draft: str, name: str, manifest: bytes) -> None:
        try:
            if not self.directory.is_dir():
                raise TargetError(missing(self.directory))  # with it the draft would be gone, too
            if not (self.directory / draft).exists():
                return
            if (self.directory / name).exists():
                raise TargetError(f"{self.directory / name} is there already, and not of this run.")
            told = f"{name}.manifest.json"
            self._write(f".{told}.part", [manifest])
            (self.directory / f".{told}.part").replace(self.directory / told)
            (self.directory / draft).replace(self.directory / name)
            sync_directory(self.directory)
        except FileNotFoundError:
            if (self.directory / draft).exists():  # another process was faster
                raise
        except OSError as error:
            raise TargetError(f"{self.directory} can't be written: {error.strerror}.") from None

    def _withdraw(self, draft: str, name: str) -> None:
        try:
            for one in (draft, *((name, f"{name}.manifest.json") if name else ())):
                if one:
                    (self.directory / one).unlink(missing_ok=True)
        except OSError as error:
            raise TargetError(f"{self.directory} can't be written: {error.strerror}.") from None

    def _write(self, name: str, pieces: Iterable[bytes]) -> None:
        file = self.directory / name
        file.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(file, flags, READABLE), "wb") as stream:
                for piece in pieces:
                    stream.write(piece)
                stream.flush()
                os.fsync(stream.fileno())
            sync_directory(self.directory)
        except OSError:
            file.unlink(missing_ok=True)  # half of it, of a full disk
            raise

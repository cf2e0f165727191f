"""Small texts that a server keeps: in files of its directory, or where the processes of a cluster have
them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from kompass.files import PRIVATE, replace_file, sync_directory


class Text(ABC):
    """One of them. What is written is durable when a method returns. Everything raises `OSError`."""

    shown: str
    """Where it is, for people."""

    @abstractmethod
    def read(self) -> bytes | None:
        """None if there is none yet."""

    @abstractmethod
    def replace(self, content: bytes) -> None: ...

    @abstractmethod
    def add(self, lines: bytes) -> None:
        """Adds whole lines to its end, all or none of them. What a crash has left of a line there, without
        its end, goes.
        """

    @abstractmethod
    def alone(self) -> AbstractContextManager[bool]:
        """Nobody else comes into such a block meanwhile. Tells whether others may have written before."""


class Texts(ABC):
    """Where they are, by name."""

    @abstractmethod
    def __getitem__(self, name: str) -> Text: ...


class TextFile(Text):
    """A file, for its owner's eyes only. One process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.shown = str(path)

    def read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, content: bytes) -> None:
        replace_file(self._path, content)

    def add(self, lines: bytes) -> None:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            end = _whole(handle)
            try:
                os.ftruncate(handle, end)  # what a crash has cut off was never told to anybody
                os.lseek(handle, end, os.SEEK_SET)
                text = memoryview(lines)
                while text:
                    text = text[os.write(handle, text) :]
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)
        if end == 0:
            sync_directory(self._path.parent)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        yield False


def _whole(handle: int) -> int:
    """Where the last whole line ends."""
    end = os.lseek(handle, 0, os.SEEK_END)
    while end:
        start = max(0, end - 65536)
        place = os.pread(handle, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0


class TextFiles(Texts):
    """The files of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __getitem__(self, name: str) -> TextFile:
        return TextFile(self._directory / name)

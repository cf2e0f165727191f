"""Where a repository lies: objects with names, as a directory or an object store has them.

A name is segments of lower-case letters, digits, `-` and `_`, separated by `/`. Every target passes the
same tests (`tests/backup/test_targets.py`).
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from kompass.backup.errors import BackupError, DamagedError, InUseError
from kompass.files import PRIVATE, sync_directory
from replication.store.sqlite.lock import DirectoryInUseError, lock_directory

NAME = re.compile(r"[a-z0-9_-]{1,64}(/[a-z0-9_-]{1,64}){0,3}")
_MOST_DRAFTS = 512
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_SYNCING = 8


class Target(ABC):
    """Methods may be called from any thread, those that write by one process at a time: see `locked`.

    They raise `BackupError`, for a full disk too, and `DamagedError` for what is missing or too long.
    """

    @abstractmethod
    def locked(self) -> AbstractContextManager[None]:
        """For whoever writes. Raises `InUseError` while somebody else does."""

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Stores an object; it need not be there before the next `flush`. One that is there is replaced."""

    @abstractmethod
    def flush(self) -> None:
        """What was put is durable, each object whole; what was removed stays away."""

    @abstractmethod
    def get(self, name: str, most: int) -> bytes:
        """An object of at most `most` bytes."""

    @abstractmethod
    def names(self, prefix: str) -> set[str]:
        """The objects whose names begin with `prefix` and `/`."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Nothing happens if it isn't there."""

    @abstractmethod
    def exists(self, name: str) -> bool: ...


def checked(name: str) -> str:
    """Raises `DamagedError` for what can't be the name of an object."""
    if NAME.fullmatch(name) is None:
        raise DamagedError(f"{name[:100]!r} can't be the name of an object")
    return name


class DirectoryTarget(Target):
    """A directory, for its owner's eyes only. A file gets its name when its bytes are on the disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._drafts: dict[str, Path] = {}
        self._changed: set[Path] = set()
        """Directories from which something was removed."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = lock_directory(self.directory)
        except DirectoryInUseError as error:
            raise InUseError(f"another backup is at work: {error}") from None
        except OSError as error:
            raise _failure(self.directory, error) from error
        with lock:
            self._drop_drafts()
            yield

    def _drop_drafts(self) -> None:
        self._drafts.clear()
        try:
            for left in self._place("drafts").glob("*"):
                left.unlink()
        except OSError as error:
            raise _failure(self.directory, error) from error

    def put(self, name: str, content: bytes) -> None:
        self._place(name)
        draft = self._place("drafts") / secrets.token_hex(16)
        try:
            draft.parent.mkdir(exist_ok=True, mode=0o700)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise _failure(self.directory, error) from error
        self._drafts[name] = draft
        if len(self._drafts) >= _MOST_DRAFTS:
            self.flush()

    def flush(self) -> None:
        drafts = {name: self._drafts.pop(name) for name in list(self._drafts)}
        try:
            with ThreadPoolExecutor(_SYNCING) as pool:
                list(pool.map(_sync_file, drafts.values()))
            changed, self._changed = self._changed, set()
            for name, draft in drafts.items():
                place = self._place(name)
                if not place.parent.is_dir():
                    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    changed |= {place.parent.parent, self.directory}
                draft.replace(place)
                changed.add(place.parent)
            for directory in changed:
                sync_directory(directory)
        except OSError as error:
            raise _failure(self.directory, error) from error

    def get(self, name: str, most: int) -> bytes:
        try:
            with self._place(name).open("rb") as file:
                content = file.read(most + 1)
        except FileNotFoundError:
            raise DamagedError(f"{name} is missing") from None
        except OSError as error:
            raise _failure(self.directory, error) from error
        if len(content) > most:
            raise DamagedError(f"{name} is longer than anything of its kind is")
        return content

    def names(self, prefix: str) -> set[str]:
        found: set[str] = set()
        for where, _, files in os.walk(self._place(prefix)):
            for file in files:
                name = (Path(where) / file).relative_to(self.directory).as_posix()
                if NAME.fullmatch(name):
                    found.add(name)
        return found

    def remove(self, name: str) -> None:
        try:
            place = self._place(name)
            place.unlink()
            self._changed.add(place.parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _failure(self.directory, error) from error

    def exists(self, name: str) -> bool:
        return self._place(name).is_file()

    def _place(self, name: str) -> Path:
        return self.directory / checked(name)


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failure(directory: Path, error: OSError) -> BackupError:
    if error.errno in _FULL:
        return BackupError(f"there is no room left in {directory}: what was backed up before is whole")
    return BackupError(f"{directory} can't be used: {error.strerror or error}")

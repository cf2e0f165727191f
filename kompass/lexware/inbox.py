"""The folder where files of Lexware's come: which are whole, and where they go afterwards.

Whoever can write there can put anything there. Nothing is followed: links, devices, files with several names
and folders are left where they are, and told.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from kompass.accounting.problems import quoted
from kompass.files import sync_directory
from kompass.lexware.files_in import MOST_BYTES
from kompass.lexware.targets import missing

PROCESSED, FAILED = "processed", "failed"
RESTS = 10.0
"""Seconds for which nothing was written into a file that is whole."""
MOST_FILES = 500
"""That are looked at in one go."""
LONGEST_NAME = 150
"""Bytes, of a name under which a file is kept."""
MANIFEST = ".manifest.json"
REPORT = ".report.json"
_MOST_MANIFEST = 1_000_000
_MOST_REPORT = 10_000_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file as it was seen."""

    name: str
    size: int
    changed: float
    number: int
    """The file system's."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that isn't taken."""

    name: str
    why: str
    """In English; as long as it is so."""
    warum: str


class InboxError(Exception):
    """The folder can't be used. The text is for people."""


class Inbox:
    """Blocking. Everything raises `InboxError`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def look(self) -> tuple[list[Waiting], list[Skipped]]:
        """What lies there, by name: what may be taken when it rests, and what never is."""
        waiting: list[Waiting] = []
        skipped: list[Skipped] = []
        with self._opened() as folder:
            for name in _names(folder):
                if not name.lower().endswith(".csv") or name.startswith("."):
                    continue
                try:
                    facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
                except FileNotFoundError:
                    continue  # somebody has taken it away since
                why = _why_not(facts)
                if why is None:
                    waiting.append(Waiting(name, facts.st_size, facts.st_mtime, facts.st_ino))
                elif len(skipped) < MOST_FILES:
                    skipped.append(Skipped(quoted(name), *why))
                if len(waiting) == MOST_FILES:
                    break
        return waiting, skipped

    def rest_of(self, seen: list[Waiting]) -> float:
        """Seconds until it can be told of all of these whether they rest."""
        at = time.time()
        return RESTS if any(abs(at - one.changed) < RESTS for one in seen) else 0

    def resting(self, seen: list[Waiting], now: float | None = None) -> list[Waiting]:
        """Those of them that are as they were, and were written long enough ago."""
        at = time.time() if now is None else now
        there = {one.name: one for one in self.look()[0]}
        return [one for one in seen if there.get(one.name) == one and abs(at - one.changed) >= RESTS]

    def read(self, one: Waiting) -> tuple[bytes, bytes | None] | Skipped | None:
        """The file, and its manifest; None if it isn't any more what was seen; why it can't be read."""
        with self._opened() as folder:
            try:
                data = _bytes(folder, one.name, MOST_BYTES + 1)
                manifest = _bytes(folder, one.name + MANIFEST, _MOST_MANIFEST)
            except OSError as error:
                why, warum = f"it can't be read: {error.strerror}", f"ist nicht lesbar: {error.strerror}"
                return Skipped(quoted(one.name), why, warum)
            is_unread = manifest is None and os.path.lexists(self.directory / f"{one.name}{MANIFEST}")
            if data is None or is_unread:
                return None
            content, facts = data
            if not _is(one, facts) or (len(content) <= MOST_BYTES and len(content) != one.size):
                return None
        return content, None if manifest is None else manifest[0]

    def take_back(self, since: float) -> None:
        """What was moved since then, and somebody has written into afterwards, lies in the folder again: a
        program that pauses for longer than `RESTS` has the file open, whatever it is called meanwhile.
        """
        with self._opened() as folder:
            for to in (PROCESSED, FAILED):
                try:
                    moved = os.open(to, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                except OSError:
                    continue
                try:
                    self._take_back(folder, moved, since)
                finally:
                    os.close(moved)

    def _take_back(self, folder: int, moved: int, since: float) -> None:
        names = _names(moved)
        reports = {name for name in names if name.endswith(REPORT)}
        for name in names:
            told = f"{name}{REPORT}"
            if not name.endswith(".csv") or told not in reports:
                continue
            with suppress(FileNotFoundError):
                if os.stat(told, dir_fd=moved, follow_symlinks=False).st_mtime < since:
                    continue
                size = os.stat(name, dir_fd=moved, follow_symlinks=False).st_size
                if size == _told_size(moved, told):
                    continue
                back = _free(folder, name)
                os.rename(name, back, src_dir_fd=moved, dst_dir_fd=folder)
                os.unlink(told, dir_fd=moved)
                manifest = f"{back}{MANIFEST}"
                os.rename(f"{name}{MANIFEST}", manifest, src_dir_fd=moved, dst_dir_fd=folder)

    def move(self, one: Waiting, to: str, report: bytes) -> str:
        """The file goes to `processed` or `failed`, with the report beside it. Where it is then, below the
        folder; empty if somebody else has moved it, or another one lies there now, which stays.
        """
        with self._opened() as folder:
            try:
                with suppress(FileExistsError):
                    os.mkdir(to, dir_fd=folder)
                into = os.open(to, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except OSError as error:
                raise InboxError(f"{self.directory / to} can't be written: {error.strerror}.") from None
            try:
                kept = _free(into, one.name)
                _written(into, f"{kept}{REPORT}", report)
                os.rename(one.name, kept, src_dir_fd=folder, dst_dir_fd=into)
                if not _is(one, os.stat(kept, dir_fd=into, follow_symlinks=False)):
                    os.rename(kept, _free(folder, one.name), src_dir_fd=into, dst_dir_fd=folder)
                    raise FileNotFoundError
                if _is_there(folder, f"{one.name}{MANIFEST}"):
                    manifest = f"{kept}{MANIFEST}"
                    os.rename(f"{one.name}{MANIFEST}", manifest, src_dir_fd=folder, dst_dir_fd=into)
                os.fsync(into)
                os.fsync(folder)
            except FileNotFoundError:
                os.unlink(f"{kept}{REPORT}", dir_fd=into)
                return ""
            except OSError as error:
                raise InboxError(f"{self.directory / to} can't be written: {error.strerror}.") from None
            finally:
                os.close(into)
        return f"{to}/{kept}"

    def clear(self, before: float | None = None) -> int:
        """Removes what lies in `processed` and `failed`, or of it what was moved before a time. How much."""
        count = 0
        if not self.directory.is_dir():
            raise InboxError(missing(self.directory))  # what lies on a share is there again with it
        try:
            for to in (PROCESSED, FAILED):
                target = self.directory / to
                if target.is_symlink() or not target.is_dir():
                    continue
                for entry in os.scandir(target):
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(facts.st_mode) or (before is not None and facts.st_ctime >= before):
                        continue
                    (target / entry.name).unlink(missing_ok=True)
                    count += 1
                sync_directory(target)
        except OSError as error:
            raise InboxError(f"{self.directory} can't be written: {error.strerror}.") from None
        return count

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            folder = os.open(self.directory, _FOLDER)
        except FileNotFoundError:
            raise InboxError(missing(self.directory)) from None
        except OSError as error:
            raise InboxError(f"{self.directory} can't be read: {error.strerror}.") from None
        try:
            yield folder
        except OSError as error:
            raise InboxError(f"{self.directory} can't be read: {error.strerror}.") from None
        finally:
            os.close(folder)


def _why_not(facts: os.stat_result) -> tuple[str, str] | None:
    if stat.S_ISLNK(facts.st_mode):
        return "it is a link, and links aren't followed", "ist eine Verknüpfung; denen wird nicht gefolgt"
    if not stat.S_ISREG(facts.st_mode):
        return "it is no file", "ist keine Datei"
    if facts.st_nlink > 1:
        return (
            "it has another name elsewhere: put a copy here",
            "hat anderswo noch einen Namen: bitte kopieren",
        )
    return None


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def _is(one: Waiting, facts: os.stat_result) -> bool:
    return (facts.st_size, facts.st_mtime, facts.st_ino) == (one.size, one.changed, one.number)


def _told_size(folder: int, report: str) -> int | None:
    """How many bytes a report says that its file has."""
    try:
        content = _bytes(folder, report, _MOST_REPORT)
        size = None if content is None else orjson.loads(content[0]).get("bytes")
    except (OSError, ValueError, AttributeError):
        return None
    return size if type(size) is int else None


def _bytes(folder: int, name: str, most: int) -> tuple[bytes, os.stat_result] | None:
    """Of a file and nothing else, at most so many, and what it was; None if it changed meanwhile, or isn't
    there, or is a link. Raises `OSError`.
    """
    try:
        number = os.open(name, _OPEN, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO):
            return None
        raise
    with os.fdopen(number, "rb") as file:
        before = os.fstat(number)
        if _why_not(before) is not None:
            return None
        content = file.read(most)
        after = os.fstat(number)
    if (before.st_size, before.st_mtime) != (after.st_size, after.st_mtime):
        return None
    return content, after


def _written(folder: int, name: str, content: bytes) -> None:
    """A file that is there whole or not at all."""
    draft = f".{name}.part"
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(draft, flags, 0o640, dir_fd=folder), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)


def _free(folder: int, name: str) -> str:
    """A name that nothing has there, nothing beside it, and that can be shown."""
    plain = "".join(sign if sign.isprintable() and sign not in '\\/:*?"<>|' else "_" for sign in name)
    stem = plain[: -len(".csv")].encode()[:LONGEST_NAME].decode("utf-8", "ignore")
    number = 0
    while True:
        number += 1
        found = f"{stem}.csv" if number == 1 else f"{stem}-{number}.csv"
        if not any(_is_there(folder, f"{found}{suffix}") for suffix in ("", REPORT, MANIFEST)):
            return found


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return False
        raise
    return True

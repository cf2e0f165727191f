"""Restoring a backup into a directory, which nobody can serve before it is whole.

The directory is locked all the while, and the file `UNFINISHED` in it says since the first and until the
last step that it isn't whole: whoever opens data directories refuses it. What was in it before is moved
into a directory within it, not deleted. A restore that was cut off is run again.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from kompass.backup import returning
from kompass.backup.errors import BackupError, InUseError
from kompass.backup.making import assembled
from kompass.backup.manifest import Manifest, Stored
from kompass.backup.repository import Repository
from kompass.backup.returning import Returned
from kompass.backup.source import Progress, silent
from kompass.files import PRIVATE, replace_file, sync_directory
from replication.store.sqlite.lock import UNFINISHED, DirectoryInUseError, check_no_copies, lock_directory

_ASIDE = "before-restore-"
_ASIDE_NAME = re.compile(rf"{_ASIDE}[0-9]{{8}}-[0-9]{{6}}-[0-9a-f]{{4}}")


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    returned: Returned
    aside: Path | None
    """Where lies what was in the directory before."""


def restore(
    repository: Repository,
    manifest: Manifest,
    directory: Path,
    *,
    replace: bool = False,
    survivors: Path | None = None,
    progress: Progress = silent,
) -> Restored:
    """`replace`: the directory may have something in it, which is moved aside. `survivors`: another directory
    with what is left of the server's, instead of that.

    Raises `InUseError` while a server runs on the directory, `BackupError`, and `DamagedError`; then the
    directory is as it was, or is refused by everybody until a restore has succeeded.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_no_copies(directory)
        lock = lock_directory(directory, unfinished=True)
    except DirectoryInUseError as error:
        raise InUseError(str(error)) from None
    except OSError as error:
        raise BackupError(f"{directory} can't be used: {error.strerror or error}") from error
    with lock:
        try:
            aside = _cleared(directory, replace=replace)
            left = survivors or aside
            before = returning.Survived() if left is None else returning.survived(left)
            _check_room(directory, manifest)
            done = 0
            for file in manifest.files:
                _write(repository, directory / file.name, file, progress, done, manifest.size)
                done += file.size
            returned = returning.bring_back(directory, manifest, before)
            _sync(directory, manifest.files)
            (directory / UNFINISHED).unlink()
            sync_directory(directory)
        except OSError as error:
            raise BackupError(f"{error.filename or directory}: {error.strerror or error}") from error
    return Restored(manifest, returned, aside)


def _cleared(directory: Path, *, replace: bool) -> Path | None:
    """Makes room; where everything of before lies, None if there was nothing."""
    marker = directory / UNFINISHED
    if marker.exists():
        aside = _said(marker)
    else:
        if _others(directory):
            if not replace:
                raise BackupError(
                    f"{directory} isn't empty: restore into another directory, or with --replace, which moves"
                    " what is there aside"
                )
            now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
            aside = f"{_ASIDE}{now}-{secrets.token_hex(2)}"
        else:
            aside = ""
        _say(marker, aside, moving=bool(aside))
    if aside and orjson.loads(marker.read_bytes())["moving"]:
        (directory / aside).mkdir(exist_ok=True, mode=0o700)
        for path in _others(directory):
            path.rename(directory / aside / path.name)
        sync_directory(directory / aside)
        sync_directory(directory)
        _say(marker, aside, moving=False)
    for path in _others(directory):  # of a restore that was cut off
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return directory / aside if aside else None


def _say(marker: Path, aside: str, *, moving: bool) -> None:
    replace_file(marker, orjson.dumps({"aside": aside, "moving": moving}))


def _said(marker: Path) -> str:
    try:
        value = orjson.loads(marker.read_bytes())
        aside = str(value["aside"])
        if isinstance(value["moving"], bool) and (not aside or _ASIDE_NAME.fullmatch(aside)):
            return aside
    except (ValueError, KeyError, TypeError):
        pass
    raise BackupError(f"{marker} can't be read: look at the directory, and restore into another one")


def _others(directory: Path) -> list[Path]:
    own = {UNFINISHED, Path(UNFINISHED).with_suffix(".new").name, "LOCK", "lost+found"}
    return [
        path
        for path in directory.iterdir()
        if path.name not in own and _ASIDE_NAME.fullmatch(path.name) is None
    ]


def _check_room(directory: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(directory).free
    if free < manifest.size * 1.05 + 1_000_000:
        raise BackupError(f"{directory} has room for {free:,} bytes, and the backup has {manifest.size:,}")


def _write(repository: Repository, path: Path, file: Stored, progress: Progress, done: int, of: int) -> None:
    path.parent.mkdir(exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(handle, "wb") as out:
        for piece in assembled(repository, file):
            out.write(piece)
            done += len(piece)
            progress(f"restoring {file.name}", done, of)
        out.flush()
        os.fsync(out.fileno())


def _sync(directory: Path, files: Iterable[Stored]) -> None:
    for parent in {(directory / file.name).parent for file in files} | {directory}:
        sync_directory(parent)


def chosen(repository: Repository, at: datetime | None, number: int | None) -> Manifest:
    """The backup with a number, the latest up to a moment, or the latest. Raises `BackupError`."""
    numbers = repository.numbers()
    if not numbers:
        raise BackupError("the repository has no backup")
    if number is not None:
        if number not in numbers:
            raise BackupError(f"there is no backup {number}: the repository has {_told(numbers)}")
        return repository.manifest(number)
    for one in reversed(numbers):
        found = repository.manifest(one)
        if at is None or found.taken <= at:
            return found
    first = repository.manifest(numbers[0]).taken.isoformat(timespec="seconds")
    raise BackupError(f"the first backup is of {first}, later than that")


def _told(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[-20:]))

"""Whether everything in a repository is what was stored there, and whether a server could be made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kompass.backup.ahead import ahead
from kompass.backup.errors import BackupError, DamagedError
from kompass.backup.making import assembled
from kompass.backup.manifest import Manifest
from kompass.backup.repository import Repository
from kompass.backup.source import Progress, silent
from kompass.files import PRIVATE

MOST_SHOWN = 100


@dataclass
class Verified:
    """What was found."""

    findings: list[str] = field(default_factory=list)
    backups: list[Manifest] = field(default_factory=list)
    """Those whose manifests are whole, in order."""
    latest: tuple[int, str] | None = None
    """Number and hash of the latest one: note it down, and give it to the next verification."""
    chunks: int = 0

    @property
    def damaged(self) -> bool:
        return bool(self.findings)


def verify(
    repository: Repository, *, expected: tuple[int, str] | None = None, progress: Progress = silent
) -> Verified:
    """Reads everything. `expected`: a backup that is known to have been there, as `Verified.latest` said."""
    found = Verified()
    hashes: dict[int, str] = {}
    for number in repository.numbers():
        try:
            manifest, hashes[number] = repository.read(number)
            found.backups.append(manifest)
        except DamagedError as error:
            found.findings.append(f"backup {number} can't be used: {error}")
    if found.backups:
        number = found.backups[-1].number
        found.latest = (number, hashes[number])
    found.findings += _history(repository, found.backups, hashes, expected)
    found.findings += _chunks(repository, found, progress)
    return found


def _history(
    repository: Repository,
    backups: Sequence[Manifest],
    hashes: dict[int, str],
    expected: tuple[int, str] | None,
) -> Iterator[str]:
    numbers = repository.numbers()
    for one in backups:
        if one.previous is not None and hashes.get(one.previous[0], one.previous[1]) != one.previous[1]:
            yield f"backup {one.previous[0]} isn't the one that backup {one.number} followed"
    if backups:
        for number in sorted(set(backups[-1].kept) - set(numbers)):
            yield f"backup {number} is missing, and was to be kept"
    if expected is not None:
        if hashes.get(expected[0]) not in (None, expected[1]):
            yield f"backup {expected[0]} isn't the one that was expected"
        elif not numbers or numbers[-1] < expected[0]:
            yield f"backup {expected[0]} was expected, and the latest is {numbers[-1] if numbers else 'none'}"


def _chunks(repository: Repository, found: Verified, progress: Progress) -> Iterator[str]:
    """Reads each chunk once, and says which files of which backups a damaged one is in."""
    wanted = {chunk for backup in found.backups for file in backup.files for chunk in file.chunks}
    damaged: dict[str, str] = {}

    def damage(chunk: str) -> str | None:
        try:
            repository.chunk(chunk)
        except DamagedError as error:
            return str(error)
        return None

    ordered = sorted(wanted)
    for chunk, wrong in zip(ordered, ahead(damage, ordered), strict=True):
        if wrong is not None:
            damaged[chunk] = wrong
        found.chunks += 1
        progress("reading chunks", found.chunks, len(wanted))
    for number, (chunk, what) in enumerate(damaged.items()):
        if number == MOST_SHOWN:
            yield f"and {len(damaged) - number} more chunks"
            return
        where = [
            f"{file.name} of backup {backup.number}"
            for backup in found.backups
            for file in backup.files
            if chunk in file.chunks
        ]
        more = f" and {len(where) - 3} more" if len(where) > 3 else ""
        yield f"{what}: it is in {', '.join(where[:3])}{more}"


def unpack(
    repository: Repository, manifest: Manifest, directory: Path, progress: Progress = silent
) -> list[str]:
    """Puts a backup's files into an empty directory, to be looked at. What couldn't be."""
    found, done = [], 0
    for file in manifest.files:
        path = directory / file.name
        try:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            path.touch(PRIVATE)
            with path.open("wb") as out:
                for piece in assembled(repository, file):
                    out.write(piece)
                    done += len(piece)
                    progress("unpacking", done, manifest.size)
        except DamagedError as error:
            found.append(f"{file.name} of backup {manifest.number} can't be restored: {error}")
        except OSError as error:
            raise BackupError(f"{directory} can't be used: {error.strerror or error}") from error
    return found

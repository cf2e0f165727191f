"""Making a backup: one moment of a source, as far as the repository hasn't got it yet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from kompass.backup.ahead import ahead
from kompass.backup.errors import BackupError, DamagedError
from kompass.backup.manifest import CHUNK, Manifest, Stored
from kompass.backup.repository import Repository
from kompass.backup.retention import Retention
from kompass.backup.source import Progress, Source, SourceFile, silent
from kompass.backup.target import Target

_THREADS = 2
_AT_ONCE = 64


class Made(NamedTuple):
    """A backup that was made."""

    manifest: Manifest
    hash: str
    new_bytes: int
    """Stored for it, encrypted."""
    new_chunks: int
    chunks: int
    removed: Sequence[int]
    """Backups that were let go."""
    warning: str | None
    seconds: float


def make(
    source: Source,
    target: Target,
    secret: bytes,
    *,
    retention: Retention | None = None,
    full: bool = False,
    progress: Progress = silent,
) -> Made:
    """`full`: stores everything anew, for the chunks that are there may be damaged.

    Raises `BackupError`; then the backups of before are there as they were.
    """
    began = time.monotonic()
    with Repository.writing(target, secret) as repository:
        if full:
            repository.distrust()
        earlier, warning = _earlier(repository)
        with source.snapshot(progress) as snapshot:
            if earlier and earlier[-1].server != snapshot.server:
                raise BackupError("the repository has the backups of another server: take one for each")
            numbers = repository.numbers()
            number = numbers[-1] + 1 if numbers else 1
            writer = _Writer(repository, progress, sum(file.size for file in snapshot.files))
            files = [writer.store(file) for file in snapshot.files]
            wanted = _kept(retention, earlier, number, snapshot.taken) if warning is None else set(numbers)
            made = Manifest(
                number,
                snapshot.taken,
                snapshot.server,
                snapshot.pause,
                (numbers[-1], repository.hash_of(numbers[-1])) if numbers else None,
                sorted(wanted - {number}),
                files,
            )
            Manifest.from_json(made.to_json(), number)  # or nobody could read it
        hashed = repository.add(made)
        gone = [] if warning else [one for one in numbers if one not in wanted]
        if warning is None:
            repository.remove(gone)
        return Made(
            made, hashed, writer.new_bytes, writer.new_chunks, writer.chunks, gone, warning,
            time.monotonic() - began,
        )  # fmt: skip


def _earlier(repository: Repository) -> tuple[list[Manifest], str | None]:
    """The backups that can be read; and what is wrong with the others, beside which nothing is removed."""
    found, warning = [], None
    for number in repository.numbers():
        try:
            found.append(repository.manifest(number))
        except DamagedError as error:
            warning = f"{error}: nothing was removed; run verify-backup"
    return found, warning


def _kept(retention: Retention | None, earlier: Sequence[Manifest], number: int, taken: datetime) -> set[int]:
    return (retention or Retention()).kept([*((one.number, one.taken) for one in earlier), (number, taken)])


class _Writer:
    def __init__(self, repository: Repository, progress: Progress, of: int) -> None:
        self._repository = repository
        self._progress = progress
        self._of = of
        self._done = 0
        self.new_bytes = self.new_chunks = self.chunks = 0

    def store(self, file: SourceFile) -> Stored:
        hashed, chunks, size = sha256(), [], 0
        pieces = file.pieces(CHUNK)
        with ThreadPoolExecutor(_THREADS) as pool:
            while batch := list(islice(pieces, _AT_ONCE)):
                results = pool.map(self._repository.add_chunk, batch)
                for piece in batch:
                    hashed.update(piece)
                    size += len(piece)
                for chunk, stored in results:
                    chunks.append(chunk)
                    self.chunks += 1
                    self.new_chunks += stored > 0
                    self.new_bytes += stored
                self._done += sum(map(len, batch))
                self._progress("storing", self._done, self._of)
        return Stored(file.name, size, hashed.hexdigest(), chunks)


def assembled(repository: Repository, file: Stored) -> Iterator[bytes]:
    """A file of a backup, chunk by chunk. Raises `DamagedError`, at the end if it isn't what was stored."""
    hashed, size = sha256(), 0
    for piece in ahead(repository.chunk, file.chunks):
        hashed.update(piece)
        size += len(piece)
        yield piece
    if size != file.size or hashed.hexdigest() != file.hash:
        raise DamagedError(f"{file.name} isn't what was stored")

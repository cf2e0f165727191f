"""Files of one moment that are in memory, and a target that fails where it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from kompass.backup.directory import SmallFile
from kompass.backup.making import Made, make
from kompass.backup.repository import Repository
from kompass.backup.retention import Retention
from kompass.backup.source import Progress, Snapshot, Source, silent
from kompass.backup.target import DirectoryTarget
from kompass.backup.verifying import Verified, verify

SECRET = b"korrekt pferd batterie"
DAY = timedelta(days=1)


class Files(Source):
    """Some files, which `change` changes a little."""

    def __init__(self, seed: int = 0, size: int = 700_000) -> None:
        self._random = Random(seed)
        self.server = f"server{seed}"
        self.now = datetime(2026, 3, 2, 12, tzinfo=UTC)
        self.contents = {
            "kompass.sqlite": self._random.randbytes(size),
            "jobs/jobs.sqlite": b"geheim! " * 20_000,
            "server.json": b"{}",
            "empty.sqlite": b"",
        }

    def change(self) -> None:
        text = bytearray(self.contents["kompass.sqlite"])
        text[self._random.randrange(len(text))] ^= 1
        self.contents["kompass.sqlite"] = bytes(text)
        self.now += DAY

    @contextmanager
    def snapshot(self, progress: Progress = silent) -> Iterator[Snapshot]:
        files = [SmallFile(name, content) for name, content in self.contents.items()]
        yield Snapshot(self.now, self.server, 0.001, files)


class Place:
    """A repository in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.source = Files()

    @property
    def target(self) -> DirectoryTarget:
        return DirectoryTarget(self.directory)

    def backup(self, retention: Retention | None = None, *, full: bool = False) -> Made:
        return make(self.source, self.target, SECRET, retention=retention, full=full)

    def open(self) -> Repository:
        return Repository.open(self.target, SECRET)

    def verify(self, expected: tuple[int, str] | None = None) -> Verified:
        return verify(self.open(), expected=expected)

    def objects(self) -> list[Path]:
        """What is stored, without the lock and leftovers."""
        found = [self.directory / "config", *self.directory.glob("chunks/*/*")]
        return sorted([*found, *self.directory.glob("manifests/*")])

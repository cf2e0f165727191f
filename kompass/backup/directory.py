"""The data directory of a server as a source of backups, whether a server is running on it or not.

SQLite's own locks are all that is needed, so it works from another process. Each database is copied page by
page from a transaction of the same moment into a working directory beside it; then writers' logs can be
tidied up again, however long the rest takes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import apsw
import orjson

from kompass.backup import contents
from kompass.backup.errors import BackupError, InUseError
from kompass.backup.moment import moment
from kompass.backup.source import Progress, Snapshot, Source, SourceFile, silent
from replication.store.sqlite.lock import (
    DirectoryHasCopiesError,
    DirectoryInUseError,
    DirectoryUnfinishedError,
    check_finished,
    check_no_copies,
    lock_directory,
)

WORK = "backup-work"
_PAGES = 2000
_SPARE = 1.1


class SmallFile(SourceFile):
    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.size = len(content)
        self.content = content

    def pieces(self, size: int) -> Iterator[bytes]:
        for start in range(0, self.size, size):
            yield self.content[start : start + size]


class CopiedFile(SourceFile):
    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.size = path.stat().st_size

    def pieces(self, size: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while piece := file.read(size):
                yield piece


class DataDirectory(Source):
    def __init__(self, directory: Path, work: Path | None = None) -> None:
        """`work`: where the copies lie meanwhile, by default in the directory; as safe a place as that is."""
        self.directory = directory
        self._work = work or directory / WORK

    @contextmanager
    def snapshot(self, progress: Progress = silent) -> Iterator[Snapshot]:
        try:
            check_finished(self.directory)
            check_no_copies(self.directory)
            if not (self.directory / contents.SERVER).is_file():
                raise BackupError(f"{self.directory} is no server's directory; name it with --data")
            self._work.mkdir(mode=0o700, exist_ok=True, parents=True)
            lock = lock_directory(self._work)
        except DirectoryUnfinishedError as error:
            raise BackupError(str(error)) from None
        except DirectoryHasCopiesError as error:
            raise BackupError(f"{error} Name the cluster with KOMPASS_JOURNAL_DSN to save it.") from None
        except DirectoryInUseError as error:
            raise InUseError(f"another backup is at work: {error}") from None
        except OSError as error:
            raise _failure(self._work, error) from error
        with lock:
            self._clear()
            try:
                yield self._taken(progress)
            finally:
                self._clear()

    def _clear(self) -> None:
        for left in self._work.glob("*.copy*"):
            with suppress(OSError):
                left.unlink()

    def _taken(self, progress: Progress) -> Snapshot:
        files = contents.databases(self.directory)
        self._check_room(files)
        small: list[SourceFile] = []
        taken = datetime.now(UTC)

        def meanwhile() -> None:
            nonlocal taken
            taken = datetime.now(UTC)
            small[:] = list(self._small())

        try:
            with moment(files, meanwhile) as (readers, pause):
                copies = [
                    self._copied(file, reader, progress) for file, reader in zip(files, readers, strict=True)
                ]
        except OSError as error:
            raise _failure(self.directory, error) from error
        (server,) = [one for one in small if one.name == contents.SERVER]
        uuid = orjson.loads(b"".join(server.pieces(server.size)))["uuid"]
        return Snapshot(taken, str(uuid), pause, [*copies, *small])

    def _small(self) -> Iterator[SmallFile]:
        for name in contents.SMALL:
            path = self.directory / name
            if path.is_file():
                yield SmallFile(name, path.read_bytes())

    def _check_room(self, files: Sequence[Path]) -> None:
        """A full disk would keep the server from writing, not just the backup."""
        needed = int(_SPARE * sum(file.stat().st_size for file in files)) + 50_000_000
        free = shutil.disk_usage(self._work).free
        if free < needed:
            raise BackupError(
                f"{self._work} has room for {free:,} bytes, and {needed:,} are needed for a while:"
                " name another place with --work"
            )

    def _copied(self, file: Path, reader: apsw.Connection, progress: Progress) -> SourceFile:
        name = file.relative_to(self.directory).as_posix()
        path = self._work / (name.replace("/", "~") + ".copy")
        target = apsw.Connection(str(path))
        try:
            path.chmod(0o600)
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            size = reader.pragma("page_size")
            with target.backup("main", reader, "main") as copying:
                while not copying.done:
                    copying.step(_PAGES)
                    of = size * copying.page_count
                    progress(f"reading {name}", of - size * copying.remaining, of)
        except apsw.FullError:
            raise BackupError(f"there is no room in {self._work}: name another place with --work") from None
        except apsw.Error as error:
            raise BackupError(f"{file} can't be copied: {error}") from error
        finally:
            target.close()
            reader.close()
        return CopiedFile(name, path)


def _failure(place: Path, error: OSError) -> BackupError:
    return BackupError(f"{error.filename or place}: {error.strerror or error}")

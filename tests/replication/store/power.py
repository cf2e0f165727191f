"""A disk that forgets what was not synced.

`LossyDisk` is a layer between SQLite and the files. It remembers what the writes since the last
sync replaced. `cut` copies the files as a loss of power could leave them: of the writes that were
not synced, each one survives, is lost or is torn in the middle, by chance.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import apsw


class LossyDisk(apsw.VFS):
    """The default VFS while it exists. `on_write` is called before each write to a file."""

    def __init__(self) -> None:
        self._base = apsw.vfs_names()[0]
        self.unsynced: dict[str, list[tuple[int, bytes, int, int]]] = {}
        """By file: (offset, what was there, length of the write, size of the file before)."""
        self.on_write: Any = None
        super().__init__("lossy", self._base, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802  # SQLite's name
        return _LossyFile(self, self._base, name, flags)

    def cut(self, source: Path, target: Path, random: Random) -> None:
        """Copies the directory as it may be found after the power came back."""
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*-shm", "LOCK"))
        for name, writes in self.unsynced.items():
            path = target / Path(name).name
            if not path.exists():
                continue
            with path.open("r+b") as file:
                for offset, before, length, size in reversed(writes):
                    fate = random.random()
                    if fate < 0.4:
                        continue
                    kept = random.randrange(length + 1) if fate > 0.9 else 0
                    file.seek(offset + kept)
                    file.write(before[kept:].ljust(length - kept, b"\0"))
                    if not kept and fate < 0.7:
                        file.truncate(max(size, 0))


class _LossyFile(apsw.VFSFile):
    def __init__(self, disk: LossyDisk, base: str, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__(base, name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        if self._name:
            if self._disk.on_write is not None:
                self._disk.on_write()
            size = self.xFileSize()
            readable = max(0, min(len(data), size - offset))
            before = self.xRead(readable, offset) if readable else b""
            self._disk.unsynced.setdefault(self._name, []).append((offset, before, len(data), size))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        if self._name:
            self._disk.unsynced.pop(self._name, None)

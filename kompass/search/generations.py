"""The directories of an index: one for each generation, and a file that names the one that is read.

    search/current          the name of the generation that is read
    search/next             the name of one that is being built
    search/3-4f9c…/         a generation, in the form of that version

`next` is renamed to `current`: at once for everybody who looks, and for good when the directory is synced.
"""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

from kompass.files import replace_file, sync_directory

_NAME = re.compile(r"([0-9a-z]{1,20})-[0-9a-f]{16}")


class Generations:
    """Whoever writes has them for himself; readers only ask for `current`."""

    def __init__(self, directory: Path, version: str) -> None:
        """`version`: of what lies in them, at most 20 small letters and digits. An index of another one is
        built anew."""
        self.directory = directory
        self.version = version

    @property
    def pointer(self) -> Path:
        return self.directory / "current"

    @property
    def _next(self) -> Path:
        return self.directory / "next"

    def current(self) -> Path | None:
        """The generation that is read, if there is one of this version."""
        return self._named(self.pointer)

    @property
    def building(self) -> bool:
        return self._named(self._next) is not None

    def open(self) -> Path:
        """The generation that is read, made if there is none. What was left over is removed."""
        self.directory.mkdir(parents=True, exist_ok=True)
        found = self.current()
        if found is None:
            found = self._begin(self.pointer)
        known = {found, self._named(self._next)}
        for each in self.directory.iterdir():
            if _NAME.fullmatch(each.name) and each not in known:
                shutil.rmtree(each, ignore_errors=True)
        return found

    def begin(self) -> Path:
        """The generation that is being built, begun if there is none."""
        return self._named(self._next) or self._begin(self._next)

    def aside(self) -> Path:
        """A directory that nothing names yet, for `replace`. What is never named is removed by `open`."""
        generation = self.directory / f"{self.version}-{secrets.token_hex(8)}"
        generation.mkdir()
        return generation

    def replace(self, old: Path, generation: Path) -> None:
        """The one from `aside` takes the place of the one that is read."""
        self._point(self.pointer, generation.name)
        shutil.rmtree(old, ignore_errors=True)

    def switch(self, generation: Path) -> None:
        """From now on this one is read. Raises `FileNotFoundError` if it isn't the one being built."""
        if self._named(self._next) != generation:
            raise FileNotFoundError(f"{generation} is not being built")
        old = self.current()
        self._next.replace(self.pointer)
        sync_directory(self.directory)
        if old is not None and old != generation:
            shutil.rmtree(old, ignore_errors=True)

    def discard(self, generation: Path) -> None:
        if self._named(self._next) == generation:
            self._next.unlink()
            sync_directory(self.directory)
            shutil.rmtree(generation, ignore_errors=True)

    def _begin(self, pointer: Path) -> Path:
        generation = self.aside()
        self._point(pointer, generation.name)
        return generation

    def _point(self, pointer: Path, name: str) -> None:
        replace_file(pointer, name.encode(), mode=0o666)

    def _named(self, pointer: Path) -> Path | None:
        try:
            name = pointer.read_text("utf-8", "replace")
        except FileNotFoundError:
            return None
        found = _NAME.fullmatch(name)
        if found is None or found[1] != self.version:
            return None
        generation = self.directory / name
        return generation if generation.is_dir() else None

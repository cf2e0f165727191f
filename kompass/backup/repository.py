"""A repository of backups: chunks that are stored once, and a manifest for each backup, which comes last.

```
config               which key opens it
chunks/ab/abcd…      64 KB of some file, by the HMAC of its bytes
manifests/00000012   a backup; readable when everything in it is durable
```

Whatever is cut off leaves chunks that no manifest names, which the next backup uses or removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kompass.backup import manifest
from kompass.backup.errors import BackupError, DamagedError
from kompass.backup.manifest import CHUNK, Manifest
from kompass.backup.sealing import MOST_CONFIG, OVERHEAD, Keys, new_config, read_config
from kompass.backup.target import Target

CONFIG = "config"
_CHUNKS = "chunks"


class Repository:
    """One that is open. Reading needs no lock; what is being pruned meanwhile is missing then."""

    def __init__(self, target: Target, keys: Keys) -> None:
        self._target = target
        self._keys = keys
        self._there: set[str] = set()
        """Chunks that are stored, for whoever writes."""

    @classmethod
    def open(cls, target: Target, secret: bytes) -> Repository:
        """Raises `WrongKeyError`, and `BackupError` if there is none."""
        if not target.exists(CONFIG):
            raise BackupError("there is no repository of backups here: `kompass backup` makes one")
        return cls(target, read_config(target.get(CONFIG, MOST_CONFIG), secret))

    @classmethod
    @contextmanager
    def writing(cls, target: Target, secret: bytes) -> Iterator[Repository]:
        """For one writer at a time; makes the repository if there is none. Raises `InUseError`."""
        with target.locked():
            if target.exists(CONFIG):
                repository = cls.open(target, secret)
            else:
                if target.names(manifest.PREFIX):
                    raise DamagedError(
                        "config is missing: without it no backup in the repository can be read"
                    )
                text, keys = new_config(secret)
                target.put(CONFIG, text)
                target.flush()
                repository = cls(target, keys)
            repository._there = target.names(_CHUNKS)
            yield repository

    def distrust(self) -> None:
        """What is stored may be damaged: all that is added is stored anew."""
        self._there.clear()

    # -- chunks --------------------------------------------------------------------------------

    def add_chunk(self, content: bytes) -> tuple[str, int]:
        """Its name, and how many bytes had to be stored: 0 if it was there."""
        chunk = self._keys.name_of(content)
        name = _chunk(chunk)
        if name in self._there:
            return chunk, 0
        self._there.add(name)
        sealed = self._keys.seal(name, content)
        self._target.put(name, sealed)
        return chunk, len(sealed)

    def chunk(self, chunk: str) -> bytes:
        """Raises `DamagedError`."""
        name = _chunk(chunk)
        content = self._keys.open(name, self._target.get(name, CHUNK + OVERHEAD), CHUNK)
        if self._keys.name_of(content) != chunk:
            raise DamagedError(f"{name} has other bytes than its name says")
        return content

    # -- backups -------------------------------------------------------------------------------

    def numbers(self) -> list[int]:
        """Of the backups there are, in order."""
        found = (manifest.number_of(name) for name in self._target.names(manifest.PREFIX))
        return sorted(number for number in found if number is not None)

    def manifest(self, number: int) -> Manifest:
        """Raises `DamagedError`."""
        return self.read(number)[0]

    def read(self, number: int) -> tuple[Manifest, str]:
        """A backup's manifest and its hash. Raises `DamagedError`."""
        name = manifest.name_of(number)
        sealed = self._target.get(name, manifest.MOST_BYTES)
        text = self._keys.open(name, sealed, manifest.MOST_BYTES)
        return Manifest.from_json(text, number), manifest.hash_of(sealed)

    def hash_of(self, number: int) -> str:
        """What a backup is known by, whether or not it can be read."""
        return manifest.hash_of(self._target.get(manifest.name_of(number), manifest.MOST_BYTES))

    def add(self, made: Manifest) -> str:
        """From now on there is this backup; its hash. All its chunks are durable before."""
        name = manifest.name_of(made.number)
        sealed = self._keys.seal(name, made.to_json())
        self._target.flush()
        self._target.put(name, sealed)
        self._target.flush()
        return manifest.hash_of(sealed)

    def remove(self, numbers: Iterable[int]) -> int:
        """Forgets backups, then the chunks that none of the others has. How many chunks went.

        Raises `DamagedError`, with no chunk removed, if one of the others can't be read.
        """
        for number in numbers:
            self._target.remove(manifest.name_of(number))
        self._target.flush()
        used = {_chunk(c) for n in self.numbers() for file in self.manifest(n).files for c in file.chunks}
        idle = self._target.names(_CHUNKS) - used
        for name in idle:
            self._target.remove(name)
        self._target.flush()
        self._there -= idle
        return len(idle)


def _chunk(chunk: str) -> str:
    return f"{_CHUNKS}/{chunk[:2]}/{chunk}"

"""What a backup consists of: its files, and the chunks that each is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple, Self

import orjson

from kompass.backup.errors import DamagedError

CHUNK = 64 * 1024
"""Bytes of a chunk; the last one of a file may be shorter. A multiple of every page size of SQLite's."""
MOST_BYTES = 256 * 1024 * 1024
"""Of a manifest: enough for 200 GB."""
MOST_FILES = 10_000

PREFIX = "manifests"
_CHUNK_NAME = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"(?:[A-Za-z0-9_-]+/)?[A-Za-z0-9_%()+~-][A-Za-z0-9._%()+~-]{0,250}")
_NUMBER = re.compile(rf"{PREFIX}/([0-9]{{8}})")


class Stored(NamedTuple):
    """A file of a backup."""

    name: str
    """Below the data directory, with `/`."""
    size: int
    hash: str
    """SHA-256 of its bytes."""
    chunks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup."""

    number: int
    """From 1, each one more than the latest before."""
    taken: datetime
    """The moment that it shows."""
    server: str
    """Whose data it is: the server's uuid."""
    pause: float
    """Seconds for which nobody could write."""
    previous: tuple[int, str] | None
    """Number and hash of the backup before."""
    kept: Sequence[int]
    """Earlier backups that are kept beside it: if one is missing, somebody has taken it away."""
    files: Sequence[Stored]

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files)

    def file(self, name: str) -> Stored | None:
        return next((one for one in self.files if one.name == name), None)

    def to_json(self) -> bytes:
        return orjson.dumps(
            {
                "number": self.number,
                "taken": self.taken.isoformat(),
                "server": self.server,
                "pause": self.pause,
                "previous": self.previous,
                "kept": list(self.kept),
                "files": [one._asdict() for one in self.files],
            }
        )

    @classmethod
    def from_json(cls, text: bytes, number: int) -> Self:
        """Raises `DamagedError` for what can't be the manifest of this backup."""
        try:
            value = orjson.loads(text)
            previous = value["previous"]
            found = cls(
                value["number"],
                datetime.fromisoformat(value["taken"]),
                str(value["server"]),
                float(value["pause"]),
                None if previous is None else (int(previous[0]), str(previous[1])),
                [int(one) for one in value["kept"]],
                [Stored(f["name"], f["size"], f["hash"], f["chunks"]) for f in value["files"]],
            )
            wrong = "it is another backup's" if found.number != number else _wrong(found.files)
        except (ValueError, KeyError, TypeError, IndexError):
            wrong = "it can't be read"
        if wrong is not None:
            raise DamagedError(f"backup {number}: {wrong}")
        return found


def _wrong(files: Sequence[Any]) -> str | None:
    if len(files) > MOST_FILES or len({one.name.casefold() for one in files}) != len(files):
        return "it has too many files, or one of them twice"
    for one in files:
        if not isinstance(one.name, str) or _FILE_NAME.fullmatch(one.name) is None:
            return f"{str(one.name)[:100]!r} can't be a file of a data directory"
        if type(one.size) is not int or one.size < 0 or len(one.chunks) != -(-one.size // CHUNK):
            return f"{one.name} has another size than its chunks"
        if not all(isinstance(each, str) and _CHUNK_NAME.fullmatch(each) for each in one.chunks):
            return f"{one.name} has a chunk that can't be one"
    return None


def name_of(number: int) -> str:
    """The name of a backup's manifest."""
    return f"{PREFIX}/{number:08}"


def number_of(name: str) -> int | None:
    """The number of the backup that a manifest's name says."""
    match = _NUMBER.fullmatch(name)
    return int(match[1]) if match else None


def hash_of(sealed: bytes) -> str:
    """What later backups, and people, know a manifest by."""
    return sha256(sealed).hexdigest()

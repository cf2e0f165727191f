"""The log of rights beside the databases: a line for each change, each with the hash of the line before.

A backup from before a revocation brings the right back. The log is a file of its own that a restore never
makes shorter, and says of each change where it stands in its database: what a database doesn't have in its
past is done again when it is opened (`replaying`). A line has the state that a change left, with grants
too, or a right that was taken and given back would be taken again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
import structlog

from kompass.domain.stamps import timestamp
from kompass.texts import Text

FILE = "kompass-revocations.jsonl"
_FIRST = "0" * 64

log = structlog.get_logger(__name__)

State = Mapping[str, Any]


class RevocationLogError(Exception):
    """The log can't be read, or was changed; the text says where."""


class Change(NamedTuple):
    """What a change has left of somebody's rights."""

    database: str
    epoch: str
    seq: int
    """Where it stands in the database."""
    name: str
    """The document's id."""
    state: State | None
    """None if the document is gone. What is in it depends on the kind of document: see `states`."""


class RevocationLog:
    """In a text of its own; `load` first. Calls may come from any thread."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], Change] = {}
        self._count, self._hash = 0, _FIRST
        self._missed: list[Change] = []
        self.on_heard: list[Callable[[], None]] = []
        """Called, in any thread, when another process has changed somebody's rights."""

    def load(self) -> None:
        """Reads the text, for whoever may write to it. Raises `RevocationLogError`."""
        self._last.clear()
        self._count, self._hash = 0, _FIRST
        for change in self._read():
            self._last[change.database, change.name] = change

    def last(self, database: str, name: str) -> Change | None:
        """The latest change of a document's rights."""
        return self._last.get((database, name))

    def latest(self, database: str) -> Sequence[Change]:
        """The latest change of each document of a database."""
        with self._lock:
            return [one for one in self._last.values() if one.database == database]

    def heard(self, changes: Iterable[Change]) -> None:
        """Changes that another process writes down."""
        with self._lock:
            for change in changes:
                self._last[change.database, change.name] = change
        for hears in self.on_heard:
            hears()

    def add(self, changes: Iterable[Change]) -> None:
        """Writes changes down, durably. That it can't be is logged: they are tried again with the next
        ones, or at the next start.
        """
        with self._lock:
            wanted = [*self._missed, *changes]
            if not wanted:
                return
            try:
                self._write(wanted)
            except (OSError, RevocationLogError):
                self._missed = wanted
                log.exception("what was revoked could not be written to its log", path=self._text.shown)
            else:
                self._missed = []

    def _write(self, changes: Sequence[Change]) -> None:
        """All of them or none."""
        with self._text.alone() as others_wrote:
            if others_wrote:
                self.load()
            count, hashed, lines = self._count, self._hash, []
            at = timestamp(datetime.now(UTC))
            for change in changes:
                count += 1
                line = orjson.dumps({"number": count, "previous": hashed, "at": at, **change._asdict()})
                hashed = sha256(line).hexdigest()
                lines.append(line + b"\n")
            self._text.add(b"".join(lines))
        self._count, self._hash = count, hashed
        for change in changes:
            self._last[change.database, change.name] = change

    def _read(self) -> Iterable[Change]:
        try:
            lines = (self._text.read() or b"").split(b"\n")
        except OSError as error:
            where = self._text.shown
            raise RevocationLogError(f"{where} can't be read: {error.strerror or error}") from None
        for line in lines[:-1]:
            self._count += 1
            try:
                value = orjson.loads(line)
                chained = value["number"] == self._count and value["previous"] == self._hash
                change = Change(
                    str(value["database"]), str(value["epoch"]), int(value["seq"]), str(value["name"]),
                    None if value["state"] is None else dict(value["state"]),
                )  # fmt: skip
            except (ValueError, KeyError, TypeError):
                chained = False
            if not chained:
                raise RevocationLogError(
                    f"{self._text.shown}, line {self._count}, doesn't follow the line before: the log was"
                    " changed. Restore the file from a backup, or find out what was revoked and move it away."
                )
            self._hash = sha256(line).hexdigest()
            yield change

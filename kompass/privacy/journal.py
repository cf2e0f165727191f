"""The log of erasures beside the database: a line each, by which they are done again after a restore.

A backup from before an erasure brings the person back. The log is a file of its own, so a restore of the
database leaves it alone; whoever moves a backup to another machine takes the log along. It has ids, numbers
and dates, and the reason, in which the person's name was replaced like everywhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import orjson
import structlog

from kompass.files import replace_file, sync_directory
from kompass.privacy.erasures import Erasure

FILE = "kompass-erasures.jsonl"

log = structlog.get_logger(__name__)


class JournalError(Exception):
    """The log of erasures can't be read."""


class Journal:
    """The file in a data directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def add(self, erasure: Erasure) -> None:
        """Writes an erasure down, durably. That it can't be is logged: the next start tries again."""
        try:
            self.write(erasure)
        except OSError:
            log.exception("an erasure could not be written to the log of erasures", erasure=erasure.num)

    def write(self, erasure: Erasure) -> None:
        """Raises `OSError`."""
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, orjson.dumps(erasure.to_json()) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_directory(self._path.parent)  # it may be the first one

    def reword(self, erasures: Iterable[Erasure]) -> None:
        """`rewrite`; that it can't be is logged: the next start tries again."""
        try:
            self.rewrite(erasures)
        except (OSError, JournalError):
            log.exception("the log of erasures could not be rewritten")

    def rewrite(self, erasures: Iterable[Erasure]) -> None:
        """Says these reasons, where it has others for them: they named somebody who was erased since. Raises
        `OSError` and `JournalError`.
        """
        reasons = {one.num: one.reason for one in erasures}
        before = self.erasures()
        after = [one._replace(reason=reasons.get(one.num, one.reason)) for one in before]
        if after == before:
            return
        replace_file(self._path, b"".join(orjson.dumps(one.to_json()) + b"\n" for one in after))

    def erasures(self) -> list[Erasure]:
        """What it says, in order. A line that a crash has cut off at the end counts as not written.

        Raises `JournalError`.
        """
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalError(f"{self._path} can't be read: {error.strerror}") from None
        found = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                found.append(Erasure.from_json(orjson.loads(line)))
            except (ValueError, KeyError, TypeError, IndexError):
                raise JournalError(f"{self._path}, line {number}, is no erasure: restore the file.") from None
        return found

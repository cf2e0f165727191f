"""The log of erasures beside the database: a line each, by which they are done again after a restore.

A backup from before an erasure brings the person back. The log is a file of its own, so a restore of the
database leaves it alone; whoever moves a backup to another machine takes the log along. It has ids, numbers
and dates, and the reason, in which the person's name was replaced like everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson
import structlog

from kompass.privacy.erasures import Erasure
from kompass.texts import Text

FILE = "kompass-erasures.jsonl"

log = structlog.get_logger(__name__)


class JournalError(Exception):
    """The log of erasures can't be read."""


class Journal:
    """In a text of its own."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def add(self, erasure: Erasure) -> None:
        """Writes an erasure down, durably. That it can't be is logged: the next start tries again."""
        try:
            self.write(erasure)
        except OSError:
            log.exception("an erasure could not be written to the log of erasures", erasure=erasure.num)

    def write(self, erasure: Erasure) -> None:
        """Raises `OSError`."""
        self._text.add(orjson.dumps(erasure.to_json()) + b"\n")

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
        self._text.replace(b"".join(orjson.dumps(one.to_json()) + b"\n" for one in after))

    def erasures(self) -> list[Erasure]:
        """What it says, in order. A line that a crash has cut off at the end counts as not written.

        Raises `JournalError`.
        """
        try:
            lines = (self._text.read() or b"").split(b"\n")
        except OSError as error:
            raise JournalError(f"{self._text.shown} can't be read: {error.strerror or error}") from None
        found = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                found.append(Erasure.from_json(orjson.loads(line)))
            except (ValueError, KeyError, TypeError, IndexError):
                where = f"{self._text.shown}, line {number},"
                raise JournalError(f"{where} is no erasure: restore the file.") from None
        return found

"""Has the text of files read by a process that may fail, hang or grow without hurting anybody."""

from __future__ import annotations

from typing import NamedTuple

from kompass.extraction.isolated import IDLE_SECONDS, SECONDS, DiedError, Isolated, TooLongError

MOST_BYTES = 25 * 1024 * 1024
"""Of a file that is read."""


class Extracted(NamedTuple):
    text: str
    """Empty for what has none."""
    problem: str = ""
    """Why there is none, where there should be."""


TOO_LARGE = Extracted("", f"larger than {MOST_BYTES >> 20} MB")
TOO_LONG = Extracted("", "reading it takes too long")
DIED = Extracted("", "reading it takes too much memory or time")

PASSING = frozenset({TOO_LONG.problem, DIED.problem})
"""Problems that may be the machine's and not the file's: another time it may be read."""


class Extractor(Isolated):
    """One for a process. Files are read one after the other."""

    def __init__(self, *, seconds: float = SECONDS, idle: float = IDLE_SECONDS) -> None:
        super().__init__("kompass.extraction.worker", seconds=seconds, idle=idle)

    async def extract(self, data: bytes, *, plain: bool) -> Extracted:
        """The text of a file. `plain`: it is said to be plain text; else its bytes tell what it is.

        Whatever the file is, an answer comes. Raises `OSError` if no process can be started.
        """
        if len(data) > MOST_BYTES:
            return TOO_LARGE
        try:
            found = await self.ask({"plain": plain}, data)
        except TooLongError:
            return TOO_LONG
        except DiedError:
            return DIED
        return Extracted(found.get("text") or "", found.get("problem", ""))

"""Has tables read by a process with limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from kompass.accounting.problems import Problem, UnreadableError, unreadable
from kompass.extraction.isolated import DiedError, Isolated, TooLongError
from kompass.imports.tables import limits

SECONDS = 20.0
_SHEETS = (b"PK", b"\xd0\xcf\x11\xe0")
"""How files begin that aren't text. They are looked into where it does no harm, and not here."""
MOST_ANSWER = 32 * 1024 * 1024
"""Bytes of what was read, as JSON: more than a file of 10,000 ordinary rows has."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file that was read."""

    kind: str
    rows: Sequence[Sequence[Any]]
    """From the top, each up to its last value; see `sheets.shown` for cells."""
    lines: Sequence[int]
    """Where each row begins, from 1."""
    problems: Sequence[Problem] = ()
    """Rows that can't be taken apart."""
    findings: Sequence[Mapping[str, str]] = ()
    """What was found out: `what`, `value`, `sure`, `reason`, `grund`."""
    sheets: Sequence[str] = ()
    sheet: str = ""
    from_1904: bool = False
    whole: bool = True
    """Whether the last line has an end."""
    decimal: str = ","
    day: str = "DD.MM.YYYY"


def missing(data: bytes) -> str | None:
    """Why this file can't be read here; None if it can, or if it is something else."""
    if data.startswith(_SHEETS) and find_spec("python_calamine") is None:
        return "Excel and OpenDocument are not read here: pip install 'kompass[office]'"
    return None


class Reader(Isolated):
    """One for a process of the server."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        super().__init__("kompass.imports.tables.worker", seconds=seconds, most=MOST_ANSWER)

    async def read(
        self, data: bytes, columns: Sequence[tuple[str, Sequence[str], str]], said: Mapping[str, Any]
    ) -> Table:
        """Raises `UnreadableError`, whatever the file is; `OSError` if no process can be started."""
        if len(data) > limits.MOST_BYTES:
            most = limits.MOST_BYTES >> 20
            raise unreadable("file.large", f"is larger than {most} MB", f"ist größer als {most} MB")
        try:
            found = await self.ask({"columns": columns, "said": dict(said)}, data)
        except TooLongError:
            raise unreadable("file.time", "takes too long to read", "braucht zu lange zum Lesen") from None
        except DiedError:
            raise unreadable(
                "file.memory",
                "is broken, or needs too much memory or time",
                "ist beschädigt oder braucht zu viel Speicher oder Zeit",
            ) from None
        if "problem" in found:
            raise UnreadableError(Problem(**found["problem"]))
        rows = found["rows"]
        decimal, day = said.get("decimal"), said.get("day")
        return Table(
            kind=found["kind"],
            rows=rows,
            lines=found.get("lines") or range(1, len(rows) + 1),
            problems=[Problem(**one) for one in found.get("problems", ())],
            findings=found.get("findings", ()),
            sheets=found.get("sheets", ()),
            sheet=found.get("sheet", ""),
            from_1904=found.get("from1904", False),
            whole=found.get("whole", True),
            decimal=decimal or found.get("decimal", ","),
            day=day or found.get("day", "DD.MM.YYYY"),
        )

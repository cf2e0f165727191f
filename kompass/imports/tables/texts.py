"""The rows of a CSV, with what was found out about it."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any

from kompass.accounting.lines import Lines, records
from kompass.accounting.problems import unreadable
from kompass.accounting.profiles import Dialect, Profile
from kompass.accounting.sniffing import sniff
from kompass.imports.tables import limits

_OVERRULED = ("delimiter", "encoding", "decimal", "day")


def read(data: bytes, profile: Profile, said: dict[str, Any]) -> dict[str, Any]:
    """`rows` with the `lines` where they begin, `findings`, `decimal` and `day`; `problems` are rows that
    can't be taken apart. `said`: what a person knows better. Raises `UnreadableError`.
    """
    sniffed = sniff(io.BytesIO(data), profile)
    dialect = {
        "delimiter": sniffed.delimiter,
        "encoding": sniffed.encoded.encoding,
        "decimal": sniffed.decimal,
        "day": sniffed.day,
        **{name: said[name] for name in _OVERRULED if said.get(name) is not None},
    }
    lines = Lines(io.BytesIO(data), Dialect(encoding=dialect["encoding"]).reading_codec)
    rows: list[list[Any]] = []
    places: list[int] = []
    problems: list[dict[str, Any]] = []
    numbers = iter(lines)
    if sniffed.skip and data[:8].lstrip(b"\xef\xbb\xbf").lower().startswith(b"sep="):
        next(numbers)
    for record in records(numbers, dialect["delimiter"]):
        if record.cells is None:
            assert record.problem is not None
            problems.append(asdict(record.problem))
            continue
        rows.append([cell[: limits.LONGEST_CELL] or None for cell in record.cells])
        places.append(record.line)
        if len(rows) > limits.MOST_ROWS + limits.MOST_ABOVE:
            raise too_many()
        if len(record.cells) > limits.MOST_COLUMNS:
            raise unreadable(
                "file.columns",
                f"has a row of {len(record.cells)} columns; at most {limits.MOST_COLUMNS} are read",
                f"hat eine Zeile mit {len(record.cells)} Spalten; erlaubt sind {limits.MOST_COLUMNS}",
                record.line,
            )
    if not rows:
        raise unreadable("file.empty", "has no rows", "hat keine Zeilen")
    return {
        "rows": rows,
        "lines": places,
        "problems": problems,
        "whole": lines.whole,
        "decimal": dialect["decimal"],
        "day": dialect["day"],
        "findings": [asdict(one) for one in sniffed.findings],
    }


def too_many() -> Exception:
    return unreadable(
        "file.rows",
        f"has more than {limits.MOST_ROWS} rows: divide it",
        f"hat mehr als {limits.MOST_ROWS} Zeilen: bitte teilen",
    )

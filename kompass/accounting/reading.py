"""Reads a file by its profile: a row at a time, each with its values or with what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kompass.accounting.cells import value_of
from kompass.accounting.formulas import unguarded
from kompass.accounting.lines import Lines, Readable, Record, records
from kompass.accounting.problems import CellError, Problem, unreadable
from kompass.accounting.profiles import Column, Profile, heading_key


@dataclass(frozen=True, slots=True)
class Row:
    """One row. It is sound if it has no problems; then every column of the profile is in `values`."""

    line: int
    values: dict[str, Any]
    """Heading of the profile's column -> value; None for an empty cell and for a column that isn't there."""
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class Reading:
    """A file that is being read: its rows, once, and what its first line said."""

    rows: Iterator[Row]
    lines: Lines
    missing: tuple[str, ...] = ()
    """Columns of the profile that the file hasn't; none of them is required."""
    unknown: tuple[str, ...] = ()
    """Headings of the file that the profile doesn't know; they aren't read."""
    columns: dict[str, int] = field(default_factory=dict)
    """Heading of the profile's column -> its place in the file, from 0."""
    width: int = 0
    """How many columns the file has."""

    @property
    def whole(self) -> bool:
        """After the last row: whether the last line had an end. A file that was cut off usually hasn't."""
        return self.lines.whole


def read(stream: Readable, profile: Profile, *, skip: int = 0) -> Reading:
    """The file in the profile's dialect, after `skip` records before the headings.

    Raises `UnreadableError`, here or while rows are read, for a file that can't be read as a whole: its
    encoding, a zero byte, an endless line, a required column that is missing, a column that is there twice.
    """
    lines = Lines(stream, profile.dialect.reading_codec)
    found = records(iter(lines), profile.dialect.delimiter)
    for _ in islice(found, skip):
        pass
    if not profile.dialect.header:
        places = {column.heading: place for place, column in enumerate(profile.columns)}
        width = len(profile.columns)
        return Reading(_rows(found, profile, places, width), lines, columns=places, width=width)
    head = next(found, None)
    if head is None or head.cells is None:
        raise unreadable("file.empty", "has no line with headings", "hat keine Zeile mit Überschriften", 1)
    places, unknown = _places(head.cells, profile, head.line)
    missing = tuple(column.heading for column in profile.columns if column.heading not in places)
    needed = [column.heading for column in profile.columns if column.required and column.heading in missing]
    if needed:
        named = ", ".join(needed)
        raise unreadable("file.columns", f"has no column {named}", f"hat keine Spalte {named}", head.line)
    width = len(head.cells)
    return Reading(_rows(found, profile, places, width), lines, missing, unknown, places, width)


def _places(headings: Sequence[str], profile: Profile, line: int) -> tuple[dict[str, int], tuple[str, ...]]:
    known = {
        heading_key(heading): column
        for column in profile.columns
        for heading in (column.heading, *column.aliases)
    }
    places: dict[str, int] = {}
    unknown: list[str] = []
    for place, heading in enumerate(headings):
        text = unguarded(heading).strip()
        column: Column | None = known.get(heading_key(text))
        if column is None:
            unknown.append(text)
        elif column.heading in places:
            raise unreadable(
                "file.twice",
                f"has the column {column.heading} twice",
                f"hat die Spalte {column.heading} zweimal",
                line,
            )
        else:
            places[column.heading] = place
    return places, tuple(unknown)


def _rows(found: Iterator[Record], profile: Profile, places: dict[str, int], width: int) -> Iterator[Row]:
    dialect = profile.dialect
    columns = [(column, places.get(column.heading)) for column in profile.columns]
    for record in found:
        cells = record.cells
        if cells is None:
            assert record.problem is not None
            yield Row(record.line, {}, (record.problem,))
            continue
        if len(cells) != width and (len(cells) < width or any(cells[width:])):
            yield Row(record.line, {}, (_width(len(cells), width, record.line),))
            continue
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for column, place in columns:
            text = "" if place is None else cells[place]
            try:
                value = value_of(text, column, dialect)
                if column.required and (value is None or (isinstance(value, str) and not value.strip())):
                    raise CellError("cell.missing", "is needed", "wird gebraucht")
                values[column.heading] = value
            except CellError as error:
                problems.append(error.problem.at(record.line, column.heading, text))
        yield Row(record.line, values, tuple(problems))


def _width(has: int, wanted: int, line: int) -> Problem:
    return Problem(
        "row.width",
        f"has {has} cells, and the headings are {wanted}",
        f"hat {has} Felder, und es gibt {wanted} Überschriften",
        line,
    )

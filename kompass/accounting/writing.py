"""Writes a file by its profile, row by row: memory doesn't grow with the rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from kompass.accounting.cells import LONGEST_CELL, Value, bare_writer, fitted, text_of
from kompass.accounting.formulas import guarded
from kompass.accounting.problems import CellError, Problem
from kompass.accounting.profiles import CellKind, Dialect, Profile

_HARMLESS = re.compile("[A-Za-zÄÖÜäöü0-9](?:[A-Za-zÄÖÜäöüß0-9 _.:/()&#-]*[A-Za-zÄÖÜäöüß0-9.)])?")
"""Texts that every dialect has as they are: most of them, and the rest takes longer."""
PIECE = 64 * 1024
"""Characters, about, of which a piece is made."""
MOST_TOLD = 1000


class Writer:
    """One file. `pieces` gives its bytes; afterwards the other members tell what became of the rows."""

    def __init__(
        self,
        profile: Profile,
        preamble: Sequence[str] = (),
        *,
        keeps_all: bool = False,
        most_told: int = MOST_TOLD,
    ) -> None:
        """`preamble`: whole lines before the headings, without line ends. `keeps_all`: a value that doesn't
        fit its column is written as the text that it is, and no row is left out for it. `most_told`: problems
        and notes that are kept, of each; the others are counted.
        """
        self._most_told = most_told
        self._profile = profile
        self._preamble = preamble
        self._keeps_all = keeps_all
        self._begun = False
        self._place = self._line = 0
        quoting = profile.dialect.quoting
        self._plan = [
            (
                column,
                quoting == "all" or (quoting == "text" and column.is_text),
                LONGEST_CELL // 2 if column.longest is None else column.longest,
                column.kind is CellKind.TEXT and column.form is None,
                column.kind is CellKind.DECIMAL,
                None if quoting == "all" else bare_writer(column, profile.dialect),
            )
            for column in profile.columns
        ]
        """What is asked of each cell, worked out once."""
        self._special = re.compile(f'["\r\n{re.escape(profile.dialect.delimiter)}]|^[ \u00a0]|[ \u00a0]$')
        self.written = 0
        """Rows that are in the file."""
        self.left_out = 0
        """Rows that aren't: each has a problem."""
        self.problems: list[Problem] = []
        """Why rows were left out; `line` is the row's place among those given, from 1."""
        self.changed = 0
        """Cells that were cut, or in which signs were replaced."""
        self.notes: list[Problem] = []
        """Which those are; `line` is the line of the file, unless a text before it has several."""
        self.sums: dict[str, Decimal] = {
            column.heading: Decimal(0) for column in profile.columns if column.kind is CellKind.DECIMAL
        }
        """Heading -> sum of the column's numbers."""

    def pieces(self, rows: Iterable[Sequence[Value]]) -> Iterator[bytes]:
        """The file's bytes, from rows with a value for each column. A row that doesn't fit is left out."""
        yield from self._encoded(self._texts(rows))

    def some(self, rows: Iterable[Sequence[Value]]) -> bytes:
        """The same for whoever has the rows bit by bit: the bytes of the next ones, the head with the first.
        A file without rows is what `some(())` gives.
        """
        return b"".join(self._encoded(self._texts(rows)))

    def _encoded(self, texts: Iterable[str]) -> Iterator[bytes]:
        codec = self._profile.dialect.codec
        for text in texts:
            if self._begun:
                yield text.encode({"utf-8-sig": "utf-8", "utf-16": _utf_16()}.get(codec, codec))
            else:
                yield text.encode(codec)
                self._begun = True

    def _texts(self, rows: Iterable[Sequence[Value]]) -> Iterator[str]:
        end = self._profile.dialect.line_end
        waiting = [] if self._begun else [line + end for line in self._head()]
        self._line += len(waiting)
        size = 0
        for row in rows:
            self._place += 1
            line = self._row(self._place, row)
            if line is None:
                continue
            waiting.append(line + end)
            size += len(line)
            if size >= PIECE:
                yield "".join(waiting)
                waiting, size = [], 0
        yield "".join(waiting)

    def _head(self) -> Iterator[str]:
        yield from self._preamble
        if self._profile.dialect.header:
            # Headings are never texts of documents, so they are quoted only where they have to be.
            guard = self._profile.dialect.formulas == "guard"
            every = self._profile.dialect.quoting == "all"
            yield self._profile.dialect.delimiter.join(
                self._quoted(guarded(column.heading) if guard else column.heading, always=every)
                for column in self._profile.columns
            )

    def _row(self, place: int, row: Sequence[Value]) -> str | None:
        dialect = self._profile.dialect
        cells: list[str] = []
        numbers: list[tuple[str, Decimal]] = []
        notes: list[Problem] = []
        refused = False
        for (column, always, longest, is_text, is_decimal, bare), value in zip(self._plan, row, strict=True):
            if value is None and not column.required:
                cells.append('""' if always else "")
                continue
            if is_text and type(value) is str and len(value) <= longest and _HARMLESS.fullmatch(value):
                cells.append(f'"{value}"' if always else value)
                continue
            try:
                if value is None:
                    raise CellError("cell.missing", "is needed", "wird gebraucht")
                if bare is not None:
                    cells.append(bare(value, column, dialect))
                    if is_decimal and isinstance(value, Decimal):
                        numbers.append((column.heading, value))
                    continue
                text, changed = text_of(value, column, dialect)
            except CellError as error:
                if not self._keeps_all:
                    refused = True
                    self._tell(self.problems, error.problem.at(place, column.heading, _shown(value)))
                    continue
                text, changed = as_text(value, dialect), error
            if changed is not None:
                notes.append(changed.problem.at(self._line + 1, column.heading, _shown(value)))
            if is_decimal and isinstance(value, Decimal):
                numbers.append((column.heading, value))
            cells.append(self._quoted(text, always=always))
        if refused:
            self.left_out += 1
            return None
        self.written += 1
        self._line += 1
        for heading, number in numbers:
            self.sums[heading] += number
        self.changed += len(notes)
        for note in notes:
            self._tell(self.notes, note)
        # A row of one empty cell would be an empty line, and that is no row.
        return dialect.delimiter.join(cells) or '""'

    def _quoted(self, text: str, *, always: bool) -> str:
        if always or self._special.search(text):
            return '"' + text.replace('"', '""') + '"'
        return text

    def _tell(self, told: list[Problem], problem: Problem) -> None:
        if len(told) < self._most_told:
            told.append(problem)


def as_text(value: Value, dialect: Dialect) -> str:
    """A value that isn't of its column's kind, as it stands in the document."""
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    text = fitted(value.replace("\0", "\ufffd"), dialect)[0]
    return guarded(text) if dialect.formulas == "guard" else text


def _utf_16() -> str:
    """UTF-16 without the mark, in the order of bytes that Python's `utf-16` has on this machine."""
    return "utf-16-le" if "a".encode("utf-16")[2:] == b"a\0" else "utf-16-be"


def _shown(value: Value) -> str:
    return "" if value is None else str(value)

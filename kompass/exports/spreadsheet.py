"""A list as a spreadsheet (xlsx), written row by row.

Days are days and numbers numbers, with a format; texts are texts, whatever they begin with: nothing in the
file is a formula or a link. What a sheet can't hold goes on in the next one.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kompass.accounting.cells import Value, text_of
from kompass.accounting.problems import CellError, Problem
from kompass.accounting.profiles import CellKind, Column, Dialect, Profile
from kompass.accounting.writing import as_text
from kompass.exports.encoding import Told
from replication.protocol import jsontext
from replication.store.values import Document

if TYPE_CHECKING:
    from kompass.exports.sheet import RowSheet

MOST_ROWS = 1_048_575
"""Of a sheet, below its headings."""
LONGEST = 32_767
"""Units of UTF-16 that a cell holds."""
CUT = " [… gekürzt / cut]"
FIRST_DAY = date(1900, 3, 1)
"""Before it Excel and LibreOffice disagree by a day, and before 1900 there is none."""
DIGITS = 15
"""That a number of a spreadsheet has."""
_NUMERIC = (CellKind.DECIMAL, CellKind.INTEGER)
_WIDTHS = (8, 60)
_PIECE = 256 * 1024
_PLAIN = Dialect(formulas="keep")
"""How what isn't a single value is written: lists of texts, parts of documents."""


class Spreadsheet:
    def __init__(
        self,
        profile: Profile,
        rows: Callable[[Mapping[str, Any]], list[Value]],
        directory: Path,
        *,
        german: bool,
        most_rows: int = MOST_ROWS,
    ) -> None:
        """`directory`: where its parts lie until it is closed."""
        # The library is loaded when it is needed, and so is what is built on it.
        import xlsxwriter

        from kompass.exports import sheet

        self.told = Told()
        self._profile = profile
        names = sheet.names(len(profile.columns))
        self._places = [
            (place, name, column)
            for place, (name, column) in enumerate(zip(names, profile.columns, strict=True))
        ]
        self._rows = rows
        self._most = most_rows
        self._parts = Path(tempfile.mkdtemp(prefix="xlsx-", dir=directory))
        self._file = self._parts / "whole"
        self._book = xlsxwriter.Workbook(
            str(self._file), {"constant_memory": True, "tmpdir": str(self._parts)}
        )
        self._head = self._book.add_format({"bold": True, "bottom": 1})
        day = "dd.mm.yyyy" if german else "yyyy-mm-dd"
        formats = {
            "money": "#,##0.00",
            "day": day,
            # Excel has words of its own for them; LibreOffice shows 1 and 0 without.
            "flag": '"ja";"ja";"nein"' if german else '"yes";"yes";"no"',
            "moment": f'{day} hh:mm:ss "UTC"',
        }
        self._formats = {
            name: sheet.style(self._book.add_format({"num_format": form})) for name, form in formats.items()
        }
        self._xml = sheet
        self._sheet: RowSheet
        self._sheets = 0
        self._widths: list[int] = []
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    # -- what is asked of it ---------------------------------------------------------------------

    def add(self, documents: Sequence[Document]) -> bytes:
        for document in documents:
            if self._row > self._most:
                self._finish()
                self._begin()
            self._sheet.add_row(self._row, self._cells(self._rows(jsontext.decode(document.text))))
            self._row += 1
            self.told.rows += 1
        return b""

    def end(self) -> Iterator[bytes]:
        from xlsxwriter.exceptions import FileCreateError

        self._finish()
        try:
            self._book.close()
        except FileCreateError as error:
            raise error.args[0] from None  # what the system said
        with self._file.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def close(self) -> None:
        for sheet in self._book.worksheets():
            if sheet.row_data_fh is not None:
                with suppress(OSError):  # what it still held, for a disk that is full
                    sheet.row_data_fh.close()
        self._book.fileclosed = True  # else it would be written when it goes
        shutil.rmtree(self._parts, ignore_errors=True)

    # -- sheets ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._sheets += 1
        suffix = "" if self._sheets == 1 else f" {self._sheets}"
        title = re.sub(r"[\[\]:*?/\\']", " ", self._profile.title)
        name = title[: 31 - len(suffix)] + suffix
        self._sheet = self._book.add_worksheet(name, worksheet_class=self._xml.RowSheet)
        self._row = 1
        self._widths = [len(column.heading) + 3 for column in self._profile.columns]  # and the filter's arrow
        for place, column in enumerate(self._profile.columns):
            self._sheet.write_string(0, place, column.heading, self._head)
        self._sheet.freeze_panes(1, 0)
        self._sheet.begin(len(self._profile.columns))

    def _finish(self) -> None:
        least, most = _WIDTHS
        for place, width in enumerate(self._widths):
            self._sheet.set_column(place, place, min(max(width, least), most))
        self._sheet.autofilter(0, 0, max(self._row - 1, 1), len(self._profile.columns) - 1)

    # -- cells -----------------------------------------------------------------------------------

    def _cells(self, row: Sequence[Value]) -> list[str]:
        """Those that aren't empty. Most are plain texts, so they are made here."""
        cells: list[str] = []
        widths, number = self._widths, self._row + 1
        plain, is_plain = self._xml.plain, self._xml.is_plain
        for (place, name, column), value in zip(self._places, row, strict=True):
            if value is None:
                continue
            if type(value) is str and len(value) <= LONGEST // 2 and is_plain(value):
                if len(value) > widths[place]:
                    widths[place] = len(value)
                cells.append(plain(f"{name}{number}", value))
            else:
                cells.append(self._cell(f"{name}{number}", place, column, value))
        return cells

    def _cell(self, at: str, place: int, column: Column, value: Value) -> str:
        make = _MAKERS.get(type(value))
        if make is None:
            return self._text(at, place, column, _text(value, column))
        return make(self, at, place, column, value)

    def _flag(self, at: str, place: int, column: Column, value: bool) -> str:
        return self._xml.flag(at, value, self._formats["flag"])

    def _moment(self, at: str, place: int, column: Column, value: datetime) -> str:
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        if value.year <= FIRST_DAY.year and value.date() < FIRST_DAY:
            return self._text(at, place, column, value.isoformat())
        self._widen(place, 23)
        return self._xml.moment(at, value, self._formats["moment"])

    def _day(self, at: str, place: int, column: Column, value: date) -> str:
        if value < FIRST_DAY:
            return self._text(at, place, column, value.isoformat())
        self._widen(place, 11)
        return self._xml.day(at, value, self._formats["day"])

    def _number(self, at: str, place: int, column: Column, value: int | Decimal) -> str:
        if column.kind not in _NUMERIC:
            return self._text(at, place, column, _text(value, column))
        text = f"{value:f}" if isinstance(value, Decimal) else str(value)
        if len(text) > DIGITS and len(text.strip("-0.").replace(".", "")) > DIGITS:
            return self._text(at, place, column, text)
        self._widen(place, len(text) + 2)
        return self._xml.number(at, float(value), self._formats["money"] if column.decimals == 2 else "")

    def _text(self, at: str, place: int, column: Column, text: str) -> str:
        if "\r" in text:
            text = text.replace("\r\n", "\n")  # a spreadsheet's own line end
        if len(text) > LONGEST // 2:
            text = self._fitting(column, text)
        self._widen(place, len(text))
        return self._xml.text(at, text)

    def _fitting(self, column: Column, text: str) -> str:
        units = text.encode("utf-16-le")
        if len(units) <= 2 * LONGEST:
            return text
        self.told.note(
            Problem(
                "cell.long",
                f"has {len(units) // 2} characters, and a cell holds {LONGEST}: it was cut",
                f"hat {len(units) // 2} Zeichen, eine Zelle fasst {LONGEST}: gekürzt",
            ).at(self.told.rows + 1, column.heading, text)
        )
        return units[: 2 * (LONGEST - len(CUT))].decode("utf-16-le", "ignore") + CUT

    def _widen(self, place: int, width: int) -> None:
        if width > self._widths[place]:
            self._widths[place] = width


_MAKERS: dict[type, Callable[..., str]] = {
    str: Spreadsheet._text,
    bool: Spreadsheet._flag,
    int: Spreadsheet._number,
    Decimal: Spreadsheet._number,
    datetime: Spreadsheet._moment,
    date: Spreadsheet._day,
}
"""By the type of a value; anything else is a text."""


def _text(value: Value, column: Column) -> str:
    try:
        return text_of(value, column, _PLAIN)[0]
    except CellError:
        return as_text(value, _PLAIN)

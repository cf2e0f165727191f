"""Tables as other tools write them, and as nobody should."""

from __future__ import annotations

import csv
import datetime
import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openpyxl
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from xlwt.CompoundDoc import XlsDoc

Rows = Sequence[Sequence[Any]]


def as_csv(rows: Rows, encoding: str = "utf-8-sig", delimiter: str = ";") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode(encoding)


def as_xlsx(rows: Rows, *, epoch_1904: bool = False, sheet: str = "Tabelle1") -> bytes:
    book = openpyxl.Workbook()
    if epoch_1904:
        book.epoch = CALENDAR_MAC_1904
    page = book.active
    assert page is not None
    page.title = sheet
    for row in rows:
        page.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@dataclass(frozen=True)
class XlsError:
    """A cell with an error, by its number."""

    code: int


def as_xls(rows: Rows, *records: tuple[int, bytes]) -> bytes:
    """`records` (kind and what they say) stand behind all others."""
    book = xlwt.Workbook()
    page = book.add_sheet("Tabelle1")
    day = xlwt.easyxf(num_format_str="DD.MM.YYYY")
    for at, row in enumerate(rows):
        for column, value in enumerate(row):
            if isinstance(value, datetime.date):
                page.write(at, column, value, day)
            elif isinstance(value, XlsError):
                page.row(at).set_cell_error(column, value.code)
            elif value is not None:
                page.write(at, column, value)
    more = b"".join(struct.pack("<HH", kind, len(said)) + said for kind, said in records)
    file = io.BytesIO()
    XlsDoc().save(file, book.get_biff_data() + more)
    return file.getvalue()


def as_ods(rows: Rows) -> bytes:
    book = OpenDocumentSpreadsheet()
    page = Table(name="Tabelle1")
    for row in rows:
        line = TableRow()
        for value in row:
            line.addElement(_ods_cell(value))
        page.addElement(line)
    book.spreadsheet.addElement(page)
    file = io.BytesIO()
    book.write(file)
    return file.getvalue()


def _ods_cell(value: Any) -> Any:
    if value is None:
        return TableCell()
    if isinstance(value, bool):
        return TableCell(valuetype="boolean", booleanvalue=str(value).lower())
    if isinstance(value, int | float):
        return TableCell(valuetype="float", value=str(value))
    if isinstance(value, datetime.date):
        return TableCell(valuetype="date", datevalue=value.isoformat())
    cell = TableCell(valuetype="string")
    cell.addElement(P(text=value))
    return cell


def changed(data: bytes, parts: Mapping[str, Callable[[bytes], bytes]], **more: bytes) -> bytes:
    """An archive with some parts otherwise, and others besides; `__` in a name is a slash, `_DOT_` a dot."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, parts[name](text) if name in parts else text)
        for name, text in more.items():
            new.writestr(name.replace("__", "/").replace("_DOT_", "."), text)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def replaced(data: bytes, part: str, old: str, new: str) -> bytes:
    def change(text: bytes) -> bytes:
        assert old.encode() in text, text[:1000]
        return text.replace(old.encode(), new.encode())

    return changed(data, {part: change})

"""What is in a sheet, found out while its XML streams by: nothing of it is kept but numbers and places.

A reader of sheets makes a rectangle of memory that reaches to the last cell; so the last cell is looked for
first. Formulas are never computed: those without a stored value are marked, and so are errors, for which a
reader of sheets gives nothing.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any
from xml.parsers import expat

from kompass.accounting.problems import UnreadableError, unreadable
from kompass.imports.tables import limits
from kompass.imports.tables.containers import READ_ERRORS, broken, links

_PIECE = 64 * 1024
_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0 "
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0 "
_CALC = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0 "
_ODS_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_IN_OTHERS = re.compile(r"\['[^']*'#")
"""A reference to another file, as `['file:///a.ods'#$Sheet1.A1]`."""
_LONGEST_ERROR = 20
"""Characters, as of `#GETTING_DATA`."""


Mark = Mapping[str, str]
"""`{"formula": ""}` for one that nobody has computed, `{"error": "#N/A"}` for a cell with an error."""
_UNCOMPUTED: Mark = {"formula": ""}


@dataclass(slots=True)
class Sheet:
    """What a sheet has."""

    cells: int = 0
    """Cells with a value."""
    marks: dict[tuple[int, int], Mark] = field(default_factory=dict)
    """Row and column, from 1, of cells that have no value to be taken."""


class _Found(Exception):
    """No need to read on."""


def _parsed(archive: zipfile.ZipFile, name: str, handlers: Mapping[str, Callable[..., None]]) -> None:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _doctype
    for event, handler in handlers.items():
        setattr(parser, event, handler)
    try:
        with archive.open(name) as opened:
            read = 0
            while piece := opened.read(_PIECE):
                read += len(piece)
                if read > limits.MOST_UNPACKED:
                    raise broken()
                parser.Parse(piece)
            parser.Parse(b"", True)
    except _Found:
        pass
    except UnreadableError:
        raise
    except (*READ_ERRORS, expat.ExpatError):
        raise broken() from None


def _doctype(*_: Any) -> None:
    raise unreadable(
        "file.doctype",
        "has XML with a document type, as no spreadsheet writes it",
        "enthält XML mit einem Dokumenttyp, wie es keine Tabellenkalkulation schreibt",
    )


def check_roots(archive: zipfile.ZipFile) -> None:
    """Refuses XML with declared entities, wherever it is: they stand before the first element."""

    def begins(*_: Any) -> None:
        raise _Found

    for name in archive.namelist():
        if name.endswith((".xml", ".rels")):
            _parsed(archive, name, {"StartElementHandler": begins})


def is_1904(archive: zipfile.ZipFile) -> bool:
    """Whether the days of an .xlsx are counted from 1904."""
    said: list[bool] = []

    def begins(name: str, attributes: Mapping[str, str]) -> None:
        if name.endswith(" workbookPr"):
            said.append(attributes.get("date1904") in ("1", "true"))

    _parsed(archive, "xl/workbook.xml", {"StartElementHandler": begins})
    return any(said)


def parts_of_sheets(archive: zipfile.ZipFile) -> dict[str, str]:
    """Name of a sheet -> the part of an .xlsx that has its cells."""
    sheets: dict[str, str] = {}
    targets: dict[str, str] = {}

    def sheet(name: str, attributes: Mapping[str, str]) -> None:
        if name.endswith(" sheet"):
            rel = next((value for key, value in attributes.items() if key.endswith(" id")), "")
            sheets[attributes.get("name", "")] = rel

    def target(name: str, attributes: Mapping[str, str]) -> None:
        if name.endswith(" Relationship"):
            where = attributes.get("Target", "").lstrip("/")
            targets[attributes.get("Id", "")] = where if where.startswith("xl/") else f"xl/{where}"

    _parsed(archive, "xl/workbook.xml", {"StartElementHandler": sheet})
    _parsed(archive, "xl/_rels/workbook.xml.rels", {"StartElementHandler": target})
    return {name: targets[rel] for name, rel in sheets.items() if rel in targets}


def look_at_xlsx(archive: zipfile.ZipFile, name: str) -> Sheet:
    """The cells of a part. Raises `UnreadableError` for a sheet that is too large."""
    found = Sheet()
    row = column = 0
    formula = inside = False
    kind = text = ""

    def begins(element: str, attributes: Mapping[str, str]) -> None:
        nonlocal row, column, formula, inside, kind, text
        tag = element.rpartition(" ")[2]
        if tag == "row":
            row = _number(attributes.get("r"), row + 1)
            column = 0
        elif tag == "c":
            column = _column(attributes.get("r"), column + 1)
            kind, text, formula = attributes.get("t", ""), "", False
        elif tag == "f":
            formula = True
        elif tag in ("v", "is"):
            inside = True

    def said(piece: str) -> None:
        nonlocal text
        if inside and len(text) < _LONGEST_ERROR:
            text += piece.strip()

    def ends(element: str) -> None:
        nonlocal inside
        tag = element.rpartition(" ")[2]
        if tag in ("v", "is"):
            inside = False
        elif tag == "c" and (text or formula):
            count(found, row, column)
            if kind == "e":
                found.marks[row, column] = {"error": text[:_LONGEST_ERROR]}
            elif not text and kind != "str":  # of which nothing may be the result
                found.marks[row, column] = _UNCOMPUTED

    _parsed(
        archive,
        name,
        {"StartElementHandler": begins, "EndElementHandler": ends, "CharacterDataHandler": said},
    )
    return found


def count(found: Sheet, row: int, column: int) -> None:
    """A cell with a value. Raises `UnreadableError` if it is too far out."""
    found.cells += 1
    check_size(row, column)


def check_size(row: int, column: int) -> None:
    """Raises `UnreadableError` if a sheet's last cell is so far out."""
    if column > limits.MOST_COLUMNS:
        raise unreadable(
            "file.columns",
            f"has a value in column {column}; at most {limits.MOST_COLUMNS} columns are read",
            f"hat einen Wert in Spalte {column}; gelesen werden höchstens {limits.MOST_COLUMNS} Spalten",
        )
    if row > limits.MOST_ROWS + limits.MOST_ABOVE:
        raise unreadable(
            "file.rows",
            f"has a value in row {row}; at most {limits.MOST_ROWS} rows are read: divide it",
            f"hat einen Wert in Zeile {row}; höchstens {limits.MOST_ROWS} werden gelesen: bitte teilen",
        )


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdigit() or len(text) > 9:
        raise broken()
    return int(text)


def _column(reference: str | None, default: int) -> int:
    """The number of the column in `AB12`."""
    if reference is None:
        return default
    number = 0
    for sign in reference:
        if not "A" <= sign <= "Z":
            break
        number = 26 * number + ord(sign) - 64
        if number > 1_000_000:
            raise broken()
    return number or default


def look_at_ods(archive: zipfile.ZipFile) -> dict[str, Sheet]:
    """The cells of each table. Raises `UnreadableError`."""
    found: dict[str, Sheet] = {}
    sheet = Sheet()
    row = column = rows = columns = 0
    formula = value = error = inside = False
    text = ""

    def begins(element: str, attributes: Mapping[str, str]) -> None:
        nonlocal sheet, row, column, rows, columns, formula, value, error, inside, text
        if element in (f"{_TABLE}table-source", f"{_TABLE}dde-link", f"{_TABLE}database-source-sql"):
            raise links()
        if element == f"{_TABLE}table":
            sheet = found.setdefault(attributes.get(f"{_TABLE}name", ""), Sheet())
            row = rows = 0
        elif element == f"{_TABLE}table-row":
            row += rows or 1
            rows = _number(attributes.get(f"{_TABLE}number-rows-repeated"), 1)
            column, columns = 0, 1
        elif element in _ODS_CELLS:
            column += columns
            columns = _number(attributes.get(f"{_TABLE}number-columns-repeated"), 1)
            formula = f"{_TABLE}formula" in attributes
            if formula and _IN_OTHERS.search(attributes[f"{_TABLE}formula"]):
                raise links()
            value = any(one.startswith(_OFFICE) and one != f"{_OFFICE}value-type" for one in attributes)
            error = attributes.get(f"{_CALC}value-type") == "error"
            inside, text = True, ""
        elif inside and element.endswith(" p"):
            value = True

    def said(piece: str) -> None:
        nonlocal text
        if error and len(text) < _LONGEST_ERROR:
            text += piece.strip()

    def ends(element: str) -> None:
        nonlocal error, inside
        if element not in _ODS_CELLS:
            return
        inside = False
        if not (value or formula):
            return
        sheet.cells += 1
        check_size(row + rows - 1, column + columns - 1)
        if error or not value:
            mark = {"error": text[:_LONGEST_ERROR] or "#ERR"} if error else _UNCOMPUTED
            places = product(range(row, row + rows), range(column, column + columns))
            sheet.marks |= dict.fromkeys(places, mark)
        error = False

    _parsed(
        archive,
        "content.xml",
        {"StartElementHandler": begins, "EndElementHandler": ends, "CharacterDataHandler": said},
    )
    return found

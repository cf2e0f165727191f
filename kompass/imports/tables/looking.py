"""What is in a sheet, found out while its XML streams by: nothing of it is kept but numbers and places.

A reader of sheets makes a rectangle of memory that reaches to the last cell; so the last cell is looked for
first. Formulas are never computed: those without a stored value are told.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from kompass.accounting.problems import unreadable
from kompass.imports.tables import limits
from kompass.imports.tables.containers import broken, links

_PIECE = 64 * 1024
_MOST_TOLD = 1000
_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0 "
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0 "


@dataclass(slots=True)
class Sheet:
    """What a sheet has."""

    cells: int = 0
    """Cells with a value."""
    uncomputed: set[tuple[int, int]] = field(default_factory=set)
    """Row and column, from 1, of formulas that nobody has computed."""


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
    except (KeyError, zipfile.BadZipFile, EOFError, OSError, NotImplementedError):
        raise broken() from None
    except expat.ExpatError:
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
    at = {"row": 0, "column": 0}
    formula = value = inside = False

    def begins(element: str, attributes: Mapping[str, str]) -> None:
        nonlocal formula, value, inside
        kind = element.rpartition(" ")[2]
        if kind == "row":
            at["row"] = _number(attributes.get("r"), at["row"] + 1)
            at["column"] = 0
        elif kind == "c":
            at["column"] = _column(attributes.get("r"), at["column"] + 1)
            formula = value = False
        elif kind == "f":
            formula = True
        elif kind in ("v", "is"):
            inside = True

    def said(text: str) -> None:
        nonlocal value
        if inside and text.strip():
            value = True

    def ends(element: str) -> None:
        nonlocal inside
        kind = element.rpartition(" ")[2]
        if kind in ("v", "is"):
            inside = False
        elif kind == "c" and (value or formula):
            _count(found, at["row"], at["column"])
            if formula and not value and len(found.uncomputed) < _MOST_TOLD:
                found.uncomputed.add((at["row"], at["column"]))

    _parsed(
        archive,
        name,
        {"StartElementHandler": begins, "EndElementHandler": ends, "CharacterDataHandler": said},
    )
    return found


def _count(found: Sheet, row: int, column: int) -> None:
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
    formula = value = inside = False

    def begins(element: str, attributes: Mapping[str, str]) -> None:
        nonlocal sheet, row, column, rows, columns, formula, value, inside
        if element in (f"{_TABLE}table-source", f"{_TABLE}dde-link", f"{_TABLE}database-source-sql"):
            raise links()
        if element == f"{_TABLE}table":
            sheet = found.setdefault(attributes.get(f"{_TABLE}name", ""), Sheet())
            row = rows = 0
        elif element == f"{_TABLE}table-row":
            row += rows or 1
            rows = _number(attributes.get(f"{_TABLE}number-rows-repeated"), 1)
            column, columns = 0, 1
        elif element in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            column += columns
            columns = _number(attributes.get(f"{_TABLE}number-columns-repeated"), 1)
            formula = f"{_TABLE}formula" in attributes
            value = f"{_OFFICE}value-type" in attributes
            inside = True
        elif inside and element.endswith(" p"):
            value = True

    def ends(element: str) -> None:
        nonlocal inside
        if element in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            inside = False
            if value or formula:
                sheet.cells += 1
                check_size(row + rows - 1, column + columns - 1)
                if formula and not value and len(sheet.uncomputed) < _MOST_TOLD:
                    sheet.uncomputed.add((row, column))

    _parsed(archive, "content.xml", {"StartElementHandler": begins, "EndElementHandler": ends})
    return found
